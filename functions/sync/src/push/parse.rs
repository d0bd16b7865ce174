//! Entries and deletions as the rules take them. A bad one is invalid alone.

use satchel_domain::access::Person;
use satchel_domain::ids::is_id;
use satchel_domain::sync::clock::MAX_COUNT;
use satchel_domain::sync::version::Seen;
use satchel_domain::sync::{Content, Incoming, VectorClock};
use satchel_store::sync::Author;

use super::Item;
use crate::app::App;
use crate::wire::EntryIn;

/// Characters of an invalid id that come back.
const LONGEST: usize = 128;

/// A change as the rules take it, with what is only stored.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) incoming: Incoming,
    pub(crate) author: Author,
}

/// Everything of a push in request order: the entries, then the deletions.
pub(crate) fn items(
    app: &App,
    person: &Person,
    entries: Vec<EntryIn>,
    deleted_ids: Vec<String>,
    position: Option<u64>,
) -> Vec<Item> {
    let seen = || Seen { position, device: person.device.to_string() };
    let now = app.core.clock.unix();
    let deletions = deleted_ids.into_iter().map(|id| {
        let change = if is_id(&id) { Ok(deletion(person, seen(), now)) } else { Err("invalid_id") };
        Item { id: echoed(id), change }
    });
    let entries: Vec<Item> = entries
        .into_iter()
        .map(|entry| Item { id: echoed(entry.id.clone()), change: self::entry(entry, app.limits.entry_bytes, seen()) })
        .collect();
    entries.into_iter().chain(deletions).collect()
}

/// The id as the answer repeats it. One that is too long to be an id is cut, and ends with what no id has: it must not be
/// taken for another entry's.
fn echoed(id: String) -> String {
    match id.char_indices().nth(LONGEST - 1) {
        Some((cut, last)) if cut + last.len_utf8() < id.len() => format!("{}…", &id[..cut]),
        _ => id,
    }
}

fn deletion(person: &Person, seen: Seen, now: i64) -> Change {
    let device = person.device.to_string();
    Change {
        incoming: Incoming {
            clock: VectorClock::default(),
            content: None,
            hash: [0; 32],
            author: device.clone(),
            updated_at: now,
            seen: Some(seen),
        },
        author: Author { device, updated_at: now, created_at: None, version: 1 },
    }
}

fn entry(entry: EntryIn, entry_bytes: usize, seen: Seen) -> Result<Change, &'static str> {
    if !is_id(&entry.id) {
        return Err("invalid_id");
    }
    if !is_id(&entry.device_id) {
        return Err("invalid_device_id");
    }
    let clock = VectorClock::parse(&entry.vector_clock).map_err(|_| "invalid_clock")?;
    let most = i64::try_from(MAX_COUNT).unwrap_or(i64::MAX);
    let times = [Some(entry.updated_at), entry.created_at, Some(entry.version)];
    if times.into_iter().flatten().any(|number| !(0..=most).contains(&number)) {
        return Err("out_of_range");
    }
    let content = (!entry.is_deleted).then(|| Content::parse(&entry.encrypted_data));
    if content.as_ref().is_some_and(|content| content.bytes.len() > entry_bytes) {
        return Err("entry_too_large");
    }
    Ok(Change {
        incoming: Incoming {
            clock,
            hash: content.as_ref().map_or([0; 32], Content::hash),
            content,
            author: entry.device_id.clone(),
            updated_at: entry.updated_at,
            seen: Some(seen),
        },
        author: Author {
            device: entry.device_id,
            updated_at: entry.updated_at,
            created_at: entry.created_at,
            version: entry.version,
        },
    })
}
