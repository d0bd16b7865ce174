//! The server as plain code: the same requests and answers, no table, no chance, and room for a planted mistake.
//!
//! Without a mistake it must agree with the real server, request by request (`twin`), and hold every property itself.
//!
//! # Limits
//! Chunks end by rows, not by bytes, so the two agree on positions only where a push stays below 400 KB.

mod pull;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use satchel_domain::sync::{Content, VectorClock};

use super::bug::Bug;
use super::wire::{Answer, Ask, Push, Pushed, SpaceStatus, Status, Stored, Verdict, Version, Winner};
use rules::{Act, Incoming, Lost, Row, act};

/// Rows a chunk writes at most, META and the commit record not counted.
const CHUNK_ROWS: usize = 95;
/// Items a chunk looks at, at most.
const WINDOW: usize = 97;
/// How long commits are kept, in seconds.
const RETENTION: i64 = 180 * 86_400;
/// How long history is kept, in seconds.
const HISTORY: i64 = 30 * 86_400;
/// Bytes that count for a live entry besides ciphertext and clock.
const OVERHEAD: u64 = 200;

/// An entry as a commit left it.
#[derive(Debug, Clone)]
struct Touched {
    id: String,
    size: usize,
    deleted: bool,
}

#[derive(Debug, Clone)]
struct Commit {
    seq: u64,
    prev: u64,
    time: i64,
    touched: Vec<Touched>,
}

#[derive(Debug, Default, Clone)]
struct Known {
    position: u64,
    /// When it is forgotten, unless it comes again.
    until: i64,
    /// The position that was answered last.
    answered: u64,
    pages: Vec<(u64, String)>,
}

#[derive(Debug, Default, Clone)]
struct Space {
    head: u64,
    head_time: i64,
    generation: u64,
    base: u64,
    store_epoch: u64,
    rows: BTreeMap<String, Row>,
    /// Rows of the last commit that do not show yet.
    late: Vec<(String, Row)>,
    commits: Vec<Commit>,
    history: BTreeMap<String, Vec<Version>>,
    kept: BTreeMap<(String, [u8; 32]), i64>,
    devices: BTreeMap<String, Known>,
}

/// What the device of a push had seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// All up to this commit.
    pub seen: u64,
    /// Whether its cursor stands between commits, not within a full pull.
    pub between_commits: bool,
}

impl Base {
    /// Within a full pull.
    pub const WITHIN: Self = Self { seen: 0, between_commits: false };
}

/// The model of the server.
#[derive(Debug)]
pub struct ModelServer {
    spaces: BTreeMap<String, Space>,
    backup: BTreeMap<String, Space>,
    /// Where devices stood when requests that are under way together were read.
    together: Option<BTreeMap<String, BTreeMap<String, Known>>>,
    store_epoch: u64,
    bug: Option<Bug>,
    /// Bytes of ciphertext a page holds.
    page_bytes: usize,
}

impl ModelServer {
    /// An empty one, with a mistake or without.
    #[must_use]
    pub fn new(bug: Option<Bug>, page_bytes: usize) -> Self {
        let (spaces, backup) = (BTreeMap::new(), BTreeMap::new());
        Self { spaces, backup, together: None, store_epoch: 1, bug, page_bytes }
    }

    /// A deployment with a higher `StoreEpoch`.
    pub fn raise_epoch(&mut self) {
        self.store_epoch += 1;
    }

    /// A copy of everything, to be put back later.
    pub fn back_up(&mut self) {
        self.backup = self.spaces.clone();
    }

    /// Puts the copy back and raises the epoch.
    pub fn restore(&mut self) {
        let lost = std::mem::replace(&mut self.spaces, self.backup.clone());
        let orders = lost.iter().filter(|_| self.has(Bug::EraseOrderOutlivesRestore));
        let erased: Vec<String> = orders
            .filter(|(user, space)| {
                self.backup.get(*user).is_some_and(|restored| restored.generation < space.generation)
            })
            .map(|(user, _)| user.clone())
            .collect();
        for (_, space) in self.spaces.iter_mut().filter(|(user, _)| erased.contains(user)) {
            (space.rows, space.commits, space.history) = Default::default();
        }
        if !self.has(Bug::RestoreKeepsEpoch) {
            self.raise_epoch();
        }
    }

    /// The next requests are under way together, until `apart`.
    pub fn together(&mut self) {
        if self.has(Bug::PlaceByLastWriter) {
            let spaces = self.spaces.iter();
            self.together = Some(spaces.map(|(user, space)| (user.clone(), space.devices.clone())).collect());
        }
    }

