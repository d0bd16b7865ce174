//! A faithful client: what it holds, what it has not brought up yet, and where it stands.

use std::collections::{BTreeMap, BTreeSet};

use satchel_domain::sync::VectorClock;

use super::copy::{self, Copy, Held};
use super::wire::{Entry, Pull, Pulled, Push, Pushed, Status, Verdict};

/// What a client knows of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Clocks, cursors, `base_cursor`.
    Modern,
    /// Clocks and `last_sync_at`.
    SeedClocked,
    /// `last_sync_at` and `deleted_ids`.
    SeedBare,
}

/// A change that is not acknowledged yet.
#[derive(Debug, Clone)]
pub struct Change {
    number: u64,
    /// Entry id.
    pub id: String,
    /// New ciphertext; nothing for a deletion.
    pub data: Option<String>,
    clock: VectorClock,
    updated_at: i64,
    is_sent: bool,
    /// The contents it was made from.
    pub parents: Vec<String>,
}

impl Change {
    /// Whether it says what its device had seen.
    #[must_use]
    pub fn has_clock(&self) -> bool {
        !self.clock.is_empty()
    }
}

/// A device.
#[derive(Debug)]
pub struct Device {
    /// Whose.
    pub user: String,
    /// Its id.
    pub id: String,
    /// What it knows of the protocol.
    pub kind: Kind,
    /// How wrong its clock is, in seconds.
    pub skew: i64,
    /// Whether it takes its position from a push's answer.
    pub trusts_push: bool,
    /// Whether it merges conflicts itself.
    pub rejects: bool,
    /// What it knows the server to hold.
    pub synced: Copy,
    /// What it has not brought up, oldest first.
    pub outbox: Vec<Change>,
    cursor: Option<String>,
    last_sync_at: Option<u64>,
    /// Ids that a full pull under way has brought.
    snapshot: Option<BTreeSet<String>>,
    begins_anew: bool,
    ticks: BTreeMap<String, u64>,
    numbers: u64,
}

/// A push as it was sent, with the changes in the order of its results.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The request.
    pub push: Push,
    /// Its changes.
    pub changes: Vec<Change>,
}

impl Device {
    /// A device that has nothing yet.
    #[must_use]
    pub fn new(user: &str, id: &str, kind: Kind) -> Self {
        Self {
            user: user.to_owned(),
            id: id.to_owned(),
            kind,
            skew: 0,
            trusts_push: false,
            rejects: false,
            synced: Copy::new(),
            outbox: Vec::new(),
            cursor: None,
            last_sync_at: None,
            snapshot: None,
            begins_anew: false,
            ticks: BTreeMap::new(),
            numbers: 0,
        }
    }

    /// What it shows of an entry: its content where it is live, and its clock.
    fn view(&self, id: &str) -> (Option<&str>, VectorClock) {
        if let Some(change) = self.outbox.iter().rev().find(|change| change.id == id) {
            return (change.data.as_deref(), change.clock.clone());
        }
        match self.synced.get(id) {
            Some(held) => ((!held.deleted).then_some(held.data.as_str()), held.clock.clone()),
            None => (None, VectorClock::default()),
        }
    }

    /// Whether the answer to a change of the entry `id` is still to come.
    #[must_use]
    pub fn waits_for(&self, id: &str) -> bool {
        self.outbox.iter().any(|change| change.id == id && change.is_sent)
    }

