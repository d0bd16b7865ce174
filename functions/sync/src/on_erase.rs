//! The queue that erases: a generation that a person has left behind, or all of an account.
//!
//! Every step may be done twice. Work that does not fit into one invocation is sent on to a next one.

use std::time::Duration;

use futures_util::future::try_join_all;
use satchel_domain::Result;
use satchel_inbound::{Complaints, Entry, Env, batch};
use satchel_outbound::Queue;
use satchel_store::keys::sync as keys;
use satchel_store::sync::Meta;
use satchel_store::table::Range;
use satchel_store::{Key, Table};
use serde::{Deserialize, Serialize};

/// One invocation erases for so long, then sends the rest on; the function's time-out is longer.
const SLICE: Duration = Duration::from_secs(20);
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
        async move {
            batch::queue(event, move |message| {
                let consumer = consumer.clone();
                async move { consumer.handle(message).await }
            })
            .await
        }
    }))
}

impl Consumer {
    async fn handle(&self, message: Message) -> Result<()> {
        let deadline = tokio::time::Instant::now() + SLICE;
        let done = match &message {
            Message::Generation { space, generation } => self.generation(space, *generation, deadline).await?,
            Message::Account { user_id, .. } => self.account(user_id, deadline).await?,
        };
        if !done {
            return self.mine.send(&message).await;
        }
        if let Message::Account { user_id, pass } = message {
            let report = serde_json::json!({ "user_id": user_id, "family": "sync", "pass": pass });
            self.reports.send(&report).await?;
        }
        Ok(())
    }

    /// Deletes every generation there can be, then META: a crash in between finds META and begins again.
    async fn account(&self, space: &str, deadline: tokio::time::Instant) -> Result<bool> {
        let meta =
            self.sync.get_items(&[keys::meta(space)], None).await?.into_iter().next().map(Meta::of).transpose()?;
        let last = meta.map_or(0, |meta| meta.generation);
        for generation in 0..=last {
            if !self.generation(space, generation, deadline).await? {
                return Ok(false);
            }
        }
        let rows = self.keys_of(Range::of(keys::space(space))).await?;
        self.sync.delete_many(&rows.rows).await?;
        Ok(rows.next.is_none())
    }

    /// Deletes a generation page by page: an entry's history before the entry, by which it is found.
    async fn generation(&self, space: &str, generation: u64, deadline: tokio::time::Instant) -> Result<bool> {
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
            if tokio::time::Instant::now() >= deadline {
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
