//! The stream of the table `sync`: a commit becomes an event for the space's other devices, an erase order a message.

use satchel_domain::ids::{EventId, UserId};
use satchel_domain::{Error, Result};
use satchel_inbound::batch::{self, Change};
use satchel_inbound::{Complaints, Entry, Env};
use satchel_outbound::{Queue, Topic};
use satchel_store::keys::sync as keys;
use serde::Serialize;

/// `sync.changed.v1`: a space's head has moved; a device pulls.
#[derive(Debug, Serialize)]
struct SyncChanged {
    /// The same whenever the record is delivered again.
    id: String,
    user_id: String,
    /// The device whose push it was: it knows.
    device_id: String,
    head: u64,
    /// Unix seconds.
    at: i64,
}

#[derive(Clone)]
struct Consumer {
    topic: Topic,
    erase: Queue,
}

pub(crate) fn entry(env: &Env) -> Result<Entry, Complaints> {
    let (topic, erase) =
        env.settings.read(|settings| (settings.text("TOPIC_EVENTS"), settings.text("QUEUE_SYNC_ERASE")))?;
    let consumer = Consumer { topic: Topic::new(env.aws.sns(), topic), erase: Queue::new(env.aws.sqs(), erase) };
    Ok(Entry::event(move |event| {
        let consumer = consumer.clone();
        async move { batch::stream(event, |change| consumer.handle(change)).await }
    }))
}

impl Consumer {
    async fn handle(&self, change: Change) -> Result<()> {
        let space = keys::space_of(&change.pk).ok_or_else(|| Error::internal("a change outside of any space"))?;
        let Some(new) = change.new else { return Ok(()) };
        if change.kind != "INSERT" {
            return Ok(());
        }
        if let Some(generation) = change.sk.strip_prefix(keys::ERASE) {
            let generation: u64 = generation.parse().map_err(Error::internal)?;
            return self.erase.send(&serde_json::json!({ "space": space, "generation": generation })).await;
        }
        let Some(head) = keys::seq_of(&change.sk) else { return Ok(()) };
        let user: UserId = space.parse().map_err(Error::internal)?;
        let prefix = <EventId as satchel_domain::ids::Id>::PREFIX;
        let event = SyncChanged {
            id: format!("{prefix}sync-{user}-{head}"),
            user_id: user.to_string(),
            device_id: new["by"].as_str().unwrap_or_default().to_owned(),
            head,
            at: new["t"].as_i64().unwrap_or(0),
        };
        self.topic.publish("sync.changed.v1", &event).await
    }
}
