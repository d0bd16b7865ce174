//! The commits of a delta: a chain that is walked, entries that are delivered with the commit that wrote them last.

use std::collections::HashMap;
use std::time::Duration;

use satchel_domain::sync::Cursor;
use satchel_domain::sync::cursor::{self, Next, Place, Position, resync};
use satchel_domain::{Error, Result};
use satchel_store::keys;
use satchel_store::sync::{Commit, EntryRow};
use satchel_store::table::Range;

use super::page::Page;
use crate::space::Space;

/// Pauses before a hole is looked at again, in milliseconds: 100 in all.
const PAUSES: [u64; 3] = [10, 30, 60];
/// Commits that are read at a time.
const COMMITS: i32 = 100;

/// What ended a stretch of the chain.
enum End {
    /// The head that was read at the start.
    Head,
    /// The page is full.
    Full,
    /// The page has taken too long.
    Late,
    /// Something that must be there is not seen.
    Hole,
}

/// Adds what was committed after `position`, up to the head; returns the position that is verified and delivered.
///
/// # Errors
/// 503 where nothing at all could be verified, 410 where what follows is not kept any more.
pub(super) async fn delta(space: &Space<'_>, position: Position, page: &mut Page) -> Result<Position> {
    let start = position;
    let was_empty = page.is_empty();
    let mut at = position;
    let mut pauses = PAUSES.iter();
    while at.seq < space.meta.head {
        match stretch(space, &mut at, page).await? {
            End::Head => {}
            End::Full => return Ok(at),
            End::Late if at != start || !was_empty => return Ok(at),
            End::Late => return Err(Error::unavailable("no commit could be read in time")),
            End::Hole => match pauses.next() {
                Some(pause) => tokio::time::sleep(Duration::from_millis(*pause)).await,
                None if at != start || !was_empty => return Ok(at),
                None => return Err(hole(space, start).await?),
            },
        }
    }
    Ok(at)
}

/// What a hole right at the beginning means: a transaction under way, or commits that are gone.
async fn hole(space: &Space<'_>, start: Position) -> Result<Error> {
    if is_gone(space, start.seq).await? {
        return Ok(resync());
    }
    Ok(Error::unavailable("a commit is not to be seen whole yet"))
}

async fn is_gone(space: &Space<'_>, seq: u64) -> Result<bool> {
    let next = first_after(space, seq).await?.map(|commit| Next { prev: commit.prev, time: commit.time });
    let now = space.app.core.clock.unix();
    Ok(cursor::is_gone(seq, next, space.meta.head_time, now, space.app.limits.retention()))
}

async fn first_after(space: &Space<'_>, seq: u64) -> Result<Option<Commit>> {
    let range =
        Range::of(space.pk()).between(keys::sync::commit_sk(seq + 1), keys::sync::commit_sk(space.meta.head)).limit(1);
    space.app.sync.query_items(range).await?.rows.into_iter().next().map(Commit::of).transpose()
}

/// Whether what follows `cursor` is still kept; asked only of one that is old, which saves the others a read.
///
/// # Errors
/// 410 `resync_required`.
pub(crate) async fn is_kept(space: &Space<'_>, cursor: &Cursor) -> Result<()> {
    let Place::Delta(position) = &cursor.place else { return Ok(()) };
    let age = space.app.core.clock.unix().saturating_sub(i64::try_from(position.seq).unwrap_or(i64::MAX));
    if position.seq == space.meta.head || age <= space.app.limits.retention() {
        return Ok(());
    }
    if is_gone(space, position.seq).await? { Err(resync()) } else { Ok(()) }
}

/// One item of a commit, waiting for its entry.
struct Wanted {
    /// Which of the commits read.
    commit: usize,
    /// Which of its items.
    item: usize,
    /// Whether a later one of these commits has written its entry again, and delivers it: it need not be read for this.
    is_superseded: bool,
}

