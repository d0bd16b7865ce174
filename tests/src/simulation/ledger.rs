//! What was made, what was acknowledged, what was told: the memory that the properties are judged by.

use std::collections::{BTreeMap, BTreeSet};

use satchel_domain::sync::{Relation, VectorClock};

use super::copy::{self, Copy};
use super::device::Sent;
use super::histories::Histories;
use super::wire::{Pulled, Push, Pushed, Status, Version};

/// A property that did not hold.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{property}: {text}")]
pub struct Violation {
    /// Which.
    pub property: &'static str,
    /// How.
    pub text: String,
}

/// A violation.
#[must_use]
pub fn violation(property: &'static str, text: impl Into<String>) -> Violation {
    Violation { property, text: text.into() }
}

/// Clocks that devices were told, by entry.
pub type Known = BTreeMap<String, VectorClock>;

/// A content.
#[derive(Debug, Default, Clone)]
struct Made {
    /// Its entries: the same writes may be tried on several.
    ids: BTreeSet<String>,
    author: String,
    /// The contents it was made from.
    parents: Vec<String>,
}

/// The memory of one space.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    /// By content.
    made: BTreeMap<String, Made>,
    /// By entry.
    contents_of: BTreeMap<String, BTreeSet<String>>,
    is_restored: bool,
    /// By content: the clocks it was pushed with.
    clocks: BTreeMap<String, Vec<VectorClock>>,
    acknowledged: BTreeSet<String>,
    arrived: BTreeSet<String>,
    without_clock: BTreeSet<String>,
    settled: BTreeSet<String>,
    known: Known,
    contents: BTreeMap<(String, String), String>,
    pub(super) histories: Histories,
}

fn at_least(clock: &VectorClock, known: &VectorClock) -> bool {
    matches!(clock.relation(known), Relation::Equal | Relation::Dominates)
}

impl Ledger {
    /// A device made a version.
    pub fn made(&mut self, id: &str, author: &str, data: &str, parents: Vec<String>) {
        let made = self.made.entry(data.to_owned()).or_default();
        made.ids.insert(id.to_owned());
        self.contents_of.entry(id.to_owned()).or_default().insert(data.to_owned());
        author.clone_into(&mut made.author);
        made.parents = parents;
    }

    /// What was told so far: everything acknowledged is in it.
    #[must_use]
    pub fn known(&self) -> Known {
        self.known.clone()
    }

    /// The space was erased: clocks begin anew, and nothing that arrived before is owed.
    pub fn erased(&mut self) {
        // A request of before may still arrive, so its contents stay known.
        let made = std::mem::take(&mut self.made);
        let (contents_of, clocks) = (std::mem::take(&mut self.contents_of), std::mem::take(&mut self.clocks));
        let without_clock = std::mem::take(&mut self.without_clock);
        let mut settled = std::mem::take(&mut self.settled);
        settled.append(&mut self.arrived);
        *self = Self { made, contents_of, clocks, without_clock, settled, ..Self::default() };
    }

    /// The space is as it was when this was `backup`: what arrived since is lost, and not owed.
    pub fn restored(&mut self, backup: Self) {
        let now = std::mem::replace(self, backup);
        let since = now.settled.into_iter().chain(now.arrived).filter(|data| !self.arrived.contains(data));
        self.settled.extend(since);
        // Who lost what is made again: a request of before may arrive still.
        (self.made, self.contents_of) = (now.made, now.contents_of);
        (self.clocks, self.without_clock) = (now.clocks, now.without_clock);
        self.is_restored = true;
    }

    /// The contents that `data` was made from, and theirs.
    fn ancestors(&self, data: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![data.to_owned()];
        while let Some(next) = open.pop() {
            for parent in self.made.get(&next).into_iter().flat_map(|made| &made.parents) {
                if found.insert(parent.clone()) {
                    open.push(parent.clone());
                }
            }
        }
        found
    }

    /// What the clocks of `stored` have seen, after a restore: devices bring up again what they held with the clock it was
    /// merged to, and of what had lost to it in the future that is lost no history tells.
    fn seen_after_restore<'a>(&'a self, stored: &'a Copy) -> impl Iterator<Item = &'a String> {
        stored.iter().filter(|_| self.is_restored).flat_map(|(id, held)| {
            let contents = self.contents_of.get(id).into_iter().flatten();
            contents.filter(|data| {
                self.clocks.get(*data).is_some_and(|clocks| clocks.iter().any(|clock| at_least(&held.clock, clock)))
            })
        })
    }

