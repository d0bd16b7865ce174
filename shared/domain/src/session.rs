//! Sessions: one a device, at most [`MAX_LIVE`] a person, each ended at most once.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::time::DAY;

/// Live sessions a person may have: one a device.
pub const MAX_LIVE: i64 = 50;

/// What kind of device it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// iPhone or iPad.
    Ios,
    /// Android phone or tablet.
    Android,
    /// Mac.
    Macos,
    /// Windows.
    Windows,
    /// Linux.
    Linux,
    /// A browser.
    Web,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The person signed out on the device itself.
    SignedOut,
    /// The person ended it from another device.
    Revoked,
    /// A newer sign-in on the same device took its place.
    Replaced,
    /// An old refresh token came back: somebody has a copy.
    TokenReused,
    /// The device was deleted.
    DeviceDeleted,
    /// The device was not seen for long.
    Unseen,
    /// It was idle for too long, or is too old.
    Expired,
    /// The account is being erased.
    AccountErased,
}

impl EndReason {
    /// Whether a later sign-in that names the device gets its id back. Signing out and in again is the same device; one
    /// that was deleted is gone for good.
    pub fn keeps_device_id(self) -> bool {
        !matches!(self, Self::DeviceDeleted | Self::AccountErased)
    }

    /// Whether it ends a session because nobody used it, so that a use in the meantime keeps it.
    pub fn is_disuse(self) -> bool {
        matches!(self, Self::Unseen | Self::Expired)
    }

    /// The reason as events tell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::Revoked => "revoked",
            Self::Replaced => "replaced",
            Self::TokenReused => "token_reused",
            Self::DeviceDeleted => "device_deleted",
            Self::Unseen => "unseen",
            Self::Expired => "expired",
            Self::AccountErased => "account_erased",
        }
    }
}

/// How long a session lasts, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// Since its last use.
    pub idle: i64,
    /// Since the sign-in.
    pub absolute: i64,
}

impl Lifetimes {
    /// Lifetimes given in days.
    pub fn of_days(idle: u32, absolute: u32) -> Self {
        Self { idle: i64::from(idle) * DAY, absolute: i64::from(absolute) * DAY }
    }

    /// Whether a session begun at `created_at` and last used at `last_used_at` (Unix seconds) is over at `now`.
    pub fn is_over(&self, created_at: i64, last_used_at: i64, now: Timestamp) -> bool {
        let now = now.as_second();
        now.saturating_sub(last_used_at) > self.idle || now.saturating_sub(created_at) > self.absolute
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::from_unix;

    #[test]
    fn a_session_ends_by_idleness_and_by_age() {
        let lifetimes = Lifetimes::of_days(90, 365);
        assert!(!lifetimes.is_over(0, 0, from_unix(90 * DAY)));
        assert!(lifetimes.is_over(0, 0, from_unix(90 * DAY + 1)));
        assert!(!lifetimes.is_over(0, 364 * DAY, from_unix(365 * DAY)));
        assert!(lifetimes.is_over(0, 365 * DAY, from_unix(365 * DAY + 1)));
    }

    #[test]
    fn a_reason_is_told_as_it_is_stored() {
        for reason in [EndReason::SignedOut, EndReason::Replaced, EndReason::TokenReused, EndReason::Unseen] {
            assert_eq!(serde_json::json!(reason), reason.as_str());
        }
    }
}
