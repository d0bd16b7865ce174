//! The stream of the table `accounts`: what was written is told to others from here, at least once.
//!
//! | change | what follows |
//! | --- | --- |
//! | an event's row is new | the topic gets the event |
//! | an export's row is new | the queue of exports gets it |
//! | a device's session ended, or another took its place | its push endpoint goes quiet |
//! | a device's session began | its description's row, and its place on the clean-up's list |
//! | the account is being erased | the queue of erasings gets it |
//! | the account is erased | the topic gets `account.erased.v1` |

use satchel_domain::Result;
use satchel_domain::ids::{DeviceId, EventId, ExportId, SessionId, UserId};
use satchel_inbound::batch::{self, Change};
use satchel_inbound::{Clock, Complaints, Entry, Env};
use satchel_outbound::{Queue, Topic};
use satchel_store::events::ERASED;
use satchel_store::keys::accounts as keys;
use satchel_store::{Table, devices};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

#[derive(Clone)]
struct OnSession {
    clock: Clock,
    devices: Table,
    topic: Topic,
    erasings: Queue,
    exports: Queue,
}

pub(crate) async fn build(env: Env) -> Result<Entry, Complaints> {
    let (devices, topic, erasings, exports) = env.settings.read(|settings| {
        (
            settings.text("TABLE_DEVICES"),
            settings.text("TOPIC_EVENTS"),
            settings.text("QUEUE_ACCOUNT_ERASE"),
            settings.text("QUEUE_ACCOUNT_EXPORT"),
        )
    })?;
    let sqs = env.aws.sqs();
    let consumer = OnSession {
        clock: env.clock,
        devices: Table::new(env.aws.dynamodb(), devices),
        topic: Topic::new(env.aws.sns(), topic),
        erasings: Queue::new(sqs.clone(), erasings),
        exports: Queue::new(sqs, exports),
    };
    Ok(Entry::event(move |event| {
        let consumer = consumer.clone();
        async move { batch::stream(event, |change| consumer.on(change)).await }
    }))
}

impl OnSession {
    async fn on(&self, change: Change) -> Result<()> {
        let (Some(user), Some(new)) = (keys::user_of(&change.pk), change.new) else { return Ok(()) };
        let old = change.old.unwrap_or(Value::Null);
        let is_new = change.kind == "INSERT";
        if change.sk == keys::ACCOUNT {
            self.on_account(&user, &old, &new).await
        } else if change.sk.starts_with(keys::DEVICES) {
            self.on_device(&user, &old, &new).await
        } else if change.sk.starts_with(keys::EVENTS) && is_new {
            let event = json!({ "id": new["id"], "name": new["name"], "at": new["at"], "data": new["data"] });
            self.topic.publish(&read::<String>(&new["name"])?, &event).await
        } else if change.sk.starts_with(keys::EXPORTS) && is_new {
            let export: ExportId = read(&new["export_id"])?;
            self.exports.send(&json!({ "user_id": user, "export_id": export })).await
        } else {
            Ok(())
        }
    }

    async fn on_account(&self, user: &UserId, old: &Value, new: &Value) -> Result<()> {
        if old["state"] == new["state"] {
            return Ok(());
        }
        match new["state"].as_str() {
            Some("erasing") => self.erasings.send(&json!({ "user_id": user, "pass": 0 })).await,
            Some("erased") => {
                let id: EventId = read(&new["event_id"])?;
                let event = json!({ "id": id, "name": ERASED, "at": new["erased_at"], "data": { "user_id": user } });
                self.topic.publish(ERASED, &event).await
            }
            _ => Ok(()),
        }
    }

    async fn on_device(&self, user: &UserId, old: &Value, new: &Value) -> Result<()> {
        let was_live = old.get("session_id").is_some() && old.get("ended_at").is_none();
        let ended = new.get("ended_at").is_some() || old["session_id"] != new["session_id"];
        if was_live && ended {
            let (device, session): (DeviceId, SessionId) = (read(&old["device_id"])?, read(&old["session_id"])?);
            devices::quiet(&self.devices, user, &device, &session, self.clock.now()).await?;
        }
        if new.get("ended_at").is_none() && old["session_id"] != new["session_id"] {
            devices::arrive(&self.devices, &read(new)?).await?;
        }
        Ok(())
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T> {
    T::deserialize(value).map_err(satchel_domain::Error::internal)
}
