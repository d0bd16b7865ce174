//! Pulling: pages that hold only what was verified against the chain of commits.
//!
//! A reader of DynamoDB may see one transaction's items at different moments (developer guide, *Isolation levels*: `Query`
//! and `BatchGetItem` are read-committed against transactions), so no page is concluded from what is *not* there.

mod commits;
mod page;
mod walk;

use std::time::Duration;

use satchel_domain::access::Person;
use satchel_domain::sync::Cursor;
use satchel_domain::sync::cursor::{Place, Position};
use satchel_domain::{Error, Result};
use satchel_store::sync::{DeviceRow, device::PulledPage};
use tokio::time::Instant;

use crate::app::{App, MAX_PAGE};
use crate::space::Space;
use crate::wire::PullIn;
use page::Page;

pub(crate) use commits::is_kept;

/// Page numbers end here: no position is as small, no client counts so far.
const PAGES: u64 = 1_000_000;

/// A page ends after so long with what it has: API Gateway gives up at 30 s.
const PAGE: Duration = Duration::from_secs(10);
/// Tries to note where a device stands against its other requests.
const TRIES: usize = 4;

/// The generation that `cursor` claims; unauthenticated, so only a guess that saves a read.
pub(crate) fn generation_of(cursor: &str) -> u64 {
    Cursor::peek_generation(cursor).unwrap_or(0)
}

/// How a pull was asked for.
enum Asked {
    /// By cursor: a modern client.
    Cursor,
    /// By `last_sync_at`, or by nothing: positions are answered in `server_timestamp`.
    Time { page: Option<u64> },
}

/// Takes a pull; the answer's body is JSON.
pub(crate) async fn pull(app: &App, person: &Person, input: PullIn) -> Result<String> {
    if !(1..=MAX_PAGE).contains(&input.limit) {
        return Err(Error::invalid("limit", "must be between 1 and 1000"));
    }
    let until = Instant::now() + PAGE;
    let guess = input.cursor.as_deref().map_or(0, generation_of);
    let (space, known) = Space::open(app, &person.user, &person.device, guess).await?;
    let (place, asked) = beginning(&space, known.as_ref(), &input).await?;
    let by_time = matches!(asked, Asked::Time { .. }) && input.last_sync_at.is_some();
    let limit = if by_time { MAX_PAGE } else { input.limit };

    let mut page = Page::new(limit, by_time, until);
    let mut presented = place.clone();
    let mut asked = asked;
    let (place, snapshot) = match fill(&space, place, &mut page).await {
        // What a client of the seed cannot be served is served in full.
        Err(Error::Gone { .. }) if by_time => {
            presented = walk::begin(&space).await?;
            asked = Asked::Time { page: Some(0) };
            page = Page::new(limit, by_time, until);
            fill(&space, presented.clone(), &mut page).await?
        }
        filled => filled?,
    };
    answer(&space, person, known, presented, place, &asked, snapshot, page).await
}

/// Where the pull begins.
async fn beginning(space: &Space<'_>, known: Option<&DeviceRow>, input: &PullIn) -> Result<(Place, Asked)> {
    let meta = &space.meta;
    if let Some(text) = &input.cursor {
        let cursor = Cursor::open(text, &meta.cursor_key, meta.epoch(), meta.head)?;
        return Ok((cursor.place, Asked::Cursor));
    }
    let full = async || Ok((walk::begin(space).await?, Asked::Time { page: Some(0) }));
    match input.last_sync_at {
        None => full().await,
        Some(number @ 1..PAGES) => {
            let page = known.and_then(|row| row.pages.iter().find(|page| page.number == number));
            let cursor =
                page.and_then(|page| Cursor::open(&page.cursor, &meta.cursor_key, meta.epoch(), meta.head).ok());
            match cursor {
                Some(cursor) => Ok((cursor.place, Asked::Time { page: Some(number) })),
                None => full().await,
            }
        }
        Some(seq) if (meta.base..=meta.head).contains(&seq) => {
            Ok((Place::Delta(Position::after(seq)), Asked::Time { page: None }))
        }
        Some(_) => full().await,
    }
}

