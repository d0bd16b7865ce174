//! Every hour: what never came is looked for (design: payments, Hourly reconcile).
//!
//! | step | finds |
//! | --- | --- |
//! | the index of what is due | events that were stored and not settled; purchases to be acknowledged, renewed or seen once a day |
//! | the App Store's notification history | notifications that never arrived |
//! | Google's voided purchases | refunds whose message never arrived |
//!
//! It only finds: what is found goes into the queue of store events, which does the work at its own pace and repeats what
//! fails. How far a list was read is written down page by page, so the next run goes on where this one stopped; a store
//! that is down costs nothing but time.

use std::sync::Arc;
use std::time::Duration;

use satchel_domain::Result;
use satchel_domain::appstore::Source;
use satchel_domain::playstore::PurchaseToken;
use satchel_domain::purchases::Store;
use satchel_domain::time::DAY;
use satchel_inbound::http::error::causes;
use satchel_inbound::{BoxError, Complaints, Entry, Env};
use satchel_store::keys::entitlements::DUE_SHARDS;
use satchel_store::purchases::{self, Due, EventRow, Progress};
use serde_json::{Value, json};

use crate::app::{Apple, Stores};
use crate::message::Message;
use crate::routes::events::{notification, unread};
use crate::trouble::of_look;

/// After so long a run stops, well before the function's time-out of 5 minutes.
const LONGEST: Duration = Duration::from_secs(200);
/// Each store's list gets so much of it, at most.
const STORE: Duration = Duration::from_secs(50);
/// How far back the first run reads a store's list, in milliseconds; both keep at least 30 days.
const FIRST: i64 = 29 * DAY * 1_000;
/// Spans overlap by so much, in milliseconds: a store's list may lag behind what happened.
const OVERLAP: i64 = 2 * 3_600_000;
/// A list that nobody read for longer is read from here on, in milliseconds: Google keeps 30 days.
const OLDEST: i64 = 29 * DAY * 1_000;

/// The name of the App Store's list in its progress.
const HISTORY: &str = "apple-notification-history";
/// The name of Google's.
const VOIDED: &str = "google-voided-purchases";

#[derive(Debug, Default)]
struct Tally {
    events: u64,
    looks: u64,
    missed: u64,
    voided: u64,
}

pub(crate) async fn build(env: &Env) -> Result<Entry, Complaints> {
    let stores = Arc::new(Stores::from_env(env).await?);
    Ok(Entry::event(move |_schedule| {
        let stores = Arc::clone(&stores);
        async move { stores.reconcile().await }
    }))
}

/// Where in its list a run stands.
struct Span {
    progress: Progress,
    from: i64,
}

impl Stores {
    async fn reconcile(&self) -> Result<Value, BoxError> {
        let begun = tokio::time::Instant::now();
        let mut tally = Tally::default();
        let mut failures = Vec::new();
        // One that fails does not keep the others from being done, and the longest comes last.
        let steps = [
            ("history", self.history(begun + STORE, &mut tally).await),
            ("voided", self.voided(begun + STORE * 2, &mut tally).await),
            ("due", self.due(begun + LONGEST, &mut tally).await),
        ];
        for (step, outcome) in steps {
            let Err(error) = outcome else { continue };
            let error = causes(&error);
            tracing::error!(step, %error, metric = "ReconcileStepFailed", "a step of the reconciling failed");
            // A store that is down is asked again by the next run; to run again at once would queue everything anew.
            if step == "due" {
                failures.push(step);
            }
        }
        let Tally { events, looks, missed, voided } = tally;
        tracing::info!(events, looks, missed, voided, "purchases reconciled");
        if !failures.is_empty() {
            // Lambda runs it again, and then the failure shows in the alarm.
            return Err(format!("not done: {}; the next run goes on there", failures.join(", ")).into());
        }
        Ok(json!({ "events": events, "looks": looks, "missed": missed, "voided": voided }))
    }

    async fn due(&self, stop: tokio::time::Instant, tally: &mut Tally) -> Result<()> {
        let now = self.books.clock.now().as_millisecond();
        // Each run begins with another shard, so that a run that is cut off does not always leave the same ones.
        let first = u8::try_from((now / 3_600_000).rem_euclid(i64::from(DUE_SHARDS))).unwrap_or(0);
        for shard in (0..DUE_SHARDS).map(|shard| (first + shard) % DUE_SHARDS) {
            let mut after = None;
            loop {
                let (found, next) = purchases::due(&self.books.table, shard, now, after).await?;
                for due in found {
                    let message = match due {
                        Due::Event(store, id) => {
                            tally.events += 1;
                            Message::Event { store, id }
                        }
                        Due::Purchase(store, id) => {
                            tally.looks += 1;
                            Message::Look { store, id, voided: None }
                        }
                    };
                    self.events.send(&message).await?;
                }
                match next {
                    // What was sent is settled by then or sent again: doing it twice is doing it once.
                    Some(next) if tokio::time::Instant::now() < stop => after = Some(next),
                    _ => break,
                }
            }
        }
        Ok(())
    }

