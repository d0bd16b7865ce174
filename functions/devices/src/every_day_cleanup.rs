//! Every day: a device that nobody has seen for 90 days goes out of use, loses its push token and its session. One that
//! the registry has forgotten goes itself.
//!
//! The clean-up never walks the table. Each device stands on a list (`DUE#…`, sorted by day) on the day it could first
//! have been unseen for so long; what was seen since then moves to its new day. So a device costs two writes in 90 days
//! however busy it is, and a day's work is a day's share of the devices.
//!
//! What is done leaves the list, so whatever a run does not finish, or a crash leaves, the next run begins with; there is
//! no cursor to lose. Running twice is running once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use satchel_domain::devices::{Fate, UNSEEN, due_day, fate};
use satchel_domain::session::EndReason;
use satchel_domain::time::DAY;
use satchel_domain::{Result, Timestamp};
use satchel_inbound::http::error::causes;
use satchel_inbound::{BoxError, Clock, Complaints, Entry, Env};
use satchel_store::devices::{self, DueRow};
use satchel_store::keys::Key;
use satchel_store::keys::devices::SHARDS;
use satchel_store::{Table, sessions};
use serde_json::{Value, json};

/// Devices looked at side by side.
const AT_ONCE: usize = 8;
/// After so long a run stops, well before the function's time-out of 5 minutes.
const LONGEST: Duration = Duration::from_secs(240);

struct App {
    clock: Clock,
    devices: Table,
    accounts: Table,
}

#[derive(Debug, Default)]
struct Tally {
    retired: u64,
    moved: u64,
    failed: u64,
}

enum Done {
    Retired,
    Moved,
    Left,
}

pub(crate) fn build(env: &Env) -> Result<Entry, Complaints> {
    let (devices, accounts) =
        env.settings.read(|settings| (settings.text("TABLE_DEVICES"), settings.text("TABLE_ACCOUNTS")))?;
    let client = env.aws.dynamodb();
    let app = Arc::new(App {
        clock: env.clock.clone(),
        devices: Table::new(client.clone(), devices),
        accounts: Table::new(client, accounts),
    });
    Ok(Entry::event(move |_schedule| Arc::clone(&app).run()))
}

impl App {
    async fn run(self: Arc<Self>) -> Result<Value, BoxError> {
        let stop = tokio::time::Instant::now() + LONGEST;
        let now = self.clock.now();
        let mut tally = Tally::default();
        let mut finished = true;
        for shard in 0..SHARDS {
            finished &= self.shard(shard, now, stop, &mut tally).await?;
        }
        let Tally { retired, moved, failed } = tally;
        tracing::info!(retired, moved, failed, finished, "devices cleaned up");
        if failed > 0 {
            // Lambda runs it again, and then the failure shows in the alarm.
            return Err(format!("{failed} devices could not be looked at; the next run begins with them").into());
        }
        Ok(json!({ "retired": retired, "moved": moved, "finished": finished }))
    }

    /// Works through what is due in `shard`; `false` where the time was up before.
    async fn shard(&self, shard: u8, now: Timestamp, stop: tokio::time::Instant, tally: &mut Tally) -> Result<bool> {
        let today = now.as_second().div_euclid(DAY);
        let mut after: Option<Key> = None;
        loop {
            let page = devices::due(&self.devices, shard, today, after).await?;
            let mut work =
                stream::iter(page.rows).map(|due| async move { self.look(&due, now).await }).buffer_unordered(AT_ONCE);
            while let Some(done) = work.next().await {
                match done {
                    Ok(Done::Retired) => tally.retired += 1,
                    Ok(Done::Moved) => tally.moved += 1,
                    Ok(Done::Left) => {}
                    Err(error) => {
                        tracing::error!(error = %causes(&error), "a device could not be looked at");
                        tally.failed += 1;
                    }
                }
            }
            match page.next {
                None => return Ok(true),
                Some(_) if tokio::time::Instant::now() >= stop => return Ok(false),
                Some(next) => after = Some(next),
            }
        }
    }

    async fn look(&self, due: &DueRow, now: Timestamp) -> Result<Done> {
        let row = devices::get(&self.devices, &due.user_id, &due.device_id).await?;
        let Some(row) = row.filter(|row| row.due_day == due.day) else {
            devices::forget_due(&self.devices, due).await?;
            return Ok(Done::Left);
        };
        let Some(session) = sessions::get(&self.accounts, &due.user_id, &due.device_id).await? else {
            // The registry forgot it: its account was erased, or it was signed out more than a year ago.
            devices::delete(&self.devices, &due.user_id, &due.device_id, None).await?;
            return Ok(Done::Retired);
        };
        let live = Some(&session).filter(|session| session.is_live());
        // A device that only syncs says nothing here, but it refreshes its token.
        let seen = live.map_or(0, |session| session.last_used_at).max(row.last_seen());
        let done = match fate(seen, now.as_second()) {
            // Not before this evening: the next run finds it.
            Fate::Later(day) if day == due.day => Done::Left,
            Fate::Later(day) => {
                devices::look_again(&self.devices, &row, day, false, now).await?;
                Done::Moved
            }
            Fate::Retired => {
                if let Some(session) = live
                    && !sessions::end_this(&self.accounts, session, EndReason::Unseen, now).await?
                {
                    // It was used this very moment, or ended otherwise: the next run finds out.
                    return Ok(Done::Left);
                }
                let again = due_day(now.as_second());
                let retired = devices::look_again(&self.devices, &row, again, true, now).await?;
                if retired && (row.is_active || live.is_some()) { Done::Retired } else { Done::Left }
            }
        };
        Ok(done)
    }
}

const _: () = assert!(UNSEEN % DAY == 0, "the list is kept by days");
