//! Limits by fixed windows: so many in so many seconds, counted in a row a window.

use crate::{Error, Timestamp};

/// So many in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What is counted, as it stands in the row's key.
    pub kind: &'static str,
    /// How many are let through in a window.
    pub most: u32,
    /// The window's length, in seconds.
    pub seconds: u32,
}

impl Limit {
    /// The window that `now` lies in: its beginning and its end, Unix seconds.
    pub fn window(&self, now: Timestamp) -> (i64, i64) {
        let seconds = i64::from(self.seconds.max(1));
        let begin = now.as_second().div_euclid(seconds) * seconds;
        (begin, begin + seconds)
    }

    /// 429 with the seconds that are left of the window.
    pub fn refuse(&self, now: Timestamp) -> Error {
        let left = self.window(now).1.saturating_sub(now.as_second());
        Error::TooMany { retry_after: u32::try_from(left).unwrap_or(1).max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::from_unix;

    #[test]
    fn a_refusal_names_what_is_left_of_its_window() {
        let limit = Limit { kind: "sign-in", most: 3, seconds: 60 };
        assert_eq!(limit.window(from_unix(119)), (60, 120));
        assert!(matches!(limit.refuse(from_unix(119)), Error::TooMany { retry_after: 1 }));
        assert!(matches!(limit.refuse(from_unix(120)), Error::TooMany { retry_after: 60 }));
        assert_eq!(limit.window(from_unix(-1)), (-60, 0));
    }
}
