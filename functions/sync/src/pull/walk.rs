//! The entries of a full pull, by key: keys never move, so pages are stable under writers.

use satchel_domain::Result;
use satchel_store::keys::sync as keys;
use satchel_store::sync::{Commit, EntryRow};
use satchel_store::table::Range;

use satchel_domain::sync::cursor::Place;

use super::page::Page;
use crate::space::Space;

/// Commits younger than this when a full pull began are told once more at its end, in seconds: a walk may have passed a
/// key before a transaction showed itself there.
const YOUNG: i64 = 10;

/// The beginning of a full pull, with the position its end will begin at.
pub(super) async fn begin(space: &Space<'_>) -> Result<Place> {
    let now = space.app.core.clock.unix();
    let meta = &space.meta;
    let mut from = meta.base;
    if meta.head_time + YOUNG <= now {
        from = meta.head;
    } else {
        let mut after = None;
        'pages: loop {
            let range = Range::of(space.pk())
                .between(keys::commit_sk(0), keys::commit_sk(meta.head))
                .backward()
                .limit(50)
                .after(after);
            let page = space.app.sync.query_items(range).await?;
            for item in page.rows {
                let commit = Commit::of(item)?;
                if commit.time + YOUNG <= now {
                    // A restore moves the base past commits that were young then.
                    from = commit.seq.max(meta.base);
                    break 'pages;
                }
                // Where no older one follows, none is kept any more: the end begins before the first that is.
                from = commit.prev.max(meta.base);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Ok(Place::Walk { from, after: String::new() })
}

/// Adds entries after the id `after`; returns the last one added where the page is full, `None` at the end of the keys.
pub(super) async fn entries(space: &Space<'_>, after: &str, page: &mut Page) -> Result<Option<String>> {
    let pk = space.pk();
    let mut last = after.to_owned();
    let mut start = (!after.is_empty()).then(|| keys::entry(&pk, after));
    loop {
        if page.room() == 0 || (page.is_late() && last != after) {
            return Ok(Some(last));
        }
        let limit = i32::try_from(page.room().min(page.room_by_size().max(25) * 4)).unwrap_or(100);
        let range = Range::of(&pk).prefix(keys::ENTRY).after(start).limit(limit);
        let rows = space.app.sync.query_items(range).await?;
        for item in rows.rows {
            let row = EntryRow::of(item)?;
            if !page.add(&row) {
                return Ok(Some(last));
            }
            last = row.id;
        }
        match rows.next {
            Some(next) => start = Some(next),
            None => return Ok(None),
        }
    }
}