    /// Where the list `what` is to be read on from, up to now.
    async fn span(&self, what: &str) -> Result<Span> {
        let now = self.books.clock.now().as_millisecond();
        let mut progress = purchases::progress(&self.books.table, what).await?.unwrap_or_else(|| Progress {
            until: now - FIRST + OVERLAP,
            reading_until: now,
            page: None,
        });
        progress.until = progress.until.max(now - OLDEST);
        if progress.page.is_none() {
            progress.reading_until = now;
        }
        let from = progress.until - OVERLAP;
        Ok(Span { progress, from })
    }

    /// Writes down that a page was read, of which `next` is the one after; whether there is one to go on with.
    async fn read_page(&self, what: &str, span: &mut Span, next: Option<String>) -> Result<bool> {
        let more = next.is_some();
        span.progress.page = next;
        if !more {
            span.progress.until = span.progress.reading_until;
        }
        purchases::save_progress(&self.books.table, what, &span.progress).await?;
        Ok(more)
    }

    /// A page that the store does not take any more: the span is read from its beginning by the next run.
    async fn start_over(&self, what: &str, span: &mut Span) -> Result<()> {
        if span.progress.page.take().is_some() {
            purchases::save_progress(&self.books.table, what, &span.progress).await?;
        }
        Ok(())
    }

    async fn history(&self, stop: tokio::time::Instant, tally: &mut Tally) -> Result<()> {
        let Some(apple) = &self.apple else { return Ok(()) };
        let mut span = self.span(HISTORY).await?;
        while tokio::time::Instant::now() < stop {
            let (until, page) = (span.progress.reading_until, span.progress.page.clone());
            let now = self.books.clock.now();
            let found = match apple.api.history_page(span.from, until, page.as_deref(), true, now).await {
                Ok(found) => found,
                Err(error) => {
                    self.start_over(HISTORY, &mut span).await?;
                    return Err(of_look(error));
                }
            };
            for text in &found.signed_payloads {
                if self.missed(apple, text).await? {
                    tally.missed += 1;
                }
            }
            if !self.read_page(HISTORY, &mut span, found.next).await? {
                break;
            }
        }
        Ok(())
    }

    /// A notification that did not arrive is taken in as if it had; whether it was new.
    async fn missed(&self, apple: &Apple, text: &str) -> Result<bool> {
        let now = self.books.clock.now();
        let believed = apple.api.believe(now, |it, known| it.notification(text, Source::Api, known));
        let Ok((verified, environment)) = believed else {
            // Kept and tried again: our settings may be wrong, or our code older than the store's.
            tracing::error!(metric = "StoreEventUnread", "a notification of the store's history is not believed");
            let event = EventRow { by_api: true, ..unread(Store::Ios, text.as_bytes(), text, now) };
            return purchases::receive(&self.books.table, &event).await;
        };
        let event = EventRow { by_api: true, ..notification(text, &verified.value, environment, now) };
        let new = purchases::receive(&self.books.table, &event).await?;
        if new {
            self.events.send(&Message::Event { store: Store::Ios, id: event.id }).await?;
        }
        Ok(new)
    }

    async fn voided(&self, stop: tokio::time::Instant, tally: &mut Tally) -> Result<()> {
        let Some(google) = &self.google else { return Ok(()) };
        let mut span = self.span(VOIDED).await?;
        while tokio::time::Instant::now() < stop {
            let (until, page) = (span.progress.reading_until, span.progress.page.clone());
            let now = self.books.clock.now();
            let found = match google.api.voided_page(span.from, until, page.as_deref(), now).await {
                Ok(found) => found,
                Err(error) => {
                    self.start_over(VOIDED, &mut span).await?;
                    return Err(of_look(error));
                }
            };
            for voided in found.purchases {
                if self.void(&voided.purchase_token, voided.order_id, voided.voided_at.as_second()).await? {
                    tally.voided += 1;
                }
            }
            if !self.read_page(VOIDED, &mut span, found.next).await? {
                break;
            }
        }
        Ok(())
    }

    /// A look at a purchase with an order that was voided, where that is not known; whether there was need.
    async fn void(&self, token: &PurchaseToken, order: Option<String>, at: i64) -> Result<bool> {
        let id = token.hash();
        let Some(row) = purchases::get(&self.books.table, Store::Android, &id).await? else { return Ok(false) };
        let known = |order: &String| row.facts.as_ref().is_some_and(|facts| facts.voided.contains_key(order));
        if order.as_ref().is_some_and(known) {
            return Ok(false);
        }
        let voided = order.map(|order| (order, at));
        self.events.send(&Message::Look { store: Store::Android, id, voided }).await?;
        Ok(true)
    }
}

/// The overlap must be shorter than the span that is read at first.
const _: () = assert!(OVERLAP < FIRST && FIRST <= OLDEST);