    fn told(
        &mut self,
        before: &Known,
        id: &str,
        clock: &VectorClock,
        content: Option<(bool, &str)>,
    ) -> Result<(), Violation> {
        if let Some(known) = before.get(id).filter(|known| !at_least(clock, known)) {
            let text = format!("{id} was told with {}, now {}", known.compact_json(), clock.compact_json());
            return Err(violation("clocks never go back", text));
        }
        if let Some((deleted, data)) = content {
            let meaning = if deleted { "deleted".to_owned() } else { format!("live {data}") };
            let key = (id.to_owned(), clock.compact_json());
            let known = self.contents.entry(key).or_insert_with(|| meaning.clone());
            if *known != meaning {
                let text = format!("{id} at {} was {known}, now {meaning}", clock.compact_json());
                return Err(violation("equal clocks are equal contents", text));
            }
        }
        let known = self.known.entry(id.to_owned()).or_default();
        *known = known.merged(clock);
        Ok(())
    }

    fn is_of_this_space(&self, id: &str, data: &str, author: &str) -> Result<(), Violation> {
        let shown: String = data.chars().take(24).collect();
        match self.made.get(data) {
            Some(made) if made.ids.contains(id) && made.author == author => Ok(()),
            Some(made) if made.ids.contains(id) => {
                let text = format!("{id}: {shown} is by {}, and told as by {author}", made.author);
                Err(violation("a version keeps its author", text))
            }
            _ => Err(violation("isolation", format!("{id} has a content nobody of this space made: {shown}"))),
        }
    }

    /// Takes the history of an entry, as it is `now`.
    ///
    /// # Errors
    /// A version is not of this space, has lost its author or clock, or the list is not what history has to be.
    pub fn history(&mut self, id: &str, versions: &[Version], now: i64) -> Result<(), Violation> {
        for version in versions {
            self.is_of_this_space(id, &version.encrypted_data, &version.device_id)?;
            // The server's own count is lowered where a client has a higher one.
            let covers = |pushed: &VectorClock| {
                let pushed = pushed.clone().with_server_at_most(Some(&version.vector_clock));
                at_least(&version.vector_clock, &pushed)
            };
            let pushed = self.clocks.get(&version.encrypted_data);
            if pushed.is_some_and(|clocks| !clocks.iter().any(covers)) {
                let text = format!("{id}: pushed with {pushed:?}, kept with {}", version.vector_clock.compact_json());
                return Err(violation("history keeps the clock of a version", text));
            }
        }
        self.histories.told(id, versions, now)
    }

    /// Takes a page that was asked for when `before` was known.
    ///
    /// # Errors
    /// A clock went back, or has another content.
    pub fn pulled(&mut self, before: &Known, page: &Pulled) -> Result<(), Violation> {
        for (id, held) in copy::items(page) {
            if !held.deleted {
                self.is_of_this_space(&id, &held.data, &held.author)?;
            }
            self.told(before, &id, &held.clock, Some((held.deleted, &held.data)))?;
        }
        Ok(())
    }

    /// Takes the answer to a push that was sent when `before` was known.
    ///
    /// # Errors
    /// A clock went back, a list contradicts the results, or a version lost to what it was made from.
    pub fn pushed(&mut self, before: &Known, sent: &Sent, answer: &Pushed) -> Result<(), Violation> {
        lists_agree(sent, answer)?;
        for (change, verdict) in sent.changes.iter().zip(&answer.results) {
            if verdict.status == Status::Invalid {
                continue;
            }
            if let Some(entry) = &verdict.server_entry {
                self.told(before, &entry.id, &entry.vector_clock, Some((entry.is_deleted, &entry.encrypted_data)))?;
                // Without a clock nobody can tell what an edit was made from, nor a repetition from an edit; and who merges
                // by themselves has not lost. A version that is brought up again after a restore comes with the clock it
                // was merged to, which has seen more than its content was made from.
                let again = self.clocks.get(&entry.encrypted_data).is_some_and(|clocks| clocks.len() > 1);
                let clocks = change.has_clock() && !again && !self.without_clock.contains(&entry.encrypted_data);
                let is_judged = clocks && sent.push.conflict_policy == "merge" && verdict.status == Status::Conflict;
                let lost = change.data.as_deref().filter(|_| is_judged && !entry.is_deleted);
                if let Some(data) = lost.filter(|data| self.ancestors(data).contains(&entry.encrypted_data)) {
                    let text =
                        format!("{}: {data} lost to {}, which it was made from", change.id, entry.encrypted_data);
                    return Err(violation("no version loses to its own ancestor", text));
                }
            }
            if let Some(clock) = &verdict.vector_clock {
                let is_stored = verdict.is_accepted();
                let content = is_stored.then(|| (change.data.is_none(), change.data.as_deref().unwrap_or_default()));
                self.told(before, &change.id, clock, content)?;
            }
            let refused = sent.push.conflict_policy == "reject" && !verdict.is_accepted();
            if let Some(data) = change.data.as_ref().filter(|_| !refused) {
                self.acknowledged.insert(data.clone());
            }
        }
        Ok(())
    }

