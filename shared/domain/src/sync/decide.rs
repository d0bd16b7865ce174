//! The decision table: what a pushed version does to the stored one.

use super::clock::{MAX_KEYS, MAX_NEW_KEYS, Relation, VectorClock};
use super::version::{Incoming, Rank, Stored};

/// What a client wants of concurrent writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// The server merges: one version wins by rule, the other goes to history.
    #[default]
    Merge,
    /// The client merges: a concurrent write is not written.
    Reject,
}

/// Which version's content is stored after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The pushed one.
    Incoming,
    /// The one that was there.
    Stored,
}

/// Why a version stands in history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It lost a conflict.
    Lost,
    /// It was deleted.
    Deleted,
    /// Its clock had been used for another content: a cloned device id.
    ClockReuse,
}

impl Reason {
    /// As it stands in an answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Deleted => "deleted",
            Self::ClockReuse => "clock_reuse",
        }
    }
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is stored already, as it is or in what the stored version has seen.
    Unchanged,
    /// The stored version has seen it and gone on.
    Stale,
    /// A new row is written.
    Write(Write),
    /// Nothing but the pushed content is kept, in history, once per content.
    Keep {
        /// Why it lost: [`Reason::Lost`] is a conflict the server's version won.
        reason: Reason,
    },
    /// Concurrent, and nothing is written: the server's version stands.
    ServerStands,
    /// The same clock as the stored version's with another meaning, and no content to keep.
    ClockReuse,
    /// Refused alone.
    Invalid(Refusal),
}

/// A row to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Whose content.
    pub content: Side,
    /// Whether it becomes or stays a tombstone.
    pub deleted: bool,
    /// Its merged clock.
    pub clock: VectorClock,
    /// The clock its content came with.
    pub content_clock: VectorClock,
    /// Its rank.
    pub rank: Rank,
    /// Whether two versions met without knowing of each other.
    pub conflict: bool,
    /// The version that goes to history.
    pub history: Option<(Side, Reason)>,
}

/// Why an entry is invalid against what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// More than [`MAX_NEW_KEYS`] keys besides the stored ones.
    TooManyKeys,
    /// The clock would have more than [`MAX_KEYS`] keys: copy the entry to a new id.
    ClockFull,
}

/// What `incoming` does to `stored` at `now` (Unix seconds), in a space that was neither erased nor restored.
pub fn decide(stored: Option<&Stored>, incoming: &Incoming, policy: Policy, now: i64) -> Decision {
    decide_since(0, stored, incoming, policy, now)
}

/// [`decide`] in an epoch whose positions begin after `base`. So do the server's own counts: were they to begin at 1 again,
/// an edit that was made from an erased version would pass for one that has seen the new one, and replace it unseen.
pub fn decide_since(base: u64, stored: Option<&Stored>, incoming: &Incoming, policy: Policy, now: i64) -> Decision {
    let clock = incoming.clock.clone().with_server_at_most(stored.map(|stored| &stored.clock));
    let besides = stored.map_or(clock.device_keys(), |stored| clock.keys_besides(&stored.clock));
    if besides > MAX_NEW_KEYS {
        return Decision::Invalid(Refusal::TooManyKeys);
    }
    let decision = match stored {
        None => against_nothing(base, clock, incoming, now),
        Some(stored) if clock.is_empty() && incoming.deletes() => delete_without_clock(base, stored, incoming, now),
        Some(stored) if clock.is_empty() => edit_without_clock(base, stored, incoming, policy, now),
        Some(stored) => against_stored(stored, clock, incoming, policy, now),
    };
    match decision {
        Decision::Write(write) if write.clock.device_keys() > MAX_KEYS => Decision::Invalid(Refusal::ClockFull),
        decision => decision,
    }
}

fn against_nothing(base: u64, clock: VectorClock, incoming: &Incoming, now: i64) -> Decision {
    let clock = match (clock.is_empty(), incoming.deletes()) {
        (true, true) => return Decision::Unchanged,
        (true, false) => clock.ticked_by_server(base),
        (false, _) => clock,
    };
    Decision::Write(Write {
        content: Side::Incoming,
        deleted: incoming.deletes(),
        content_clock: clock.clone(),
        clock,
        rank: incoming.rank(now),
        conflict: false,
        history: None,
    })
}

