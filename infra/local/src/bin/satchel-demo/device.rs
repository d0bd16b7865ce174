//! A device as an app would be: its own copy, its own counter, a cursor, and an outbox of what it wrote offline.

use std::collections::BTreeMap;

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Surprise;
use crate::door::{As, Door};

/// A version of an entry on a device.
#[derive(Debug, Clone)]
struct Entry {
    /// Ciphertext in base64: the server never sees more.
    data: String,
    clock: BTreeMap<String, u64>,
}

/// One device of one person.
pub(crate) struct Device<'d> {
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) token: String,
    pub(crate) refresh: String,
    pub(crate) id: String,
    door: &'d Door,
    copy: BTreeMap<String, Entry>,
    outbox: Vec<String>,
    cursor: Option<String>,
}

impl<'d> Device<'d> {
    /// `subject` signs in on a new device by the local issuer's word.
    pub(crate) async fn sign_in(door: &'d Door, subject: &str, name: &str, platform: &str) -> Result<Self, Surprise> {
        let identity = json!({ "provider": "google", "subject": subject, "email": format!("{subject}@example.org") });
        let (_, identity) = door.call(Method::POST, "/_local/identity", As::Nobody, Some(identity)).await?;
        let body = json!({ "id_token": identity["id_token"], "device": { "name": name, "platform": platform } });
        let (status, session) = door.call(Method::POST, "/auth/google", As::Nobody, Some(body)).await?;
        if status != 200 {
            return Err(format!("{name} could not sign in: {status} {session}").into());
        }
        let text = |field: &str| session[field].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            name: name.to_owned(),
            user: text("user_id"),
            token: text("access_token"),
            refresh: text("refresh_token"),
            id: text("device_id"),
            door,
            copy: BTreeMap::new(),
            outbox: Vec::new(),
            cursor: None,
        })
    }

    /// A call as this device.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<(u16, Value), Surprise> {
        self.door.call(method, path, As::Token(&self.token), body).await
    }

    /// Writes an entry without telling anybody. What an app encrypts is only encoded here.
    pub(crate) fn write(&mut self, id: &str, text: &str) {
        let mut clock = self.copy.get(id).map(|entry| entry.clock.clone()).unwrap_or_default();
        *clock.entry(self.id.clone()).or_default() += 1;
        self.copy.insert(id.to_owned(), Entry { data: STANDARD.encode(text), clock });
        self.outbox.push(id.to_owned());
    }

    /// What it reads in an entry.
    pub(crate) fn read(&self, id: &str) -> Option<String> {
        let data = STANDARD.decode(&self.copy.get(id)?.data).ok()?;
        String::from_utf8(data).ok()
    }

    /// How many entries it has.
    pub(crate) fn count(&self) -> usize {
        self.copy.len()
    }

    /// Pushes its outbox; status and answer. A version that lost takes the server's place for its own.
    pub(crate) async fn push(&mut self, now: i64) -> Result<(u16, Value), Surprise> {
        let entry = |id: &String| {
            let Some(Entry { data, clock }) = self.copy.get(id) else { return Value::Null };
            json!({ "id": id, "device_id": self.id, "encrypted_data": data, "vector_clock": clock, "updated_at": now })
        };
        let entries: Vec<Value> = self.outbox.iter().map(entry).collect();
        let body = json!({ "device_id": self.id, "entries": entries, "base_cursor": self.cursor });
        let (status, answer) = self.call(Method::POST, "/sync/push", Some(body)).await?;
        if status == 200 {
            self.outbox.clear();
            self.cursor = answer["cursor"].as_str().map(str::to_owned).or(self.cursor.take());
            for result in answer["results"].as_array().into_iter().flatten() {
                self.take(&result["server_entry"])?;
            }
        }
        Ok((status, answer))
    }

    /// Pulls until nothing is left; how many entries came.
    pub(crate) async fn pull(&mut self) -> Result<usize, Surprise> {
        let mut came = 0;
        loop {
            let body = json!({ "device_id": self.id, "cursor": self.cursor, "limit": 100 });
            let (status, page) = self.call(Method::POST, "/sync/pull", Some(body)).await?;
            if status != 200 {
                return Err(format!("{} could not pull: {status} {page}", self.name).into());
            }
            for entry in page["entries"].as_array().into_iter().flatten() {
                self.take(entry)?;
                came += 1;
            }
            for id in page["deleted_ids"].as_array().into_iter().flatten() {
                self.copy.remove(id.as_str().unwrap_or_default());
            }
            self.cursor = page["cursor"].as_str().map(str::to_owned);
            if page["has_more"] != true {
                return Ok(came);
            }
        }
    }

    fn take(&mut self, entry: &Value) -> Result<(), Surprise> {
        if let (Some(id), Some(data)) = (entry["id"].as_str(), entry["encrypted_data"].as_str()) {
            let clock = serde_json::from_value(entry["vector_clock"].clone())?;
            self.copy.insert(id.to_owned(), Entry { data: data.to_owned(), clock });
        }
        Ok(())
    }

    /// The digest of its copy, made as docs/api.md says: equal digests mean equal copies.
    pub(crate) fn digest(&self) -> Result<String, Surprise> {
        let mut all = [0_u8; 16];
        for (id, entry) in &self.copy {
            let content = Sha256::digest(STANDARD.decode(&entry.data)?);
            let clock = serde_json::to_string(&entry.clock)?;
            let hash = Sha256::new().chain_update(id).chain_update([0]).chain_update(clock).chain_update([0]);
            let hash = hash.chain_update(content).finalize();
            for (byte, other) in all.iter_mut().zip(hash) {
                *byte ^= other;
            }
        }
        Ok(all.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
