//! What was made, what was acknowledged, what was told: the memory that the properties are judged by.

use std::collections::{BTreeMap, BTreeSet};

use satchel_domain::sync::{Relation, VectorClock};

use super::copy::{self, Copy};
use super::device::Sent;
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

/// The memory of one space.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By content: its entry and the contents it was made from.
    made: BTreeMap<String, (String, Vec<String>)>,
    acknowledged: BTreeSet<String>,
    arrived: BTreeSet<String>,
    without_clock: BTreeSet<String>,
    settled: BTreeSet<String>,
    known: Known,
    contents: BTreeMap<(String, String), String>,
}

fn at_least(clock: &VectorClock, known: &VectorClock) -> bool {
    matches!(clock.relation(known), Relation::Equal | Relation::Dominates)
}

impl Ledger {
    /// A device made a version.
    pub fn made(&mut self, id: &str, data: &str, parents: Vec<String>) {
        self.made.insert(data.to_owned(), (id.to_owned(), parents));
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
        let without_clock = std::mem::take(&mut self.without_clock);
        let mut settled = std::mem::take(&mut self.settled);
        settled.append(&mut self.arrived);
        *self = Self { made, without_clock, settled, ..Self::default() };
    }

    /// The contents that `data` was made from, and theirs.
    fn ancestors(&self, data: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![data.to_owned()];
        while let Some(next) = open.pop() {
            for parent in self.made.get(&next).into_iter().flat_map(|(_, parents)| parents) {
                if found.insert(parent.clone()) {
                    open.push(parent.clone());
                }
            }
        }
        found
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

    /// Takes a page that was asked for when `before` was known.
    ///
    /// # Errors
    /// A clock went back, or has another content.
    pub fn pulled(&mut self, before: &Known, page: &Pulled) -> Result<(), Violation> {
        for (id, held) in copy::items(page) {
            if !held.deleted && !self.made.contains_key(&held.data) {
                return Err(violation(
                    "isolation",
                    format!("{id} has a content nobody of this space made: {}", held.data),
                ));
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
                // by themselves has not lost.
                let clocks = change.has_clock() && !self.without_clock.contains(&entry.encrypted_data);
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

    /// Acknowledged contents that `stored` and `history` neither hold nor descend from, with their entries.
    #[must_use]
    pub fn missing(&self, stored: &Copy, history: &BTreeMap<String, Vec<Version>>) -> Vec<(String, String)> {
        let mut safe: BTreeSet<String> = self.settled.clone();
        let live = stored.values().filter(|held| !held.deleted).map(|held| held.data.clone());
        let kept = history.values().flatten().map(|version| version.encrypted_data.clone());
        for data in live.chain(kept).collect::<Vec<_>>() {
            safe.extend(self.ancestors(&data));
            safe.insert(data);
        }
        let lost = self.acknowledged.iter().filter(|data| !safe.contains(*data));
        lost.filter_map(|data| Some((self.made.get(data)?.0.clone(), data.clone()))).collect()
    }

    /// A push arrived, whether its answer will be heard or not.
    pub fn arrived(&mut self, push: &Push) {
        let without = push.entries.iter().filter(|entry| entry.vector_clock.is_empty());
        self.without_clock.extend(without.map(|entry| entry.encrypted_data.clone()));
        self.arrived.extend(push.entries.iter().map(|entry| entry.encrypted_data.clone()));
    }

    /// What arrived was found safe: from now on history may forget it, but for what is stored still.
    pub fn settle(&mut self, stored: &Copy) {
        let live: BTreeSet<&String> = stored.values().filter(|held| !held.deleted).map(|held| &held.data).collect();
        let gone = self.arrived.iter().chain(&self.acknowledged).filter(|data| !live.contains(data));
        self.settled.extend(gone.cloned());
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
