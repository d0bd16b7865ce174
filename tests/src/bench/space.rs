//! A person's space with entries in it, filled over the API.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use satchel_store::keys::sync as keys;
use serde_json::{Value, json};

use crate::stage::{Session, Stage, StageError};

/// Largest item that costs one write unit, in bytes.
pub const ONE_UNIT: usize = 1_024;

/// The entry number `number` of `session`'s device: `bytes` of ciphertext, its device's clock at `count`.
pub fn entry(session: &Session, number: usize, bytes: usize, count: u64) -> Value {
    // Bytes that differ from entry to entry, so that no content is the same.
    let content: Vec<u8> = (0..bytes).map(|at| (number.wrapping_mul(31) ^ at.wrapping_mul(7)) as u8).collect();
    json!({
        "id": format!("0190a0e0-0000-7000-8000-{number:012}"),
        "device_id": session.device_id,
        "encrypted_data": STANDARD.encode(content),
        "vector_clock": { &session.device_id: count },
        "updated_at": 1_772_000_000,
    })
}

/// Body of a push of `entries`.
pub fn push(session: &Session, entries: Vec<Value>) -> Value {
    json!({ "device_id": session.device_id, "entries": entries })
}

/// The answer to a call of `session`, in process.
///
/// # Errors
/// Where it is no 200.
pub async fn call(stage: &Stage, session: &Session, path: &str, body: Option<&Value>) -> Result<Value, StageError> {
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let bearer = format!("Bearer {}", session.access_token);
    let body = body.map(|body| ("application/json", body.to_string()));
    match stage.call(method, path, Some(&bearer), body).await? {
        (200, answer) => Ok(answer),
        (status, answer) => Err(format!("{path} answered {status}: {answer}").into()),
    }
}

/// Pushes the entries `from..to`, 500 at a time, and returns the cursor behind them.
///
/// # Errors
/// Where one is not accepted.
pub async fn fill(stage: &Stage, session: &Session, from: usize, to: usize, bytes: usize) -> Result<(), StageError> {
    let mut next = from;
    while next < to {
        let end = to.min(next + 500);
        let body = push(session, (next..end).map(|number| entry(session, number, bytes, 1)).collect());
        let answer = call(stage, session, "/sync/push", Some(&body)).await?;
        let accepted = answer["accepted"].as_array().map_or(0, Vec::len);
        if accepted != end - next {
            return Err(format!("{accepted} of {} entries were accepted: {answer}", end - next).into());
        }
        next = end;
    }
    Ok(())
}

/// How many bytes of ciphertext make a stored entry of exactly [`ONE_UNIT`] bytes at most: found by storing one.
///
/// # Errors
/// Where the entry cannot be stored or is not found.
pub async fn ciphertext_of_one_unit(stage: &Stage, subject: &str) -> Result<usize, StageError> {
    let session = stage.sign_in(subject).await?;
    stage.grant_sync(&session.user_id).await?;
    let probe = 256;
    fill(stage, &session, 0, 1, probe).await?;
    let local = stage.local();
    let table = local.template().table("SyncTable").ok_or("no table SyncTable")?.name.clone();
    let id = entry(&session, 0, 0, 1)["id"].as_str().unwrap_or_default().to_owned();
    let key = keys::entry(&keys::generation(&session.user_id, 0), &id);
    let request = local.aws().dynamodb().get_item().table_name(table).set_key(Some(key.attributes()));
    let item = request.send().await?.item.ok_or("the entry is not where its key says")?;
    let size = item_size(&item);
    Ok(probe + ONE_UNIT.checked_sub(size).ok_or("an entry has more than 768 bytes besides its ciphertext")?)
}

/// Size of an item as DynamoDB counts it (developer guide, *Item sizes and formats*).
pub fn item_size(item: &HashMap<String, AttributeValue>) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        // About one byte for two significant digits, and one.
        AttributeValue::N(number) => number.trim_matches(['-', '0', '.']).len().div_ceil(2) + 1,
        AttributeValue::M(map) => 3 + map.iter().map(|(name, value)| name.len() + value_size(value) + 1).sum::<usize>(),
        AttributeValue::L(list) => 3 + list.iter().map(|value| value_size(value) + 1).sum::<usize>(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        _ => 1,
    }
}
