//! A chunk on its way into the table: read, decide, write on condition of what was read, or begin again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use satchel_domain::access::Person;
use satchel_domain::sync::chunk::MAX_ROWS;
use satchel_domain::sync::{Policy, VectorClock};
use satchel_domain::time::DAY;
use satchel_domain::{Error, Result};
use satchel_store::sync::{Author, Commit, EntryRow, Meta, entries, history, meta};
use satchel_store::{Cancelled, Expr, Transaction, keys};
use tokio::time::{Instant, timeout_at};

use super::parse::Change;
use super::plan::{Lost, LostFrom, Plan, RowWrite, keepers, plan};
use super::{Chain, Item, Outcome};
use crate::space::Space;

/// How long one chunk is tried.
const CHUNK: Duration = Duration::from_secs(5);
/// Pauses between tries: decorrelated jitter between these.
const FIRST_PAUSE: u64 = 10;
const LONGEST_PAUSE: u64 = 400;

/// Commits as many of `items` as one chunk takes, at least one, and says what became of them.
pub(crate) async fn chunk(
    space: &mut Space<'_>,
    person: &Person,
    items: &[Item],
    policy: Policy,
    chain: &mut Option<Chain>,
) -> Result<Vec<Outcome>> {
    let deadline = Instant::now() + CHUNK;
    let mut pause = FIRST_PAUSE;
    loop {
        let tried = match timeout_at(deadline, attempt(space, person, items, policy, deadline)).await {
            Ok(tried) => tried,
            // Whether it was written is not known: the same push again finds out.
            Err(_) => return Err(Error::unavailable("a chunk took longer than 5 s")),
        };
        let failure = match tried {
            Ok(Attempt::Done { outcomes, committed }) => {
                if let Some(next) = committed {
                    *chain = Some(link(*chain, space.meta.head, next.head));
                    space.meta = next;
                }
                return Ok(outcomes);
            }
            Ok(Attempt::Again(error)) => error,
            Err(error) if error.is_transient() => error,
            Err(error) => return Err(error),
        };
        if Instant::now() >= deadline {
            return Err(failure);
        }
        let span = (pause * 3).min(LONGEST_PAUSE).saturating_sub(FIRST_PAUSE).max(1);
        pause = FIRST_PAUSE + u64::from(u32::from_be_bytes(space.app.core.ids.bytes())) % span;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let fresh = match timeout_at(deadline, space.reread()).await {
            Ok(Ok(fresh)) => fresh,
            Ok(Err(error)) if error.is_transient() => continue,
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(failure),
        };
        if fresh.epoch() != space.meta.epoch() {
            return Err(Error::unavailable("the space was erased or restored during a push"));
        }
        space.meta = fresh;
    }
}

fn link(chain: Option<Chain>, before: u64, head: u64) -> Chain {
    match chain {
        None => Chain { before, last: head, unbroken: true },
        Some(chain) => Chain { last: head, unbroken: chain.unbroken && chain.last == before, ..chain },
    }
}

enum Attempt {
    Done { outcomes: Vec<Outcome>, committed: Option<Meta> },
    Again(Error),
}

async fn attempt(
    space: &Space<'_>,
    person: &Person,
    items: &[Item],
    policy: Policy,
    deadline: Instant,
) -> Result<Attempt> {
    let window = window(items);
    let stored = read(space, window, Some(entries::WITHOUT_CONTENT)).await?;
    let mut plan_now = plan(space, window, &stored, &HashSet::new(), policy, person.device.as_str());
    if plan_now.lost.iter().any(|lost| lost.once) {
        let kept = kept(space, &keepers(space, window, &stored, policy)).await?;
        if !kept.is_empty() {
            plan_now = plan(space, window, &stored, &kept, policy, person.device.as_str());
        }
    }
    if plan_now.is_idle() {
        return Ok(Attempt::Done { outcomes: plan_now.outcomes, committed: None });
    }
    let Some(contents) = contents(space, &plan_now).await? else {
        return Ok(Attempt::Again(Error::unavailable("an entry changed while it was read")));
    };
    let (mut transaction, committed) = write(space, person, window, &plan_now, &contents)?;
    transaction.token(ulid_like(space.app.core.ids.bytes()));
    loop {
        match transaction.clone().run(&space.app.sync).await {
            Ok(()) => return Ok(Attempt::Done { outcomes: plan_now.outcomes, committed }),
            Err(Cancelled::Condition(_)) => return Ok(Attempt::Again(Error::unavailable("lost a race for the head"))),
            Err(Cancelled::Contention(error)) => return Ok(Attempt::Again(error)),
            // It may have happened: only the same token finds out.
            Err(Cancelled::Unknown(error)) if Instant::now() >= deadline => return Err(error),
            Err(Cancelled::Unknown(_)) => tokio::time::sleep(Duration::from_millis(FIRST_PAUSE)).await,
            Err(Cancelled::Failed(error)) => return Err(error),
        }
    }
}