    /// They are answered.
    pub fn apart(&mut self) {
        self.together = None;
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn space(&mut self, user: &str, now: i64) -> &mut Space {
        let user = if self.has(Bug::SpacesMixed) { "everybody" } else { user };
        let epoch = self.store_epoch;
        let space =
            self.spaces.entry(user.to_owned()).or_insert_with(|| Space { store_epoch: epoch, ..Space::default() });
        space.devices.retain(|_, known| known.until > now);
        if space.store_epoch < epoch {
            space.store_epoch = epoch;
            space.base = space.head.max(u64::try_from(now).unwrap_or(0));
            space.head = space.base;
        }
        space
    }

    /// Answers `ask` of `user` at `now`; a crash ends a push after so many chunks.
    pub fn ask(&mut self, user: &str, device: &str, ask: &Ask, now: i64, crash: Option<usize>) -> Answer {
        match ask {
            Ask::Push(push) => {
                let base = match push.base_cursor.as_deref().map(|text| self.open(user, text, now)).transpose() {
                    Ok(base) => base.map(|place| place.base()),
                    Err(refused) => return refused.into(),
                };
                match self.push(user, push, base, now, crash) {
                    Some(pushed) => Answer::Pushed(pushed),
                    None => Answer::Refused { status: 503, code: "unavailable".to_owned() },
                }
            }
            Ask::Pull(pull) => self.pull(user, device, pull, now),
            Ask::Status => Answer::Status(self.status(user, now)),
            Ask::History(id) => Answer::History(self.history(user, id, now)),
            Ask::Erase => {
                let space = self.space(user, now);
                let (head, generation, store_epoch) = (space.head, space.generation + 1, space.store_epoch);
                let head_time = space.head_time;
                *space = Space { head, head_time, generation, base: head, store_epoch, ..Space::default() };
                Answer::Erased { epoch: format!("{store_epoch}.{generation}") }
            }
        }
    }

    /// A request came that changes nothing, but may be the first of a new epoch.
    pub fn touched(&mut self, user: &str, now: i64) {
        self.space(user, now);
    }

    /// What a device presented is kept: positions of pushes follow from it.
    pub fn presented(&mut self, user: &str, device: &str, position: u64, now: i64) {
        let space = self.space(user, now);
        let known = space.devices.entry(device.to_owned()).or_default();
        (known.position, known.until) = (position, now + RETENTION);
    }

    fn status(&mut self, user: &str, now: i64) -> SpaceStatus {
        let drifts = self.has(Bug::DigestDrifts);
        let space = self.space(user, now);
        // META is of the commit, whatever shows of it.
        let mut rows: BTreeMap<&String, &Row> = space.rows.iter().collect();
        rows.extend(space.late.iter().map(|(id, row)| (id, row)));
        let live: Vec<_> = rows.iter().filter(|(_, row)| !row.deleted).collect();
        let bytes = live.iter().map(|(_, row)| {
            let content = Content::parse(&row.data);
            (content.bytes.len() + row.clock.compact_json().len()) as u64 + OVERHEAD
        });
        let parts = live.iter().map(|(id, row)| {
            let clock = if drifts { &row.content_clock } else { &row.clock };
            (id.as_str(), clock, row.data.as_str())
        });
        SpaceStatus {
            head: space.head,
            epoch: format!("{}.{}", space.store_epoch, space.generation),
            entry_count: live.len() as u64,
            bytes: bytes.sum(),
            tombstones: (rows.len() - live.len()) as u64,
            digest: super::copy::digest(parts),
        }
    }

    fn history(&mut self, user: &str, id: &str, now: i64) -> Vec<Version> {
        let swept = if self.has(Bug::HistorySwept) { 23 * 86_400 } else { 0 };
        let oldest_first = self.has(Bug::HistoryOldestFirst);
        let space = self.space(user, now);
        let versions = space.history.get(id).into_iter().flatten();
        let kept = versions.filter(|version| version.kept_until - swept > now).cloned();
        if oldest_first { kept.collect() } else { kept.rev().collect() }
    }

    /// Takes a push of a device that had seen everything up to `base`; nothing where it crashed.
    pub fn push(
        &mut self,
        user: &str,
        push: &Push,
        base: Option<Base>,
        now: i64,
        crash: Option<usize>,
    ) -> Option<Pushed> {
        let bug = self.bug;
        let as_read = self.together.as_ref().and_then(|users| users.get(user)).cloned();
        let space = self.space(user, now);
        space.show_late();
        let items = items(push, base.map(|base| base.seen), now);
        let reject = push.conflict_policy == "reject";
        let mut results = Vec::new();
        let (mut first_head, mut unbroken) = (None, false);
        let mut chunks = 0;
        while results.len() < items.len() {
            if crash == Some(chunks) {
                if bug == Some(Bug::HalfChunk) {
                    space.half_a_chunk(&items[results.len()..], reject, now);
                }
                return None;
            }
            if bug == Some(Bug::MarkersOfFirstPlan) && space.plans_too_far(&items[results.len()..], reject, now) {
                return None;
            }
            let before = space.head;
            results.extend(space.chunk(&items[results.len()..], reject, now, bug));
            chunks += 1;
            if space.head != before && first_head.is_none() {
                (first_head, unbroken) = (Some(before), true);
            }
        }
        if bug == Some(Bug::CommitBeforeEntries) {
            space.hide_last_commit();
        }
        let devices = as_read.as_ref().unwrap_or(&space.devices);
        let known = devices.get(&push.device_id).cloned().unwrap_or_default();
        let stands_at =
            if bug == Some(Bug::PushTrustsAnswers) { known.position.max(known.answered) } else { known.position };
        let mut cursor = push.base_cursor.clone();
        let mut position = stands_at;
        if let Some(before) = first_head.filter(|_| unbroken) {
            if base == Some(Base { seen: before, between_commits: true })
                || (bug == Some(Bug::PushCursorSkips) && cursor.is_some())
            {
                cursor = Some(space.cursor(user, pull::Kind::Delta, space.head, 0, ""));
            }
            if stands_at == before {
                position = space.head;
            }
        }
        if bug == Some(Bug::PushTimeIsHead) && position > 0 {
            position = space.head;
        }
        space.devices.insert(push.device_id.clone(), Known { position, until: now + RETENTION, ..known });
        let list = |wanted: &dyn Fn(&Verdict) -> bool| -> Vec<String> {
            results.iter().filter(|verdict| wanted(verdict)).map(|verdict| verdict.id.clone()).collect()
        };
        Some(Pushed {
            accepted: list(&Verdict::is_accepted),
            conflicts: list(&|verdict| !verdict.is_accepted() && verdict.status != Status::Invalid),
            rejected: list(&|verdict| verdict.status == Status::Invalid),
            server_timestamp: position,
            cursor,
            epoch: format!("{}.{}", space.store_epoch, space.generation),
            results: results.iter().map(|verdict| space.with_entry(verdict.clone())).collect(),
        })
    }
}

fn items(push: &Push, position: Option<u64>, now: i64) -> Vec<(String, Incoming)> {
    let entries = push.entries.iter().map(|entry| {
        let incoming = Incoming {
            clock: entry.vector_clock.clone(),
            data: (!entry.is_deleted).then(|| entry.encrypted_data.clone()),
            author: entry.device_id.clone(),
            updated_at: entry.updated_at,
            position,
            device: push.device_id.clone(),
        };
        (entry.id.clone(), incoming)
    });
    let deletions = push.deleted_ids.iter().map(|id| {
        let incoming = Incoming {
            clock: VectorClock::default(),
            data: None,
            author: push.device_id.clone(),
            updated_at: now,
            position,
            device: push.device_id.clone(),
        };
        (id.clone(), incoming)
    });
    entries.chain(deletions).collect()
}

impl Space {
    fn show_late(&mut self) {
        for (id, row) in std::mem::take(&mut self.late) {
            self.rows.insert(id, row);
        }
    }

