//! The commits of a delta: a chain that is walked, entries that are delivered with the commit that wrote them last.

use std::collections::HashMap;
use std::time::Duration;

use satchel_domain::sync::Cursor;
use satchel_domain::sync::cursor::{Place, Position, resync};
use satchel_domain::{Error, Result};
use satchel_store::keys;
use satchel_store::sync::{Commit, EntryRow};
use satchel_store::table::Range;

use super::page::Page;
use crate::space::Space;

/// Pauses before a hole is looked at again, in milliseconds: 100 in all.
const PAUSES: [u64; 3] = [10, 30, 60];
/// A hole before a commit older than this is no transaction under way, in seconds.
const UNDER_WAY: i64 = 60;
/// Commits that are read at a time.
const COMMITS: i32 = 100;
/// Entries that are read at a time, at most.
const ENTRIES: usize = 100;

/// What ended a stretch of the chain.
enum End {
    /// The head that was read at the start.
    Head,
    /// The page is full.
    Full,
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
    let now = space.app.core.clock.unix();
    let next = first_after(space, start.seq).await?;
    let next_time = next.as_ref().map_or(space.meta.head_time, |commit| commit.time);
    let chain_broken = next.is_none_or(|commit| commit.prev != start.seq);
    let old = now.saturating_sub(i64::try_from(start.seq).unwrap_or(i64::MAX)) > space.app.limits.retention();
    if chain_broken && (old || next_time + UNDER_WAY < now) {
        return Ok(resync());
    }
    Ok(Error::unavailable("a commit is not to be seen whole yet"))
}

async fn first_after(space: &Space<'_>, seq: u64) -> Result<Option<Commit>> {
    let range =
        Range::of(space.pk()).between(keys::sync::commit_sk(seq + 1), keys::sync::commit_sk(space.meta.head)).limit(1);
    space.app.sync.query_items(range).await?.rows.into_iter().next().map(Commit::of).transpose()
}

/// Whether what follows `cursor` is still kept; asked only of one that is old.
///
/// # Errors
/// 410 `resync_required`.
pub(crate) async fn is_kept(space: &Space<'_>, cursor: &Cursor) -> Result<()> {
    let Place::Delta(position) = &cursor.place else { return Ok(()) };
    let age = space.app.core.clock.unix().saturating_sub(i64::try_from(position.seq).unwrap_or(i64::MAX));
    if position.seq == space.meta.head || age <= space.app.limits.retention() {
        return Ok(());
    }
    match first_after(space, position.seq).await? {
        Some(commit) if commit.prev == position.seq => Ok(()),
        _ => Err(resync()),
    }
}

/// One item of a commit, waiting for its entry.
struct Wanted {
    /// Which of the commits read.
    commit: usize,
    /// Which of its items.
    item: usize,
}

/// Walks one batch of commits.
async fn stretch(space: &Space<'_>, at: &mut Position, page: &mut Page) -> Result<End> {
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
    let wanted: Vec<Wanted> = chain
        .iter()
        .enumerate()
        .flat_map(|(commit, record)| {
            let skip = if commit == 0 { first_offset } else { 0 };
            (skip..record.touched.len()).map(move |item| Wanted { commit, item })
        })
        .collect();
    // A page may end with the last item of a commit: then the commit is behind it.
    if chain[0].touched.len() <= first_offset {
        *at = Position::after(chain[0].seq);
    }
    deliver(space, &chain, &wanted, at, page).await
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
    let mut done = 0;
    while done < wanted.len() {
        if page.room() == 0 {
            if page.whole_commits && at.offset > 0 {
                page.back_to(mark);
                *at = Position::after(at.seq);
            }
            return Ok(End::Full);
        }
        let batch = page.room_by_size().min(ENTRIES).min(wanted.len() - done);
        let batch = &wanted[done..done + batch];
        let mut ids: Vec<&str> = batch.iter().map(|next| chain[next.commit].touched[next.item].id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let keys: Vec<_> = ids.into_iter().map(|id| keys::sync::entry(&pk, id)).collect();
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
                Some(row) if row.stored.seq == commit.seq => (!page.add(row)).then_some(End::Full),
                // A later commit has written it since, and delivers it.
                Some(row) if row.stored.seq > commit.seq => {
                    page.head_moved |= row.stored.seq > space.meta.head;
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
        done += batch.len();
    }
    Ok(End::Head)
}
