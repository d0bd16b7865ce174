//! What the tests of the sync API have in common.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use satchel_testkit::{Answer, Options, Session, Stack};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Two devices of one person who pays, on a stack of their own.
pub(crate) async fn two_devices() -> (Stack, Session, Session) {
    two_devices_with(Options::default()).await
}

pub(crate) async fn two_devices_with(options: Options) -> (Stack, Session, Session) {
    let stack = Stack::with(options).await;
    let (phone, laptop) = (stack.sign_in("ada").await, stack.sign_in_on("ada", "macos", "Ada's Mac").await);
    stack.grant(&phone.user_id, "sync", 30).await;
    (stack, phone, laptop)
}

/// An entry by `author` as a push has it.
pub(crate) fn entry(id: &str, author: &str, data: &str, clock: Value, updated_at: i64) -> Value {
    json!({
        "id": id, "device_id": author, "encrypted_data": data, "vector_clock": clock, "version": 1,
        "is_deleted": false, "created_at": 1_702_300_000, "updated_at": updated_at,
    })
}

/// A deletion by `author` as a push has it.
pub(crate) fn tombstone(id: &str, author: &str, clock: Value, updated_at: i64) -> Value {
    let mut entry = entry(id, author, "", clock, updated_at);
    entry["is_deleted"] = json!(true);
    entry
}

/// `count` entries of the device `a`, each with `bytes` bytes of ciphertext of its own.
pub(crate) fn many(count: usize, bytes: usize) -> Vec<Value> {
    (0..count).map(|at| entry(&format!("e{at:04}"), "a", &blob(at, bytes), json!({ "a": 1 }), 1_702_300_000)).collect()
}

/// Base64 of `bytes` bytes that differ by `seed`.
pub(crate) fn blob(seed: usize, bytes: usize) -> String {
    let mut data = vec![b'x'; bytes];
    for (byte, digit) in data.iter_mut().zip(format!("{seed:08}").bytes()) {
        *byte = digit;
    }
    STANDARD.encode(data)
}

pub(crate) async fn try_push(stack: &Stack, device: &Session, body: Value) -> Answer {
    let mut body = body;
    body["device_id"] = json!(device.device_id);
    stack.post("/sync/push").auth(device).json(body).send().await
}

/// Pushes entries; the answer.
pub(crate) async fn push(stack: &Stack, device: &Session, entries: &[Value]) -> Value {
    try_push(stack, device, json!({ "entries": entries })).await.ok()
}

/// Pushes one entry; its result.
pub(crate) async fn push_one(stack: &Stack, device: &Session, entry: Value) -> Value {
    push(stack, device, &[entry]).await["results"][0].clone()
}

/// Deletes by id; the answer.
pub(crate) async fn delete_ids(stack: &Stack, device: &Session, ids: &[&str]) -> Value {
    try_push(stack, device, json!({ "deleted_ids": ids })).await.ok()
}

pub(crate) async fn try_pull(stack: &Stack, device: &Session, body: Value) -> Answer {
    let mut body = body;
    body["device_id"] = json!(device.device_id);
    stack.post("/sync/pull").auth(device).json(body).send().await
}

/// One page.
pub(crate) async fn pull(stack: &Stack, device: &Session, body: Value) -> Value {
    try_pull(stack, device, body).await.ok()
}

/// What a device holds: the entries and the tombstones it was told of.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Held {
    pub(crate) entries: BTreeMap<String, Value>,
    pub(crate) tombstones: BTreeMap<String, Value>,
    pub(crate) cursor: String,
    pub(crate) pages: usize,
    pub(crate) server_timestamp: u64,
}

impl Held {
    /// Takes what a page brings; nothing of an older commit is taken for newer.
    pub(crate) fn take(&mut self, page: &Value) {
        let list = |name: &str| page[name].as_array().unwrap_or_else(|| panic!("no {name} in {page}")).clone();
        let (entries, tombstones, ids) = (list("entries"), list("tombstones"), list("deleted_ids"));
        for entry in entries {
            let id = text(&entry["id"]);
            self.tombstones.remove(&id);
            self.entries.insert(id, entry);
        }
        assert_eq!(tombstones.iter().map(|dead| dead["id"].clone()).collect::<Vec<_>>(), ids);
        for dead in tombstones {
            let id = text(&dead["id"]);
            self.entries.remove(&id);
            self.tombstones.insert(id, dead);
        }
        self.cursor = text(&page["cursor"]);
        self.server_timestamp = page["server_timestamp"].as_u64().unwrap();
        self.pages += 1;
    }

