//! Who a person is, as Apple or Google say it: an ID token (OpenID Connect Core 1.0) is believed or refused here, as a
//! plain function of the token, the issuer's keys, what is configured, and the time.
//!
//! The algorithm is pinned to RS256 before a key is looked for, so that `none`, an HMAC made with the public key and
//! every other algorithm are refused by their header (RFC 8725, sections 2.1 and 3.1).

pub mod keys;

use jsonwebtoken::{Algorithm, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::refresh::hex;
use crate::{Error, Result, Timestamp};
use keys::KeySet;

/// Leeway for clocks that differ, in seconds.
pub const LEEWAY: i64 = 60;
/// Longest ID token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16_384;

/// Who says who a person is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Sign in with Apple.
    Apple,
    /// Google Identity.
    Google,
}

impl Provider {
    /// The provider as it stands in rows and paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apple => "apple",
            Self::Google => "google",
        }
    }
}

impl std::str::FromStr for Provider {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Apple, Self::Google].into_iter().find(|provider| provider.as_str() == text).ok_or(())
    }
}

/// What an ID token must say to be believed.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Exact spellings of `iss`.
    pub issuers: Vec<String>,
    /// Our own client ids: accepted `aud`.
    pub audiences: Vec<String>,
}

/// Who a believed ID token is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who says so.
    pub provider: Provider,
    /// The person, as the provider names them for good.
    pub subject: String,
    /// Which of our client ids the token was made for.
    pub audience: String,
    /// E-mail address; never used to find an account.
    pub email: Option<String>,
    /// Whether the provider once checked that the address is the person's.
    pub email_verified: bool,
    /// Google's hosted domain (`hd`).
    pub hosted_domain: Option<String>,
    /// Name, where the token has one.
    pub name: Option<String>,
    /// Address of a picture, where the token has one.
    pub picture: Option<String>,
}

impl Identity {
    /// The person's name in keys: a hash, since a subject may hold anything.
    pub fn key(&self) -> String {
        hex(&Sha256::digest(&self.subject))
    }

    /// The address, where the provider answers *now* for it being the person's own: Apple's verified one, Google's at
    /// gmail.com or in its hosted domain. Elsewhere `email_verified` only means that it was once the person's.
    pub fn own_email(&self) -> Option<String> {
        let email = self.email.as_deref().filter(|_| self.email_verified)?.to_lowercase();
        let (_, domain) = email.rsplit_once('@')?;
        let answered = match self.provider {
            Provider::Apple => true,
            Provider::Google => {
                domain == "gmail.com"
                    || self.hosted_domain.as_deref().is_some_and(|hosted| hosted.to_lowercase() == domain)
            }
        };
        answered.then_some(email)
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    iat: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: Option<Flag>,
    #[serde(default)]
    hd: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    picture: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Apple has written `email_verified` as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Text(String),
}

impl Flag {
    fn is_set(&self) -> bool {
        match self {
            Self::Bool(flag) => *flag,
            Self::Text(text) => text == "true",
        }
    }
}

/// The id of the key that `token` says it is signed with.
///
/// # Errors
/// 401 `invalid_id_token` where it is no JWT, names no key, or another algorithm than RS256.
pub fn key_id(token: &str) -> Result<String> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(too_long());
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| not_a_jwt())?;
    if header.alg != Algorithm::RS256 {
        return Err(other_algorithm());
    }
    header.kid.ok_or_else(no_key)
}

/// Who `token` is about, where it is believed at `now`. `nonce` is what the app says it sent along with its request to
/// the provider: a token with a nonce needs it, and it needs a token with a nonce.
///
/// # Errors
/// 401 `invalid_id_token`.
pub fn verify(
    provider: Provider,
    token: &str,
    nonce: Option<&str>,
    keys: &KeySet,
    trust: &Trust,
    now: Timestamp,
) -> Result<Identity> {
    let key = keys.get(&key_id(token)?).ok_or_else(bad_key)?;
    // jsonwebtoken would read the machine's clock: times are compared below.
    let mut validation = Validation::new(Algorithm::RS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let claims = jsonwebtoken::decode::<Claims>(token, key, &validation).map_err(|_| not_valid())?.claims;

    if !trust.issuers.contains(&claims.iss) {
        return Err(other_issuer());
    }
    let audience = audience(claims.aud, trust).ok_or_else(other_audience)?;
    let now = now.as_second();
    if claims.exp.saturating_add(LEEWAY) <= now {
        return Err(expired());
    }
    if claims.iat.saturating_sub(LEEWAY) > now || claims.nbf.is_some_and(|nbf| nbf.saturating_sub(LEEWAY) > now) {
        return Err(too_early());
    }
    check_nonce(provider, claims.nonce.as_deref(), nonce)?;
    if claims.sub.is_empty() || claims.sub.len() > 255 {
        return Err(no_subject());
    }
    Ok(Identity {
        provider,
        subject: claims.sub,
        audience,
        email_verified: claims.email_verified.is_some_and(|flag| flag.is_set()),
        email: claims.email.filter(|email| email.len() <= 320 && !email.chars().any(char::is_control)),
        hosted_domain: claims.hd,
        name: claims.name,
        picture: claims.picture,
    })
}

/// A token for several audiences is believed only where all of them are ours (OpenID Connect Core 1.0, 3.1.3.7).
fn audience(claimed: Audience, trust: &Trust) -> Option<String> {
    let claimed = match claimed {
        Audience::One(one) => vec![one],
        Audience::Several(several) => several,
    };
    if !claimed.iter().all(|one| trust.audiences.contains(one)) {
        return None;
    }
    claimed.into_iter().next()
}

fn check_nonce(provider: Provider, claimed: Option<&str>, sent: Option<&str>) -> Result<()> {
    let matches = match (claimed, sent) {
        (None, None) => true,
        (Some(claimed), Some(sent)) => match provider {
            // Apple's SDK is given the hash, so that the raw nonce only ever travels to us.
            Provider::Apple => claimed == hex(&Sha256::digest(sent)),
            Provider::Google => claimed == sent,
        },
        _ => false,
    };
    if matches { Ok(()) } else { Err(other_nonce()) }
}

macro_rules! refusals {
    ($($name:ident $why:literal)*) => {$(
        fn $name() -> Error {
            Error::Unauthenticated { code: "invalid_id_token", message: concat!("the ID token is not believed: ", $why) }
        }
    )*};
}
// A closed list, so that nothing of a token comes back to who sent it.
refusals! {
    too_long "it is too long"
    not_a_jwt "it is not a JWT"
    other_algorithm "it is not signed with RS256"
    no_key "it names no key"
    bad_key "its key is unknown"
    not_valid "its signature or its claims are not valid"
    other_issuer "it is of another issuer"
    other_audience "it is for another audience"
    expired "it has expired"
    too_early "it is not valid yet"
    other_nonce "its nonce is not the one of the request"
    no_subject "it has no subject"
}

/// 401 for a token whose key the issuer does not publish.
pub fn unknown_key() -> Error {
    bad_key()
}

#[cfg(test)]
pub(crate) mod test_keys;
#[cfg(test)]
mod tests;
