//! A purchase token: what names a purchase to Google, and what opens it.

use std::fmt;

use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};

use crate::refresh::hex;

/// Longest purchase token that is looked at, in characters.
pub const MAX_TOKEN_CHARS: usize = 1_500;

/// A purchase token. It goes into a path of the API, so it is held to what stands in a segment as itself (RFC 3986, 3.3):
/// no `/`, `?`, `#`, `%` or blank, no `:`, behind which the API's verbs stand, and not dots alone.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct PurchaseToken(String);

/// A text that cannot be a purchase token. The text is not said: it may be one but for a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a purchase token")]
pub struct NoToken;

impl PurchaseToken {
    /// The token itself, for a call to the API.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the purchase is called in keys and rows: the token's SHA-256 in lower-case hexadecimal digits.
    pub fn hash(&self) -> String {
        hash(&self.0)
    }
}

fn hash(token: &str) -> String {
    hex(&Sha256::digest(token))
}

/// Reads a token of which nothing but the hash is wanted.
pub(super) fn hashed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let token = Option::<String>::deserialize(deserializer)?;
    Ok(token.filter(|token| !token.is_empty()).map(|token| hash(&token)))
}

impl TryFrom<String> for PurchaseToken {
    type Error = NoToken;
    fn try_from(text: String) -> Result<Self, NoToken> {
        let stands = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=@".contains(&byte);
        let fits = (1..=MAX_TOKEN_CHARS).contains(&text.len()) && text.bytes().all(stands);
        if fits && text.bytes().any(|byte| byte != b'.') { Ok(Self(text)) } else { Err(NoToken) }
    }
}

impl std::str::FromStr for PurchaseToken {
    type Err = NoToken;
    fn from_str(text: &str) -> Result<Self, NoToken> {
        text.to_owned().try_into()
    }
}

impl fmt::Debug for PurchaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PurchaseToken(..)")
    }
}
