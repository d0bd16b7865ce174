//! Pushing: what came in is decided on and committed in chunks, each of them all or nothing.

mod answer;
mod commit;
mod parse;
mod plan;

use std::time::Duration;

use satchel_domain::access::Person;
use satchel_domain::sync::cursor::{Place, Position};
use satchel_domain::sync::{Cursor, Policy};
use satchel_domain::{Error, Result};
use satchel_store::sync::DeviceRow;

use crate::app::{App, MAX_PUSH};
use crate::pull;
use crate::space::Space;
use crate::wire::{ConflictPolicy, PushIn, PushOut, ResultOut, Status, Winner};

/// No chunk starts after this much of a request: API Gateway gives up at 30 s.
const LAST_START: Duration = Duration::from_secs(20);
/// After this much of a request its answer is made of what is at hand.
const LAST_READ: Duration = Duration::from_secs(26);
/// Where the device stands is written until then, or not at all.
const LAST_WRITE: Duration = Duration::from_secs(28);

/// One entry or deletion of a push.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: String,
    /// What it brings, or why it is invalid.
    pub(crate) change: Result<parse::Change, &'static str>,
}

/// What became of an [`Item`].
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) status: Status,
    pub(crate) winner: Option<Winner>,
    pub(crate) seq: Option<u64>,
    pub(crate) clock: Option<satchel_domain::sync::VectorClock>,
    pub(crate) error: Option<&'static str>,
}

/// The commits a push has made so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chain {
    /// The head before the first.
    pub(crate) before: u64,
    /// The last.
    pub(crate) last: u64,
    /// Whether nobody else committed in between.
    pub(crate) unbroken: bool,
}

/// Takes a push.
pub(crate) async fn push(app: &App, person: &Person, input: PushIn) -> Result<PushOut> {
    let started = tokio::time::Instant::now();
    let count = input.entries.len() + input.deleted_ids.len();
    if count > MAX_PUSH {
        let message = format!("a push holds at most {MAX_PUSH} entries and deletions, this one has {count}");
        return Err(Error::TooLarge { code: "too_many_entries", message });
    }
    let guess = input.base_cursor.as_deref().map_or(0, pull::generation_of);
    let (mut space, known) = Space::open(app, &person.user, &person.device, guess).await?;
    let base = match &input.base_cursor {
        None => None,
        Some(text) => {
            let cursor = Cursor::open(text, &space.meta.cursor_key, space.meta.epoch(), space.meta.head)?;
            pull::is_kept(&space, &cursor).await?;
            Some(cursor)
        }
    };
    let policy = match input.conflict_policy {
        ConflictPolicy::Merge => Policy::Merge,
        ConflictPolicy::Reject => Policy::Reject,
    };
    let position = base.as_ref().map(|cursor| cursor.place.seen());
    let (only_deletes, base_cursor) = (input.entries.is_empty(), input.base_cursor);
    let items = parse::items(app, person, input.entries, input.deleted_ids, position);

    let mut outcomes: Vec<Outcome> = Vec::with_capacity(items.len());
    let mut chain: Option<Chain> = None;
    while outcomes.len() < items.len() {
        if started.elapsed() > LAST_START {
            return Err(Error::unavailable("a push took longer than 20 s; its earlier chunks stand"));
        }
        let rest = &items[outcomes.len()..];
        let done = commit::chunk(&mut space, person, rest, policy, &mut chain).await?;
        outcomes.extend(done);
    }
    refuse_if_all_over_quota(&outcomes, only_deletes)?;

    let mut out = answer::build(&space, items, outcomes, started + LAST_READ).await?;
    // What was left out of the answer has to come with the next pull.
    let chain = chain.filter(|chain| chain.unbroken && !out.is_cut());
    // Who never pulled stands at the beginning: after a restore there are entries from before the epoch's first position.
    let stands_at = known.as_ref().map_or(0, |row| row.position);
    let (cursor, position) = match chain {
        Some(chain) => {
            let at_base = base.as_ref().is_some_and(|base| base.place == Place::Delta(Position::after(chain.before)));
            let next = Cursor { epoch: space.meta.epoch(), place: Place::Delta(Position::after(chain.last)) };
            let cursor = if at_base { Some(next.seal(&space.meta.cursor_key)) } else { base_cursor };
            (cursor, if stands_at == chain.before { chain.last } else { stands_at })
        }
        None => (base_cursor, stands_at),
    };
    out.cursor = cursor;
    let kept = tokio::time::timeout_at(started + LAST_WRITE, keep(&space, person, known.as_ref(), position));
    out.server_timestamp = match kept.await.unwrap_or_else(|elapsed| Err(Error::unavailable(elapsed))) {
        Ok(position) => position,
        // The commits stand; a position that was not kept is not promised either.
        Err(error) => {
            tracing::warn!(%error, "the device's position was not kept");
            stands_at
        }
    };
    Ok(out)
}

/// Notes that the device stands at `position`; returns what may be promised to it.
async fn keep(space: &Space<'_>, person: &Person, known: Option<&DeviceRow>, position: u64) -> Result<u64> {
    // While a full pull goes on page by page, its place is kept; a push does not end it.
    let pages = known.map_or_else(Vec::new, |row| row.pages.clone());
    let row = DeviceRow { device: person.device.to_string(), position, seen: 0, pages, revision: 0 };
    if space.remember(known, row, false).await? {
        return Ok(position);
    }
    // Another request of the device came in between, which may have begun anew: its row stands, and the lower of both
    // skips nothing.
    let stands_at = known.map_or(0, |row| row.position);
    Ok(space.device(&person.device).await?.map_or(0, |row| row.position.min(stands_at)))
}

fn refuse_if_all_over_quota(outcomes: &[Outcome], only_deletes: bool) -> Result<()> {
    let all =
        !outcomes.is_empty() && !only_deletes && outcomes.iter().all(|outcome| outcome.error == Some(plan::QUOTA));
    if all {
        return Err(Error::TooLarge {
            code: plan::QUOTA,
            message: "the space is full: deletions are still taken".to_owned(),
        });
    }
    Ok(())
}

impl Outcome {
    fn invalid(error: &'static str) -> Self {
        Self { status: Status::Invalid, winner: None, seq: None, clock: None, error: Some(error) }
    }
}

impl ResultOut {
    fn of(id: String, outcome: Outcome) -> Self {
        Self {
            id,
            status: outcome.status,
            winner: outcome.winner,
            seq: outcome.seq,
            vector_clock: outcome.clock,
            server_entry: None,
            server_entry_omitted: false,
            error: outcome.error,
        }
    }
}
