//! When a purchase is looked at again at its store, so that a webhook that never came costs an hour at a renewal and a
//! day otherwise (design: payments, Hourly reconcile).
//!
//! | state | next look |
//! | --- | --- |
//! | an acknowledgement is due | at the next run |
//! | active, to be renewed | at its end, at the latest within a day; past its end at the next run |
//! | active, owned | within a day |
//! | grace | at the next run |
//! | hold, paused, pending | in six hours |
//! | ended within two days | within a day, for a renewal that came late |
//! | ended before | never: the store's events, its history and the app bring it back |

use crate::entitlements::{Source, Status};
use crate::time::DAY;

/// How often the reconciling runs, in seconds.
pub const RUN: i64 = 3_600;
/// How often a waiting purchase is looked at, in seconds.
const WAITING: i64 = 6 * 3_600;
/// The looks of a day are spread over so many seconds.
const SPREAD: i64 = 4 * 3_600;
/// For how long an ended purchase is still looked at, in seconds.
const LATE: i64 = 2 * DAY;

/// When a purchase that gives `sources` is looked at again, Unix seconds; never where nothing is to be expected.
/// `spread` is any number that is the purchase's own, so that not all are looked at in one hour.
pub fn again<'a>(
    sources: impl IntoIterator<Item = &'a Source>,
    acknowledgement_due: bool,
    now: i64,
    spread: u64,
) -> Option<i64> {
    let within_a_day = now + DAY - i64::try_from(spread % SPREAD.unsigned_abs()).unwrap_or(0);
    let looks = sources.into_iter().filter_map(|source| {
        let end = source.expires_at.unwrap_or(i64::MAX);
        match source.status {
            Status::Active if source.will_renew && end <= now => Some(now + RUN),
            Status::Active if end > now => Some(if source.will_renew { within_a_day.min(end) } else { within_a_day }),
            Status::Owned => Some(within_a_day),
            Status::Grace if now < source.grace_until.unwrap_or(end).saturating_add(LATE) => Some(now + RUN),
            Status::Hold | Status::Paused | Status::Pending if now < source.updated_at.saturating_add(60 * DAY) => {
                Some(now + WAITING)
            }
            Status::Active | Status::Expired if end != i64::MAX && now < end.saturating_add(LATE) => Some(within_a_day),
            _ => None,
        }
    });
    looks.chain(acknowledgement_due.then_some(now)).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entitlements::{AddOn, granted};

    const NOW: i64 = 1_800_000_000;

    fn next(change: impl FnOnce(&mut Source)) -> Option<i64> {
        let mut source = granted(AddOn::Sync, "1", Some(NOW + 30 * DAY), NOW - DAY);
        change(&mut source);
        again([&source], false, NOW, 0).map(|at| at - NOW)
    }

    #[test]
    fn the_table_of_looks() {
        assert_eq!(next(|it| it.will_renew = true), Some(DAY));
        assert_eq!(next(|it| (it.will_renew, it.expires_at) = (true, Some(NOW + 600))), Some(600));
        assert_eq!(next(|it| (it.will_renew, it.expires_at) = (true, Some(NOW - 600))), Some(RUN));
        assert_eq!(next(|it| it.expires_at = Some(NOW + 600)), Some(DAY));
        assert_eq!(next(|it| it.expires_at = Some(NOW - 600)), Some(DAY));
        assert_eq!(next(|it| it.expires_at = Some(NOW - LATE)), None);
        assert_eq!(next(|it| (it.status, it.expires_at) = (Status::Owned, None)), Some(DAY));
        assert_eq!(next(|it| (it.status, it.grace_until) = (Status::Grace, Some(NOW + 9))), Some(RUN));
        assert_eq!(next(|it| (it.status, it.grace_until) = (Status::Grace, Some(NOW - LATE))), None);
        assert_eq!(next(|it| it.status = Status::Hold), Some(WAITING));
        assert_eq!(next(|it| (it.status, it.updated_at) = (Status::Hold, NOW - 60 * DAY)), None);
        assert_eq!(next(|it| it.status = Status::Revoked), None);
    }

    #[test]
    fn the_nearest_look_counts_and_a_day_is_spread() {
        let far = granted(AddOn::Sync, "1", None, NOW);
        let near = Source { will_renew: true, expires_at: Some(NOW + 60), ..far.clone() };
        assert_eq!(again([&far, &near], false, NOW, 0), Some(NOW + 60));
        assert_eq!(again([&far, &near], true, NOW, 0), Some(NOW));
        assert_eq!(again([&far], false, NOW, 7), Some(NOW + DAY - 7));
        assert_eq!(again([], false, NOW, 7), None);
    }
}
