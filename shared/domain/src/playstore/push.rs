//! Who sends a push: the bearer token (OpenID Connect) that Pub/Sub puts beside it is believed or refused here.
//!
//! Anybody with a project at Google can have a token made for our audience: what tells our push from theirs is the
//! service account that it acts as, and that Google answers for its address (facts 2.7).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::reason::Reason;
use crate::Timestamp;
use crate::identity::keys::KeySet;
use crate::identity::{LEEWAY, MAX_TOKEN_BYTES};

/// The two spellings of Google's `iss`.
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// What a push must say to be ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    audience: String,
    email: String,
    pub(super) subscription: String,
    pub(super) package_name: String,
}

impl Push {
    /// The push that is configured: the audience of its tokens, the e-mail address of the service account that it acts
    /// as, its Pub/Sub subscription (`projects/P/subscriptions/S`), and our app's package name.
    ///
    /// # Errors
    /// A sentence: which of them cannot be one. None may be empty, since a token or a message without it would fit.
    pub fn new(
        audience: impl Into<String>,
        email: impl Into<String>,
        subscription: impl Into<String>,
        package_name: impl Into<String>,
    ) -> Result<Self, String> {
        let push = Self {
            audience: audience.into(),
            email: email.into(),
            subscription: subscription.into(),
            package_name: package_name.into(),
        };
        let parts: Vec<&str> = push.subscription.split('/').collect();
        let is_subscription = matches!(parts[..], ["projects", project, "subscriptions", name] if !project.is_empty() && !name.is_empty());
        // It goes into a path of the API.
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
        let is_package = push.package_name.contains('.') && push.package_name.bytes().all(letters);
        let complaints = [
            (push.audience.trim().is_empty(), "the audience of the push is empty"),
            (!push.email.contains('@'), "the service account of the push is no e-mail address"),
            (!is_subscription, "the subscription of the push is not `projects/P/subscriptions/S`"),
            (!is_package, "the package name is not one"),
        ];
        match complaints.iter().find(|(wrong, _)| *wrong) {
            Some((_, complaint)) => Err((*complaint).to_owned()),
            None => Ok(push),
        }
    }

    /// Whether `token` was made by Google for our push, as judged at `now`.
    ///
    /// # Errors
    /// Why it is refused; each is [`Reason::is_authentication`].
    pub fn bearer(&self, token: &str, keys: &KeySet, now: Timestamp) -> Result<(), Reason> {
        let segments = Segments::read(token)?;
        let key = keys.get(&segments.key_id()?).ok_or(Reason::KeyUnknown)?;
        let claims = decode(segments.claims)?;
        decode(segments.signature)?;
        let holds = jsonwebtoken::crypto::verify(segments.signature, segments.signed, key, Algorithm::RS256);
        if !holds.unwrap_or(false) {
            return Err(Reason::Signature);
        }
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| Reason::Claims)?;
        self.claims(&claims, now.as_second())
    }

    fn claims(&self, claims: &Claims, now: i64) -> Result<(), Reason> {
        if !ISSUERS.contains(&claims.iss.as_str()) {
            return Err(Reason::Issuer);
        }
        if !claims.aud.is_only(&self.audience) {
            return Err(Reason::Audience);
        }
        if claims.exp.saturating_add(LEEWAY) <= now {
            return Err(Reason::Expired);
        }
        let ahead = |at: i64| at.saturating_sub(LEEWAY) > now;
        if ahead(claims.iat) || claims.nbf.is_some_and(ahead) {
            return Err(Reason::IssuedAhead);
        }
        if claims.email.as_deref() != Some(&self.email) {
            return Err(Reason::Email);
        }
        if claims.email_verified != Some(Value::Bool(true)) {
            return Err(Reason::EmailUnverified);
        }
        Ok(())
    }
}

/// The id of the key that `token` says it is signed with, to be looked for.
///
/// # Errors
/// Why it is refused: it is no JWT, names no key, or another algorithm than RS256, which is pinned before a key is
/// looked for (RFC 8725, 2.1 and 3.1).
pub fn bearer_key_id(token: &str) -> Result<String, Reason> {
    Segments::read(token)?.key_id()
}

/// A token in compact form (RFC 7515, 7.1), taken apart.
struct Segments<'a> {
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
    /// Header and claims as they were sent.
    signed: &'a [u8],
}

impl<'a> Segments<'a> {
    fn read(token: &'a str) -> Result<Self, Reason> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Reason::TokenTooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Reason::TokenSegments)?;
        let (header, claims) = signed.split_once('.').ok_or(Reason::TokenSegments)?;
        if claims.contains('.') {
            return Err(Reason::TokenSegments);
        }
        Ok(Self { header, claims, signature, signed: signed.as_bytes() })
    }

    fn key_id(&self) -> Result<String, Reason> {
        let header = decode(self.header)?;
        // A struct is read from an array as well; a map would keep the last of two members and hide the other.
        serde_json::from_slice::<Map<String, Value>>(&header).map_err(|_| Reason::TokenHeader)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| Reason::TokenHeader)?;
        if header.crit || header.b64 {
            return Err(Reason::TokenCritical);
        }
        if header.alg.as_ref().and_then(Value::as_str) != Some("RS256") {
            return Err(Reason::Algorithm);
        }
        match header.kid {
            Some(Value::String(kid)) if !kid.is_empty() => Ok(kid),
            _ => Err(Reason::KeyMissing),
        }
    }
}

fn decode(segment: &str) -> Result<Vec<u8>, Reason> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| Reason::TokenEncoding)
}

/// A key, or a place of keys, that the header brings along is ignored: who forges one would name their own.
#[derive(Deserialize)]
struct Header {
    alg: Option<Value>,
    kid: Option<Value>,
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
    #[serde(default, deserialize_with = "is_there")]
    b64: bool,
}

fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    email: Option<String>,
    email_verified: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    /// A token for several audiences is believed only where all of them are ours (OpenID Connect Core 1.0, 3.1.3.7).
    fn is_only(&self, ours: &str) -> bool {
        match self {
            Self::One(one) => one == ours,
            Self::Several(several) => !several.is_empty() && several.iter().all(|one| one == ours),
        }
    }
}
