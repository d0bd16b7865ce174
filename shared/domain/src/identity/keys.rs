//! An issuer's public keys: how long they are kept, and when they are asked for again.
//!
//! | kept keys | known `kid` | unknown `kid` |
//! | --- | --- | --- |
//! | fresh by their `Cache-Control` | used | asked again, at most once in [`UNKNOWN_EVERY`] |
//! | older | asked again; where that fails, used for up to [`STALE`] more | the same |
//! | none, or older than that | asked again; where that fails, nobody can be believed (503) | the same |

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, JwkSet, PublicKeyUse};

use crate::Timestamp;
use crate::time::DAY;

/// An unknown `kid` asks again at most once in so many seconds: a forger must not make us call the issuer at will.
pub const UNKNOWN_EVERY: i64 = 300;
/// For how long keys are used after they should have been asked for again, in seconds.
pub const STALE: i64 = DAY;
/// After a failure nobody asks again for so many seconds, so that an issuer that is down does not slow every sign-in.
pub const PAUSE: i64 = 5;
/// How long keys are fresh where the issuer does not say, in seconds.
const DEFAULT_AGE: i64 = 3_600;
/// Shortest RSA modulus that is believed, in bytes: 2048 bits.
const MIN_MODULUS: usize = 256;

/// The RSA keys of a JWKS (RFC 7517).
#[derive(Clone, Debug, Default)]
pub struct KeySet(HashMap<String, DecodingKey>);

impl KeySet {
    /// The usable keys of `jwks`; keys of another kind, without an id, or too short are left out.
    ///
    /// # Errors
    /// What is wrong, for the log.
    pub fn parse(jwks: &[u8]) -> Result<Self, String> {
        let set: JwkSet = serde_json::from_slice(jwks).map_err(|error| format!("not a JWKS: {error}"))?;
        let mut keys = HashMap::new();
        for jwk in set.keys {
            let AlgorithmParameters::RSA(rsa) = &jwk.algorithm else { continue };
            let for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
            let long_enough = URL_SAFE_NO_PAD.decode(&rsa.n).is_ok_and(|n| n.len() >= MIN_MODULUS);
            if let (Some(kid), true, true) = (jwk.common.key_id.clone(), for_signatures, long_enough) {
                keys.insert(kid, DecodingKey::from_jwk(&jwk).map_err(|error| error.to_string())?);
            }
        }
        if keys.is_empty() { Err("a JWKS without a usable key".to_owned()) } else { Ok(Self(keys)) }
    }

    /// The key `kid`.
    pub fn get(&self, kid: &str) -> Option<&DecodingKey> {
        self.0.get(kid)
    }
}

/// How long an answer with this `Cache-Control` is fresh, in seconds: between a minute and a day.
pub fn max_age(cache_control: Option<&str>) -> i64 {
    cache_control
        .into_iter()
        .flat_map(|text| text.split(','))
        .filter_map(|part| part.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("max-age"))
        .and_then(|(_, seconds)| seconds.trim_matches('"').parse::<i64>().ok())
        .unwrap_or(DEFAULT_AGE)
        .clamp(60, DAY)
}

/// What is kept of one issuer.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    keys: Option<KeySet>,
    fresh_until: i64,
    asked_for_unknown_at: Option<i64>,
    failed_at: Option<i64>,
}

/// What to do about a token's `kid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Use the kept keys; the `kid` is among them.
    Use,
    /// Ask the issuer; [`Kept::fallback`] says what a failure means.
    Ask,
    /// The issuer has no such key.
    Unknown,
    /// There is no such key, and the issuer was unreachable a moment ago.
    Down,
}

impl Kept {
    /// The kept keys.
    pub fn keys(&self) -> Option<&KeySet> {
        self.keys.as_ref()
    }

    /// What to do about `kid` at `now`.
    pub fn plan(&self, kid: &str, now: Timestamp) -> Plan {
        let now = now.as_second();
        let may_ask = self.failed_at.is_none_or(|at| now.saturating_sub(at) >= PAUSE);
        let Some(keys) = self.usable(now) else { return if may_ask { Plan::Ask } else { Plan::Down } };
        let known = keys.get(kid).is_some();
        if now >= self.fresh_until && may_ask {
            return Plan::Ask;
        }
        if known {
            return Plan::Use;
        }
        let asked_long_ago = self.asked_for_unknown_at.is_none_or(|at| now.saturating_sub(at) >= UNKNOWN_EVERY);
        if asked_long_ago && may_ask { Plan::Ask } else { self.missing() }
    }

    /// What to do about `kid` after the issuer could not be asked.
    pub fn fallback(&self, kid: &str, now: Timestamp) -> Plan {
        match self.usable(now.as_second()).map(|keys| keys.get(kid).is_some()) {
            Some(true) => Plan::Use,
            Some(false) => self.missing(),
            None => Plan::Down,
        }
    }

    /// No kept key has the `kid`: a forger's where the issuer answered last, perhaps a new one where it did not.
    fn missing(&self) -> Plan {
        if self.failed_at.is_some() { Plan::Down } else { Plan::Unknown }
    }

    /// The issuer is asked at `now` about `kid`: an unknown one is not asked for again soon, whatever the answer is.
    pub fn asking(&mut self, kid: &str, now: Timestamp) {
        let now = now.as_second();
        let is_unknown = self.usable(now).is_some_and(|keys| keys.get(kid).is_none());
        if is_unknown {
            self.asked_for_unknown_at = Some(now);
        }
    }

    /// The issuer answered with `keys`, fresh for `max_age` seconds.
    pub fn answered(&mut self, keys: KeySet, max_age: i64, now: Timestamp) {
        self.keys = Some(keys);
        self.fresh_until = now.as_second().saturating_add(max_age);
        self.failed_at = None;
    }

    /// The issuer could not be asked.
    pub fn failed(&mut self, now: Timestamp) {
        self.failed_at = Some(now.as_second());
    }

    fn usable(&self, now: i64) -> Option<&KeySet> {
        self.keys.as_ref().filter(|_| now <= self.fresh_until.saturating_add(STALE))
    }
}
