//! Pulls of the model: a walk by key, then commits in order.

use super::{Base, ModelServer, RETENTION, Row, Space, Touched};
use crate::simulation::bug::Bug;
use crate::simulation::wire::{Answer, Pull, Pulled, Tombstone};

/// Page numbers end here.
const PAGES: u64 = 1_000_000;
/// Commits younger than this when a full pull began are told again at its end.
const YOUNG: i64 = 10;

/// Which part of a pull a place is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Delta,
    Finish,
    Walk,
}

/// Where a pull goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    kind: Kind,
    seq: u64,
    offset: usize,
    after: String,
}

impl Place {
    fn seen(&self) -> u64 {
        if self.kind == Kind::Delta { self.seq } else { 0 }
    }

    pub(super) fn base(&self) -> Base {
        Base { seen: self.seen(), between_commits: self.kind == Kind::Delta && self.offset == 0 }
    }
}

/// What follows a place is not kept any more.
struct Gone;

/// A cursor that is not served: status and code.
pub(super) struct Refused(u16, &'static str);

impl From<Refused> for Answer {
    fn from(Refused(status, code): Refused) -> Self {
        Self::Refused { status, code: code.to_owned() }
    }
}

struct Page {
    rows: Vec<(String, Row)>,
    limit: usize,
    bytes: usize,
    whole: bool,
}

impl Page {
    /// Whether it tells of this version already.
    fn tells(&self, id: &str, row: &Row) -> bool {
        self.rows.iter().any(|(told, held)| told == id && held.seq == row.seq)
    }

    fn room(&self) -> bool {
        self.rows.len() < self.limit
    }

    fn fits(&self, size: usize) -> bool {
        self.whole || self.rows.is_empty() || size <= self.bytes
    }

    fn add(&mut self, id: &str, row: &Row) {
        self.bytes = self.bytes.saturating_sub(row.data.len());
        self.rows.push((id.to_owned(), row.clone()));
    }
}

impl Space {
    pub(super) fn cursor(&self, user: &str, kind: Kind, seq: u64, offset: usize, after: &str) -> String {
        let kind = match kind {
            Kind::Delta => "delta",
            Kind::Finish => "finish",
            Kind::Walk => "walk",
        };
        format!("{user}|{}|{}|{kind}|{seq}|{offset}|{after}", self.store_epoch, self.generation)
    }

    fn forget_old(&mut self, now: i64) {
        self.commits.retain(|commit| commit.time + RETENTION > now);
    }

    fn begin(&self, now: i64) -> Place {
        let young = self.commits.iter().find(|commit| commit.time + YOUNG > now && commit.seq > self.base);
        let from = young.map_or(self.head, |commit| commit.prev);
        Place { kind: Kind::Walk, seq: from, offset: 0, after: String::new() }
    }

    fn fill(&self, place: Place, page: &mut Page, bug: Option<Bug>) -> Result<Place, Gone> {
        match place.kind {
            Kind::Delta => self.delta(place, page, bug),
            Kind::Finish => self.finish(place, page, bug),
            Kind::Walk => {
                let mut last = place.after.clone();
                for (id, row) in self.rows.range(place.after.clone()..).filter(|(id, _)| **id > place.after) {
                    if !page.room() || !page.fits(row.data.len()) {
                        return Ok(Place { after: last, ..place });
                    }
                    page.add(id, row);
                    last.clone_from(id);
                }
                let from = if bug == Some(Bug::HeadAtTheEnd) { self.head } else { place.seq };
                self.finish(Place { kind: Kind::Finish, seq: from, offset: 0, after: String::new() }, page, bug)
            }
        }
    }

    fn finish(&self, place: Place, page: &mut Page, bug: Option<Bug>) -> Result<Place, Gone> {
        let place = self.delta(place, page, bug)?;
        let at_head = place.seq == self.head && place.offset == 0;
        Ok(Place { kind: if at_head { Kind::Delta } else { Kind::Finish }, ..place })
    }

    fn delta(&self, mut place: Place, page: &mut Page, bug: Option<Bug>) -> Result<Place, Gone> {
        let is = |planted: Bug| bug == Some(planted);
        let from = place.seq;
        let mut commits = self.commits.iter().filter(|commit| commit.seq > from).peekable();
        if place.seq < self.head && commits.peek().is_none_or(|commit| commit.prev != place.seq) {
            return Err(Gone);
        }
        let mut mentioned = std::collections::BTreeSet::new();
        for commit in commits {
            let mut skip = place.offset;
            let mark = (page.rows.len(), page.bytes);
            let mut delivered = if is(Bug::OffsetAmongRemaining) { skip } else { 0 };
            for (at, Touched { id, size: planned, deleted }) in commit.touched.iter().enumerate() {
                let revived = self.rows.get(id).filter(|row| *deleted && row.seq > commit.seq && !row.deleted);
                if let Some(row) = revived.filter(|_| is(Bug::IdTwice) && page.room()) {
                    let (data, deleted, seq) = (String::new(), true, commit.seq);
                    page.add(id, &Row { data, deleted, seq, ..row.clone() });
                }
                let row = self.rows.get(id).filter(|row| {
                    let is_mine = row.seq == commit.seq || (is(Bug::GrownEntrySkipped) && row.seq > commit.seq);
                    is_mine && !(row.deleted && is(Bug::TombstonesForgotten))
                });
                if is(Bug::OffsetAmongRemaining) {
                    if row.is_some() && skip > 0 {
                        skip -= 1;
                        continue;
                    }
                } else if at < skip {
                    continue;
                }
                let Some(row) = row.filter(|row| !page.tells(id, row)) else { continue };
                if is(Bug::GrownEntrySkipped) && !mentioned.insert(id) {
                    continue;
                }
                let size = if is(Bug::GrownEntrySkipped) { *planned } else { row.data.len() };
                if !page.room() || !page.fits(size) {
                    let offset = if is(Bug::OffsetAmongRemaining) { delivered } else { at };
                    let offset = if is(Bug::OffByOnePage) && !page.room() { offset + 1 } else { offset };
                    if page.whole {
                        page.rows.truncate(mark.0);
                        page.bytes = mark.1;
                        return Ok(Place { seq: commit.prev, offset: 0, ..place });
                    }
                    return Ok(Place { seq: commit.prev, offset, ..place });
                }
                if is(Bug::GrownEntrySkipped) && row.data.len() > page.bytes && !page.whole {
                    continue;
                }
                page.add(id, row);
                delivered += 1;
            }
            place = Place { seq: commit.seq, offset: 0, ..place };
        }
        Ok(place)
    }
}

impl ModelServer {
    pub(super) fn open(&mut self, user: &str, text: &str, now: i64) -> Result<Place, Refused> {
        let by_time = self.has(Bug::CursorByClientTime);
        let mixed = self.has(Bug::SpacesMixed);
        let at_will = self.has(Bug::ResyncAtWill);
        let space = self.space(user, now);
        let invalid = || Refused(400, "invalid_cursor");
        let mut parts = text.splitn(7, '|');
        let mut next = || parts.next().ok_or_else(invalid);
        let (owner, store, generation, kind) = (next()?, next()?, next()?, next()?);
        let (seq, offset, after) = (next()?, next()?, next()?);
        if owner != user && !mixed {
            return Err(invalid());
        }
        if store != space.store_epoch.to_string() || generation != space.generation.to_string() {
            return Err(Refused(410, "resync_required"));
        }
        let kind = match kind {
            "delta" => Kind::Delta,
            "finish" => Kind::Finish,
            _ => Kind::Walk,
        };
        let seq = seq.parse().map_err(|_| invalid())?;
        let offset = offset.parse().map_err(|_| invalid())?;
        if seq > space.head && !by_time {
            return Err(invalid());
        }
        space.forget_old(now);
        let next = space.commits.iter().find(|commit| commit.seq > seq);
        let is_old = kind == Kind::Delta && seq != space.head && now - i64::try_from(seq).unwrap_or(0) > RETENTION;
        let week_old = seq != space.head && now - i64::try_from(seq).unwrap_or(0) > 7 * 86_400;
        if at_will && kind == Kind::Delta && week_old {
            return Err(Refused(410, "resync_required"));
        }
        if is_old && !by_time && next.is_none_or(|commit| commit.prev != seq) {
            return Err(Refused(410, "resync_required"));
        }
        Ok(Place { kind, seq, offset, after: after.to_owned() })
    }

    pub(super) fn pull(&mut self, user: &str, device: &str, pull: &Pull, now: i64) -> Answer {
        let opened = pull.cursor.as_deref().map(|text| self.open(user, text, now)).transpose();
        let place = match opened {
            Ok(place) => place,
            Err(refused) => return refused.into(),
        };
        let kept_pages = self.space(user, now).devices.get(device).map(|known| known.pages.clone()).unwrap_or_default();
        let asked_page = pull.last_sync_at.filter(|at| (1..PAGES).contains(at));
        let page_cursor = asked_page.and_then(|number| kept_pages.iter().find(|(page, _)| *page == number));
        let page_place = page_cursor.and_then(|(_, text)| self.open(user, &text.clone(), now).ok());
        let (bug, bytes) = (self.bug, self.page_bytes);
        if bug == Some(Bug::CursorByClientTime) {
            let from = place.map(|place| place.seq).or(pull.last_sync_at).unwrap_or(0);
            return self.pull_by_client_time(user, from, pull.limit, now);
        }
        let space = self.space(user, now);
        space.forget_old(now);
        let by_cursor = place.is_some();
        let by_time = !by_cursor && pull.last_sync_at.is_some();
        let mut number = 0;
        let place = match (place, page_place, pull.last_sync_at) {
            (Some(place), _, _) => place,
            (None, Some(place), _) => {
                number = asked_page.unwrap_or(0);
                place
            }
            (None, None, Some(seq)) if asked_page.is_none() && (space.base..=space.head).contains(&seq) => {
                Place { kind: Kind::Delta, seq, offset: 0, after: String::new() }
            }
            _ => space.begin(now),
        };
        let limit = if by_time { 1_000 } else { pull.limit };
        let fresh = || Page { rows: Vec::new(), limit, bytes, whole: by_time };
        let mut presented = place.clone();
        let mut page = fresh();
        let end = match space.fill(place, &mut page, bug) {
            Ok(end) => end,
            Err(Gone) if by_time => {
                presented = space.begin(now);
                number = 0;
                page = fresh();
                space.fill(presented.clone(), &mut page, bug).unwrap_or_else(|Gone| presented.clone())
            }
            Err(Gone) => return Refused(410, "resync_required").into(),
        };
        let cursor = space.cursor(user, end.kind, end.seq, end.offset, &end.after);
        let complete = end.kind == Kind::Delta && end.seq == space.head && end.offset == 0;
        let known = space.devices.entry(device.to_owned()).or_default();
        (known.position, known.until) = (presented.seen(), now + RETENTION);
        let same = known.pages.iter().find(|(_, place)| *place == cursor).map(|(page, _)| *page);
        let highest = known.pages.iter().map(|(page, _)| *page).max().unwrap_or(0).max(number);
        known.pages.retain(|(page, _)| !by_cursor && *page == number);
        let server_timestamp = if end.kind == Kind::Delta {
            end.seq
        } else if by_cursor {
            0
        } else if bug == Some(Bug::PageNumberReused) {
            known.pages.push((number + 1, cursor.clone()));
            number + 1
        } else {
            let next = same.unwrap_or(highest + 1);
            known.pages.push((next, cursor.clone()));
            next
        };
        known.answered = if server_timestamp >= PAGES { server_timestamp } else { known.answered };
        let snapshot = presented.kind != Kind::Delta;
        let epoch = format!("{}.{}", space.store_epoch, space.generation);
        space.show_late();
        answer(page.rows, server_timestamp, cursor, epoch, snapshot, complete)
    }

    fn pull_by_client_time(&mut self, user: &str, from: u64, limit: usize, now: i64) -> Answer {
        let space = self.space(user, now);
        let time = |row: &Row| u64::try_from(row.updated_at).unwrap_or(0);
        let mut rows: Vec<_> = space.rows.iter().filter(|(_, row)| time(row) > from || from == 0).collect();
        rows.sort_by_key(|(_, row)| time(row));
        let complete = rows.len() <= limit;
        rows.truncate(limit);
        let to = rows.iter().map(|(_, row)| time(row)).max().unwrap_or(from).max(from);
        let rows = rows.into_iter().map(|(id, row)| (id.clone(), row.clone())).collect();
        let cursor = space.cursor(user, Kind::Delta, to, 0, "");
        let epoch = format!("{}.{}", space.store_epoch, space.generation);
        answer(rows, to, cursor, epoch, from == 0, complete)
    }
}

fn answer(
    rows: Vec<(String, Row)>,
    server_timestamp: u64,
    cursor: String,
    epoch: String,
    snapshot: bool,
    complete: bool,
) -> Answer {
    let tombstones: Vec<Tombstone> = rows
        .iter()
        .filter(|(_, row)| row.deleted)
        .map(|(id, row)| Tombstone { id: id.clone(), vector_clock: row.clock.clone(), seq: row.seq })
        .collect();
    Answer::Pulled(Pulled {
        entries: rows.iter().filter(|(_, row)| !row.deleted).map(|(id, row)| row.stored(id)).collect(),
        deleted_ids: tombstones.iter().map(|dead| dead.id.clone()).collect(),
        tombstones,
        server_timestamp,
        has_more: !complete,
        cursor,
        epoch,
        snapshot,
        complete,
    })
}
