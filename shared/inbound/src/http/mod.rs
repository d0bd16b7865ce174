//! HTTP: who calls, what they bring, what they are answered.

pub mod caller;
pub mod error;
pub mod gateway;
pub mod idempotency;
pub mod input;
pub mod layer;
pub mod paid;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use satchel_domain::access::{self, Claims, Verifier};
use satchel_domain::{Error, Result, Timestamp};
use sha2::{Digest, Sha256};

pub use caller::{Backoffice, Caller, ClientAddress, RecentCaller};
pub use error::{ApiError, ApiResult, Problem};
pub use idempotency::IdempotencyKey;
pub use input::{Input, Params, PathId};
pub use layer::serve;
pub use paid::{Entitlements, Paid, PaidOrGrace};

use crate::env::{Clock, Complaints, Env, Ids};

/// Verified tokens that are remembered, at most.
const REMEMBERED: usize = 4_096;

/// What every family's state has: it implements `FromRef` for this.
#[derive(Clone)]
pub struct Core {
    /// What time it is.
    pub clock: Clock,
    /// New ids.
    pub ids: Ids,
    gate: Arc<Gate>,
}

struct Gate {
    // None believes no token.
    verifier: Option<Verifier>,
    // By the token's SHA-256, so that a dump of memory holds no token: a verification costs a hundred times a look-up.
    verified: Mutex<HashMap<[u8; 32], Arc<Claims>>>,
}

impl Core {
    /// From the settings `TOKEN_KEYS`, `TOKEN_ISSUER`, `TOKEN_AUDIENCE`.
    ///
    /// # Errors
    /// All complaints about them.
    pub fn from_env(env: &Env) -> Result<Self, Complaints> {
        let verifier = env.settings.read(|settings| {
            let (keys, issuer, audience) =
                (settings.text("TOKEN_KEYS"), settings.text("TOKEN_ISSUER"), settings.text("TOKEN_AUDIENCE"));
            if keys.is_empty() {
                return None;
            }
            Verifier::from_jwks(&keys, issuer, audience)
                .map_err(|error| settings.complain(format!("TOKEN_KEYS: {error}")))
                .ok()
        })?;
        let Some(verifier) = verifier else { return Err(Complaints(vec!["TOKEN_KEYS is not set".to_owned()])) };
        let gate = Gate { verifier: Some(verifier), verified: Mutex::default() };
        Ok(Self { clock: env.clock.clone(), ids: env.ids.clone(), gate: Arc::new(gate) })
    }

    /// For functions whose routes are all public: no access token is believed.
    pub fn without_tokens(env: &Env) -> Self {
        let gate = Gate { verifier: None, verified: Mutex::default() };
        Self { clock: env.clock.clone(), ids: env.ids.clone(), gate: Arc::new(gate) }
    }

    /// The claims of an access token that is believed now.
    ///
    /// # Errors
    /// [`satchel_domain::Error::Unauthenticated`].
    pub fn claims(&self, token: &str) -> Result<Arc<Claims>> {
        self.gate.claims(token, self.clock.now())
    }
}

impl Gate {
    fn claims(&self, token: &str, now: Timestamp) -> Result<Arc<Claims>> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        let known = self.verified.lock().ok().and_then(|verified| verified.get(&hash).cloned());
        if let Some(claims) = known {
            access::check_times(&claims, now)?;
            return Ok(claims);
        }
        let nobody = || Error::Unauthenticated { code: "invalid_token", message: "no access token is read here" };
        let claims = Arc::new(self.verifier.as_ref().ok_or_else(nobody)?.claims(token, now)?);
        if let Ok(mut verified) = self.verified.lock() {
            if verified.len() >= REMEMBERED {
                verified.clear();
            }
            verified.insert(hash, Arc::clone(&claims));
        }
        Ok(claims)
    }
}
