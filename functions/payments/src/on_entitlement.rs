//! The stream of the table `entitlements`: an add-on that changed becomes an event on the topic, and a webhook where a
//! receiver is set.
//!
//! An add-on's state depends on the time too, and nobody is told when an end merely comes. So what is told now is compared
//! with what was told at the row's change before this one, not with what the row before would say today: an end that came
//! in between is told with the store's word of it.
//!
//! A record may come again: the event's id is made of the person, the add-on and the row's version, so that whoever
//! receives it twice can tell.

use satchel_domain::entitlements::{AddOn, Entitlement, best};
use satchel_domain::ids::{EventId, Id as _, UserId};
use satchel_domain::{Error, Result, Timestamp, webhooks};
use satchel_inbound::batch::{self, Change};
use satchel_inbound::{Clock, Complaints, Entry, Env};
use satchel_outbound::{Queue, Topic};
use satchel_store::entitlements::AddOnRow;
use satchel_store::keys::entitlements as keys;
use serde::Serialize;
use serde_json::Value;

use crate::on_webhook::Message;

/// The event's name, on the topic and in the webhook.
const NAME: &str = "payment.updated.v1";

/// `payment.updated.v1`: what a person may use has changed.
#[derive(Debug, Serialize)]
struct PaymentUpdated {
    /// The same whenever the record is delivered again.
    id: String,
    user_id: UserId,
    add_on_type: AddOn,
    /// Counts the changes of this person's add-on: of two events the higher one is the later.
    version: u64,
    /// When it was told, Unix seconds.
    at: i64,
    /// The add-on now; null where nothing gives it any more.
    entitlement: Option<Entitlement>,
    /// The add-on as it was told before; null where there was none.
    previous: Option<Entitlement>,
}

#[derive(Clone)]
struct Consumer {
    clock: Clock,
    topic: Topic,
    /// Where there is a receiver.
    webhook: Option<Queue>,
}

pub(crate) fn entry(env: &Env) -> Result<Entry, Complaints> {
    let (topic, queue, receiver) = env.settings.read(|settings| {
        let queue = settings.text("QUEUE_ENTITLEMENT_WEBHOOK");
        (settings.text("TOPIC_EVENTS"), queue, settings.optional("ENTITLEMENT_WEBHOOK_URL"))
    })?;
    let consumer = Consumer {
        clock: env.clock.clone(),
        topic: Topic::new(env.aws.sns(), topic),
        webhook: receiver.map(|_| Queue::new(env.aws.sqs(), queue)),
    };
    Ok(Entry::event(move |event| {
        let consumer = consumer.clone();
        async move { batch::stream(event, |change| consumer.handle(change)).await }
    }))
}

impl Consumer {
    async fn handle(&self, change: Change) -> Result<()> {
        if !change.sk.starts_with(keys::ADD_ONS) {
            return Ok(());
        }
        let user = keys::user_of(&change.pk).ok_or_else(|| Error::internal("an add-on of nobody"))?;
        let now = self.clock.now();
        let Some(event) = told(user, row(change.old)?, row(change.new)?, now) else { return Ok(()) };
        self.topic.publish(NAME, &event).await?;
        match &self.webhook {
            Some(queue) => queue.send(&Message::new(&event.id, NAME, now, &event)?).await,
            None => Ok(()),
        }
    }
}

fn row(image: Option<Value>) -> Result<Option<AddOnRow>> {
    image.map(serde_json::from_value).transpose().map_err(Error::internal)
}

/// The event of a row that was `old` and is `new`; none where nobody can see a difference.
fn told(user: UserId, old: Option<AddOnRow>, new: Option<AddOnRow>, now: Timestamp) -> Option<PaymentUpdated> {
    let now = now.as_second();
    // A row that is gone went with its account.
    let version = new.as_ref().map_or_else(|| old.as_ref().map(|old| old.version + 1), |new| Some(new.version))?;
    let add_on = new.as_ref().or(old.as_ref())?.add_on;
    let previous = old.and_then(|row| at(&row, last_word(&row).min(now)));
    let entitlement = new.and_then(|row| at(&row, now));
    if seen(previous.as_ref()) == seen(entitlement.as_ref()) {
        return None;
    }
    let id = webhooks::stable_id(&format!("{user} {} {version}", add_on.as_str()));
    let id = format!("{}payment-{id}", EventId::PREFIX);
    Some(PaymentUpdated { id, user_id: user, add_on_type: add_on, version, at: now, entitlement, previous })
}

fn at(row: &AddOnRow, moment: i64) -> Option<Entitlement> {
    best(row.add_on, row.sources.values(), moment)
}

/// When somebody last said something of what feeds `row`, Unix seconds: about when it was written.
fn last_word(row: &AddOnRow) -> i64 {
    row.sources.values().map(|source| source.updated_at).max().unwrap_or(i64::MAX)
}

/// What counts as a difference: everything but the time at which a store repeated itself.
fn seen(entitlement: Option<&Entitlement>) -> Option<Entitlement> {
    entitlement.map(|it| Entitlement { updated_at: 0, ..it.clone() })
}

#[cfg(test)]
#[path = "on_entitlement_tests.rs"]
mod tests;
