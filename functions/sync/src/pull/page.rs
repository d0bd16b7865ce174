//! A page while it grows: pieces of JSON with a budget, so that it is never too large and nothing is held twice.

use std::collections::HashMap;

use satchel_domain::sync::budget::Budget;
use satchel_store::sync::EntryRow;

use crate::wire::{EntryOut, TombstoneOut};

/// A page of a pull.
pub(crate) struct Page {
    entries: Vec<String>,
    tombstones: Vec<String>,
    deleted_ids: Vec<String>,
    budget: Budget,
    limit: usize,
    /// What the walk of a full pull has told, by id: its end need not tell the same again.
    walked: HashMap<String, u64>,
    /// Whether it may only end between commits.
    pub(crate) whole_commits: bool,
    /// Whether an entry turned up that a commit past the head wrote.
    pub(crate) head_moved: bool,
}

/// Where a page was, to go back to.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    entries: usize,
    tombstones: usize,
    budget: Budget,
}

impl Page {
    pub(crate) fn new(limit: usize, whole_commits: bool) -> Self {
        Self {
            entries: Vec::new(),
            tombstones: Vec::new(),
            deleted_ids: Vec::new(),
            budget: Budget::default(),
            limit,
            walked: HashMap::new(),
            whole_commits,
            head_moved: false,
        }
    }

    /// Entries and tombstones that still may come.
    pub(crate) fn room(&self) -> usize {
        self.limit - self.entries.len() - self.tombstones.len()
    }

    /// Whether anything is on it.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.tombstones.is_empty()
    }

    /// How many rows of about the size of those so far would still fit, to read no more than that.
    pub(crate) fn room_by_size(&self) -> usize {
        let count = self.entries.len() + self.tombstones.len();
        let used = satchel_domain::sync::budget::MAX_ANSWER.saturating_sub(self.budget.left());
        used.checked_div(count).map_or(25, |each| (self.budget.left() / each.max(1)).clamp(1, 100))
    }

    /// Adds `row` of the walk of a full pull, where it fits.
    pub(crate) fn add_walked(&mut self, row: &EntryRow) -> bool {
        let fits = self.add(row);
        if fits {
            self.walked.insert(row.id.clone(), row.stored.seq);
        }
        fits
    }

    /// Adds `row`, where it fits. No page tells of an id twice: its lists have no order among each other.
    pub(crate) fn add(&mut self, row: &EntryRow) -> bool {
        if let Some(told) = self.walked.get(&row.id) {
            return *told == row.stored.seq;
        }
        if self.room() == 0 {
            return false;
        }
        if row.stored.deleted {
            let out = TombstoneOut { id: row.id.clone(), vector_clock: row.stored.clock.clone(), seq: row.stored.seq };
            let (text, id) = (json(&out), json(&row.id));
            let before = self.budget;
            if !(self.budget.take(&text) && self.budget.take(&id)) {
                self.budget = before;
                return false;
            }
            self.tombstones.push(text);
            self.deleted_ids.push(id);
            return true;
        }
        let text = json(&EntryOut::of(row));
        if !self.budget.take(&text) {
            return false;
        }
        self.entries.push(text);
        true
    }

    /// Where it is now.
    pub(crate) fn mark(&self) -> Mark {
        Mark { entries: self.entries.len(), tombstones: self.tombstones.len(), budget: self.budget }
    }

    /// Goes back to where it was.
    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.entries.truncate(mark.entries);
        self.tombstones.truncate(mark.tombstones);
        self.deleted_ids.truncate(mark.tombstones);
        self.budget = mark.budget;
    }

    /// The answer's body ([`crate::wire::PullOut`]).
    pub(crate) fn close(
        &self,
        server_timestamp: u64,
        has_more: bool,
        cursor: &str,
        epoch: &str,
        snapshot: bool,
        complete: bool,
    ) -> String {
        let size: usize =
            self.entries.iter().chain(&self.tombstones).chain(&self.deleted_ids).map(|text| text.len() + 1).sum();
        let mut body = String::with_capacity(size + 512);
        for (name, list) in [
            ("{\"entries\":[", &self.entries),
            ("],\"deleted_ids\":[", &self.deleted_ids),
            ("],\"tombstones\":[", &self.tombstones),
        ] {
            body.push_str(name);
            for (at, text) in list.iter().enumerate() {
                if at > 0 {
                    body.push(',');
                }
                body.push_str(text);
            }
        }
        // A cursor and an epoch have no character that JSON escapes.
        body.push_str(&format!(
            "],\"server_timestamp\":{server_timestamp},\"has_more\":{has_more},\"cursor\":\"{cursor}\",\"epoch\":\"{epoch}\",\
             \"snapshot\":{snapshot},\"complete\":{complete}}}"
        ));
        body
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
