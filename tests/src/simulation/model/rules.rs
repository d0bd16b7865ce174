//! The decision table of `design/sync.md`, read a second time: not the product's code, and with room for mistakes.

use satchel_domain::sync::{Content, Form, Relation, VectorClock};

use crate::simulation::bug::Bug;

/// Which of two concurrent versions wins.
pub(super) type Rank = (i64, String, [u8; 32], Form);

/// The stored version of an entry.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) clock: VectorClock,
    pub(super) content_clock: VectorClock,
    pub(super) rank: Rank,
    pub(super) deleted: bool,
    pub(super) data: String,
    pub(super) author: String,
    pub(super) updated_at: i64,
    pub(super) written_by: String,
    pub(super) seq: u64,
}

/// A pushed version.
#[derive(Debug, Clone)]
pub(super) struct Incoming {
    pub(super) clock: VectorClock,
    /// Nothing for a deletion.
    pub(super) data: Option<String>,
    pub(super) author: String,
    pub(super) updated_at: i64,
    pub(super) position: Option<u64>,
    pub(super) device: String,
}

impl Incoming {
    pub(super) fn hash(&self) -> [u8; 32] {
        self.data.as_deref().map_or([0; 32], |data| Content::parse(data).hash())
    }

    fn rank(&self, now: i64) -> Rank {
        let form = self.data.as_deref().map_or(Form::Text, |data| Content::parse(data).form);
        (self.updated_at.min(now + 300), self.author.clone(), self.hash(), form)
    }
}

/// A version that goes to history.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) data: String,
    pub(super) clock: VectorClock,
    pub(super) author: String,
    pub(super) updated_at: i64,
    pub(super) why: &'static str,
}

impl Lost {
    fn stored(row: &Row, why: &'static str) -> Self {
        let Row { data, clock, author, updated_at, .. } = row.clone();
        Self { data, clock, author, updated_at, why }
    }

    pub(super) fn pushed(incoming: &Incoming, why: &'static str) -> Self {
        let Incoming { data, clock, author, updated_at, .. } = incoming.clone();
        Self { data: data.unwrap_or_default(), clock, author, updated_at, why }
    }
}

