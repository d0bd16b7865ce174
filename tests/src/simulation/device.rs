//! A faithful client: what it holds, what it has not brought up yet, and where it stands.

use std::collections::{BTreeMap, BTreeSet};

use satchel_domain::sync::{Relation, VectorClock};

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
    /// Whose change it is, where this device only brings it up again.
    author: Option<String>,
    /// The contents it was made from.
    pub parents: Vec<String>,
}

impl Change {
    /// Whether it says what its device had seen.
    #[must_use]
    pub fn has_clock(&self) -> bool {
        !self.clock.is_empty()
    }

    /// Whether it deletes by id alone.
    #[must_use]
    pub fn is_by_id(&self) -> bool {
        self.data.is_none() && self.clock.is_empty()
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
    /// Whether it deletes by id, and `base_cursor` says what it had seen.
    pub deletes_by_id: bool,
    /// What it knows the server to hold.
    pub synced: Copy,
    /// What it has not brought up, oldest first.
    pub outbox: Vec<Change>,
    /// Contents that it wrote, or that a pull brought.
    pub seen: BTreeSet<String>,
    /// What it held of before a restore, or before it was wiped, until it has pulled in full.
    past: Copy,
    /// The epoch it heard of last.
    epoch: Option<Epoch>,
    cursor: Option<String>,
    last_sync_at: Option<u64>,
    /// Ids that a full pull under way has brought.
    snapshot: Option<BTreeSet<String>>,
    begins_anew: bool,
    ticks: BTreeMap<String, u64>,
    numbers: u64,
}

/// `<StoreEpoch>.<generation>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Epoch {
    store: u64,
    generation: u64,
}

impl Epoch {
    fn parse(text: &str) -> Option<Self> {
        let (store, generation) = text.split_once('.')?;
        Some(Self { store: store.parse().ok()?, generation: generation.parse().ok()? })
    }
}

