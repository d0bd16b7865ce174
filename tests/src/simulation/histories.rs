//! What the histories of a space were told to hold: it has to stay for 30 days, as it was.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::ledger::{Violation, violation};
use super::wire::Version;

/// How long a version is kept, in seconds.
const KEPT: i64 = 30 * 86_400;

/// The histories of a space, as they were told.
#[derive(Debug, Default, Clone)]
pub(super) struct Histories {
    entries: BTreeMap<String, History>,
    /// Contents whose time in history was over.
    expired: BTreeSet<String>,
}

#[derive(Debug, Default, Clone)]
struct History {
    /// When it was told last, or its entry first arrived: whatever is new in it was put there since.
    since: i64,
    versions: Vec<Version>,
    /// What arrived of the entry; a deletion is an empty content.
    arrived: BTreeSet<String>,
}

impl Histories {
    /// A version of the entry `id`, or its deletion, arrives.
    pub(super) fn arrives(&mut self, id: &str, data: &str, now: i64) {
        let fresh = || History { since: now, ..History::default() };
        let history = self.entries.entry(id.to_owned()).or_insert_with(fresh);
        history.arrived.insert(data.to_owned());
    }

    /// The entries that may have a history at all.
    pub(super) fn ids(&self) -> Vec<String> {
        let changed = self.entries.iter().filter(|(_, history)| history.arrived.len() > 1);
        changed.map(|(id, _)| id.clone()).collect()
    }

    /// The contents that stand in history, or stood there for their time.
    pub(super) fn contents(&self) -> impl Iterator<Item = &String> {
        let kept = self.entries.values().flat_map(|history| &history.versions);
        kept.map(|version| &version.encrypted_data).chain(&self.expired)
    }

    /// Takes the history of the entry `id`, newest first, as it is `now`.
    ///
    /// # Errors
    /// It is in another order, or a version is missing, or will go before its time.
    pub(super) fn told(&mut self, id: &str, versions: &[Version], now: i64) -> Result<(), Violation> {
        if !versions.is_sorted_by_key(|version| Reverse(version.seq)) {
            let order: Vec<u64> = versions.iter().map(|version| version.seq).collect();
            return Err(violation("history is newest first", format!("{id}: {order:?}")));
        }
        let Some(history) = self.entries.get_mut(id) else { return Ok(()) };
        let (owed, over): (Vec<Version>, Vec<Version>) =
            std::mem::take(&mut history.versions).into_iter().partition(|version| version.kept_until > now);
        self.expired.extend(over.into_iter().map(|version| version.encrypted_data));
        // What was told before stands in the same order, whatever came between.
        let mut now_told = versions.iter();
        if let Some(gone) = owed.iter().find(|version| !now_told.any(|told| told == *version)) {
            let shown: Vec<_> = versions.iter().map(brief).collect();
            let text =
                format!("{id}: {} is not among {shown:?}, {} s before its time", brief(gone), gone.kept_until - now);
            return Err(violation("history is kept for its 30 days, as it was", text));
        }
        let fresh = versions.iter().filter(|version| !owed.contains(version));
        for version in fresh {
            if !(history.since + KEPT..=now + KEPT).contains(&version.kept_until) {
                let text = format!(
                    "{id}: {} was put there from {} to {now}, and is kept until {}",
                    brief(version),
                    history.since,
                    version.kept_until
                );
                return Err(violation("history is kept for its 30 days, as it was", text));
            }
        }
        history.since = now;
        history.versions = versions.to_vec();
        Ok(())
    }
}

fn brief(version: &Version) -> String {
    let shown: String = version.encrypted_data.chars().take(24).collect();
    format!("{shown}@{}", version.seq)
}