/// What happens.
#[derive(Debug)]
pub(super) enum Act {
    Unchanged,
    Stale,
    /// The server's stands and nothing is kept.
    Refused,
    ClockReuse,
    /// Only history gets it, once per content.
    Keep(&'static str),
    Write {
        row: Box<Row>,
        conflict: bool,
        client_won: bool,
        /// What goes to history, and why.
        lost: Option<Lost>,
    },
}

fn ticked(base: u64, clock: &VectorClock) -> VectorClock {
    clock.merged(&[("srv", clock.get("srv").max(base) + 1)].into_iter().collect())
}

/// What `incoming` does to `stored`.
pub(super) fn act(
    base: u64,
    stored: Option<&Row>,
    incoming: &Incoming,
    reject: bool,
    now: i64,
    bug: Option<Bug>,
) -> Act {
    let base = if bug == Some(Bug::ServerCountBeginsAnew) { 0 } else { base };
    let is = |planted: Bug| bug == Some(planted);
    let rank = incoming.rank(now);
    let new = |clock: VectorClock, content_clock: VectorClock, rank: Rank| Row {
        clock: if is(Bug::DeleteWithoutClock) && incoming.data.is_none() { VectorClock::default() } else { clock },
        content_clock,
        rank,
        deleted: incoming.data.is_none(),
        data: incoming.data.clone().unwrap_or_default(),
        author: if is(Bug::AuthorIsSender) { incoming.device.clone() } else { incoming.author.clone() },
        updated_at: incoming.updated_at,
        written_by: incoming.device.clone(),
        seq: 0,
    };
    let plain = |row: Row, lost| Act::Write { row: Box::new(row), conflict: false, client_won: true, lost };
    let clock = incoming.clock.clone().with_server_at_most(stored.map(|row| &row.clock));
    let Some(stored) = stored else {
        return match (clock.is_empty(), &incoming.data) {
            (true, None) => Act::Unchanged,
            (true, Some(_)) => plain(new(ticked(base, &clock), ticked(base, &clock), rank), None),
            (false, _) => plain(new(clock.clone(), clock, rank), None),
        };
    };
    let same = match &incoming.data {
        None => stored.deleted,
        Some(data) => !stored.deleted && stored.data == *data,
    };
    let keeps = |keeps: bool, why| keeps.then(|| Lost::stored(stored, why));
    if clock.is_empty() {
        if same && !is(Bug::RetryIsNew) {
            return Act::Unchanged;
        }
        let next = ticked(base, &stored.clock);
        if incoming.data.is_none() {
            let unseen = incoming.position.is_some_and(|position| stored.seq > position && !is(Bug::DeleteUnseen));
            if unseen && stored.written_by != incoming.device {
                return Act::Refused;
            }
            return plain(new(next.clone(), next, rank), keeps(!stored.deleted, "deleted"));
        }
        if reject {
            return Act::Refused;
        }
        if rank <= stored.rank && !same {
            return Act::Keep("lost");
        }
        let lost = keeps(!stored.deleted && !same, "lost");
        return Act::Write { row: Box::new(new(next.clone(), next, rank)), conflict: true, client_won: true, lost };
    }
    match clock.relation(&stored.clock) {
        Relation::Equal | Relation::Dominated if same && !is(Bug::RetryIsNew) => Act::Unchanged,
        Relation::Equal | Relation::Dominated if same => plain(Row { seq: 0, ..stored.clone() }, None),
        Relation::Equal if incoming.data.is_none() => Act::ClockReuse,
        Relation::Equal => Act::Keep("clock_reuse"),
        Relation::Dominated if is(Bug::StaleOverwrite) => {
            plain(new(stored.clock.clone(), stored.clock.clone(), rank), None)
        }
        Relation::Dominated => Act::Stale,
        Relation::Dominates => {
            let both_live = incoming.data.is_some() && !stored.deleted && !is(Bug::AncestorWins);
            let rank = if both_live { rank.max(stored.rank.clone()) } else { rank };
            let deletes = incoming.data.is_none();
            plain(new(clock.clone(), clock, rank), keeps(!stored.deleted && deletes, "deleted"))
        }
        Relation::Concurrent => concurrent(stored, incoming, clock, rank, same, reject, bug, new),
    }
}

#[expect(clippy::too_many_arguments, reason = "each is one fact of the table's row")]
fn concurrent(
    stored: &Row,
    incoming: &Incoming,
    clock: VectorClock,
    rank: Rank,
    same: bool,
    reject: bool,
    bug: Option<Bug>,
    new: impl Fn(VectorClock, VectorClock, Rank) -> Row,
) -> Act {
    let is = |planted: Bug| bug == Some(planted);
    let both_deleted = incoming.data.is_none() && stored.deleted;
    if reject && !both_deleted {
        return Act::Refused;
    }
    let merged = clock.merged(&stored.clock);
    let supersedes = clock.relation(&stored.content_clock) == Relation::Dominates && !is(Bug::AncestorWins);
    let wins = match (&incoming.data, stored.deleted) {
        (Some(_), false) => supersedes || rank > stored.rank,
        (Some(_), true) => true,
        (None, false) => false,
        (None, true) => rank > stored.rank,
    };
    let live = incoming.data.is_some() && !stored.deleted;
    let both_live = live && !same;
    if wins {
        let rank = if supersedes && live { rank.max(stored.rank.clone()) } else { rank };
        let next = if is(Bug::LostMerge) { clock.clone() } else { merged };
        let lost = both_live.then(|| Lost::stored(stored, "lost"));
        return Act::Write { row: Box::new(new(next, clock, rank)), conflict: !both_deleted, client_won: true, lost };
    }
    let next = match bug {
        Some(Bug::LostMerge) => stored.clock.clone(),
        Some(Bug::ClockGoesBack) => clock,
        _ => merged,
    };
    // Whose content stays has written it.
    let written_by = if is(Bug::MergeClaimsWriter) { &incoming.device } else { &stored.written_by };
    let row = Row { clock: next, written_by: written_by.clone(), ..stored.clone() };
    let lost = both_live.then(|| Lost::pushed(incoming, "lost"));
    Act::Write { row: Box::new(row), conflict: !both_deleted, client_won: false, lost }
}
