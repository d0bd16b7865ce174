//! Time as a value. Nothing in this crate asks what time it is.

/// A moment, to the nanosecond, UTC.
pub type Timestamp = jiff::Timestamp;

/// The moment `seconds` after the Unix epoch; a number no calendar holds becomes the nearest end of the calendar.
pub fn from_unix(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// `moment` plus `seconds`, kept within the calendar.
pub fn plus(moment: Timestamp, seconds: i64) -> Timestamp {
    from_unix(moment.as_second().saturating_add(seconds))
}

/// A day in seconds.
pub const DAY: i64 = 86_400;
