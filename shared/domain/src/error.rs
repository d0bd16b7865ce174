//! The one error of the rules and the store, without HTTP.
//!
//! `Display` is safe to show to a caller; a cause is for the log. `satchel_inbound::http::error` holds the only mapping
//! to status codes.

use std::error::Error as StdError;

/// A cause that is logged once at the boundary and never shown.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// Shorthand for results of rules and rows.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One complaint about one field of an input.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// The field's path, such as `entries[3].vector_clock`.
    pub field: String,
    /// What is wrong with it, fit to show.
    pub message: String,
}

/// Why something was not done. Codes are snake_case, stable and documented in `docs/api.md`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be read at all (400).
    #[error("{message}")]
    Malformed {
        /// Stable code.
        code: &'static str,
        /// Fit to show.
        message: String,
    },
    /// No or no believable credentials (401).
    #[error("{message}")]
    Unauthenticated {
        /// Stable code.
        code: &'static str,
        /// Fit to show.
        message: &'static str,
    },
    /// An add-on is missing (402).
    #[error("{message}")]
    PaymentRequired {
        /// Stable code, also the seed's `detail.error`.
        code: &'static str,
        /// Fit to show.
        message: &'static str,
        /// The product that would give the add-on.
        product_id: String,
    },
    /// Authenticated, but not allowed (403).
    #[error("{message}")]
    Forbidden {
        /// Stable code.
        code: &'static str,
        /// Fit to show.
        message: &'static str,
    },
    /// Not there, or not the caller's (404).
    #[error("no such {0}")]
    NotFound(&'static str),
    /// A conflict of state (409).
    #[error("{message}")]
    Conflict {
        /// Stable code.
        code: &'static str,
        /// Fit to show.
        message: String,
    },
    /// Gone for good (410).
    #[error("{message}")]
    Gone {
        /// Stable code.
        code: &'static str,
        /// Fit to show.
        message: &'static str,
    },
    /// Too much at once (413).
    #[error("{message}")]
    TooLarge {
        /// Stable code.
        code: &'static str,
        /// Fit to show.
        message: String,
    },
    /// Not a content type that is read here (415).
    #[error("{message}")]
    UnsupportedMedia {
        /// Fit to show.
        message: String,
    },
    /// Fields that are missing, of a wrong type or out of range (422).
    #[error("the input is not valid")]
    Invalid(Vec<FieldError>),
    /// Too often (429).
    #[error("too many requests")]
    TooMany {
        /// Seconds after which a new try makes sense.
        retry_after: u32,
    },
    /// A dependency throttles, times out or is down (503).
    #[error("temporarily unavailable")]
    Unavailable {
        /// Seconds after which a new try makes sense.
        retry_after: u32,
        /// For the log.
        #[source]
        cause: Cause,
    },
    /// A fault of ours (500); nothing of it is shown.
    #[error("internal error")]
    Internal(#[source] Cause),
}

impl Error {
    /// One complaint about one field (422).
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { field: field.into(), message: message.into() }])
    }

    /// A dependency failed; try again after a second (503).
    pub fn unavailable(cause: impl Into<Cause>) -> Self {
        Self::Unavailable { retry_after: 1, cause: cause.into() }
    }

    /// A fault of ours (500).
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal(cause.into())
    }

    /// A conflict of state (409).
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
    }

    /// Whether a later try of the very same request may succeed without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::TooMany { .. })
    }
}

/// An error with what caused it, in one line, for the log.
pub fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// Puts a result's failure into the log and goes on: for what may fail without failing the request.
pub trait OrLog {
    /// Logs `error` as a warning with what was being done.
    fn or_log(self, doing: &'static str, log: impl FnOnce(&str, &dyn std::fmt::Display));
}

impl<T, E: std::fmt::Display> OrLog for std::result::Result<T, E> {
    fn or_log(self, doing: &'static str, log: impl FnOnce(&str, &dyn std::fmt::Display)) {
        if let Err(error) = self {
            log(doing, &error);
        }
    }
}
