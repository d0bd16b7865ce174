//! Access tokens: JWTs (RFC 7519) signed with ES256, verified without a network call.
//!
//! The algorithm is pinned before a key is looked for, so `none` and an HMAC made with the public key are refused by
//! their header (RFC 8725, sections 2.1 and 3.1). Two public keys are accepted while one is being rotated.

use std::collections::HashMap;

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::ids::{ClientId, DeviceId, SessionId, UserId};
use crate::{Error, Result, Timestamp};

/// How long an access token lives, in seconds.
pub const LIFETIME: i64 = 900;
/// Leeway for clocks that differ, in seconds.
pub const LEEWAY: i64 = 30;
/// Longest access token that is looked at, in bytes; ours have about 700.
const MAX_TOKEN_BYTES: usize = 8_192;

/// What may be done with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// A person's device.
    User,
    /// Defaults and broadcast.
    Admin,
    /// A back office's portal records and customer links.
    PortalWrite,
    /// A back office's notifications.
    NotificationsSend,
    /// A back office's grants of add-ons.
    EntitlementsWrite,
}

impl Scope {
    /// Every scope a client may hold.
    pub const OF_CLIENTS: [Self; 4] =
        [Self::Admin, Self::PortalWrite, Self::NotificationsSend, Self::EntitlementsWrite];

    /// The scope as it stands in a token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
            Self::PortalWrite => "portal:write",
            Self::NotificationsSend => "notifications:send",
            Self::EntitlementsWrite => "entitlements:write",
        }
    }

    /// The scope that `text` names.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::User, Self::Admin, Self::PortalWrite, Self::NotificationsSend, Self::EntitlementsWrite]
            .into_iter()
            .find(|scope| scope.as_str() == text)
    }
}

/// The claims of an access token (`design/contract.md`, Identity).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer.
    pub iss: String,
    /// Audience.
    pub aud: String,
    /// `usr_…` or `cli_…`.
    pub sub: String,
    /// Device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub did: Option<DeviceId>,
    /// Session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    /// When the person last signed in, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// Customer id of the portal, where linked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cid: Option<String>,
    /// Space-separated scopes.
    pub scope: String,
    /// Issued at, Unix seconds.
    pub iat: i64,
    /// Not before, Unix seconds.
    pub nbf: i64,
    /// Expires at, Unix seconds.
    pub exp: i64,
    /// Id of this token.
    pub jti: String,
}

/// Who calls, as a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A person on a device.
    Person(Person),
    /// A back office's service.
    Client(Client),
}

/// A person on one of their devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The account.
    pub user: UserId,
    /// The device the token was given to.
    pub device: DeviceId,
    /// The session the token belongs to.
    pub session: SessionId,
    /// When the person last signed in, Unix seconds.
    pub auth_time: i64,
    /// Portal customer, as of the token.
    pub customer: Option<String>,
    /// Whether the token has the scope `admin`.
    pub admin: bool,
}

/// A back office's service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The client.
    pub id: ClientId,
    /// What it may do.
    pub scopes: Vec<Scope>,
}

/// Signs access tokens; only auth has one.
pub struct Signer {
    key: EncodingKey,
    kid: String,
}

impl Signer {
    /// A signer from a PKCS#8 PEM private key on P-256.
    ///
    /// # Errors
    /// [`Error::Internal`] where the text is no such key.
    pub fn from_pem(kid: impl Into<String>, pem: &str) -> Result<Self> {
        let key = EncodingKey::from_ec_pem(pem.as_bytes()).map_err(Error::internal)?;
        Ok(Self { key, kid: kid.into() })
    }

    /// The signed token.
    ///
    /// # Errors
    /// [`Error::Internal`] where signing fails.
    pub fn sign(&self, claims: &Claims) -> Result<String> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.key).map_err(Error::internal)
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }
}

/// Verifies access tokens by the public keys of `TOKEN_KEYS`.
pub struct Verifier {
    keys: HashMap<String, DecodingKey>,
    issuer: String,
    audience: String,
    validation: Validation,
}

