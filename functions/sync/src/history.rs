//! `GET /sync/entries/{id}/history`: versions that lost a conflict or were deleted, newest first.

use satchel_domain::access::Person;
use satchel_domain::sync::Cursor;
use satchel_domain::sync::budget::Budget;
use satchel_domain::sync::cursor::Place;
use satchel_domain::{Error, Result};
use satchel_store::keys;
use satchel_store::sync::Version;
use satchel_store::table::Range;

use crate::app::App;
use crate::space::Space;
use crate::wire::{HistoryOut, VersionOut};

/// One page of the history of the entry `id`.
pub(crate) async fn history(
    app: &App,
    person: &Person,
    id: &str,
    limit: usize,
    cursor: Option<&str>,
) -> Result<HistoryOut> {
    let space = Space::of(app, &person.user).await?;
    let now = app.core.clock.unix();
    let partition = space.history(id);
    // A key of its own a entry: a cursor of one history, or of a pull, is none of another.
    let key = [&space.meta.cursor_key[..], b"history", id.as_bytes()].concat();
    let mut start = None;
    if let Some(text) = cursor {
        let Cursor { place, .. } = Cursor::open(text, &key, space.meta.epoch(), space.meta.head)?;
        let Place::Walk { after, .. } = place else {
            return Err(Error::Malformed { code: "invalid_cursor", message: "not a cursor of a history".to_owned() });
        };
        start = Some(keys::sync::version_at(&partition, &after));
    }
    let mut versions: Vec<VersionOut> = Vec::new();
    let mut budget = Budget::default();
    let mut last = None;
    let mut more = false;
    'pages: loop {
        let want = i32::try_from(limit - versions.len() + 1).unwrap_or(100);
        let range = Range::of(&partition).prefix(keys::sync::VERSION).backward().limit(want).after(start);
        let page = app.sync.query_items(range).await?;
        for item in page.rows {
            let version = Version::of(item)?;
            if version.kept_until <= now {
                continue;
            }
            let out = VersionOut::of(id, &version);
            let text = serde_json::to_string(&out).map_err(Error::internal)?;
            if versions.len() == limit || !budget.take(&text) {
                more = true;
                break 'pages;
            }
            versions.push(out);
            last = Some(version.sk);
        }
        match page.next {
            Some(next) => start = Some(next),
            None => break,
        }
    }
    if versions.is_empty() && cursor.is_none() && !exists(&space, id).await? {
        return Err(Error::NotFound("entry"));
    }
    let next_cursor = last
        .filter(|_| more)
        .map(|after| Cursor { epoch: space.meta.epoch(), place: Place::Walk { from: 0, after } }.seal(&key));
    Ok(HistoryOut { versions, has_more: next_cursor.is_some(), next_cursor })
}

async fn exists(space: &Space<'_>, id: &str) -> Result<bool> {
    let key = keys::sync::entry(&space.pk(), id);
    Ok(!space.app.sync.get_items(&[key], Some("sk")).await?.is_empty())
}