    /// Ids of the entries.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.entries.keys().map(String::as_str).collect()
    }

    /// The digest as the documentation defines it, from nothing but this copy.
    pub(crate) fn digest(&self) -> String {
        let mut digest = [0u8; 16];
        for (id, entry) in &self.entries {
            let hash = Sha256::new()
                .chain_update(id)
                .chain_update([0])
                .chain_update(serde_json::to_string(&entry["vector_clock"]).unwrap())
                .chain_update([0])
                .chain_update(Sha256::digest(bytes_of(entry)))
                .finalize();
            digest.iter_mut().zip(hash).for_each(|(mine, theirs)| *mine ^= theirs);
        }
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Bytes that count against the quota.
    pub(crate) fn bytes(&self) -> usize {
        let one = |entry: &Value| bytes_of(entry).len() + entry["vector_clock"].to_string().len() + 200;
        self.entries.values().map(one).sum()
    }
}

/// The stored bytes of an entry: canonical padded base64 decoded, any other text as it is.
fn bytes_of(entry: &Value) -> Vec<u8> {
    let text = text(&entry["encrypted_data"]);
    STANDARD.decode(&text).unwrap_or_else(|_| text.into_bytes())
}

/// Pulls from `from` (`{}`, or a `cursor`) with pages of `limit` until there is no more.
pub(crate) async fn pull_on(stack: &Stack, device: &Session, held: &mut Held, from: Value, limit: usize) {
    let mut body = from;
    for _ in 0..100_000 {
        body["limit"] = json!(limit);
        let page = pull(stack, device, body).await;
        let told = page["entries"].as_array().unwrap().len() + page["tombstones"].as_array().unwrap().len();
        assert!(told <= limit, "{told} on a page of {limit}");
        let before = held.cursor.clone();
        held.take(&page);
        if page["has_more"] == false {
            assert_eq!(page["complete"], true);
            return;
        }
        assert!(told > 0 || held.cursor != before, "an empty page whose cursor stands: {page}");
        body = json!({ "cursor": held.cursor });
    }
    panic!("a pull does not end");
}

/// A full pull, in pages of 1,000.
pub(crate) async fn pull_all(stack: &Stack, device: &Session) -> Held {
    let mut held = Held::default();
    pull_on(stack, device, &mut held, json!({}), 1_000).await;
    held
}

/// A client of the seed: it knows `last_sync_at` alone, and goes on by `server_timestamp` while there is more.
pub(crate) async fn seed_pull(stack: &Stack, device: &Session, held: &mut Held, last_sync_at: Value) {
    let mut last = last_sync_at;
    for _ in 0..1_000 {
        let page = pull(stack, device, json!({ "last_sync_at": last, "vector_clock": {} })).await;
        held.take(&page);
        last = page["server_timestamp"].clone();
        if page["has_more"] == false {
            return;
        }
    }
    panic!("a pull does not end");
}

pub(crate) async fn status(stack: &Stack, device: &Session) -> Value {
    stack.get("/sync/status").auth(device).send().await.ok()
}

pub(crate) async fn history(stack: &Stack, device: &Session, id: &str) -> Vec<Value> {
    let answer = stack.get(&format!("/sync/entries/{id}/history")).auth(device).send().await.ok();
    answer["versions"].as_array().unwrap().clone()
}

/// The (data, reason) pairs of a history, newest first.
pub(crate) async fn reasons(stack: &Stack, device: &Session, id: &str) -> Vec<(String, String)> {
    let one = |version: &Value| (text(&version["encrypted_data"]), text(&version["reason"]));
    history(stack, device, id).await.iter().map(one).collect()
}

/// A full pull adds up to what status says.
pub(crate) async fn assert_adds_up(stack: &Stack, device: &Session) {
    let (held, status) = (pull_all(stack, device).await, status(stack, device).await);
    assert_eq!(status["entry_count"], held.entries.len(), "{status}");
    assert_eq!(status["tombstones"], held.tombstones.len(), "{status}");
    assert_eq!(status["bytes"], held.bytes(), "{status}");
    assert_eq!(status["digest"], held.digest(), "{status}");
}

/// A JSON string's text.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// The ids of a list of them.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(text).collect()
}

/// Length of a body as Lambda carries it: inside a JSON string.
pub(crate) fn escaped(answer: &Answer) -> usize {
    serde_json::to_string(std::str::from_utf8(&answer.body).unwrap()).unwrap().len()
}
