//! The queue of store events: what was verified at the door is folded into what people may use; stores are asked how
//! purchases stand.
//!
//! A message holds a key. It may come twice, late, or after its event was settled: then it does nothing. What fails is
//! tried again by the queue, and what the queue gives up the hourly reconciling sends again.

use std::sync::Arc;

use satchel_domain::appstore::{NotificationType, Reason, Source};
use satchel_domain::ids::{EventId, Id as _};
use satchel_domain::playstore::{Body, Kind, Message as Push, PurchaseToken, RefundType, VoidedProduct};
use satchel_domain::purchases::owner::Claim;
use satchel_domain::purchases::{Store, due};
use satchel_domain::time::DAY;
use satchel_domain::{Error, Result, Timestamp};
use satchel_inbound::{Complaints, Entry, Env, batch};
use satchel_store::purchases::{self, EventRow};

use crate::app::{Apple, Google, Stores};
use crate::fold::{Cause, Line, News, environment_name};
use crate::message::Message;
use crate::routes::events::{UNREAD, notification};
use crate::stores::{StoreError, ocsp};
use crate::trouble;

/// How long an event that cannot be read is tried again, in milliseconds.
const GIVEN_UP: i64 = 30 * DAY * 1_000;

pub(crate) async fn build(env: &Env) -> Result<Entry, Complaints> {
    let stores = Arc::new(Stores::from_env(env).await?);
    Ok(Entry::event(move |event| {
        let stores = Arc::clone(&stores);
        async move { batch::queue(event, |message| stores.handle(message)).await }
    }))
}

impl Stores {
    async fn handle(&self, message: Message) -> Result<()> {
        match message {
            Message::Look { store, id, voided } => self.look(store, &id, voided).await,
            Message::Event { store, id } => {
                let event = purchases::event(&self.books.table, store, &id).await?;
                // Settled before, or gone after 400 days.
                let Some(event) = event.filter(|event| event.outcome.is_none()) else { return Ok(()) };
                match (store, &self.apple, &self.google) {
                    (Store::Ios, Some(apple), _) => self.apple_event(apple, &event).await,
                    (Store::Android, _, Some(google)) => self.google_event(google, &event).await,
                    _ => self.try_later(&event, "store_not_configured").await,
                }
            }
        }
    }

    async fn settle(&self, event: &EventRow, outcome: &str) -> Result<()> {
        let now = self.books.clock.now().as_millisecond();
        purchases::settle_alone(&self.books.table, event, outcome, now).await
    }

    /// An event that cannot be read now: what is wrong may be our settings, or a code of ours that is older than the
    /// store's. It is tried again every hour, and given up after 30 days.
    async fn try_later(&self, event: &EventRow, why: &str) -> Result<()> {
        let now = self.books.clock.now().as_millisecond();
        tracing::error!(reason = why, metric = "StoreEventUnread", "a stored event is of no use now");
        if now.saturating_sub(event.received_at) < GIVEN_UP {
            return purchases::postpone(&self.books.table, event, now + due::NEXT_RUN * 1_000).await;
        }
        self.settle(event, &format!("refused: {why}")).await
    }

    /// The cause of what `event` changes: the same at every delivery.
    fn cause<'a>(&self, event: &'a EventRow, by: &'static str) -> Result<Cause<'a>> {
        let id = format!("{}{by}-{}", EventId::PREFIX, event.id).parse().map_err(Error::internal)?;
        Ok(Cause { what: event.kind.clone(), by, id, at: event.said_at, event: Some(event), look_soon: false })
    }

    async fn apple_event(&self, apple: &Apple, event: &EventRow) -> Result<()> {
        let received = Timestamp::from_millisecond(event.received_at).map_err(Error::internal)?;
        let source = if event.by_api { Source::Api } else { Source::Webhook { now: received } };
        let unread = event.id.starts_with(UNREAD);
        let now = self.books.clock.now();
        let believed = apple.api.believe(now, |verifier, known| {
            if !unread && environment_name(verifier.environment()) != event.environment {
                return Err(Reason::Environment.into());
            }
            verifier.notification(&event.body, source, known)
        });
        let (verified, environment) = match believed {
            Ok(believed) => believed,
            Err(refused) => return self.try_later(event, refused.reason.as_str()).await,
        };
        if unread {
            // It goes on under its own id, under which it may have come again.
            let read = notification(&event.body, &verified.value, environment, received);
            let read = EventRow { by_api: event.by_api, ..read };
            self.take_in(&read).await?;
            return self.settle(event, &format!("read as {}", read.id)).await;
        }
        // What our own call brought came over TLS from the store that signed it. A responder need not know a leaf that has
        // ended: then the store itself is asked.
        let ended = verified.chains.iter().any(|chain| chain.window().until < now.as_second());
        if !event.by_api && !ended {
            match apple.stands(&self.books.table, &verified.chains, now).await {
                Ok(()) => {}
                Err(ocsp::Outcome::Revoked) => return self.settle(event, "refused: certificate_revoked").await,
                Err(ocsp::Outcome::Later(error)) => return Err(error),
            }
        }
        let Some(transaction) = &verified.value.transaction else { return self.settle(event, "recorded").await };
        let original = &transaction.original_transaction_id;
        let line = if ended && !event.by_api {
            match apple.api.purchase(&transaction.transaction_id, Some(environment), now).await {
                Ok(found) => Line::new(found.environment, original, &found.transactions, found.renewal.as_ref()),
                Err(StoreError::NotFound) => return self.settle(event, "refused: unknown_to_the_store").await,
                Err(error) => return Err(trouble::of_look(error)),
            }
        } else {
            Line::new(environment, original, std::slice::from_ref(transaction), verified.value.renewal.as_ref())
        };
        let kind = &verified.value.notification.notification_type;
        let unknown = matches!(kind, NotificationType::Other(_));
        let cause = Cause { look_soon: unknown, ..self.cause(event, "apple")? };
        self.books.fold(&News::Line(line), Claim::Nobody, &cause).await.map(|_| ())
    }

    async fn google_event(&self, google: &Google, event: &EventRow) -> Result<()> {
        let message = match google.push.message(event.body.as_bytes()) {
            Ok(message) => message,
            Err(reason) => return self.try_later(event, reason.as_str()).await,
        };
        let Some((token, kind, voided)) = about(&message) else { return self.settle(event, "recorded").await };
        self.look_at_token(google, token, kind, voided, &self.cause(event, "google")?).await
    }
}

/// An order that was wholly voided, and when, Unix seconds.
type VoidedOrder = (String, i64);

/// The purchase that a message is about, and the order that it says was voided.
fn about(message: &Push) -> Option<(&PurchaseToken, Kind, Option<VoidedOrder>)> {
    match &message.body {
        Body::Subscription { token, .. } => Some((token, Kind::Subscription, None)),
        Body::OneTime { token, .. } => Some((token, Kind::OneTime, None)),
        Body::Voided { token, order_id, refund_type, product_type } => {
            let kind = if *product_type == VoidedProduct::OneTime { Kind::OneTime } else { Kind::Subscription };
            let whole = !matches!(refund_type, RefundType::QuantityBasedPartial);
            let voided = whole.then(|| (order_id.clone(), message.event_time.as_second()));
            Some((token, kind, voided))
        }
        _ => None,
    }
}