    fn hide_last_commit(&mut self) {
        let Some(commit) = self.commits.last() else { return };
        for Touched { id, .. } in &commit.touched {
            if let Some(row) = self.rows.get(id).filter(|row| row.seq == commit.seq) {
                self.late.push((id.clone(), row.clone()));
                self.rows.remove(id);
            }
        }
    }

    fn half_a_chunk(&mut self, items: &[(String, Incoming)], reject: bool, now: i64) {
        for (id, incoming) in &items[..items.len().div_ceil(2)] {
            if let Act::Write { mut row, .. } = act(self.base, self.rows.get(id), incoming, reject, now, None) {
                row.seq = self.head;
                self.rows.insert(id.clone(), *row);
            }
        }
    }

    fn chunk(&mut self, items: &[(String, Incoming)], reject: bool, now: i64, bug: Option<Bug>) -> Vec<Verdict> {
        let now_seq = u64::try_from(now).unwrap_or(0);
        let seq = if bug == Some(Bug::SeqRepeats) { now_seq } else { (self.head + 1).max(now_seq) };
        let (mut rows, mut ids) = (0, BTreeSet::new());
        let (mut results, mut touched) = (Vec::new(), Vec::new());
        let mut lost_ones = Vec::new();
        for (id, incoming) in items {
            if !ids.insert(id) || results.len() == WINDOW {
                break;
            }
            let action = act(self.base, self.rows.get(id), incoming, reject, now, bug);
            let key = (id.clone(), incoming.hash());
            let cost = match &action {
                Act::Write { lost, .. } => 1 + usize::from(lost.is_some()),
                Act::Keep(_) if self.kept.get(&key).is_none_or(|until| *until <= now) => 2,
                _ => 0,
            };
            if rows > 0 && rows + cost > CHUNK_ROWS {
                break;
            }
            rows += cost;
            let standing = self.rows.get(id).map(|row| (row.seq, row.clock.clone()));
            let verdict = |status, winner, at: Option<(u64, VectorClock)>| Verdict {
                id: id.clone(),
                status,
                winner,
                seq: at.as_ref().map(|(seq, _)| *seq),
                vector_clock: at.map(|(_, clock)| clock),
                server_entry: None,
                server_entry_omitted: false,
                error: None,
            };
            results.push(match action {
                Act::Unchanged => verdict(Status::Unchanged, None, standing),
                Act::Stale => verdict(Status::Stale, None, standing),
                Act::Refused => verdict(Status::Conflict, Some(Winner::Server), standing),
                Act::ClockReuse => verdict(Status::ClockReuse, None, standing),
                Act::Keep(why) => {
                    if cost > 0 {
                        lost_ones.push((id.clone(), Lost::pushed(incoming, why), None));
                        self.kept.insert(key, now + HISTORY);
                    }
                    if why == "lost" {
                        verdict(Status::Conflict, Some(Winner::Server), standing)
                    } else {
                        verdict(Status::ClockReuse, None, standing)
                    }
                }
                Act::Write { mut row, conflict, client_won, lost } => {
                    row.seq = seq;
                    if let Some(lost) = lost {
                        lost_ones.push((id.clone(), lost, Some(row.author.clone())));
                    }
                    touched.push(Touched { id: id.clone(), size: row.data.len(), deleted: row.deleted });
                    let at = Some((seq, row.clock.clone()));
                    self.rows.insert(id.clone(), *row);
                    let winner = conflict.then_some(if client_won { Winner::Client } else { Winner::Server });
                    verdict(if conflict { Status::Conflict } else { Status::Applied }, winner, at)
                }
            });
        }
        if !touched.is_empty() {
            self.commits.push(Commit { seq, prev: self.head, time: now, touched });
            (self.head, self.head_time) = (seq, now);
        }
        for (id, lost, winner) in lost_ones {
            self.keep(id, lost, winner, now, bug);
        }
        results
    }