/// As many items as can be in one chunk at all: up to the rows it may write, and before an id comes again.
fn window(items: &[Item]) -> &[Item] {
    let mut ids = HashSet::new();
    let mut valid = 0;
    let end = items
        .iter()
        .position(|item| {
            valid += usize::from(item.change.is_ok());
            valid > MAX_ROWS || !ids.insert(item.id.as_str())
        })
        .unwrap_or(items.len());
    &items[..end]
}

/// The rows of `items` that exist.
async fn read(space: &Space<'_>, items: &[Item], projection: Option<&str>) -> Result<HashMap<String, EntryRow>> {
    let pk = space.pk();
    let wanted: Vec<_> =
        items.iter().filter(|item| item.change.is_ok()).map(|item| keys::sync::entry(&pk, &item.id)).collect();
    let mut rows = HashMap::with_capacity(wanted.len());
    for keys in wanted.chunks(100) {
        for item in space.app.sync.get_items(keys, projection).await? {
            let row = EntryRow::of(item)?;
            rows.insert(row.id.clone(), row);
        }
    }
    Ok(rows)
}

/// Which contents, of those that are kept once, stand in history already.
async fn kept(space: &Space<'_>, keepers: &[(&str, &Change)]) -> Result<HashSet<(String, [u8; 32])>> {
    let now = space.app.core.clock.unix();
    let pair = |(id, change): &(&str, &Change)| {
        let hash = change.incoming.hash;
        (keys::sync::marker(&space.history(id), &hash), ((*id).to_owned(), hash))
    };
    let wanted: HashMap<_, _> = keepers.iter().map(pair).collect();
    let keys: Vec<_> = wanted.keys().cloned().collect();
    let mut kept = HashSet::new();
    for keys in keys.chunks(100) {
        for item in space.app.sync.get_items(keys, None).await? {
            let Some(pair) = keys::Key::of(&item).and_then(|key| wanted.get(&key)) else { continue };
            if history::marked_until(item)? > now {
                kept.insert(pair.clone());
            }
        }
    }
    Ok(kept)
}

/// The stored versions that go to history, whole; `None` where one changed since it was decided on.
async fn contents(space: &Space<'_>, plan: &Plan) -> Result<Option<HashMap<String, EntryRow>>> {
    let pk = space.pk();
    let wanted: HashMap<&str, u64> = plan
        .lost
        .iter()
        .filter_map(|lost| match lost.from {
            LostFrom::Stored { revision } => Some((lost.id.as_str(), revision)),
            LostFrom::Item(_) => None,
        })
        .collect();
    let keys: Vec<_> = wanted.keys().map(|id| keys::sync::entry(&pk, id)).collect();
    let mut rows = HashMap::new();
    for keys in keys.chunks(100) {
        for item in space.app.sync.get_items(keys, None).await? {
            let row = EntryRow::of(item)?;
            rows.insert(row.id.clone(), row);
        }
    }
    let same = wanted.iter().all(|(id, revision)| rows.get(*id).is_some_and(|row| row.revision == *revision));
    Ok(same.then_some(rows))
}