    /// Whether a device that has pulled everything holds everything that was acknowledged before it asked for the last
    /// page.
    ///
    /// # Errors
    /// It does not.
    pub fn complete(&self, before: &Known, device: &str, copy: &Copy) -> Result<(), Violation> {
        for (id, known) in before {
            let held = copy.get(id);
            if held.is_none_or(|held| !at_least(&held.clock, known)) {
                let holds = held.map_or_else(|| "nothing".to_owned(), |held| held.clock.compact_json());
                let text = format!(
                    "{device} has pulled to the head and holds {holds} of {id}, acknowledged: {}",
                    known.compact_json()
                );
                return Err(violation("a pull brings every commit acknowledged before it began", text));
            }
        }
        Ok(())
    }

    /// Who wrote `data`, and with which clocks it came, in a few words.
    #[must_use]
    pub fn origin(&self, data: &str) -> String {
        let author = self.made.get(data).map_or("nobody", |made| made.author.as_str());
        let clocks = self.clocks.get(data).into_iter().flatten().map(VectorClock::compact_json);
        format!("by {author}, pushed with {}", clocks.collect::<Vec<_>>().join(" and "))
    }

    /// Acknowledged contents that neither `stored` nor history, as it was told, holds or descends from, with their entries.
    #[must_use]
    pub fn missing(&self, stored: &Copy) -> Vec<(String, String)> {
        let mut safe: BTreeSet<String> = self.settled.clone();
        safe.extend(self.seen_after_restore(stored).cloned());
        let live = stored.values().filter(|held| !held.deleted).map(|held| held.data.clone());
        for data in live.chain(self.histories.contents().cloned()) {
            safe.extend(self.ancestors(&data));
            safe.insert(data);
        }
        let lost = self.acknowledged.iter().filter(|data| !safe.contains(*data));
        lost.filter_map(|data| Some((self.made.get(data)?.ids.first()?.clone(), data.clone()))).collect()
    }

    /// A push arrived, whether its answer will be heard or not.
    pub fn arrived(&mut self, push: &Push, now: i64) {
        for entry in &push.entries {
            self.histories.arrives(&entry.id, &entry.encrypted_data, now);
            if !entry.is_deleted {
                let clocks = self.clocks.entry(entry.encrypted_data.clone()).or_default();
                if !clocks.contains(&entry.vector_clock) {
                    clocks.push(entry.vector_clock.clone());
                }
            }
        }
        for id in &push.deleted_ids {
            self.histories.arrives(id, "", now);
        }
        let without = push.entries.iter().filter(|entry| entry.vector_clock.is_empty());
        self.without_clock.extend(without.map(|entry| entry.encrypted_data.clone()));
        self.arrived.extend(push.entries.iter().map(|entry| entry.encrypted_data.clone()));
    }
}

fn lists_agree(sent: &Sent, answer: &Pushed) -> Result<(), Violation> {
    let asked: Vec<&String> = sent.changes.iter().map(|change| &change.id).collect();
    let answered: Vec<&String> = answer.results.iter().map(|verdict| &verdict.id).collect();
    if asked != answered {
        return Err(violation("results in request order", format!("asked {asked:?}, answered {answered:?}")));
    }
    let total = answer.accepted.len() + answer.conflicts.len() + answer.rejected.len();
    let accepted = answer.results.iter().filter(|verdict| verdict.is_accepted()).count();
    if total != answer.results.len() || accepted != answer.accepted.len() {
        return Err(violation("lists agree with results", format!("{answer:?}")));
    }
    Ok(())
}