impl Verifier {
    /// A verifier by a JWKS (RFC 7517) of one or two P-256 keys.
    ///
    /// # Errors
    /// A complaint fit for a start-up message.
    pub fn from_jwks(jwks: &str, issuer: impl Into<String>, audience: impl Into<String>) -> Result<Self, String> {
        let set: JwkSet = serde_json::from_str(jwks).map_err(|error| format!("not a JWKS: {error}"))?;
        let keys: HashMap<_, _> = set.keys.iter().map(decoding_key).collect::<Result<_, String>>()?;
        if keys.is_empty() {
            return Err("a JWKS without keys".to_owned());
        }
        // jsonwebtoken would read the machine's clock and knows one leeway: times are compared below, with our own.
        let mut validation = Validation::new(Algorithm::ES256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        Ok(Self { keys, issuer: issuer.into(), audience: audience.into(), validation })
    }

    /// The claims of `token`, which is believed at `now`.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] with `invalid_token` or `token_expired`.
    pub fn claims(&self, token: &str, now: Timestamp) -> Result<Claims> {
        let refused = || Error::Unauthenticated { code: "invalid_token", message: "the access token is not valid" };
        if token.len() > MAX_TOKEN_BYTES {
            return Err(refused());
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| refused())?;
        if header.alg != Algorithm::ES256 {
            return Err(refused());
        }
        let key = header.kid.as_deref().and_then(|kid| self.keys.get(kid)).ok_or_else(refused)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation).map_err(|_| refused())?.claims;
        if claims.iss != self.issuer || claims.aud != self.audience {
            return Err(refused());
        }
        check_times(&claims, now)?;
        Ok(claims)
    }
}

/// Whether `claims` are of this moment; also asked of a token that was verified before and is remembered.
///
/// # Errors
/// [`Error::Unauthenticated`] with `token_expired` or `invalid_token`.
pub fn check_times(claims: &Claims, now: Timestamp) -> Result<()> {
    let now = now.as_second();
    if claims.exp.saturating_add(LEEWAY) <= now {
        return Err(Error::Unauthenticated { code: "token_expired", message: "the access token has expired" });
    }
    if claims.nbf.saturating_sub(LEEWAY) > now || claims.iat.saturating_sub(LEEWAY) > now {
        return Err(Error::Unauthenticated { code: "invalid_token", message: "the access token is not valid yet" });
    }
    Ok(())
}

fn decoding_key(jwk: &Jwk) -> Result<(String, DecodingKey), String> {
    let kid = jwk.common.key_id.clone().ok_or("a key without `kid`")?;
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return Err(format!("key {kid} is not for signatures"));
    }
    let key = DecodingKey::from_jwk(jwk).map_err(|error| format!("key {kid}: {error}"))?;
    if key.family() != jsonwebtoken::AlgorithmFamily::Ec {
        return Err(format!("key {kid} is not an elliptic-curve key"));
    }
    Ok((kid, key))
}

impl TryFrom<&Claims> for Principal {
    type Error = Error;

    fn try_from(claims: &Claims) -> Result<Self> {
        let refused = || Error::Unauthenticated { code: "invalid_token", message: "the access token is not valid" };
        let scopes: Vec<Scope> = claims.scope.split(' ').filter_map(Scope::parse).collect();
        if let Ok(id) = claims.sub.parse::<ClientId>() {
            return Ok(Self::Client(Client { id, scopes }));
        }
        if !scopes.contains(&Scope::User) {
            return Err(refused());
        }
        Ok(Self::Person(Person {
            user: claims.sub.parse().map_err(|_| refused())?,
            device: claims.did.clone().ok_or_else(refused)?,
            session: claims.sid.clone().ok_or_else(refused)?,
            auth_time: claims.auth_time.ok_or_else(refused)?,
            customer: claims.cid.clone(),
            admin: scopes.contains(&Scope::Admin),
        }))
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