/// The chunk as one transaction, and META as it will be where the chunk is a commit: one that writes only history is
/// none, and the head stays.
fn write(
    space: &Space<'_>,
    person: &Person,
    items: &[Item],
    plan: &Plan,
    contents: &HashMap<String, EntryRow>,
) -> Result<(Transaction, Option<Meta>)> {
    let table = &space.app.sync;
    let pk = space.pk();
    let now = space.app.core.clock.unix();
    let mut transaction = Transaction::new();
    let committed = if plan.rows.is_empty() {
        // An erase in between must not miss what is kept here.
        meta::stands(&mut transaction, table, space.id, &space.meta)?;
        None
    } else {
        let next = Meta { head: plan.seq, head_time: now, totals: plan.totals, ..space.meta.clone() };
        meta::advance(&mut transaction, table, space.id, &space.meta, &next)?;
        let record = Commit {
            seq: plan.seq,
            prev: space.meta.head,
            device: person.device.to_string(),
            time: now,
            touched: plan.touched.clone(),
        };
        let item = record.item(space.app.limits.retention());
        transaction.put_item(table, &keys::sync::commit(&pk, plan.seq), item, Expr::absent())?;
        Some(next)
    };
    for row in &plan.rows {
        match row {
            RowWrite::Put { row, was } => {
                let key = keys::sync::entry(&pk, &row.id);
                let expr = was.map_or_else(Expr::absent, |was| Expr::condition("rev = :was").value(":was", was));
                transaction.put_item(table, &key, row.item(&key), expr)?;
            }
            RowWrite::Merge { row, was } => {
                let expr = Expr::update("SET c = :c, cc = :cc, rev = :rev, seq = :seq, st = :st")
                    .when("rev = :was")
                    .value(":c", row.stored.clock.compact_json())
                    .value(":cc", row.stored.content_clock.compact_json())
                    .value(":rev", row.revision)
                    .value(":seq", row.stored.seq)
                    .value(":st", now)
                    .value(":was", *was);
                transaction.update(table, &keys::sync::entry(&pk, &row.id), expr)?;
            }
        }
    }
    let kept_until = now + space.app.limits.history_days * DAY;
    for lost in &plan.lost {
        let version = version(items, lost, contents)?;
        let partition = space.history(&lost.id);
        let (seq, key) = if committed.is_some() {
            (plan.seq, keys::sync::version(&partition, plan.seq, &version.hash))
        } else {
            let (head, ms) = (space.meta.head, space.app.core.clock.now().as_millisecond());
            (head, keys::sync::version_between(&partition, head, ms, &version.hash))
        };
        let row = history::item(seq, version.clock, version.content, version.author, lost.reason, kept_until);
        transaction.put_item(table, &key, row, Expr::always())?;
        if lost.once {
            let fresh =
                Expr::condition("attribute_not_exists(pk) OR #ttl <= :now").name("#ttl", "ttl").value(":now", now);
            transaction.put_item(
                table,
                &keys::sync::marker(&partition, &version.hash),
                history::marker(kept_until),
                fresh,
            )?;
        }
    }
    Ok((transaction, committed))
}

struct Kept<'a> {
    clock: &'a VectorClock,
    content: &'a satchel_domain::sync::Content,
    author: &'a Author,
    hash: [u8; 32],
}

fn version<'a>(items: &'a [Item], lost: &Lost, contents: &'a HashMap<String, EntryRow>) -> Result<Kept<'a>> {
    let gone = || Error::internal("a version for history has no content");
    match lost.from {
        LostFrom::Item(at) => {
            let Ok(Change { incoming, author }) = &items[at].change else { return Err(gone()) };
            let content = incoming.content.as_ref().ok_or_else(gone)?;
            Ok(Kept { clock: &incoming.clock, content, author, hash: incoming.hash })
        }
        LostFrom::Stored { .. } => {
            let row = contents.get(&lost.id).ok_or_else(gone)?;
            let content = row.content.as_ref().ok_or_else(gone)?;
            Ok(Kept { clock: &row.stored.clock, content, author: &row.author, hash: row.stored.hash })
        }
    }
}

/// A request token: 32 hexadecimal characters.
fn ulid_like(bytes: [u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
