//! Reads a table's stream the way an event source mapping does, and shapes its records as Lambda receives them.

use dynoxide::actions::get_records::{GetRecordsRequest, Record as EngineRecord};
use dynoxide::actions::get_shard_iterator::{GetShardIteratorRequest, decode_shard_iterator, encode_shard_iterator};
use dynoxide::streams::{shard_id, stream_arn};
use dynoxide::{Database, DynoxideError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::template::REGION;

/// The engine numbers records from 1 and shows them with this much added, so that all have 21 digits.
const OFFSET: u128 = 100_000_000_000_000_000_000;

/// How far a reader has come in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Position {
    /// Before the oldest record.
    TrimHorizon,
    /// After the record with this sequence number.
    After(String),
}

/// One record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its place in the stream; later records have larger ones, also as text.
    pub sequence_number: String,
    /// When it was written, by the injected clock; by the real one where data is a folder.
    pub created_ms: i64,
    /// An element of `Records` of Lambda's event.
    pub event: Value,
}

/// Records read, and where to read on.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The records, oldest first.
    pub records: Vec<Record>,
    /// The position after them.
    pub next: Position,
}

pub(super) fn poll(
    db: &Database,
    table: &str,
    arn: &str,
    after: &Position,
    limit: usize,
    bound: Option<i64>,
) -> Result<Batch, DynoxideError> {
    let shard = shard_id(table);
    let mut from = stored(after);
    let mut records = read(db, table, &shard, from, limit)?;
    // Not by the newest number: the engine finds that by reading every record of the stream.
    if records.is_empty() && from > 0 && read(db, table, &shard, from - 1, 1)?.is_empty() {
        // The tables were emptied since: numbers start again.
        from = 0;
        records = read(db, table, &shard, from, limit)?;
    }
    if let Some(bound) = bound {
        records.retain(|record| stored_number(&record.dynamodb.sequence_number) <= bound);
    }
    let records = records.into_iter().map(|record| shape(record, arn)).collect::<Result<Vec<_>, _>>()?;
    let next = match records.last() {
        Some(last) => Position::After(last.sequence_number.clone()),
        None if from == 0 => Position::TrimHorizon,
        None => after.clone(),
    };
    Ok(Batch { records, next })
}

/// The position after the newest record.
pub(super) fn latest(db: &Database, table: &str) -> Result<Position, DynoxideError> {
    Ok(match newest(db, table)? {
        0 => Position::TrimHorizon,
        number => Position::After((OFFSET + u128::from(number.unsigned_abs())).to_string()),
    })
}

/// The engine's number of the newest record, 0 where there is none.
pub(super) fn newest(db: &Database, table: &str) -> Result<i64, DynoxideError> {
    let request = GetShardIteratorRequest {
        stream_arn: stream_arn(table, "local"),
        shard_id: shard_id(table),
        shard_iterator_type: "LATEST".to_owned(),
        sequence_number: None,
    };
    let iterator = db.get_shard_iterator(request)?.shard_iterator.unwrap_or_default();
    Ok(decode_shard_iterator(&iterator).map(|(_, _, position)| position).unwrap_or_default())
}

fn read(db: &Database, table: &str, shard: &str, from: i64, limit: usize) -> Result<Vec<EngineRecord>, DynoxideError> {
    let shard_iterator = encode_shard_iterator(table, shard, from);
    Ok(db.get_records(GetRecordsRequest { shard_iterator, limit: Some(limit) })?.records)
}

fn stored(position: &Position) -> i64 {
    match position {
        Position::TrimHorizon => 0,
        Position::After(number) => stored_number(number),
    }
}

fn stored_number(number: &str) -> i64 {
    number.parse::<u128>().ok().and_then(|number| i64::try_from(number.checked_sub(OFFSET)?).ok()).unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, reason = "seconds of this century in milliseconds")]
fn shape(mut record: EngineRecord, arn: &str) -> Result<Record, DynoxideError> {
    REGION.clone_into(&mut record.aws_region);
    let sequence_number = record.dynamodb.sequence_number.clone();
    let created_ms = (record.dynamodb.approximate_creation_date_time * 1000.0) as i64;
    let mut event =
        serde_json::to_value(record).map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
    event["eventSourceARN"] = arn.into();
    Ok(Record { sequence_number, created_ms, event })
}