    /// The entries it shows.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        let ids: BTreeSet<&String> = self.synced.keys().chain(self.outbox.iter().map(|change| &change.id)).collect();
        ids.into_iter().filter(|id| self.view(id).0.is_some()).cloned().collect()
    }

    /// Changes an entry, or deletes it; returns the contents that the change was made from.
    pub fn change(&mut self, id: &str, data: Option<String>, now: i64, in_place: bool) -> Vec<String> {
        let (content, seen) = self.view(id);
        let mut parents: Vec<String> = content.map(str::to_owned).into_iter().collect();
        let updated_at = (now + self.skew).max(0);
        let latest = self.outbox.iter_mut().rev().find(|change| change.id == id);
        if let Some(change) =
            latest.filter(|change| in_place && !change.is_sent && change.data.is_some() && data.is_some())
        {
            change.data = data;
            change.updated_at = updated_at;
            return change.parents.clone();
        }
        self.numbers += 1;
        let mut clock = VectorClock::default();
        if self.kind != Kind::SeedBare {
            let tick = self.ticks.entry(id.to_owned()).or_insert(0);
            *tick = (*tick).max(seen.get(&self.id)) + 1;
            clock = seen.merged(&[(self.id.clone(), *tick)].into_iter().collect());
        }
        let change = Change {
            number: self.numbers,
            id: id.to_owned(),
            data,
            clock,
            updated_at,
            is_sent: false,
            parents: parents.clone(),
        };
        self.outbox.push(change);
        parents.sort();
        parents
    }

    /// The next push of at most `most` changes.
    pub fn push(&mut self, most: usize) -> Sent {
        let mut ids = BTreeSet::new();
        let bare = self.kind == Kind::SeedBare;
        let mut changes = Vec::new();
        for change in self.outbox.iter_mut().take(most) {
            // Its deletions come after its entries, so an id may stand in a push only once.
            if !ids.insert(change.id.clone()) && bare {
                break;
            }
            change.is_sent = true;
            changes.push(change.clone());
        }
        if bare {
            changes.sort_by_key(|change| change.data.is_none());
        }
        let entries = changes.iter().filter(|change| !(bare && change.data.is_none())).map(|change| Entry {
            id: change.id.clone(),
            device_id: self.id.clone(),
            encrypted_data: change.data.clone().unwrap_or_default(),
            vector_clock: change.clock.clone(),
            is_deleted: change.data.is_none(),
            updated_at: change.updated_at,
        });
        let deletions = changes.iter().filter(|change| bare && change.data.is_none());
        let push = Push {
            device_id: self.id.clone(),
            entries: entries.collect(),
            deleted_ids: deletions.map(|change| change.id.clone()).collect(),
            base_cursor: self.cursor.clone().filter(|_| self.kind == Kind::Modern),
            conflict_policy: if self.rejects { "reject" } else { "merge" },
        };
        Sent { push, changes }
    }

    /// Takes the answer to a push; returns the contents of merges it made of conflicts, with what they were made from.
    pub fn pushed(
        &mut self,
        sent: &Sent,
        answer: &Pushed,
        merges: &mut dyn FnMut() -> String,
    ) -> Vec<(String, String, Vec<String>)> {
        let mut made = Vec::new();
        for (change, verdict) in sent.changes.iter().zip(&answer.results) {
            self.outbox.retain(|waiting| waiting.number != change.number);
            if verdict.is_accepted() {
                if let (Some(clock), Some(seq)) = (&verdict.vector_clock, verdict.seq) {
                    let data = change.data.clone().unwrap_or_default();
                    self.hold(&change.id, Held { clock: clock.clone(), data, deleted: change.data.is_none(), seq });
                }
                continue;
            }
            if let Some(entry) = &verdict.server_entry {
                self.hold(&change.id, Held::from(entry));
            }
            made.extend(self.merge(change, verdict, merges));
        }
        match self.kind {
            Kind::Modern => self.cursor = answer.cursor.clone().or(self.cursor.take()),
            // Who begins anew has to pull first: the server still knows where it stood.
            _ if self.trusts_push && !self.begins_anew => self.last_sync_at = Some(answer.server_timestamp),
            _ => {}
        }
        made
    }

    /// A client that merges itself writes both versions into a new one.
    fn merge(
        &mut self,
        change: &Change,
        verdict: &Verdict,
        merges: &mut dyn FnMut() -> String,
    ) -> Option<(String, String, Vec<String>)> {
        let entry = verdict.server_entry.as_ref().filter(|_| self.rejects && verdict.status == Status::Conflict)?;
        let mine = change.data.clone()?;
        if self.outbox.iter().any(|waiting| waiting.id == change.id) {
            return None;
        }
        let data = merges();
        self.change(&change.id, Some(data.clone()), change.updated_at - self.skew, false);
        let merged = self.outbox.last_mut()?;
        merged.clock = merged.clock.merged(&change.clock).merged(&entry.vector_clock);
        let parents =
            [mine, entry.encrypted_data.clone()].into_iter().filter(|data| !data.is_empty()).collect::<Vec<_>>();
        merged.parents.clone_from(&parents);
        Some((change.id.clone(), data, parents))
    }

    fn hold(&mut self, id: &str, held: Held) {
        let known = self.synced.get(id).map_or(0, |known| known.seq);
        if held.seq >= known {
            self.synced.insert(id.to_owned(), held);
        }
    }

    /// The next pull.
    #[must_use]
    pub fn pull(&self, limit: usize) -> Pull {
        let modern = self.kind == Kind::Modern;
        Pull {
            device_id: self.id.clone(),
            last_sync_at: self.last_sync_at.filter(|_| !modern),
            cursor: self.cursor.clone().filter(|_| modern),
            limit,
        }
    }

    /// Takes a page.
    pub fn pulled(&mut self, page: &Pulled) {
        let modern = self.kind == Kind::Modern;
        if modern && self.cursor.is_none() {
            self.snapshot = Some(BTreeSet::new());
        }
        for (id, held) in copy::items(page) {
            if let Some(seen) = &mut self.snapshot {
                seen.insert(id.clone());
            }
            self.hold(&id, held);
        }
        self.cursor = Some(page.cursor.clone());
        self.last_sync_at = Some(page.server_timestamp);
        self.begins_anew = false;
        if !page.has_more
            && let Some(seen) = self.snapshot.take()
        {
            self.synced.retain(|id, _| seen.contains(id));
        }
    }

    /// Pulls in full next, after a 410 or because it has lost its place. It keeps its copy: its counts go on, and a clock
    /// must not claim what it does not hold.
    pub fn resync(&mut self) {
        self.cursor = None;
        self.last_sync_at = None;
        self.snapshot = None;
        self.begins_anew = true;
    }

    /// The space was erased; a client that knows epochs finds out by itself.
    pub fn erased(&mut self) {
        self.resync();
        if self.kind != Kind::Modern {
            self.synced.clear();
        }
    }
}
