//! DynamoDB capacity units of sync, as the emulator counts them (it rounds as DynamoDB does): exact, without noise.

use std::time::{Duration, Instant};

use satchel_local::services::{Count, Service};
use serde_json::{Value, json};

use crate::stage::{Session, Stage, StageError};

use super::report::{Bar, Section};
use super::space::{call, ciphertext_of_one_unit, entry, fill, push};
use super::stats::Samples;

/// Entries of the push that the bar is about.
pub const BATCH: usize = 90;
/// Write units an entry that the bar allows.
pub const WRITE_UNITS: f64 = 2.2;
/// Entries changed before the pull that the bar is about.
const CHANGED: usize = 10;

/// What one call cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Read units.
    pub read: f64,
    /// Write units.
    pub write: f64,
    /// Calls to DynamoDB.
    pub calls: u64,
}

/// What the calls of `work` to DynamoDB cost.
///
/// # Errors
/// What `work` failed of.
pub async fn cost<T>(
    stage: &Stage,
    work: impl Future<Output = Result<T, StageError>>,
) -> Result<(T, Cost), StageError> {
    let counters = stage.local().services().counters();
    // What earlier commits made the consumers do is not this call's.
    stage.local().drain(Duration::from_secs(30)).await;
    counters.watch_capacity(true);
    counters.reset();
    let outcome = work.await;
    let Count { read_units, write_units, calls, .. } = counters.total(Service::Dynamodb);
    counters.watch_capacity(false);
    Ok((outcome?, Cost { read: read_units, write: write_units, calls }))
}

/// Cost of a push of `batch` new entries of `bytes` bytes of ciphertext.
///
/// # Errors
/// Where it is refused.
pub async fn of_push(
    stage: &Stage,
    session: &Session,
    from: usize,
    batch: usize,
    bytes: usize,
) -> Result<Cost, StageError> {
    let body = push(session, (from..from + batch).map(|number| entry(session, number, bytes, 1)).collect());
    let (answer, cost) = cost(stage, call(stage, session, "/sync/push", Some(&body))).await?;
    match answer["accepted"].as_array().map(Vec::len) {
        Some(accepted) if accepted == batch => Ok(cost),
        _ => Err(format!("not all were accepted: {answer}").into()),
    }
}

/// What reads cost in a space of `entries`: a pull of 10 changes, a poll at the head, the status.
#[derive(Debug, Clone, Default)]
pub struct Reads {
    /// Pull of 10 changes.
    pub pull: Cost,
    /// Poll at the head.
    pub poll: Cost,
    /// Status.
    pub status: Cost,
    /// Times of the pull.
    pub times: Samples,
}

/// Fills a space with `entries` of 512 bytes and measures reads in it.
///
/// # Errors
/// Where a call is refused.
pub async fn of_reads(stage: &Stage, subject: &str, entries: usize, rounds: usize) -> Result<Reads, StageError> {
    let author = stage.sign_in(subject).await?;
    stage.grant_sync(&author.user_id).await?;
    let reader = stage.sign_in(subject).await?;
    let bytes = 512;
    fill(stage, &author, 0, entries - CHANGED, bytes).await?;
    let cursor = to_the_head(stage, &reader).await?;
    let changes = (entries - CHANGED..entries).map(|number| entry(&author, number, bytes, 1)).collect();
    call(stage, &author, "/sync/push", Some(&push(&author, changes))).await?;

    let pull = json!({ "device_id": reader.device_id, "cursor": cursor });
    let mut times = Vec::new();
    let mut reads = Reads::default();
    let mut head = Value::Null;
    // The first pull also writes where the device stands; the ones after it tell what a pull costs.
    for _ in 0..=rounds {
        let timed = async {
            let begun = Instant::now();
            let answer = call(stage, &reader, "/sync/pull", Some(&pull)).await?;
            Ok((answer, begun.elapsed()))
        };
        let ((answer, took), cost) = cost(stage, timed).await?;
        times.push(took);
        if answer["entries"].as_array().map(Vec::len) != Some(CHANGED) {
            return Err(format!("the pull did not bring {CHANGED} entries: {answer}").into());
        }
        (reads.pull, head) = (cost, answer["cursor"].clone());
    }
    reads.times = Samples::of(times);
    let poll = json!({ "device_id": reader.device_id, "cursor": head });
    for _ in 0..2 {
        reads.poll = cost(stage, call(stage, &reader, "/sync/pull", Some(&poll))).await?.1;
    }
    reads.status = cost(stage, call(stage, &reader, "/sync/status", None)).await?.1;
    Ok(reads)
}

