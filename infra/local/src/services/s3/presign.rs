//! Verifies presigned URLs: AWS Signature Version 4 in the query.

use hmac::{Hmac, Mac as _};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

use super::multipart::Refusal;
use crate::services::checksum::hex;
use crate::services::request::Request;
use crate::services::wire::decode;

/// A URL may be from a clock that is this much ahead.
const SKEW_MS: i64 = 15 * 60 * 1000;
/// The longest a URL may be valid.
const LONGEST_S: i64 = 7 * 24 * 3600;

/// Whether the request is signed in its query by one of `signers` with their `secret`, truly and not too long ago.
pub(super) fn verify(request: &Request, signers: &[String], secret: &str, now_ms: i64) -> Result<(), Refusal> {
    let parameter = |name: &str| {
        let pair = request.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        pair.map(|value| decode(value, false))
    };
    let malformed = (400, "AuthorizationQueryParametersError", "Query-string authentication needs all its parameters.");
    let date = parameter("X-Amz-Date").ok_or(malformed)?;
    let expires: i64 = parameter("X-Amz-Expires").and_then(|text| text.parse().ok()).ok_or(malformed)?;
    let credential = parameter("X-Amz-Credential").ok_or(malformed)?;
    let signed_headers = parameter("X-Amz-SignedHeaders").ok_or(malformed)?;
    let signature = parameter("X-Amz-Signature").ok_or(malformed)?;
    let at = DateTime::strptime("%Y%m%dT%H%M%SZ", &date).ok().and_then(|at| at.to_zoned(TimeZone::UTC).ok());
    let at_ms = at.ok_or(malformed)?.timestamp().as_millisecond();
    if !(0..=LONGEST_S).contains(&expires) {
        return Err((400, "AuthorizationQueryParametersError", "X-Amz-Expires must be less than a week (in seconds)"));
    }
    if at_ms > now_ms + SKEW_MS {
        return Err((403, "AccessDenied", "Request is not valid yet"));
    }
    if now_ms >= at_ms + expires * 1000 {
        return Err((403, "AccessDenied", "Request has expired"));
    }
    let (key_id, scope) = credential.split_once('/').ok_or(malformed)?;
    if !signers.iter().any(|signer| signer == key_id) {
        return Err((403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."));
    }
    let mut query: Vec<_> = request.query.split('&').filter(|pair| !pair.starts_with("X-Amz-Signature=")).collect();
    query.sort_unstable();
    let query: Vec<_> =
        query.into_iter().map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") }).collect();
    let headers: String = signed_headers
        .split(';')
        .map(|name| format!("{name}:{}\n", request.header(name).unwrap_or_default().trim()))
        .collect();
    let payload = request.header("x-amz-content-sha256").unwrap_or("UNSIGNED-PAYLOAD");
    let canonical =
        format!("{}\n{}\n{}\n{headers}\n{signed_headers}\n{payload}", request.method, request.path, query.join("&"),);
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let start = format!("AWS4{secret}").into_bytes();
    let key = scope.split('/').fold(start, |key, part| sign(&key, part.as_bytes()));
    if hex(&sign(&key, text.as_bytes())) == signature {
        Ok(())
    } else {
        Err((
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        ))
    }
}

fn sign(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes a key of any length.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}
