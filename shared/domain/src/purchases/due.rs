//! When a purchase is looked at again at its store, so that a webhook that never came costs an hour at a renewal and a
//! day otherwise (design: payments, Hourly reconcile).
//!
//! | state | next look |
//! | --- | --- |
//! | an acknowledgement is due | at the next run |
//! | active, to be renewed | at its end, at the latest within a day; past its end at the next run, after two days daily |
//! | active, owned, or live and of no use here | within a day |
//! | grace | at the next run |
//! | hold, paused, pending, a grace that has ended | in six hours, for 60 days |
//! | ended within two days | within a day, for a renewal that came late |
//! | ended before | never: the store's events, its history and the app bring it back |

use crate::entitlements::{Source, Status};
use crate::time::DAY;

/// How often the reconciling runs, in seconds.
pub const RUN: i64 = 3_600;
/// What is looked at by each run is due again after so many seconds: the work is done some minutes after the run that
/// found it, and must be due before the next.
pub const NEXT_RUN: i64 = RUN / 2;
/// A daily look is due again after so many seconds, so that the runs' grid does not make it more than a day.
const DAILY: i64 = DAY - 2 * RUN;
/// How often a waiting purchase is looked at, in seconds.
const WAITING: i64 = 6 * 3_600;
/// The looks of a day are spread over so many seconds.
const SPREAD: i64 = 4 * 3_600;
/// For how long an ended purchase is still looked at, in seconds.
const LATE: i64 = 2 * DAY;
/// For how long what waits is looked at after its end, in seconds: Apple tries to bill for 60 days.
const PATIENCE: i64 = 60 * DAY;

/// A daily look of what is live, Unix seconds. `spread` is any number that is the purchase's own, so that not all are
/// looked at in one hour.
pub fn within_a_day(now: i64, spread: u64) -> i64 {
    now + DAILY - i64::try_from(spread % SPREAD.unsigned_abs()).unwrap_or(0)
}

/// When a purchase that gives `sources` is looked at again, Unix seconds; never where nothing is to be expected of them.
pub fn again<'a>(
    sources: impl IntoIterator<Item = &'a Source>,
    acknowledgement_due: bool,
    now: i64,
    spread: u64,
) -> Option<i64> {
    let daily = within_a_day(now, spread);
    let looks = sources.into_iter().filter_map(|source| {
        let end = source.expires_at.unwrap_or(i64::MAX);
        let waits_since = source.expires_at.unwrap_or(source.purchase_date);
        match source.status {
            Status::Active if source.will_renew && end <= now => {
                let late = now - end;
                (late <= PATIENCE).then_some(if late <= LATE { now + NEXT_RUN } else { daily })
            }
            Status::Active if end > now => Some(if source.will_renew { daily.min(end) } else { daily }),
            Status::Owned => Some(daily),
            Status::Grace if now < source.grace_until.unwrap_or(end).saturating_add(LATE) => Some(now + NEXT_RUN),
            // A grace that ended untold is a hold by now: the store goes on trying.
            Status::Grace | Status::Hold | Status::Paused | Status::Pending
                if now < waits_since.saturating_add(PATIENCE) =>
            {
                Some(now + WAITING)
            }
            Status::Active | Status::Expired if end != i64::MAX && now < end.saturating_add(LATE) => Some(daily),
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
        assert_eq!(next(|it| it.will_renew = true), Some(DAILY));
        assert_eq!(next(|it| (it.will_renew, it.expires_at) = (true, Some(NOW + 600))), Some(600));
        assert_eq!(next(|it| (it.will_renew, it.expires_at) = (true, Some(NOW - 600))), Some(NEXT_RUN));
        assert_eq!(next(|it| (it.will_renew, it.expires_at) = (true, Some(NOW - LATE - 1))), Some(DAILY));
        assert_eq!(next(|it| (it.will_renew, it.expires_at) = (true, Some(NOW - PATIENCE - 1))), None);
        assert_eq!(next(|it| it.expires_at = Some(NOW + 600)), Some(DAILY));
        assert_eq!(next(|it| it.expires_at = Some(NOW - 600)), Some(DAILY));
        assert_eq!(next(|it| it.expires_at = Some(NOW - LATE)), None);
        assert_eq!(next(|it| (it.status, it.expires_at) = (Status::Owned, None)), Some(DAILY));
        assert_eq!(next(|it| (it.status, it.grace_until) = (Status::Grace, Some(NOW + 9))), Some(NEXT_RUN));
        assert_eq!(next(|it| (it.status, it.grace_until) = (Status::Grace, Some(NOW - LATE))), Some(WAITING));
        let long_ago = |it: &mut Source| {
            (it.status, it.grace_until, it.expires_at) = (Status::Grace, Some(NOW - LATE), Some(NOW - PATIENCE));
        };
        assert_eq!(next(long_ago), None);
        assert_eq!(next(|it| it.status = Status::Hold), Some(WAITING));
        // Each look renews what was said last: the end counts.
        assert_eq!(next(|it| (it.status, it.expires_at) = (Status::Hold, Some(NOW - PATIENCE))), None);
        let waits =
            |it: &mut Source| (it.status, it.expires_at, it.purchase_date) = (Status::Pending, None, NOW - PATIENCE);
        assert_eq!(next(waits), None);
        assert_eq!(next(|it| it.status = Status::Revoked), None);
    }

    #[test]
    fn the_nearest_look_counts_and_a_day_is_spread() {
        let far = granted(AddOn::Sync, "1", None, NOW);
        let near = Source { will_renew: true, expires_at: Some(NOW + 60), ..far.clone() };
        assert_eq!(again([&far, &near], false, NOW, 0), Some(NOW + 60));
        assert_eq!(again([&far, &near], true, NOW, 0), Some(NOW));
        assert_eq!(again([&far], false, NOW, 7), Some(NOW + DAILY - 7));
        assert_eq!(again([], false, NOW, 7), None);
    }
}
