//! How well a store does: what an app's server must live with.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use http::{Response, header};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::input::Store;
use super::reply::{self, Reply};

/// How long a slow store takes: longer than any client of ours waits.
const SLOW: Duration = Duration::from_secs(10);

/// How a store answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As it should.
    #[default]
    Up,
    /// Not at all.
    Down,
    /// As it should, after 10 seconds.
    Slow,
    /// It knows no such app; Google gives tokens still.
    #[serde(rename = "404")]
    NoApp,
    /// Too many requests.
    #[serde(rename = "429")]
    Throttled,
    /// A fault of its own.
    #[serde(rename = "500")]
    Failing,
    /// The half of what it should.
    Malformed,
    /// With another address.
    Redirect,
    /// With a page for people.
    Html,
}

/// What `POST /_local/stores/{store}/mode` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeIn {
    /// How it answers from now on.
    pub mode: Mode,
    /// For how many requests; until it is told otherwise without.
    #[serde(default)]
    pub count: Option<u32>,
}

impl From<Mode> for ModeIn {
    fn from(mode: Mode) -> Self {
        Self { mode, count: None }
    }
}

/// The modes of both stores.
#[derive(Debug, Default)]
pub(super) struct Modes {
    apple: Mutex<Option<ModeIn>>,
    google: Mutex<Option<ModeIn>>,
}

impl Modes {
    fn of(&self, store: Store) -> &Mutex<Option<ModeIn>> {
        match store {
            Store::Apple => &self.apple,
            Store::Google => &self.google,
        }
    }

    /// From now on `store` answers so.
    pub(super) fn set(&self, store: Store, wanted: ModeIn) {
        *self.of(store).lock().unwrap_or_else(PoisonError::into_inner) = Some(wanted);
    }

    /// Both do well.
    pub(super) fn clear(&self) {
        for store in [Store::Apple, Store::Google] {
            *self.of(store).lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Whether `store` is to answer so.
    pub(super) fn is(&self, store: Store, mode: Mode) -> bool {
        self.of(store).lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|set| set.mode == mode)
    }

    /// How `store` answers this request.
    pub(super) fn draw(&self, store: Store) -> Mode {
        let mut set = self.of(store).lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ModeIn { mode, count }) = *set else { return Mode::Up };
        match count {
            Some(0) => {
                *set = None;
                return Mode::Up;
            }
            Some(left) => *set = Some(ModeIn { mode, count: Some(left - 1) }),
            None => {}
        }
        mode
    }
}

/// What `answer` becomes in `mode`.
pub(super) async fn through(mode: Mode, store: Store, now_ms: i64, answer: impl Future<Output = Reply>) -> Reply {
    match mode {
        Mode::Up => answer.await,
        Mode::Down => None,
        Mode::Slow => {
            tokio::time::sleep(SLOW).await;
            answer.await
        }
        Mode::NoApp => Some(no_app(store)),
        Mode::Throttled => Some(throttled(store, now_ms)),
        Mode::Failing => Some(failing(store)),
        Mode::Malformed => answer.await.map(|response| response.map(|body| body.slice(..body.len() / 2))),
        Mode::Redirect => Some(reply::with_header(reply::empty(302), header::LOCATION, "https://store.example/moved")),
        Mode::Html => Some(reply::with_type(200, "text/html", "<html><body>Maintenance</body></html>")),
    }
}

fn no_app(store: Store) -> Response<Bytes> {
    match store {
        Store::Apple => reply::json(404, &json!({ "errorCode": 4_040_003, "errorMessage": "App not found." })),
        Store::Google => super::google::no_app(),
    }
}

fn throttled(store: Store, now_ms: i64) -> Response<Bytes> {
    // Apple says when, in Unix milliseconds; Google for how long, in seconds.
    let (body, after) = match store {
        Store::Apple => {
            (json!({ "errorCode": 4_290_000, "errorMessage": "Rate limit exceeded." }), (now_ms + 1_000).to_string())
        }
        Store::Google => (google_error(429, "Quota exceeded.", "RESOURCE_EXHAUSTED"), "1".to_owned()),
    };
    reply::with_header(reply::json(429, &body), header::RETRY_AFTER, &after)
}

fn failing(store: Store) -> Response<Bytes> {
    let body = match store {
        Store::Apple => json!({ "errorCode": 5_000_000, "errorMessage": "An unknown error occurred." }),
        Store::Google => google_error(500, "Internal error encountered.", "INTERNAL"),
    };
    reply::json(500, &body)
}

fn google_error(code: u16, message: &str, status: &str) -> serde_json::Value {
    json!({ "error": { "code": code, "message": message, "status": status } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_lasts_for_so_many_requests_or_until_it_is_changed() {
        let modes = Modes::default();
        let draw = || modes.draw(Store::Apple);
        assert_eq!(draw(), Mode::Up);
        modes.set(Store::Apple, ModeIn { mode: Mode::Failing, count: Some(2) });
        assert_eq!([draw(), draw(), draw()], [Mode::Failing, Mode::Failing, Mode::Up]);
        modes.set(Store::Apple, Mode::Down.into());
        assert_eq!([draw(), draw(), modes.draw(Store::Google)], [Mode::Down, Mode::Down, Mode::Up]);
    }
}
