//! One call to a store: what its answer means before anybody looks into it.

use axum::body::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use satchel_domain::error::causes;
use satchel_domain::{Error, Timestamp};
use satchel_outbound::Http;
use serde::de::DeserializeOwned;

use super::StoreError;

/// Longest wait that is passed on, in seconds: no message of SQS can be put off for longer.
const LONGEST_WAIT: i64 = 900;
/// The wait of a throttle that names none, in seconds.
const THROTTLED: i64 = 30;
/// The wait where a key of ours is refused, in seconds: somebody has to do something first.
const REFUSED: u32 = 60;
/// From here on a number of `Retry-After` is a moment in Unix milliseconds, as Apple writes it (*Identifying rate limits*).
const MOMENTS: i64 = 1_000_000_000_000;

/// Calls one store, and tells what goes wrong.
pub(super) struct Calls {
    http: Http,
    store: &'static str,
}

/// The store refuses our key.
#[derive(Debug)]
struct CredentialsRefused;

impl std::fmt::Display for CredentialsRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the store refuses our credentials")
    }
}

impl std::error::Error for CredentialsRefused {}

impl StoreError {
    /// Whether the store refused a key of ours.
    pub(super) fn is_of_credentials(&self) -> bool {
        matches!(self, Self::Later(Error::Unavailable { cause, .. }) if cause.is::<CredentialsRefused>())
    }
}

impl Calls {
    pub(super) fn new(http: Http, store: &'static str) -> Self {
        Self { http, store }
    }

    /// The answer to `request`, which may be repeated: a success, or a 4xx whose meaning the store's own client knows.
    pub(super) async fn send(
        &self,
        call: &'static str,
        request: Request<Bytes>,
        now: Timestamp,
    ) -> Result<Response<Bytes>, StoreError> {
        let answer = self.http.call(request).await.map_err(|error| self.later(call, error))?;
        match answer.status() {
            status if status.is_success() => Ok(answer),
            StatusCode::TOO_MANY_REQUESTS => {
                let retry_after = wait(answer.headers(), now);
                Err(self.later(call, Error::Unavailable { retry_after, cause: "it throttles".into() }))
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => {
                Err(self.later(call, Error::unavailable(answer.status().to_string())))
            }
            StatusCode::UNAUTHORIZED => Err(self.credentials(call, "401")),
            status if status.is_client_error() => Ok(answer),
            status if status.is_redirection() => Err(self.unusable(call, "redirect", status.as_str())),
            status => Err(self.unusable(call, "status", status.as_str())),
        }
    }

    /// The body of `answer`.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        call: &'static str,
        answer: &Response<Bytes>,
    ) -> Result<T, StoreError> {
        // What serde says of it may quote it.
        serde_json::from_slice(answer.body()).map_err(|_| self.unusable(call, "answer_shape", "not the JSON expected"))
    }

    /// A later try may succeed.
    pub(super) fn later(&self, call: &'static str, error: Error) -> StoreError {
        let cause = causes(&error);
        tracing::warn!(store = self.store, call, error = %cause, metric = "StoreCallFailed", "a call to a store failed");
        StoreError::Later(error)
    }

    /// The answer is of no use; `detail` is for the log.
    pub(super) fn unusable(&self, call: &'static str, reason: &'static str, detail: &str) -> StoreError {
        let store = self.store;
        tracing::error!(store, call, reason, detail, metric = "StoreAnswerUnusable", "a store's answer is of no use");
        StoreError::Unusable(reason)
    }

    /// What the store signed, or says of itself, is not believed.
    pub(super) fn refused(&self, call: &'static str, reason: &'static str) -> StoreError {
        let store = self.store;
        tracing::error!(store, call, reason, metric = "StoreAnswerUnusable", "a store's answer is not believed");
        StoreError::Refused(reason)
    }

    /// The store refuses our key: nothing that we do later helps, somebody has to.
    pub(super) fn credentials(&self, call: &'static str, detail: &str) -> StoreError {
        let store = self.store;
        tracing::error!(store, call, detail, metric = "StoreCredentialsRefused", "a store refuses our credentials");
        StoreError::Later(Error::Unavailable { retry_after: REFUSED, cause: CredentialsRefused.into() })
    }
}

/// The seconds that `Retry-After` asks for: seconds or a date (RFC 9110, 10.2.3), or Apple's moment.
fn wait(headers: &HeaderMap, now: Timestamp) -> u32 {
    let text = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = text.and_then(|text| match text.parse::<i64>() {
        Ok(moment) if moment >= MOMENTS => {
            Some(moment.saturating_sub(now.as_millisecond()).saturating_add(999).div_euclid(1_000))
        }
        Ok(seconds) => Some(seconds),
        Err(_) => Some(date(text)?.as_second().saturating_sub(now.as_second())),
    });
    u32::try_from(seconds.unwrap_or(THROTTLED).clamp(1, LONGEST_WAIT)).unwrap_or(1)
}

/// An HTTP date (RFC 9110, 5.6.7), in the form that is not obsolete.
fn date(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix(" GMT")?;
    Timestamp::strptime("%a, %d %b %Y %H:%M:%S %z", format!("{text} +0000")).ok()
}
