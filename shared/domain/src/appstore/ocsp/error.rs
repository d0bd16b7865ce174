//! Why an answer about a certificate is no permission to believe it: a closed list.

use std::fmt;

use crate::closed::closed_list;

closed_list! {
    /// Why an answer is not accepted.
    OcspError {
        Revoked = "revoked" "The issuer took the certificate back: nothing that it signed is to be believed."
        Unknown = "unknown" "The responder does not know the certificate."
        Chain = "chain" "The chain is none of the root's: a fault of ours."
        TooLong = "too_long" "Longer than [`super::MAX_BYTES`]."
        Malformed = "malformed" "No OCSPResponse in DER, or with something behind it."
        MalformedRequest = "malformed_request" "The responder could not read the request."
        InternalError = "internal_error" "The responder failed."
        TryLater = "try_later" "The responder is busy."
        SignatureRequired = "signature_required" "The responder answers signed requests only."
        Unauthorized = "unauthorized" "The responder does not answer for this issuer, or not to us (RFC 5019, 2.2.3)."
        ResponseType = "response_type" "No basic response."
        Critical = "critical" "A critical extension: none of them is understood."
        OtherCertificate = "other_certificate" "Nothing in it is about the certificate that was asked for."
        Ambiguous = "ambiguous" "It speaks of the certificate more than once."
        ResponderUnknown = "responder_unknown" "Signed by somebody who is not the issuer and whose certificate is not sent."
        ResponderCertificate = "responder_certificate" "The responder's certificate cannot be read, or is a CA's."
        ResponderPurpose = "responder_purpose" "The responder's certificate is not for signing such answers."
        ResponderTime = "responder_time" "The responder's certificate is not valid now."
        ResponderIssuer = "responder_issuer" "Somebody else than the issuer appointed the responder."
        Algorithm = "algorithm" "Signed by an algorithm that is not accepted, or that does not fit the key."
        Signature = "signature" "The signature is not the responder's over this answer."
        Early = "early" "From a time to come."
        Stale = "stale" "Newer information is due."
    }
}

impl OcspError {
    /// Whether this is the verdict that the certificate was taken back. Everything else may pass: ask again, and
    /// believe nothing until then.
    pub fn is_revoked(self) -> bool {
        self == Self::Revoked
    }
}

impl fmt::Display for OcspError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for OcspError {}

/// Whatever the decoder complains of, it is not the DER that was expected.
impl From<der::Error> for OcspError {
    fn from(_: der::Error) -> Self {
        Self::Malformed
    }
}
