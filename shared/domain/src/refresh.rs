//! Refresh tokens: each is used once, and the next one is derived from it.
//!
//! A token names its session and its generation, and the server's key authenticates it (HMAC-SHA-256), so that a token
//! that was never given out is told from one that was given out long ago. The session's row keeps the generation and the
//! hashes of the current and the previous token. The successor is a function of the presented token, so a repeat, because
//! a phone lost the answer or two requests raced, gets the same successor and a session stays one line of tokens.
//!
//! | presented generation | answer |
//! | --- | --- |
//! | the current one | its successor; the row moves on |
//! | the one before, within [`GRACE`] of the move | the same successor once more; nothing is written |
//! | the one before, later; any older one | theft: the session ends |
//! | of an ended session, or of one that an other sign-in on the device replaced | `session_revoked` |
//!
//! The grace ends by itself when the successor is used: then the presented token is two generations old.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use crate::ids::{DeviceId, SessionId, UserId};
use crate::session::Lifetimes;
use crate::{Error, Result, Timestamp};

/// For how long the previous token still gets the same successor, in seconds.
pub const GRACE: i64 = 30;
/// Longest refresh token that is looked at, in bytes; ours have about 230.
const MAX_TOKEN_BYTES: usize = 1_024;
/// First part of every token: the version of its format.
const VERSION: &str = "srt1";

/// What a refresh token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Whose it is.
    pub user: UserId,
    /// The device it was given to.
    pub device: DeviceId,
    /// The session it belongs to.
    pub session: SessionId,
    /// How many tokens of this session came before it.
    pub generation: u64,
    secret: [u8; 32],
}

/// A token with its text, as it was presented or is to be given out.
#[derive(Clone)]
pub struct Written {
    /// What it says.
    pub token: Token,
    text: String,
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Written({}, generation {})", self.token.session, self.token.generation)
    }
}

impl Written {
    /// The text that the device keeps.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What the session's row keeps of it: SHA-256, in hexadecimal digits.
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(&self.text))
    }
}

/// The server's keys for refresh tokens, derived of its one secret.
pub struct Keys {
    mac: [u8; 32],
    next: [u8; 32],
}

impl Keys {
    /// The keys that `secret` gives: one a purpose, so that no value made for one passes for the other.
    pub fn derive(secret: &[u8]) -> Self {
        Self { mac: keyed(secret, b"satchel/refresh/mac/v1"), next: keyed(secret, b"satchel/refresh/next/v1") }
    }

    /// The first token of a session.
    pub fn first(&self, user: UserId, device: DeviceId, session: SessionId, random: [u8; 32]) -> Written {
        self.write(Token { user, device, session, generation: 0, secret: random })
    }

    /// The token that follows `presented`: always the same one.
    pub fn successor(&self, presented: &Written) -> Written {
        let Token { user, device, session, generation, .. } = presented.token.clone();
        let secret = keyed(&self.next, presented.text.as_bytes());
        self.write(Token { user, device, session, generation: generation.saturating_add(1), secret })
    }

    /// The token that `text` is, where this server gave it out.
    ///
    /// # Errors
    /// 401 `invalid_refresh_token`.
    pub fn read(&self, text: &str) -> Result<Written> {
        self.parse(text).ok_or_else(refused)
    }

    fn parse(&self, text: &str) -> Option<Written> {
        if text.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (signed, mac) = text.rsplit_once('.')?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        if !bool::from(mac.ct_eq(&keyed(&self.mac, signed.as_bytes()))) {
            return None;
        }
        let mut parts = signed.split('.');
        let (VERSION, Some(body), Some(secret), None) = (parts.next()?, parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let body = String::from_utf8(URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        let mut fields = body.split(' ');
        let token = Token {
            user: fields.next()?.parse().ok()?,
            device: fields.next()?.parse().ok()?,
            session: fields.next()?.parse().ok()?,
            generation: fields.next()?.parse().ok()?,
            secret: URL_SAFE_NO_PAD.decode(secret).ok()?.try_into().ok()?,
        };
        Some(Written { token, text: text.to_owned() })
    }

    fn write(&self, token: Token) -> Written {
        let body = format!("{} {} {} {}", token.user, token.device, token.session, token.generation);
        let signed = format!("{VERSION}.{}.{}", URL_SAFE_NO_PAD.encode(body), URL_SAFE_NO_PAD.encode(token.secret));
        let mac = URL_SAFE_NO_PAD.encode(keyed(&self.mac, signed.as_bytes()));
        Written { token, text: format!("{signed}.{mac}") }
    }
}

/// Where a session's line of tokens stands, as its row has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The device's session of now.
    pub session: SessionId,
    /// Generation of the token that is to be used next.
    pub generation: u64,
    /// Hash of that token.
    pub current: String,
    /// Hash of the token it followed.
    pub previous: Option<String>,
    /// When the line last moved on, Unix seconds.
    pub moved_at: i64,
    /// When the session began, Unix seconds.
    pub created_at: i64,
    /// Whether the session has ended.
    pub ended: bool,
}

/// What becomes of a presented token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The line moves on to the successor, on condition that it still stands where it was read.
    Move,
    /// The successor is told once more; nothing is written.
    Repeat,
    /// A token came back that was used before: the session ends.
    Theft,
    /// The session is over by its age; its row may say so.
    Expired,
    /// Nothing happens.
    Refused(Refusal),
}

/// Why a token gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such session, or no such token of it.
    Unknown,
    /// Its session has ended.
    Ended,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown => refused(),
            Refusal::Ended => revoked(),
        }
    }
}

/// What becomes of `presented`, where its session's line stands as `line` says.
pub fn present(line: Option<&Line>, presented: &Written, lifetimes: Lifetimes, now: Timestamp) -> Decision {
    let Some(line) = line else { return Decision::Refused(Refusal::Unknown) };
    let token = &presented.token;
    if line.session != token.session || line.ended {
        return Decision::Refused(Refusal::Ended);
    }
    if lifetimes.is_over(line.created_at, line.moved_at, now) {
        return Decision::Expired;
    }
    let hash = presented.hash();
    if token.generation == line.generation {
        return if same(&hash, &line.current) { Decision::Move } else { Decision::Refused(Refusal::Unknown) };
    }
    if token.generation > line.generation {
        // Given out, but not by this row: the table was set back in time.
        return Decision::Refused(Refusal::Unknown);
    }
    let is_previous =
        token.generation + 1 == line.generation && line.previous.as_deref().is_some_and(|was| same(&hash, was));
    if is_previous && now.as_second().saturating_sub(line.moved_at) <= GRACE {
        Decision::Repeat
    } else {
        Decision::Theft
    }
}

/// 401 for a session that has ended.
pub fn revoked() -> Error {
    Error::Unauthenticated { code: "session_revoked", message: "the session has ended: sign in again" }
}

/// 401 for a session that is over by its age.
pub fn expired() -> Error {
    Error::Unauthenticated { code: "session_expired", message: "the session has expired: sign in again" }
}

fn refused() -> Error {
    Error::Unauthenticated { code: "invalid_refresh_token", message: "the refresh token is not valid" }
}

fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// HMAC-SHA-256 of `message` under `key`.
pub fn keyed(key: &[u8], message: &[u8]) -> [u8; 32] {
    // An HMAC takes a key of any length; the error type is the trait's.
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(message);
            mac.finalize().into_bytes().into()
        }
        Err(_) => unreachable!("HMAC takes a key of any length"),
    }
}

/// `bytes` in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[path = "refresh_tests.rs"]
mod tests;