/// Whether who has seen `clock` has seen `other`.
fn covers(clock: &VectorClock, other: &VectorClock) -> bool {
    matches!(clock.relation(other), Relation::Equal | Relation::Dominates)
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
            deletes_by_id: false,
            synced: Copy::new(),
            outbox: Vec::new(),
            seen: BTreeSet::new(),
            past: Copy::new(),
            epoch: None,
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
        let held = self.synced.get(id).or_else(|| self.past.get(id));
        let known = held.map(|held| held.clock.clone()).unwrap_or_default();
        let mut changes = self.outbox.iter().rev().filter(|change| change.id == id).peekable();
        if let Some(latest) = changes.peek().map(|change| change.data.as_deref()) {
            // A deletion by id has no clock: what was known before it is known still.
            return (latest, changes.find(|change| change.has_clock()).map_or(known, |change| change.clock.clone()));
        }
        (held.filter(|held| !held.deleted).map(|held| held.data.as_str()), known)
    }

    /// Whether the answer to a change of the entry `id` is still to come.
    #[must_use]
    pub fn waits_for(&self, id: &str) -> bool {
        self.outbox.iter().any(|change| change.id == id && change.is_sent)
    }

    /// The entries it shows.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        let held = self.synced.keys().chain(self.past.keys());
        let ids: BTreeSet<&String> = held.chain(self.outbox.iter().map(|change| &change.id)).collect();
        ids.into_iter().filter(|id| self.view(id).0.is_some()).cloned().collect()
    }

    /// Changes an entry, or deletes it; returns the contents that the change was made from.
    pub fn change(&mut self, id: &str, data: Option<String>, now: i64, in_place: bool) -> Vec<String> {
        let (content, seen) = self.view(id);
        let mut parents: Vec<String> = content.map(str::to_owned).into_iter().collect();
        let updated_at = (now + self.skew).max(0);
        self.seen.extend(data.clone());
        let latest = self.outbox.iter_mut().rev().find(|change| change.id == id);
        let can_change = |change: &Change| !change.is_sent && change.data.is_some() && change.author.is_none();
        if let Some(change) = latest.filter(|change| in_place && can_change(change) && data.is_some()) {
            change.data = data;
            change.updated_at = updated_at;
            return change.parents.clone();
        }
        self.numbers += 1;
        let mut clock = VectorClock::default();
        if self.kind != Kind::SeedBare && !(self.deletes_by_id && data.is_none()) {
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
            author: None,
            parents: parents.clone(),
        };
        self.outbox.push(change);
        parents.sort();
        parents
    }

    /// The next push of at most `most` changes.
    pub fn push(&mut self, most: usize) -> Sent {
        let mut ids = BTreeSet::new();
        let by_id = self.kind == Kind::SeedBare || self.deletes_by_id;
        let mut changes = Vec::new();
        for change in self.outbox.iter_mut().take(most) {
            // Deletions by id come after the entries, so an id may stand in a push only once.
            if !ids.insert(change.id.clone()) && by_id {
                break;
            }
            change.is_sent = true;
            changes.push(change.clone());
        }
        changes.sort_by_key(Change::is_by_id);
        let entries = changes.iter().filter(|change| !change.is_by_id()).map(|change| Entry {
            id: change.id.clone(),
            device_id: change.author.clone().unwrap_or_else(|| self.id.clone()),
            encrypted_data: change.data.clone().unwrap_or_default(),
            vector_clock: change.clock.clone(),
            is_deleted: change.data.is_none(),
            updated_at: change.updated_at,
        });
        let deletions = changes.iter().filter(|change| change.is_by_id());
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
        self.look_back(&answer.epoch);
        let mut made = Vec::new();
        for (change, verdict) in sent.changes.iter().zip(&answer.results) {
            self.outbox.retain(|waiting| waiting.number != change.number);
            if verdict.is_accepted() {
                if let (Some(clock), Some(seq)) = (&verdict.vector_clock, verdict.seq) {
                    let held = Held {
                        clock: clock.clone(),
                        data: change.data.clone().unwrap_or_default(),
                        deleted: change.data.is_none(),
                        seq,
                        author: change.author.clone().unwrap_or_else(|| self.id.clone()),
                        updated_at: change.updated_at,
                    };
                    self.hold(&change.id, held);
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

    /// Whether it goes on by the number of a page.
    #[must_use]
    pub fn is_within_pages(&self) -> bool {
        self.kind != Kind::Modern && self.last_sync_at.is_some_and(|at| (1..1_000_000).contains(&at))
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
            self.look_back(&page.epoch);
        }
        for (id, held) in copy::items(page) {
            if let Some(seen) = &mut self.snapshot {
                seen.insert(id.clone());
            }
            self.seen.extend((!held.deleted).then(|| held.data.clone()));
            if modern {
                self.hold(&id, held);
            } else {
                // A client of the seed knows no `seq`: what it hears last is what it holds.
                self.synced.insert(id, held);
            }
        }
        self.cursor = Some(page.cursor.clone());
        self.last_sync_at = Some(page.server_timestamp);
        self.begins_anew = false;
        if !page.has_more && !modern {
            self.past.clear();
        }
        if !page.has_more
            && let Some(seen) = self.snapshot.take()
        {
            // What it has brought up meanwhile may be newer than the page.
            self.synced.retain(|id, held| seen.contains(id) || held.seq > page.server_timestamp);
            self.bring_up_again();
        }
    }

    /// Where the store was restored, what it holds may be of a future that is lost: a full pull follows.
    fn look_back(&mut self, epoch: &str) {
        let now = Epoch::parse(epoch).filter(|_| self.kind == Kind::Modern);
        let was = std::mem::replace(&mut self.epoch, now);
        let (Some(was), Some(now)) = (was, now) else { return };
        if now.generation > was.generation {
            self.past.clear();
        } else if now.store != was.store {
            self.put_aside();
        }
    }

    /// Counts nothing as known any more, though it shows it still: its own clocks go on from there.
    fn put_aside(&mut self) {
        for (id, held) in std::mem::take(&mut self.synced) {
            if self.past.get(&id).is_none_or(|past| covers(&held.clock, &past.clock)) {
                self.past.insert(id, held);
            }
        }
    }

    /// The full pull is over: what the backup lost goes before everything that was made of it.
    fn bring_up_again(&mut self) {
        let mut lost = Vec::new();
        for (id, held) in std::mem::take(&mut self.past) {
            if self.synced.get(&id).is_some_and(|now| covers(&now.clock, &held.clock)) {
                continue;
            }
            self.numbers += 1;
            lost.push(Change {
                number: self.numbers,
                id,
                data: (!held.deleted).then_some(held.data),
                clock: held.clock,
                updated_at: held.updated_at,
                is_sent: false,
                author: Some(held.author).filter(|author| !author.is_empty()),
                parents: Vec::new(),
            });
        }
        self.outbox.splice(0..0, lost);
    }

    /// Pulls in full next, after a 410 or because it has lost its place. It keeps its copy: its counts go on, and a clock
    /// must not claim what it does not hold.
    pub fn resync(&mut self) {
        self.cursor = None;
        self.last_sync_at = None;
        self.snapshot = None;
        self.begins_anew = true;
    }

    /// It begins anew, and everything is asked of what it pulls from now on.
    pub fn wiped(&mut self) {
        self.resync();
        self.put_aside();
    }

    /// A backup was put back. A client that knows epochs finds out by itself; of another one everything is asked that is
    /// pulled from now on, though it asks by its position in the lost future.
    pub fn restored(&mut self) {
        if self.kind != Kind::Modern {
            self.put_aside();
        }
    }

    /// The space was erased; a client that knows epochs finds out by itself.
    pub fn erased(&mut self) {
        self.resync();
        if self.kind != Kind::Modern {
            self.synced.clear();
            self.past.clear();
        }
    }
}