/// Pulls everything, as a new device does, and returns the cursor at the head.
///
/// # Errors
/// Where a page is refused.
pub async fn to_the_head(stage: &Stage, reader: &Session) -> Result<Value, StageError> {
    let mut cursor = Value::Null;
    loop {
        let body = json!({ "device_id": reader.device_id, "cursor": cursor });
        let page = call(stage, reader, "/sync/pull", Some(&body)).await?;
        cursor = page["cursor"].clone();
        if page["has_more"] != true {
            return Ok(cursor);
        }
    }
}

/// The part of the page.
///
/// # Errors
/// Where a call is refused.
pub async fn run(stage: &Stage, sizes: &[usize]) -> Result<Section, StageError> {
    let mut section = Section::new(40, "DynamoDB capacity of sync");
    let bytes = ciphertext_of_one_unit(stage, "unit").await?;
    section.say(&format!(
        "Units of whole requests, the read of the add-on included, as the emulator counts them. Entries of {bytes} bytes of \
         ciphertext are stored as items of 1,024 bytes in all: the largest of one unit (two in a transaction)."
    ));
    let session = stage.sign_in("push").await?;
    stage.grant_sync(&session.user_id).await?;
    fill(stage, &session, 0, 1, bytes).await?;
    let (mut rows, mut bar, mut from) = (Vec::new(), Cost::default(), 1);
    for batch in [1, 10, BATCH, 200, 1_000] {
        let cost = of_push(stage, &session, from, batch, bytes).await?;
        from += batch;
        if batch == BATCH {
            bar = cost;
        }
        let each = |units: f64| format!("{:.2}", units / batch as f64);
        let (write, read) = (format!("{:.0}", cost.write), format!("{:.1}", cost.read));
        rows.push(vec![batch.to_string(), write, each(cost.write), read, each(cost.read), cost.calls.to_string()]);
    }
    section.say("A push of new entries:");
    section.table(&["entries", "write units", "an entry", "read units", "an entry", "calls"], &rows);
    let each = bar.write / BATCH as f64;
    section.bars.push(Bar::judged(
        "sync push, write units an entry (item of 1,024 bytes, none existing, batch of 90)",
        "≤ 2.2",
        format!("{each:.2}, and {:.2} read units", bar.read / BATCH as f64),
        each <= WRITE_UNITS,
    ));

    let mut rows = Vec::new();
    let mut seen: Vec<(usize, Reads)> = Vec::new();
    for entries in sizes {
        let reads = of_reads(stage, &format!("space-{entries}"), *entries, 30).await?;
        let told = |cost: Cost| format!("{:.1} read, {:.0} write, {} calls", cost.read, cost.write, cost.calls);
        let time = format!("{:.2}", reads.times.median());
        rows.push(vec![entries.to_string(), told(reads.pull), time, told(reads.poll), told(reads.status)]);
        seen.push((*entries, reads));
    }
    section.say("Reads in a space of N entries of 512 bytes (time in process, with the emulator, in milliseconds):");
    section.table(&["N", "pull of 10 changes", "p50 of it", "poll at the head", "status"], &rows);
    if let [(_, first), .., (largest, last)] = &seen[..] {
        let same = seen
            .iter()
            .all(|(_, reads)| (reads.pull, reads.poll, reads.status) == (first.pull, first.poll, first.status));
        let ratio = last.times.median() / first.times.median();
        section.bars.push(Bar::judged(
            "sync pull of k changes among N entries",
            "capacity and time the same for N = 1,000, 10,000, 100,000",
            format!(
                "capacity {}; time {ratio:.2} × from {} to {largest}",
                if same { "the same" } else { "not the same" },
                seen[0].0
            ),
            same && ratio <= 1.25,
        ));
    }
    Ok(section)
}