fn against_stored(stored: &Stored, clock: VectorClock, incoming: &Incoming, policy: Policy, now: i64) -> Decision {
    let same = incoming.is_same_as(stored);
    match clock.relation(&stored.clock) {
        Relation::Equal | Relation::Dominated if same => Decision::Unchanged,
        Relation::Equal if incoming.deletes() => Decision::ClockReuse,
        Relation::Equal => Decision::Keep { reason: Reason::ClockReuse },
        Relation::Dominated => Decision::Stale,
        Relation::Dominates => Decision::Write(Write {
            content: Side::Incoming,
            deleted: incoming.deletes(),
            content_clock: clock.clone(),
            clock,
            rank: inherited(incoming.rank(now), stored, incoming),
            conflict: false,
            history: (incoming.deletes() && !stored.deleted).then_some((Side::Stored, Reason::Deleted)),
        }),
        Relation::Concurrent => concurrent(stored, &clock, incoming, policy, now),
    }
}

/// An edit that has seen a live version takes the higher of both ranks: otherwise a device's own later edit could lose to
/// its earlier one after a merge.
fn inherited(rank: Rank, stored: &Stored, incoming: &Incoming) -> Rank {
    if incoming.deletes() || stored.deleted { rank } else { rank.max(stored.rank.clone()) }
}

fn concurrent(stored: &Stored, clock: &VectorClock, incoming: &Incoming, policy: Policy, now: i64) -> Decision {
    if policy == Policy::Reject && !(incoming.deletes() && stored.deleted) {
        return Decision::ServerStands;
    }
    let merged = clock.merged(&stored.clock);
    let rank = incoming.rank(now);
    let supersedes = clock.relation(&stored.content_clock) == Relation::Dominates;
    let wins = match (incoming.deletes(), stored.deleted) {
        (false, false) => supersedes || rank > stored.rank,
        (false, true) => true,
        (true, false) => false,
        (true, true) => rank > stored.rank,
    };
    let both_deleted = incoming.deletes() && stored.deleted;
    let loser_has_content = !incoming.deletes() && !stored.deleted && !incoming.is_same_as(stored);
    let history = loser_has_content.then_some((if wins { Side::Stored } else { Side::Incoming }, Reason::Lost));
    Decision::Write(if wins {
        Write {
            content: Side::Incoming,
            deleted: incoming.deletes(),
            clock: merged,
            content_clock: clock.clone(),
            rank: if supersedes { inherited(rank, stored, incoming) } else { rank },
            conflict: !both_deleted,
            history,
        }
    } else {
        Write {
            content: Side::Stored,
            deleted: stored.deleted,
            clock: merged,
            content_clock: stored.content_clock.clone(),
            rank: stored.rank.clone(),
            conflict: !both_deleted,
            history,
        }
    })
}

/// A seed's edit: a replay cannot be told from an edit, so it goes by rank.
fn edit_without_clock(base: u64, stored: &Stored, incoming: &Incoming, policy: Policy, now: i64) -> Decision {
    if incoming.is_same_as(stored) {
        return Decision::Unchanged;
    }
    if policy == Policy::Reject {
        return Decision::ServerStands;
    }
    let rank = incoming.rank(now);
    if rank <= stored.rank {
        return Decision::Keep { reason: Reason::Lost };
    }
    let clock = stored.clock.ticked_by_server(base);
    Decision::Write(Write {
        content: Side::Incoming,
        deleted: false,
        content_clock: clock.clone(),
        clock,
        rank,
        conflict: true,
        history: (!stored.deleted).then_some((Side::Stored, Reason::Lost)),
    })
}

/// A seed's deletion (`deleted_ids`, or an entry without clock): it deletes the version that is stored now, unless its
/// device shows that it had not seen what another wrote since. Then nothing is written, or a repetition would not be one.
fn delete_without_clock(base: u64, stored: &Stored, incoming: &Incoming, now: i64) -> Decision {
    if stored.deleted {
        return Decision::Unchanged;
    }
    let unseen = incoming.seen.as_ref().is_some_and(|seen| {
        seen.position.is_some_and(|position| stored.seq > position) && stored.written_by != seen.device
    });
    if unseen {
        return Decision::ServerStands;
    }
    let clock = stored.clock.ticked_by_server(base);
    Decision::Write(Write {
        content: Side::Incoming,
        deleted: true,
        content_clock: clock.clone(),
        clock,
        rank: incoming.rank(now),
        conflict: false,
        history: Some((Side::Stored, Reason::Deleted)),
    })
}