    /// What lost goes to history, which is in the order of the heads it was put there by or after.
    fn keep(&mut self, id: String, lost: Lost, winner: Option<String>, now: i64, bug: Option<Bug>) {
        if bug == Some(Bug::HistoryLost) && lost.why == "lost" {
            return;
        }
        let is = |planted: Bug| bug == Some(planted);
        let version = Version {
            device_id: winner.filter(|_| is(Bug::HistoryOfTheWinner)).unwrap_or(lost.author),
            encrypted_data: lost.data,
            vector_clock: if is(Bug::HistoryWithoutClock) { VectorClock::default() } else { lost.clock },
            updated_at: lost.updated_at,
            seq: self.head,
            reason: lost.why.to_owned(),
            kept_until: now + HISTORY,
        };
        self.history.entry(id).or_default().push(version);
    }

    /// Whether a plan that leaves out what is kept already takes up losers that the first plan had no room for, and that
    /// are kept as well.
    fn plans_too_far(&self, items: &[(String, Incoming)], reject: bool, now: i64) -> bool {
        let mut rows = 0;
        items.iter().take(WINDOW).any(|(id, incoming)| {
            let action = act(self.base, self.rows.get(id), incoming, reject, now, None);
            rows += if matches!(action, Act::Keep(_)) { 2 } else { 0 };
            let kept = self.kept.get(&(id.clone(), incoming.hash()));
            matches!(action, Act::Keep(_)) && rows > CHUNK_ROWS && kept.is_some_and(|until| *until > now)
        })
    }

    fn with_entry(&self, verdict: Verdict) -> Verdict {
        let stands =
            matches!(verdict.status, Status::Stale | Status::ClockReuse) || verdict.winner == Some(Winner::Server);
        let server_entry = self.rows.get(&verdict.id).filter(|_| stands).map(|row| row.stored(&verdict.id));
        Verdict { server_entry, ..verdict }
    }
}

impl Row {
    fn stored(&self, id: &str) -> Stored {
        Stored {
            id: id.to_owned(),
            device_id: self.author.clone(),
            encrypted_data: self.data.clone(),
            vector_clock: self.clock.clone(),
            is_deleted: self.deleted,
            updated_at: self.updated_at,
            seq: self.seq,
        }
    }
}