/// Walks one batch of commits.
async fn stretch(space: &Space<'_>, at: &mut Position, page: &mut Page) -> Result<End> {
    if page.is_late() {
        return Ok(End::Late);
    }
    let range = Range::of(space.pk())
        .between(keys::sync::commit_sk(at.seq + 1), keys::sync::commit_sk(space.meta.head))
        .limit(COMMITS);
    let rows = space.app.sync.query_items(range).await?.rows;
    let mut chain = Vec::with_capacity(rows.len());
    let mut prev = at.seq;
    for item in rows {
        let commit = Commit::of(item)?;
        if commit.prev != prev {
            break;
        }
        prev = commit.seq;
        chain.push(commit);
    }
    if chain.is_empty() {
        return Ok(End::Hole);
    }
    let first_offset = at.offset as usize;
    let wanted = wanted(&chain, first_offset);
    // A page may end with the last item of a commit: then the commit is behind it.
    if chain[0].touched.len() <= first_offset {
        *at = Position::after(chain[0].seq);
    }
    deliver(space, &chain, &wanted, at, page).await
}

/// The items of `chain`, but for the first `skip`.
fn wanted(chain: &[Commit], skip: usize) -> Vec<Wanted> {
    let mut last = HashMap::new();
    let mut wanted: Vec<Wanted> = Vec::new();
    for (commit, record) in chain.iter().enumerate() {
        let skip = if commit == 0 { skip } else { 0 };
        for (item, touched) in record.touched.iter().enumerate().skip(skip) {
            if let Some(earlier) = last.insert(touched.id.as_str(), wanted.len()) {
                wanted[earlier].is_superseded = true;
            }
            wanted.push(Wanted { commit, item, is_superseded: false });
        }
    }
    wanted
}

/// How many of `rest` come before `reads` of them have been read.
fn batch(rest: &[Wanted], mut reads: usize) -> usize {
    let end = rest.iter().position(|next| {
        let is_over = !next.is_superseded && reads == 0;
        reads -= usize::from(!next.is_superseded && !is_over);
        is_over
    });
    end.unwrap_or(rest.len())
}

/// Delivers what is `wanted`, in order.
async fn deliver(
    space: &Space<'_>,
    chain: &[Commit],
    wanted: &[Wanted],
    at: &mut Position,
    page: &mut Page,
) -> Result<End> {
    let pk = space.pk();
    let mut mark = page.mark();
    let mut rest = wanted;
    while !rest.is_empty() {
        let is_full = page.room() == 0;
        if is_full || page.is_late() {
            if page.whole_commits && at.offset > 0 {
                page.back_to(mark);
                *at = Position::after(at.seq);
            }
            return Ok(if is_full { End::Full } else { End::Late });
        }
        let (batch, later) = rest.split_at(batch(rest, page.appetite()));
        rest = later;
        let read = batch.iter().filter(|next| !next.is_superseded);
        let keys: Vec<_> = read.map(|next| keys::sync::entry(&pk, &chain[next.commit].touched[next.item].id)).collect();
        let mut rows = HashMap::with_capacity(keys.len());
        for item in space.app.sync.get_items(&keys, None).await? {
            let row = EntryRow::of(item)?;
            rows.insert(row.id.clone(), row);
        }
        for next in batch {
            let commit = &chain[next.commit];
            if next.item == 0 {
                mark = page.mark();
            }
            let end = match rows.get(&commit.touched[next.item].id) {
                _ if next.is_superseded => None,
                Some(row) if row.stored.seq == commit.seq => (!page.add(row)).then_some(End::Full),
                // A later commit has written it since, and delivers it.
                Some(row) if row.stored.seq > commit.seq => {
                    page.head_moved |= row.stored.seq > space.meta.head;
                    page.pass(row);
                    None
                }
                _ => Some(End::Hole),
            };
            if let Some(end) = end {
                if page.whole_commits {
                    page.back_to(mark);
                    *at = Position::after(commit.prev);
                }
                return Ok(end);
            }
            *at = if next.item + 1 == commit.touched.len() {
                Position::after(commit.seq)
            } else {
                let offset = u32::try_from(next.item + 1).map_err(Error::internal)?;
                Position { seq: commit.prev, offset }
            };
        }
    }
    Ok(End::Head)
}
