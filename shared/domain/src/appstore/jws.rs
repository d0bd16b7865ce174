//! A JWS in compact form, read strictly (RFC 7515, 7.1) as Apple writes it (facts 2.1, 1).
//!
//! Only `alg` and `x5c` of the header mean anything. A key or a place of keys that the header names (`kid`, `jwk`, `jku`,
//! `x5u`) is ignored: who forges a header would name their own.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::reason::Reason;

/// Longest text that is looked at, in bytes: a real notification has about 10 KiB.
pub const MAX_BYTES: usize = 65_536;
/// Longest header in base64url: 16 KiB (RFC 4648, 5). Apple's has about 3.
const MAX_HEADER: usize = (16 * 1024 * 4_usize).div_ceil(3);
/// Most members of a header; Apple's has two or three.
const MAX_MEMBERS: usize = 16;

/// A text taken apart; nothing of it is believed yet.
pub(super) struct Compact<'a> {
    /// What is signed: header and payload as they were sent.
    pub(super) signed: &'a [u8],
    pub(super) payload: Vec<u8>,
    /// `r` and `s`, 32 bytes each (RFC 7518, 3.4).
    pub(super) signature: [u8; 64],
    /// Leaf, intermediate, root, in DER.
    pub(super) chain: [Vec<u8>; 3],
}

/// Takes `text` apart.
pub(super) fn read(text: &str) -> Result<Compact<'_>, Reason> {
    if text.len() > MAX_BYTES {
        return Err(Reason::TooLong);
    }
    let (signed, signature) = text.rsplit_once('.').ok_or(Reason::Segments)?;
    let (header, payload) = signed.split_once('.').ok_or(Reason::Segments)?;
    if payload.contains('.') {
        return Err(Reason::Segments);
    }
    if header.len() > MAX_HEADER {
        return Err(Reason::HeaderTooLong);
    }
    let [header, payload, signature] = [segment(header)?, segment(payload)?, segment(signature)?];
    let chain = chain(&header)?;
    let signature = signature.try_into().map_err(|_| Reason::SignatureLength)?;
    Ok(Compact { signed: signed.as_bytes(), payload, signature, chain })
}

/// The engine refuses padding, foreign letters and stray bits at the end, so that one payload has one spelling.
fn segment(text: &str) -> Result<Vec<u8>, Reason> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Reason::SegmentEncoding)
}

fn chain(header: &[u8]) -> Result<[Vec<u8>; 3], Reason> {
    let Members(members) = serde_json::from_slice(header).map_err(|_| Reason::HeaderNotJson)?;
    // Before each is compared with each.
    if members.len() > MAX_MEMBERS {
        return Err(Reason::HeaderTooLong);
    }
    let twice = members.iter().enumerate().any(|(at, (name, _))| members.iter().take(at).any(|(it, _)| it == name));
    if twice {
        return Err(Reason::HeaderDuplicate);
    }
    let member = |name: &str| members.iter().find(|(it, _)| it == name).map(|(_, value)| value);
    if member("crit").is_some() {
        return Err(Reason::HeaderCritical);
    }
    if member("b64").is_some() {
        return Err(Reason::HeaderUnencoded);
    }
    if member("alg").and_then(Value::as_str) != Some("ES256") {
        return Err(Reason::Algorithm);
    }
    let texts = member("x5c").and_then(Value::as_array).ok_or(Reason::ChainMissing)?;
    let texts: Vec<&str> = texts.iter().map(Value::as_str).collect::<Option<_>>().ok_or(Reason::ChainMissing)?;
    let [leaf, intermediate, root] = *texts else { return Err(Reason::ChainLength) };
    let der = |text: &str| STANDARD.decode(text).map_err(|_| Reason::ChainEncoding);
    Ok([der(leaf)?, der(intermediate)?, der(root)?])
}

/// The members of an object in the order they stand: a map would keep the last of two and hide the other. Of too many
/// there is one more than is allowed.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while members.len() <= MAX_MEMBERS
                    && let Some(member) = map.next_entry()?
                {
                    members.push(member);
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
