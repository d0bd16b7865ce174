//! A page while it grows: pieces of JSON with a budget, so that it is never too large and nothing is held twice.

use std::collections::HashMap;

use satchel_domain::sync::budget::Budget;
use satchel_store::sync::EntryRow;
use tokio::time::Instant;

use crate::wire::{EntryOut, TombstoneOut};

/// Entries that are read beyond what a page has room for, since some may be left to a later commit.
const MORE: usize = 4;
/// Entries that are read at a time, before it is known how large they are, and at most.
const FIRST: usize = 25;
const MOST: usize = 100;

/// A page of a pull.
pub(crate) struct Page {
    entries: Vec<String>,
    tombstones: Vec<String>,
    deleted_ids: Vec<String>,
    budget: Budget,
    limit: usize,
    /// When it ends, full or not.
    until: Instant,
    /// What it tells of: the commit by id, and the ids in order.
    told: HashMap<String, u64>,
    order: Vec<String>,
    /// Rows that were read and left to a later commit, and about their bytes.
    passed: usize,
    passed_bytes: usize,
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
    told: usize,
    budget: Budget,
}

impl Page {
    pub(crate) fn new(limit: usize, whole_commits: bool, until: Instant) -> Self {
        Self {
            entries: Vec::new(),
            tombstones: Vec::new(),
            deleted_ids: Vec::new(),
            budget: Budget::default(),
            limit,
            until,
            told: HashMap::new(),
            order: Vec::new(),
            passed: 0,
            passed_bytes: 0,
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

    /// Whether it has taken so long that it ends as it is.
    pub(crate) fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    /// How many rows of about the size of those so far would still fit, to read no more than that.
    pub(crate) fn room_by_size(&self) -> usize {
        let used = satchel_domain::sync::budget::MAX_ANSWER.saturating_sub(self.budget.left());
        let rows = self.order.len() + self.passed;
        (used + self.passed_bytes)
            .checked_div(rows)
            .map_or(FIRST, |each| (self.budget.left() / each.max(1)).clamp(1, MOST))
    }

    /// How many entries of commits are worth reading at a time: the more of them were for nothing, the more.
    pub(crate) fn appetite(&self) -> usize {
        self.room_by_size().min(self.room() + MORE + self.passed)
    }

    /// Notes that `row` was read and is left to a later commit.
    pub(crate) fn pass(&mut self, row: &EntryRow) {
        self.passed += 1;
        // Base64 takes four bytes for three.
        self.passed_bytes += row.stored.size * 4 / 3 + 300;
    }

    /// Adds `row`, where it fits. No page tells of an id twice: its lists have no order among each other, so that a client
    /// could take the older for the newer.
    pub(crate) fn add(&mut self, row: &EntryRow) -> bool {
        if let Some(told) = self.told.get(&row.id) {
            return *told == row.stored.seq;
        }
        let fits = self.put(row);
        if fits {
            self.told.insert(row.id.clone(), row.stored.seq);
            self.order.push(row.id.clone());
        }
        fits
    }

    fn put(&mut self, row: &EntryRow) -> bool {
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
        Mark {
            entries: self.entries.len(),
            tombstones: self.tombstones.len(),
            told: self.order.len(),
            budget: self.budget,
        }
    }

    /// Goes back to where it was.
    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.entries.truncate(mark.entries);
        self.tombstones.truncate(mark.tombstones);
        self.deleted_ids.truncate(mark.tombstones);
        for id in self.order.drain(mark.told..) {
            self.told.remove(&id);
        }
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

#[cfg(test)]
mod tests {
    use satchel_domain::sync::{Form, Rank, Stored, VectorClock};
    use satchel_store::sync::Author;

    use super::*;

    fn row(id: &str, seq: u64, deleted: bool) -> EntryRow {
        let clock: VectorClock = [("a", seq)].into_iter().collect();
        let (form, author) = (Form::Base64, "a".to_owned());
        EntryRow {
            id: id.to_owned(),
            stored: Stored {
                clock: clock.clone(),
                content_clock: clock,
                rank: Rank { at: 1, author: author.clone(), hash: [0; 32], form },
                deleted,
                hash: [0; 32],
                form,
                size: 0,
                written_by: author.clone(),
                seq,
            },
            revision: 1,
            author: Author { device: author, updated_at: 1, created_at: None, version: 1 },
            content: None,
            server_time: 1,
        }
    }

    #[test]
    fn an_id_that_comes_again_ends_the_page() {
        let mut page = Page::new(10, false, Instant::now());
        assert!(page.add(&row("e", 1, true)));
        assert!(!page.add(&row("e", 2, false)), "deleted and revived: a client would apply them in any order");
        assert!(page.add(&row("f", 2, false)));
        assert!(!page.add(&row("f", 3, true)));
        assert!(page.add(&row("f", 2, false)), "told already");
        assert_eq!((page.entries.len(), page.tombstones.len()), (1, 1));
    }

    #[test]
    fn what_a_page_goes_back_on_may_come_again() {
        let mut page = Page::new(2, true, Instant::now());
        page.add(&row("e", 1, false));
        let mark = page.mark();
        page.add(&row("f", 2, true));
        page.back_to(mark);
        assert!(page.add(&row("f", 3, false)));
        assert!(!page.add(&row("e", 3, false)));
        assert_eq!((page.entries.len(), page.tombstones.len(), page.deleted_ids.len(), page.room()), (2, 0, 0, 0));
    }

    #[test]
    fn reads_for_nothing_make_later_ones_larger_but_not_of_large_rows() {
        let mut page = Page::new(1, false, Instant::now());
        assert_eq!(page.appetite(), 1 + MORE);
        for _ in 0..40 {
            page.pass(&row("e", 1, false));
        }
        assert_eq!(page.appetite(), 1 + MORE + 40);
        let mut large = row("e", 1, false);
        large.stored.size = 256 * 1024;
        for _ in 0..2_000 {
            page.pass(&large);
        }
        assert!((12..20).contains(&page.appetite()), "{}", page.appetite());
    }
}
