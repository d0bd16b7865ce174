//! One chunk, decided on: which rows it writes, what becomes of each item, how the totals move.

use std::collections::{HashMap, HashSet};

use satchel_domain::sync::chunk::{Fill, next_seq, record_bytes};
use satchel_domain::sync::decide::{Reason, Refusal, Side, Write};
use satchel_domain::sync::{Decision, Policy, Stored, Totals, decide_since};
use satchel_store::keys;
use satchel_store::sync::{Author, EntryRow, Touched, size};

use super::parse::Change;
use super::{Item, Outcome};
use crate::space::Space;
use crate::wire::{Status, Winner};

/// Error of an entry that has no room.
pub(crate) const QUOTA: &str = "quota_exceeded";
/// Bytes of a row besides what is counted of it: key, attribute names, numbers.
const ROW_OVERHEAD: usize = 300;

/// A row of an entry to be written.
#[derive(Debug)]
pub(crate) enum RowWrite {
    /// The pushed content (or tombstone) of the item at this place.
    Put { row: Box<EntryRow>, was: Option<u64> },
    /// The stored content with another clock.
    Merge { row: Box<EntryRow>, was: u64 },
}

/// A version that goes to history.
#[derive(Debug)]
pub(crate) struct Lost {
    /// Entry id.
    pub(crate) id: String,
    /// Whose content: the pushed one's place in the push, or the stored row's revision.
    pub(crate) from: LostFrom,
    /// Why.
    pub(crate) reason: Reason,
    /// Whether it is kept once a content, by a marker.
    pub(crate) once: bool,
}

/// Where a lost version's content is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LostFrom {
    Item(usize),
    Stored { revision: u64 },
}

/// A chunk.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) rows: Vec<RowWrite>,
    pub(crate) lost: Vec<Lost>,
    pub(crate) touched: Vec<Touched>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) totals: Totals,
    pub(crate) seq: u64,
}

/// Decides on as many `items` as one chunk takes. `stored` are the rows there are, `kept` the (id, content hash) pairs
/// that stand in history already.
pub(crate) fn plan(
    space: &Space<'_>,
    items: &[Item],
    stored: &HashMap<String, EntryRow>,
    kept: &HashSet<(String, [u8; 32])>,
    policy: Policy,
    device: &str,
) -> Plan {
    let now = space.app.core.clock.unix();
    let mut plan = Plan { totals: space.meta.totals, seq: next_seq(space.meta.head, now), ..Plan::default() };
    let mut fill = Fill::default();
    let mut ids = HashSet::new();
    for (at, item) in items.iter().enumerate() {
        if !ids.insert(item.id.as_str()) {
            break;
        }
        let change = match &item.change {
            Ok(change) => change,
            Err(error) => {
                plan.outcomes.push(Outcome::invalid(error));
                continue;
            }
        };
        let there = stored.get(&item.id);
        let step = match decide_since(space.meta.base, there.map(|row| &row.stored), &change.incoming, policy, now) {
            Decision::Write(write) => written(space, &plan, Target { at, item, change, there, device, now }, write),
            decision => Step::without_row(at, item, change, there.map(|row| &row.stored), &decision, kept),
        };
        let rows = usize::from(step.row.is_some()) + step.lost.as_ref().map_or(0, |lost| 1 + usize::from(lost.once));
        if rows > 0 && !fill.admit(rows, step.bytes) {
            break;
        }
        plan.add(step);
    }
    plan
}

/// The items that keep their content in history, once per content: all there are, also those that a chunk has no room for
/// unless others turn out to be kept already.
pub(crate) fn keepers<'a>(
    space: &Space<'_>,
    items: &'a [Item],
    stored: &HashMap<String, EntryRow>,
    policy: Policy,
) -> Vec<(&'a str, &'a Change)> {
    let now = space.app.core.clock.unix();
    let is_kept = |item: &Item, change: &Change| {
        let there = stored.get(&item.id).map(|row| &row.stored);
        matches!(decide_since(space.meta.base, there, &change.incoming, policy, now), Decision::Keep { .. })
    };
    let valid = items.iter().filter_map(|item| Some((item, item.change.as_ref().ok()?)));
    valid.filter(|(item, change)| is_kept(item, change)).map(|(item, change)| (item.id.as_str(), change)).collect()
}

struct Target<'a> {
    at: usize,
    item: &'a Item,
    change: &'a Change,
    there: Option<&'a EntryRow>,
    device: &'a str,
    now: i64,
}

/// What one item adds to a chunk.
struct Step {
    outcome: Outcome,
    row: Option<(RowWrite, Touched, Totals)>,
    lost: Option<Lost>,
    bytes: usize,
}

impl Plan {
    fn add(&mut self, step: Step) {
        if let Some((row, touched, totals)) = step.row {
            self.rows.push(row);
            self.touched.push(touched);
            self.totals = totals;
        }
        self.lost.extend(step.lost);
        self.outcomes.push(step.outcome);
    }

    /// Whether it writes anything at all.
    pub(crate) fn is_idle(&self) -> bool {
        self.rows.is_empty() && self.lost.is_empty()
    }
}

