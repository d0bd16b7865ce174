//! Concurrent writes of a few authors, in any order that keeps each author's own.

use satchel_domain::sync::VectorClock;

use super::copy::Held;
use super::ledger::{Violation, violation};
use super::random::Random;
use super::wire::{Entry, Push, Version};

/// One write.
#[derive(Debug, Clone)]
pub struct Write {
    author: usize,
    number: u64,
    updated_at: i64,
    data: Option<String>,
}

impl Write {
    fn author(&self) -> String {
        format!("author-{}", self.author)
    }

    fn clock(&self) -> VectorClock {
        [(self.author(), self.number)].into_iter().collect()
    }
}

/// One to three writes of each author, of about the same moment.
pub fn writes(random: &mut Random, authors: usize, deletes: bool, now: i64) -> Vec<Write> {
    let mut writes = Vec::new();
    for author in 0..authors {
        let count = random.between(1, 3) as u64;
        for number in 1..=count {
            let away: i64 = random.pick(&[-2, -1, 0, 0, 1, 2, 5_000]);
            let dies = deletes && author == 0 && number == count;
            let data = (!dies).then(|| format!("order-{author}-{number}-{}", random.draw() % 1_000));
            writes.push(Write { author, number, updated_at: now + away, data });
        }
    }
    writes
}

/// An order of arrival that keeps each author's own.
pub fn order(random: &mut Random, writes: &[Write]) -> Vec<usize> {
    let mut authors: Vec<usize> = writes.iter().map(|write| write.author).collect();
    random.shuffle(&mut authors);
    let mut taken = vec![false; writes.len()];
    let mut order = Vec::new();
    for author in authors {
        let next = (0..writes.len()).find(|at| writes[*at].author == author && !taken[*at]);
        if let Some(at) = next {
            taken[at] = true;
            order.push(at);
        }
    }
    order
}

/// The entry that takes the writes in the `order`-th order.
pub fn id(name: u64, order: usize) -> String {
    format!("o-{name}-{order}")
}

/// One push of all orders, each on an entry of its own.
pub fn push(device: &str, name: u64, writes: &[Write], orders: &[Vec<usize>]) -> Push {
    let mut entries = Vec::new();
    for step in 0..writes.len() {
        for (number, order) in orders.iter().enumerate() {
            let write = &writes[order[step]];
            entries.push(Entry {
                id: id(name, number),
                device_id: write.author(),
                encrypted_data: write.data.clone().unwrap_or_default(),
                vector_clock: write.clock(),
                is_deleted: write.data.is_none(),
                updated_at: write.updated_at,
            });
        }
    }
    Push { device_id: device.to_owned(), entries, deleted_ids: Vec::new(), base_cursor: None, conflict_policy: "merge" }
}

/// Whether all orders ended alike: the same content and clock; where a deletion is among them the same clock, and no
/// content is lost.
///
/// # Errors
/// They did not.
pub fn judge(
    writes: &[Write],
    orders: &[Vec<usize>],
    outcomes: &[(Option<Held>, Vec<Version>)],
    deletes: bool,
) -> Result<(), Violation> {
    const NAME: &str = "concurrent edits have one outcome in any order of arrival";
    let key = |held: &Option<Held>| {
        held.as_ref().map(|held| (held.clock.compact_json(), if deletes { String::new() } else { held.data.clone() }))
    };
    let Some((first, _)) = outcomes.first() else { return Ok(()) };
    for ((held, history), order) in outcomes.iter().zip(orders) {
        if key(held) != key(first) {
            let text = format!("{writes:?}: {:?} gives {:?}, {order:?} gives {:?}", orders[0], key(first), key(held));
            return Err(violation(NAME, text));
        }
        for write in writes {
            let Some(data) = &write.data else { continue };
            let later = |other: &&Write| other.author == write.author && other.number >= write.number;
            let kept = writes.iter().filter(later).filter_map(|other| other.data.as_ref()).any(|data| {
                held.as_ref().is_some_and(|held| held.data == *data)
                    || history.iter().any(|version| version.encrypted_data == *data)
            });
            if !kept {
                return Err(violation("no silent loss", format!("{data} of {writes:?} in the order {order:?}")));
            }
        }
    }
    Ok(())
}
