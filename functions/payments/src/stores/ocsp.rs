//! Asks whether a chain of certificates still stands: the rules are `satchel_domain::appstore::ocsp`'s, the calls and
//! what is kept of them are here.
//!
//! A good answer is kept in memory and in the table, by the chain: an instance asks once for what it sees all day, and
//! a new one mostly not at all. Nothing else is kept, so that trouble ends with the next call.
//!
//! # Limits
//! The address is the certificate's own, mostly plain HTTP; a chain is only made where it leads to the pinned root, so
//! nobody else chooses whom we call.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::{Request, StatusCode, header};
use satchel_domain::appstore::ocsp::{Good, OcspError, Request as Question, judge, requests};
use satchel_domain::appstore::{Chain, ChainKey, Root};
use satchel_domain::error::causes;
use satchel_domain::{Error, Timestamp};
use satchel_inbound::env::Reader;
use satchel_outbound::Http;
use satchel_store::{Table, ocsp};

/// Chains that are kept in memory; the App Store signs with one or two at a time.
const MAX_KEPT: usize = 32;
/// The wait where a responder's answer is of no use, in seconds: it may be the same for a while.
const WAIT: u32 = 30;

/// Asks OCSP responders.
pub(crate) struct Ocsp {
    is_on: bool,
    url: Option<String>,
    http: Http,
    /// Until when a chain needs no question, Unix seconds.
    kept: Mutex<HashMap<ChainKey, i64>>,
}

/// Why a chain is not to be believed.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// One of its certificates was taken back: never believe it.
    Revoked,
    /// That cannot be told now: neither believe it nor refuse it, and ask again.
    Later(Error),
}

impl Ocsp {
    /// From `APPLE_OCSP` (`on`, which is the default, or `off`) and `APPLE_OCSP_URL` (in the place of the certificates'
    /// addresses).
    pub(crate) fn from_settings(settings: &mut Reader<'_>, http: Http) -> Self {
        let is_on = match settings.optional("APPLE_OCSP").as_deref() {
            None | Some("on") => true,
            Some("off") => false,
            Some(_) => {
                settings.complain("APPLE_OCSP is neither on nor off");
                true
            }
        };
        let is_set = settings.optional("APPLE_OCSP_URL").is_some();
        let url = is_set.then(|| super::address(settings, "APPLE_OCSP_URL", ""));
        Self { is_on, url, http, kept: Mutex::default() }
    }

    /// Whether leaf and intermediate of `chain`, which leads to `root`, stand at `now`. `cache` is the table
    /// `entitlements`.
    pub(crate) async fn check(&self, cache: &Table, chain: &Chain, root: &Root, now: Timestamp) -> Result<(), Outcome> {
        if !self.is_on || self.is_kept(chain.key(), now) {
            return Ok(());
        }
        let name = chain.key().hex();
        match ocsp::get(cache, &name, now).await {
            Ok(Some(until)) => {
                self.keep(chain.key(), until, now);
                return Ok(());
            }
            Ok(None) => {}
            // The row spares a call and is no condition of it.
            Err(error) => tracing::warn!(error = %causes(&error), "a kept OCSP answer could not be read"),
        }
        let [leaf, intermediate] = requests(chain, root).map_err(|error| Outcome::Later(Error::internal(error)))?;
        let until = match tokio::join!(self.ask(&leaf, &name, now), self.ask(&intermediate, &name, now)) {
            (Ok(leaf), Ok(intermediate)) => leaf.until.min(intermediate.until),
            (Err(Outcome::Revoked), _) | (_, Err(Outcome::Revoked)) => return Err(Outcome::Revoked),
            (Err(later), _) | (_, Err(later)) => return Err(later),
        };
        if until > now.as_second() {
            self.keep(chain.key(), until, now);
            if let Err(error) = ocsp::put(cache, &name, until).await {
                tracing::warn!(error = %causes(&error), "an OCSP answer could not be kept");
            }
        }
        Ok(())
    }

    /// Asks one question, and says in the log what came of it where that is not good; `chain` is for the log.
    async fn ask(&self, question: &Question, chain: &str, now: Timestamp) -> Result<Good, Outcome> {
        let certificate = question.subject().as_str();
        let later = |error: Error| {
            let cause = causes(&error);
            tracing::warn!(certificate, chain, error = %cause, metric = "OcspUnavailable", "OCSP gave no answer of use");
            Outcome::Later(error)
        };
        let answer = self.answer(question).await.map_err(later)?;
        judge(question, &answer, now).map_err(|error| match error {
            OcspError::Revoked => {
                tracing::error!(certificate, chain, metric = "CertificateRevoked", "a certificate was taken back");
                Outcome::Revoked
            }
            error => later(Error::Unavailable { retry_after: WAIT, cause: error.into() }),
        })
    }

    /// What the responder answers (RFC 6960, A.1), whatever it is worth.
    async fn answer(&self, question: &Question) -> Result<Bytes, Error> {
        let useless = |cause: String| Error::Unavailable { retry_after: WAIT, cause: cause.into() };
        let url = self.url.as_deref().or(question.url());
        let url = url.ok_or_else(|| useless("the certificate names no responder".to_owned()))?;
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/ocsp-request")
            .header(header::ACCEPT, "application/ocsp-response")
            .body(Bytes::copy_from_slice(question.der()))
            .map_err(|_| useless("the responder's address is none".to_owned()))?;
        let answer = self.http.call(request).await?;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
            status => Err(useless(format!("the responder answered {status}"))),
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<ChainKey, i64>> {
        // Each change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_kept(&self, chain: ChainKey, now: Timestamp) -> bool {
        self.kept().get(&chain).is_some_and(|until| *until > now.as_second())
    }

    fn keep(&self, chain: ChainKey, until: i64, now: Timestamp) {
        let mut kept = self.kept();
        if kept.len() >= MAX_KEPT && !kept.contains_key(&chain) {
            kept.retain(|_, until| *until > now.as_second());
            let first = kept.iter().min_by_key(|(_, until)| **until).map(|(chain, _)| *chain);
            if let Some(first) = first.filter(|_| kept.len() >= MAX_KEPT) {
                kept.remove(&first);
            }
        }
        kept.insert(chain, until);
    }
}