fn written(space: &Space<'_>, plan: &Plan, target: Target<'_>, write: Write) -> Step {
    let Target { at, item, change, there, device, now } = target;
    let from_client = write.content == Side::Incoming;
    let revision = there.map(|row| row.revision);
    let content = if from_client && !write.deleted { change.incoming.content.clone() } else { None };
    let (hash, form, size_of_content) = match there {
        Some(row) if !from_client => (row.stored.hash, row.stored.form, row.stored.size),
        _ => (change.incoming.hash, change.incoming.form(), change.incoming.size()),
    };
    // A clock that is merged says nothing of what the device has seen: content keeps the device that brought it.
    let (author, written_by) = match there {
        Some(row) if !from_client => (row.author.clone(), row.stored.written_by.clone()),
        _ => (authored(change, there), device.to_owned()),
    };
    let row = EntryRow {
        id: item.id.clone(),
        stored: Stored {
            clock: write.clock,
            content_clock: write.content_clock,
            rank: write.rank,
            deleted: write.deleted,
            hash,
            form,
            size: size_of_content,
            written_by,
            seq: plan.seq,
        },
        revision: revision.unwrap_or(0) + 1,
        author,
        content,
        server_time: now,
    };
    let totals = plan.totals.after(there.map(EntryRow::part), row.part());
    if from_client && !write.deleted && is_over_quota(space, plan, there.is_some(), &totals) {
        return Step { outcome: Outcome::invalid(QUOTA), row: None, lost: None, bytes: 0 };
    }
    let lost = write.history.map(|(side, reason)| Lost {
        id: item.id.clone(),
        from: match (side, revision) {
            (Side::Stored, Some(revision)) => LostFrom::Stored { revision },
            _ => LostFrom::Item(at),
        },
        reason,
        once: false,
    });
    let lost_bytes = match lost.as_ref().map(|lost| lost.from) {
        None => 0,
        Some(LostFrom::Item(_)) => ROW_OVERHEAD + change.incoming.size() + row.stored.clock.compact_json().len(),
        Some(LostFrom::Stored { .. }) => {
            ROW_OVERHEAD + there.map_or(0, |row| row.stored.size + row.stored.clock.compact_json().len())
        }
    };
    let key = keys::sync::entry(&space.pk(), &item.id);
    let kept_content = if from_client { 0 } else { size_of_content };
    let bytes = size(&row.item(&key)) + record_bytes(&item.id) + kept_content + lost_bytes;
    let winner = write.conflict.then_some(if from_client { Winner::Client } else { Winner::Server });
    let outcome = Outcome {
        status: if write.conflict { Status::Conflict } else { Status::Applied },
        winner,
        seq: Some(plan.seq),
        clock: Some(row.stored.clock.clone()),
        error: None,
    };
    let touched = Touched { id: item.id.clone(), deleted: write.deleted };
    let row = Box::new(row);
    let row = match revision {
        Some(was) if !from_client => RowWrite::Merge { row, was },
        was => RowWrite::Put { row, was },
    };
    Step { outcome, row: Some((row, touched, totals)), lost, bytes }
}

/// The author of what comes in. An update that says nothing of the entry's creation leaves the time that was told so far.
fn authored(change: &Change, there: Option<&EntryRow>) -> Author {
    let first = there.and_then(|row| {
        let told = (!row.stored.deleted).then_some(row.author.updated_at);
        row.author.created_at.or(told)
    });
    Author { created_at: change.author.created_at.or(first), ..change.author.clone() }
}

/// Only what makes the space grow past its limits is refused.
fn is_over_quota(space: &Space<'_>, plan: &Plan, is_there: bool, next: &Totals) -> bool {
    let limits = &space.app.limits;
    let grows = next.bytes > plan.totals.bytes && next.bytes > limits.quota_bytes;
    grows || (!is_there && next.live + next.tombstones > limits.max_entries)
}

impl Step {
    fn without_row(
        at: usize,
        item: &Item,
        change: &Change,
        stored: Option<&Stored>,
        decision: &Decision,
        kept: &HashSet<(String, [u8; 32])>,
    ) -> Self {
        let mut lost = None;
        let (status, winner, error) = match decision {
            Decision::Unchanged | Decision::Write(_) => (Status::Unchanged, None, None),
            Decision::Stale => (Status::Stale, None, None),
            Decision::ServerStands => (Status::Conflict, Some(Winner::Server), None),
            Decision::ClockReuse => (Status::ClockReuse, None, None),
            Decision::Keep { reason } => {
                if !kept.contains(&(item.id.clone(), change.incoming.hash)) {
                    lost = Some(Lost { id: item.id.clone(), from: LostFrom::Item(at), reason: *reason, once: true });
                }
                match reason {
                    Reason::ClockReuse => (Status::ClockReuse, None, None),
                    Reason::Lost | Reason::Deleted => (Status::Conflict, Some(Winner::Server), None),
                }
            }
            Decision::Invalid(Refusal::TooManyKeys) => (Status::Invalid, None, Some("too_many_clock_keys")),
            Decision::Invalid(Refusal::ClockFull) => (Status::Invalid, None, Some("clock_full")),
        };
        let valid = stored.filter(|_| status != Status::Invalid);
        let bytes = if lost.is_some() {
            2 * ROW_OVERHEAD + change.incoming.size() + change.incoming.clock.compact_json().len()
        } else {
            0
        };
        Self {
            outcome: Outcome {
                status,
                winner,
                seq: valid.map(|stored| stored.seq),
                clock: valid.map(|stored| stored.clock.clone()),
                error,
            },
            row: None,
            lost,
            bytes,
        }
    }
}
