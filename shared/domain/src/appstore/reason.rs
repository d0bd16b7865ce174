//! Why a signed payload is refused: a closed list, so that nothing of a payload comes back to who sent it.

use std::fmt;

use crate::closed::closed_list;

/// Which signed text of a delivery is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The text itself.
    Outer,
    /// `signedTransactionInfo` inside a notification.
    Transaction,
    /// `signedRenewalInfo` inside a notification.
    Renewal,
}

impl Part {
    /// The part as it stands in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outer => "outer",
            Self::Transaction => "transaction",
            Self::Renewal => "renewal",
        }
    }
}

closed_list! {
    /// Why a signed payload is refused; one variant a refusal.
    Reason {
        TooLong = "too_long" "Longer than [`super::MAX_BYTES`]."
        Segments = "segments" "Not exactly three segments (RFC 7515, 7.1)."
        SegmentEncoding = "segment_encoding" "A segment that is not base64url without padding (RFC 7515, 2)."
        HeaderTooLong = "header_too_long" "The header is longer than 16 KiB, or has more than 16 members."
        HeaderNotJson = "header_not_json" "The header is no JSON object."
        HeaderDuplicate = "header_duplicate" "A header member stands twice (RFC 7515, 4)."
        HeaderCritical = "header_critical" "The header has `crit`: none of its extensions is understood (RFC 7515, 4.1.11)."
        HeaderUnencoded = "header_unencoded" "The header has `b64` (RFC 7797)."
        Algorithm = "algorithm" "`alg` is not exactly `ES256`."
        ChainMissing = "chain_missing" "`x5c` is absent or no array of strings."
        ChainLength = "chain_length" "`x5c` does not hold exactly three certificates."
        ChainEncoding = "chain_encoding" "A certificate that is not standard base64 (RFC 7515, 4.1.6)."
        CertificateMalformed = "certificate_malformed" "A certificate that is not X.509 version 3 in DER, is longer than 8 KiB, or has more than 32 extensions."
        CertificateTrailing = "certificate_trailing" "Bytes after a certificate."
        CertificateCritical = "certificate_critical" "A critical extension that is not understood (RFC 5280, 4.2)."
        CertificateDuplicate = "certificate_duplicate" "An extension stands twice (RFC 5280, 4.2)."
        LeafMarker = "leaf_marker" "The leaf lacks Apple's extension for signing receipts."
        LeafIsCa = "leaf_is_ca" "The leaf may sign certificates."
        LeafKeyUsage = "leaf_key_usage" "The leaf may not sign data, or may sign certificates."
        LeafPathLength = "leaf_path_length" "The leaf has a path length (RFC 5280, 4.2.1.9)."
        LeafKey = "leaf_key" "The leaf's key is no uncompressed point on P-256."
        IntermediateMarker = "intermediate_marker" "The intermediate lacks Apple's extension for its worldwide developer CA."
        IntermediateNotCa = "intermediate_not_ca" "The intermediate is no CA."
        IntermediateKeyUsage = "intermediate_key_usage" "The intermediate may not sign certificates."
        RootInvalid = "root_invalid" "The pinned root is not fit to be one: a fault of the configuration."
        PathLength = "path_length" "A path length on the way to the root is exceeded."
        PathShortcut = "path_shortcut" "The leaf is signed by the root itself, past the intermediate."
        PathUnknownIssuer = "path_unknown_issuer" "The path does not lead to the pinned root by name."
        PathSignature = "path_signature" "A certificate's signature is not its issuer's."
        PathAlgorithm = "path_algorithm" "A certificate is signed by another algorithm than ECDSA on P-256 or P-384."
        PathInvalid = "path_invalid" "The path is not valid for another reason (RFC 5280, 6.1)."
        CertificateExpired = "certificate_expired" "A certificate had ended at the time that counts."
        CertificateEarly = "certificate_early" "A certificate had not begun at the time that counts."
        SignedLongAgo = "signed_long_ago" "No longer valid now, and signed longer ago than deliveries are repeated."
        SignedAhead = "signed_ahead" "Not valid now, and signed at a time to come."
        SignatureLength = "signature_length" "The signature has not the 64 bytes of ES256 (RFC 7518, 3.4)."
        Signature = "signature" "The signature is not the leaf's over this header and payload."
        PayloadNotJson = "payload_not_json" "The payload is no JSON object."
        SignedDate = "signed_date" "`signedDate` is absent or no date in milliseconds."
        NoNotification = "no_notification" "Something else that the App Store signs, where a notification is expected."
        Kind = "kind" "Another kind of payload than the one that is expected here."
        PayloadShape = "payload_shape" "A required member is absent, or one is not of its type."
        NotificationBody = "notification_body" "Not exactly one of the four bodies a notification can have."
        Bundle = "bundle" "Of another app, by its bundle id."
        AppId = "app_id" "Of another app, by its Apple id."
        Environment = "environment" "Of another environment."
        OriginalTransaction = "original_transaction" "Renewal info of another purchase than the transaction beside it."
    }
}

impl Reason {
    /// Whether the same text may be accepted at a later time, or by another configuration of ours: it must not be
    /// answered like one that can never become valid. Nobody but who signed for the root can bring about one of these
    /// by what they send: path and signature are verified before the time is judged.
    pub fn may_pass_later(self) -> bool {
        matches!(self, Self::CertificateEarly | Self::SignedAhead | Self::RootInvalid)
    }
}

/// A refusal: which signed text, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Refused {
    /// Which text.
    pub part: Part,
    /// Why.
    pub reason: Reason,
}

impl Refused {
    /// Whether the text is rightly signed by a chain to the root, and yet not understood, or not what our settings expect:
    /// something new of Apple's, or a mistake of ours.
    ///
    /// Such a notification is stored unsettled and answered 200, because Apple gives up after its retries, and then
    /// nobody would ever learn of it. What is another app's, of another environment, or no notification is no such thing:
    /// Apple signs that for every developer and every device, so that anybody can send it.
    pub fn is_unread(&self) -> bool {
        match self.reason {
            Reason::PayloadNotJson
            | Reason::SignedDate
            | Reason::Kind
            | Reason::PayloadShape
            | Reason::NotificationBody
            | Reason::AppId => true,
            Reason::OriginalTransaction => self.part != Part::Outer,
            _ => false,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part.as_str(), self.reason.as_str())
    }
}

impl std::error::Error for Refused {}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self { part: Part::Outer, reason }
    }
}