/// Fills `page` from `place` on; returns where it ended and whether it is one of a full pull.
async fn fill(space: &Space<'_>, place: Place, page: &mut Page) -> Result<(Place, bool)> {
    match place {
        Place::Delta(position) => {
            let position = commits::delta(space, position, page).await?;
            Ok((Place::Delta(position), false))
        }
        Place::Finish(position) => Ok((finish(space, position, page).await?, true)),
        Place::Walk { from, after } => match walk::entries(space, &after, page).await? {
            Some(after) => Ok((Place::Walk { from, after }, true)),
            None => Ok((finish(space, Position::after(from), page).await?, true)),
        },
    }
}

/// The end of a full pull: what was committed about when it began.
async fn finish(space: &Space<'_>, position: Position, page: &mut Page) -> Result<Place> {
    let position = commits::delta(space, position, page).await?;
    let at_head = position == Position::after(space.meta.head);
    Ok(if at_head { Place::Delta(position) } else { Place::Finish(position) })
}

/// The number of the page that ends at `cursor`. Another place never gets a number that was given: a request that arrives
/// late or twice would otherwise move a full pull that goes on by number, and what lies in between would be skipped.
fn next_number(known: &[PulledPage], asked: u64, cursor: &str) -> u64 {
    if let Some(same) = known.iter().find(|page| page.cursor == cursor) {
        return same.number;
    }
    let highest = known.iter().map(|page| page.number).max().unwrap_or(0).max(asked);
    if highest + 1 < PAGES { highest + 1 } else { 1 }
}

#[expect(clippy::too_many_arguments, reason = "each is one fact of the answer, used once")]
async fn answer(
    space: &Space<'_>,
    person: &Person,
    mut known: Option<DeviceRow>,
    presented: Place,
    place: Place,
    asked: &Asked,
    snapshot: bool,
    page: Page,
) -> Result<String> {
    let complete = place == Place::Delta(Position::after(space.meta.head)) && !page.head_moved;
    let cursor = Cursor { epoch: space.meta.epoch(), place: place.clone() }.seal(&space.meta.cursor_key);
    let mut position = match &presented {
        Place::Delta(position) => position.seq,
        Place::Finish(_) | Place::Walk { .. } => 0,
    };
    // Who begins anew holds nothing: that is written even where it stands there, so that no slower request raises it.
    let begins = matches!(&presented, Place::Walk { after, .. } if after.is_empty());
    for _ in 0..TRIES {
        let kept = known.as_ref().map_or(&[][..], |row| &row.pages);
        let (server_timestamp, pages) = standing(kept, asked, &place, &cursor);
        let row = DeviceRow { device: person.device.to_string(), position, seen: 0, pages, revision: 0 };
        if space.remember(known.as_ref(), row, begins).await? {
            let epoch = space.meta.epoch().to_string();
            return Ok(page.close(server_timestamp, !complete, &cursor, &epoch, snapshot, complete));
        }
        known = space.device(&person.device).await?;
        // Of two requests of one device none is known to be the later one: the lower of both skips nothing.
        position = known.as_ref().map_or(position, |row| row.position.min(position));
    }
    Err(Error::unavailable("other requests of the device are in the way"))
}

/// The position or page number of an answer that ends at `place`, and the pages that are kept with it, of those so far.
fn standing(kept: &[PulledPage], asked: &Asked, place: &Place, cursor: &str) -> (u64, Vec<PulledPage>) {
    // The page that was presented stays: its answer may be lost, and then it is presented again.
    let is_presented =
        |page: &PulledPage| matches!(asked, Asked::Time { page: Some(number) } if page.number == *number);
    let mut pages: Vec<PulledPage> = kept.iter().filter(|page| is_presented(page)).cloned().collect();
    let server_timestamp = match (place, asked) {
        (Place::Delta(position), _) => position.seq,
        // A cursor's client goes by its cursor; for one that does not, 0 begins anew and loses nothing.
        (_, Asked::Cursor) => 0,
        (_, Asked::Time { page: number }) => {
            let number = next_number(kept, number.unwrap_or(0), cursor);
            pages.push(PulledPage { number, cursor: cursor.to_owned() });
            number
        }
    };
    (server_timestamp, pages)
}
