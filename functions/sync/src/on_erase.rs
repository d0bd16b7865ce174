//! The queue that erases: a generation that a person has left behind, or all of an account.
//!
//! Every step may be done twice. Work that does not fit into one invocation is sent on to a next one.

use std::time::Duration;

use futures_util::future::try_join_all;
use satchel_domain::{Error, Result};
use satchel_inbound::{Complaints, Entry, Env, batch};
use satchel_outbound::Queue;
use satchel_store::keys::sync as keys;
use satchel_store::sync::Meta;
use satchel_store::table::{Item, Range};
use satchel_store::{Key, Table};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// One invocation erases for so long, then sends the rest on; the function's time-out is longer.
const SLICE: Duration = Duration::from_secs(20);
/// Pauses while a partition takes no more deletions: growing, between these.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How much later an invocation goes on where the table was busy to the end of the one before.
const LATER: Duration = Duration::from_secs(10);
/// The pass that leaves nothing.
const LAST_PASS: u32 = satchel_inbound::erasure::LAST_PASS;
/// Entries whose history is looked through at a time.
const AT_ONCE: usize = 16;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Message {
    Generation { space: String, generation: u64 },
    Account { user_id: String, pass: u32 },
}

#[derive(Clone)]
struct Consumer {
    sync: Table,
    mine: Queue,
    reports: Queue,
}

pub(crate) fn entry(env: &Env) -> Result<Entry, Complaints> {
    let (table, mine, reports) = env.settings.read(|settings| {
        (settings.text("TABLE_SYNC"), settings.text("QUEUE_SYNC_ERASE"), settings.text("QUEUE_ACCOUNT_ERASE"))
    })?;
    let sqs = env.aws.sqs();
    let consumer = Consumer {
        sync: Table::new(env.aws.dynamodb(), table),
        mine: Queue::new(sqs.clone(), mine),
        reports: Queue::new(sqs, reports),
    };
    Ok(Entry::event(move |event| {
        let consumer = consumer.clone();
        async move { batch::queue(event, |message| consumer.handle(message)).await }
    }))
}

impl Consumer {
    async fn handle(&self, message: Message) -> Result<()> {
        let deadline = Instant::now() + SLICE;
        let mut pause = FIRST_PAUSE;
        let (done, later) = loop {
            match self.slice(&message, deadline).await {
                Ok(done) => break (done, Duration::ZERO),
                // No failure: deleting takes a unit a KB, of which a partition has a thousand a second.
                Err(error) if error.is_transient() => {
                    if Instant::now() + pause >= deadline {
                        tracing::warn!(%error, metric = "SyncEraseDelayed", "the table is busy: the rest is erased later");
                        break (false, LATER);
                    }
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        if !done {
            return self.mine.send_after(&message, later).await;
        }
        if let Message::Account { user_id, pass } = message {
            let report = serde_json::json!({ "user_id": user_id, "family": "sync", "pass": pass });
            self.reports.send(&report).await?;
        }
        Ok(())
    }

    /// Does what fits before `deadline`; what is gone stays gone, so the same again goes on from there.
    async fn slice(&self, message: &Message, deadline: Instant) -> Result<bool> {
        match message {
            Message::Generation { space, generation } if self.is_left_behind(space, *generation).await? => {
                self.generation(space, *generation, deadline).await
            }
            Message::Generation { space, generation } => {
                tracing::info!(space, generation, "an order to erase a generation that nobody has left");
                Ok(true)
            }
            Message::Account { user_id, pass } => self.account(user_id, *pass, deadline).await,
        }
    }

    /// Whether a later generation has begun. An order may be older than the table: in one that was restored from a backup
    /// the generation may live again.
    async fn is_left_behind(&self, space: &str, generation: u64) -> Result<bool> {
        let rows = self.sync.get_items(&[keys::meta(space), keys::erase(space, generation)], None).await?;
        let is_meta = |row: &Item| Key::of(row).is_some_and(|key| key == keys::meta(space));
        let (meta, order): (Vec<Item>, Vec<Item>) = rows.into_iter().partition(is_meta);
        let now = meta.into_iter().next().map(Meta::of).transpose()?;
        let is_left = now.is_some_and(|meta| meta.generation > generation);
        // META and the order are written together; a reader may see one of them first.
        if !is_left && !order.is_empty() {
            return Err(Error::unavailable("the generation that follows is not to be seen yet"));
        }
        Ok(is_left)
    }

    /// Deletes every generation there can be, then META: a crash in between finds META and begins again. The first pass
    /// leaves META: what a request still on its way writes is in no later generation than META says to the second.
    async fn account(&self, space: &str, pass: u32, deadline: Instant) -> Result<bool> {
        let meta =
            self.sync.get_items(&[keys::meta(space)], None).await?.into_iter().next().map(Meta::of).transpose()?;
        let last = meta.map_or(0, |meta| meta.generation);
        for generation in 0..=last {
            if !self.generation(space, generation, deadline).await? {
                return Ok(false);
            }
        }
        let page = self.keys_of(Range::of(keys::space(space))).await?;
        let mut rows = page.rows;
        rows.retain(|key| pass >= LAST_PASS || *key != keys::meta(space));
        self.sync.delete_many(&rows).await?;
        Ok(page.next.is_none())
    }

    /// Deletes a generation page by page: an entry's history before the entry, by which it is found.
    async fn generation(&self, space: &str, generation: u64, deadline: Instant) -> Result<bool> {
        let pk = keys::generation(space, generation);
        loop {
            let page = self.keys_of(Range::of(&pk).limit(200)).await?;
            if page.rows.is_empty() && page.next.is_none() {
                return Ok(true);
            }
            let entries = page.rows.iter().filter_map(|key| key.sk.strip_prefix(keys::ENTRY));
            let ids: Vec<String> = entries.map(str::to_owned).collect();
            for ids in ids.chunks(AT_ONCE) {
                try_join_all(ids.iter().map(|id| self.history(space, generation, id))).await?;
            }
            self.sync.delete_many(&page.rows).await?;
            if Instant::now() >= deadline {
                return Ok(false);
            }
        }
    }

    async fn history(&self, space: &str, generation: u64, id: &str) -> Result<()> {
        loop {
            let page = self.keys_of(Range::of(keys::history(space, generation, id)).limit(200)).await?;
            self.sync.delete_many(&page.rows).await?;
            if page.next.is_none() {
                return Ok(());
            }
        }
    }

    async fn keys_of(&self, range: Range) -> Result<satchel_store::Page<Key>> {
        let page = self.sync.query_items(range.only("pk, sk")).await?;
        Ok(satchel_store::Page { rows: page.rows.iter().filter_map(Key::of).collect(), next: page.next })
    }
}
