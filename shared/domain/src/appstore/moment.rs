//! At what time certificates are judged: a value, by where the signed text came from (facts 2.1, 5).

use super::reason::Reason;
use crate::Timestamp;
use crate::time::DAY;

/// How far our clock and Apple's may be apart, in seconds.
pub const LEEWAY: i64 = 60;
/// For how long Apple repeats a delivery, in seconds (facts 2.2: 1, 12, 24, 48 and 72 h after the previous attempt).
pub const RETRY_SPAN: i64 = 7 * DAY;

/// Where a signed text came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Anybody may have sent it to the webhook: judged `now`, give or take [`LEEWAY`]; or when it was signed, where that
    /// is no longer ago than [`RETRY_SPAN`], so that a delivery repeated past a leaf's end still counts.
    Webhook {
        /// The time of the request.
        now: Timestamp,
    },
    /// An answer to our own authenticated call: judged when it was signed, however long ago. The history reaches back
    /// past a leaf's end.
    Api,
    /// An app sent it: judged when it was signed, since a device keeps what an earlier leaf signed. To be confirmed by
    /// the API.
    Device,
}

impl Source {
    /// Whether leaf and intermediate must also be asked for by OCSP.
    pub fn needs_revocation_check(self) -> bool {
        !matches!(self, Self::Api)
    }
}

/// From when until when something is valid, in Unix seconds, both ends included (RFC 5280, 4.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First second.
    pub from: i64,
    /// Last second.
    pub until: i64,
}

impl Window {
    /// When both are valid.
    pub(super) fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }

    fn at(self, second: i64) -> Result<(), Reason> {
        if second > self.until {
            return Err(Reason::CertificateExpired);
        }
        if second < self.from { Err(Reason::CertificateEarly) } else { Ok(()) }
    }

    /// Whether a chain that is valid in this window counts for what came from `source` and was `signed` then.
    pub(super) fn judge(self, source: Source, signed: Timestamp) -> Result<(), Reason> {
        let signed = signed.as_second();
        let Source::Webhook { now } = source else { return self.at(signed) };
        let now = now.as_second();
        let nearest = now.min(self.until).max(self.from);
        if self.from <= self.until && (nearest - now).abs() <= LEEWAY {
            return Ok(());
        }
        if signed < now.saturating_sub(RETRY_SPAN) {
            return Err(Reason::SignedLongAgo);
        }
        if signed > now.saturating_add(LEEWAY) {
            return Err(Reason::SignedAhead);
        }
        self.at(signed)
    }
}
