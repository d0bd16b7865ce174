//! The stores' servers: what they are asked, and what their answers mean.
//!
//! | answer | becomes |
//! | --- | --- |
//! | there is no such purchase, and the answer names it as what is missing | [`StoreError::NotFound`] |
//! | it is not one that counts here, or is not signed as it must be | [`StoreError::Refused`] |
//! | a redirect (never followed), HTML, JSON of another shape, a 4xx of no meaning here | [`StoreError::Unusable`] |
//! | none in time, a 5xx, a throttle, a code that Apple calls retryable, our key refused | [`StoreError::Later`] |
//!
//! Each of the last three leaves a line with the store, the call and a metric: `StoreCallFailed`, `StoreAnswerUnusable`,
//! or, where a key of ours is refused, `StoreCredentialsRefused`. No line has a token, a signed text or a receipt, nor an
//! address that was asked: a purchase token stands in it.

pub(crate) mod apple;
mod calls;
pub(crate) mod google;
pub(crate) mod ocsp;
pub(crate) mod receipt;
#[cfg(test)]
mod tests;

use std::fmt;

use satchel_domain::Error;
use satchel_inbound::env::Reader;
use satchel_outbound::http::is_loopback;
use serde::{Deserialize, Deserializer};

/// Why a store's answer is of no use.
#[derive(Debug)]
pub(crate) enum StoreError {
    /// The store has no such purchase, or has it no longer.
    NotFound,
    /// It is not believed, or not to count here: a stable snake_case reason. The same again is refused again.
    Refused(&'static str),
    /// The answer cannot be understood: a stable snake_case reason. A fault of the store's or of our settings, told with
    /// a metric; it may pass, but not by itself in a moment.
    Unusable(&'static str),
    /// A later try may succeed; [`Error::Unavailable`] says after how many seconds.
    Later(Error),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("the store has no such purchase"),
            Self::Refused(reason) => write!(f, "refused: {reason}"),
            Self::Unusable(reason) => write!(f, "the store's answer is of no use: {reason}"),
            Self::Later(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Later(error) => error.source(),
            _ => None,
        }
    }
}

/// The address that `name` says, without a slash at its end; the store's own where it is not set. Plain HTTP only leads
/// to this machine, where the local stack's stores are: our keys go to these addresses.
fn address(settings: &mut Reader<'_>, name: &str, own: &str) -> String {
    let text = settings.optional(name).unwrap_or_else(|| own.to_owned());
    let is_ours = |uri: &http::Uri| match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => uri.query().is_none(),
        (Some("http"), Some(_)) if is_loopback(uri) => uri.query().is_none(),
        _ => false,
    };
    if !text.parse().is_ok_and(|uri| is_ours(&uri)) {
        settings.complain(format!("{name} is no address of https, nor one of http on this machine"));
    }
    text.trim_end_matches('/').to_owned()
}

/// Both stores write 64-bit numbers as texts.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Number(i64),
        Text(String),
    }
    Ok(match Option::<Number>::deserialize(deserializer)? {
        None => None,
        Some(Number::Number(number)) => Some(number),
        Some(Number::Text(text)) => Some(text.parse().map_err(serde::de::Error::custom)?),
    })
}
