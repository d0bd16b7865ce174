//! The OCSP responder of Apple's certificates (RFC 6960, A.1): tells of leaf and intermediate what it was told to.

use axum::body::Bytes;
use http::{Method, Request};
use rcgen::SigningKey as _;
use serde::{Deserialize, Serialize};

use super::Signing;
use super::ocsp_der::{self, CertId, CertStatus, OcspRequest, Times};
use super::pki::{Authority, Pki};
use crate::keys::{KeyError, bad};
use crate::stores::reply::{self, Reply};
use crate::stores::shops::Shops;

const ECDSA_WITH_SHA256: &[u64] = &[1, 2, 840, 10045, 4, 3, 2];
const ECDSA_WITH_SHA384: &[u64] = &[1, 2, 840, 10045, 4, 3, 3];
/// How long an answer counts, in seconds.
const LIFETIME_S: i64 = 12 * 3_600;
/// How long ago what an answer says was found out.
const AGE_S: i64 = 300;
const MALFORMED: u8 = 1;
const INTERNAL: u8 = 2;
const TRY_LATER: u8 = 3;
const UNAUTHORIZED: u8 = 6;

/// What the responder says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OcspMode {
    /// The certificates are good.
    #[default]
    Good,
    /// The leaf was revoked an hour ago.
    Revoked,
    /// It does not know them.
    Unknown,
    /// Nothing.
    Down,
    /// That it is busy.
    TryLater,
    /// What was good once, in an answer that is over.
    Stale,
    /// That they are good, signed by somebody else.
    Forged,
}

/// What `POST /_local/stores/apple/ocsp` takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OcspIn {
    /// What is said.
    pub mode: OcspMode,
    /// Whether a responder with a certificate of its own signs, as Apple's do, and not the issuer.
    #[serde(default)]
    pub delegated: bool,
}

impl From<OcspMode> for OcspIn {
    fn from(mode: OcspMode) -> Self {
        Self { mode, delegated: false }
    }
}

/// The answer to `request`.
pub(super) fn answer(shops: &Shops, request: &Request<Bytes>) -> Reply {
    if request.method() != Method::POST {
        return Some(reply::empty(405));
    }
    let told = shops.revocation().get();
    if told.mode == OcspMode::Down {
        return None;
    }
    let now = shops.now_ms().div_euclid(1_000);
    let der = respond(shops, told, request.body(), now).unwrap_or_else(|_| ocsp_der::unsuccessful(INTERNAL));
    Some(reply::with_type(200, "application/ocsp-response", der))
}

fn respond(shops: &Shops, told: OcspIn, request: &[u8], now: i64) -> Result<Vec<u8>, KeyError> {
    if told.mode == OcspMode::TryLater {
        return Ok(ocsp_der::unsuccessful(TRY_LATER));
    }
    let Ok(request) = ocsp_der::read(request) else { return Ok(ocsp_der::unsuccessful(MALFORMED)) };
    let own = &shops.apple()?.pki;
    // One answer has one signature: all that is asked must have one issuer.
    let Some(authority) = request.asked.first().and_then(|id| authority(id, own)) else {
        return Ok(ocsp_der::unsuccessful(UNAUTHORIZED));
    };
    let status = |id: &CertId| match told.mode {
        OcspMode::Revoked if authority == Authority::Intermediate => CertStatus::Revoked(now - 3_600),
        OcspMode::Unknown => CertStatus::Unknown,
        _ if self::authority(id, own) == Some(authority) => CertStatus::Good,
        _ => CertStatus::Unknown,
    };
    let age = if told.mode == OcspMode::Stale { 2 * LIFETIME_S } else { AGE_S };
    let times = Times { produced: now - age, this_update: now - age, next_update: now - age + LIFETIME_S };
    let signing: &Signing = if told.mode == OcspMode::Forged { shops.foreign()? } else { shops.apple()? };
    if told.delegated {
        return delegated(&request, status, &signing.pki, authority, times, &shops.settings().addresses.ocsp());
    }
    // Somebody who forges an answer names the right responder.
    let data = ocsp_der::response_data(&request, status, own.public_key(authority), times);
    let signature = signing.pki.sign_as(authority, &data)?;
    Ok(ocsp_der::response(&data, ECDSA_WITH_SHA384, &signature, None))
}

fn delegated(
    request: &OcspRequest,
    status: impl Fn(&CertId) -> CertStatus,
    pki: &Pki,
    authority: Authority,
    times: Times,
    ocsp_url: &str,
) -> Result<Vec<u8>, KeyError> {
    let (key, certificate) = pki.delegate(authority, ocsp_url)?;
    let data = ocsp_der::response_data(request, status, key.public_key_raw(), times);
    let signature = key.sign(&data).map_err(bad)?;
    Ok(ocsp_der::response(&data, ECDSA_WITH_SHA256, &signature, Some(&certificate)))
}

/// Who issued the certificate that `id` names, where that is one of ours.
fn authority(id: &CertId, pki: &Pki) -> Option<Authority> {
    let authority = pki.issuer_of(&id.serial)?;
    id.is_issued_by(pki.certificate(authority), pki.public_key(authority)).then_some(authority)
}
