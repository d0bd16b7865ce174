//! Erasing an account: auth walks it through all families, and waits for every one of them.
//!
//! | message | what is done |
//! | --- | --- |
//! | `{user_id, pass: 0}` | begin: pass 1 to every family and to auth's own rows, Apple's token to be revoked, pass 2 for later |
//! | `{user_id, pass: 2}` | before its time: put off; then pass 2 to every family and to auth's own rows |
//! | `{user_id, family, pass}` | a family's report, noted |
//! | `{user_id, revoke: "apple"}` | Apple's token is revoked |
//!
//! Pass 2 comes when the last access token is dead: whatever such a token wrote after pass 1 goes then. Whoever completes
//! the last step puts the tombstone. Every step can be repeated, in any order, and a crash between two steps is a message
//! that was not deleted: SQS brings it back.

use std::time::Duration;

use satchel_domain::account::State;
use satchel_domain::ids::UserId;
use satchel_domain::{Error, Result};
use satchel_inbound::{Clock, Complaints, Entry, Env, Ids, batch};
use satchel_outbound::{Bucket, Queue};
use satchel_store::accounts::{self, Account};
use satchel_store::{Table, erasing, exports};
use serde::Deserialize;
use serde_json::json;

use crate::app::{Secrets, together};
use crate::apple::Apple;

/// How long after the first pass the second one comes, in seconds: an access token and its leeway, and some more.
pub(crate) const SECOND_PASS_AFTER: i64 = 1_200;
/// The families that own rows of people.
pub const FAMILIES: [&str; 3] = ["devices", "sync", "payments"];

struct OnErase {
    clock: Clock,
    ids: Ids,
    accounts: Table,
    exports: Bucket,
    own: Queue,
    families: [Queue; 3],
    apple: Option<Apple>,
}

#[derive(Debug, Deserialize)]
struct Message {
    user_id: UserId,
    #[serde(default)]
    pass: Option<u8>,
    #[serde(default)]
    family: Option<String>,
    #[serde(default)]
    revoke: Option<String>,
}

pub(crate) async fn build(env: Env) -> Result<Entry, Complaints> {
    let read = env.settings.read(|settings| {
        (
            settings.text("TABLE_ACCOUNTS"),
            settings.text("BUCKET_EXPORTS"),
            settings.text("QUEUE_ACCOUNT_ERASE"),
            [
                settings.text("QUEUE_DEVICES_ERASE"),
                settings.text("QUEUE_SYNC_ERASE"),
                settings.text("QUEUE_PAYMENTS_ERASE"),
            ],
        )
    });
    let secrets = Secrets::read(&env).await;
    let ((table, bucket, own, families), secrets) = match (read, secrets) {
        (Ok(read), Ok(secrets)) => (read, secrets),
        (read, secrets) => return Err(together([read.err(), secrets.err()])),
    };
    let sqs = env.aws.sqs();
    let consumer = std::sync::Arc::new(OnErase {
        accounts: Table::new(env.aws.dynamodb(), table),
        exports: Bucket::new(env.aws.s3(), bucket),
        own: Queue::new(sqs.clone(), own),
        families: families.map(|url| Queue::new(sqs.clone(), url)),
        apple: Apple::from_env(&env, secrets.sealer).await?,
        clock: env.clock,
        ids: env.ids,
    });
    Ok(Entry::event(move |event| {
        let consumer = consumer.clone();
        async move { batch::queue(event, |message: Message| consumer.on(message)).await }
    }))
}

impl OnErase {
    async fn on(&self, message: Message) -> Result<()> {
        let user = &message.user_id;
        let account = accounts::get(&self.accounts, user).await?.filter(|account| account.state == State::Erasing);
        let Some(account) = account else {
            // Repeated after the end, or never begun: nothing is erased that nobody asked to be.
            tracing::info!(user = %user, "a message about an account that is not being erased");
            return Ok(());
        };
        match (message.pass, message.family.as_deref(), message.revoke.as_deref()) {
            (Some(0), None, None) => self.begin(&account).await,
            (Some(2), None, None) => self.second_pass(&account).await,
            (Some(pass @ 1..=2), Some(family), None) if FAMILIES.contains(&family) => {
                match erasing::report(&self.accounts, user, family, pass).await? {
                    Some(account) => self.finish(&account).await,
                    None => Ok(()),
                }
            }
            (None, None, Some("apple")) => self.revoke(&account).await,
            _ => Err(Error::internal("a message of no known kind")),
        }
    }

    async fn begin(&self, account: &Account) -> Result<()> {
        let user = &account.user_id;
        for family in &self.families {
            family.send(&json!({ "user_id": user, "pass": 1 })).await?;
        }
        if account.apple_token.is_some() {
            self.own.send(&json!({ "user_id": user, "revoke": "apple" })).await?;
        }
        self.later(account).await?;
        self.erase_archives(user).await?;
        erasing::erase_rows(&self.accounts, user, true).await
    }

    async fn second_pass(&self, account: &Account) -> Result<()> {
        if self.seconds_left(account) > 0 {
            return self.later(account).await;
        }
        let user = &account.user_id;
        for family in &self.families {
            family.send(&json!({ "user_id": user, "pass": 2 })).await?;
        }
        self.erase_archives(user).await?;
        erasing::erase_rows(&self.accounts, user, false).await?;
        match erasing::own_gone(&self.accounts, user).await? {
            Some(account) => self.finish(&account).await,
            None => Ok(()),
        }
    }

    /// Sends the second pass on; SQS keeps a message for 15 minutes at most, so it may come early and is sent on again.
    async fn later(&self, account: &Account) -> Result<()> {
        let left = u64::try_from(self.seconds_left(account)).unwrap_or(0);
        self.own.send_after(&json!({ "user_id": account.user_id, "pass": 2 }), Duration::from_secs(left)).await
    }

    fn seconds_left(&self, account: &Account) -> i64 {
        let due = account.erasing_at.unwrap_or(account.created_at).saturating_add(SECOND_PASS_AFTER);
        due.saturating_sub(self.clock.unix())
    }

    /// Archives go twice, like everything else: an export that was being made may have come after the first time.
    async fn erase_archives(&self, user: &UserId) -> Result<()> {
        for export in exports::list(&self.accounts, user).await? {
            self.exports.delete(&exports::object(user, &export.export_id)).await?;
        }
        Ok(())
    }

    async fn revoke(&self, account: &Account) -> Result<()> {
        let Some(sealed) = &account.apple_token else { return Ok(()) };
        match &self.apple {
            Some(apple) => apple.revoke(&account.user_id, sealed, self.clock.now()).await?,
            // Kept until somebody gives the secret back: a token that is forgotten can never be revoked.
            None => return Err(Error::internal("Apple's token cannot be revoked: APPLE_CLIENT_SECRET_ARN is not set")),
        }
        erasing::forget_apple_token(&self.accounts, &account.user_id, sealed).await?;
        let account = accounts::get(&self.accounts, &account.user_id).await?;
        match account.filter(|account| account.state == State::Erasing) {
            Some(account) => self.finish(&account).await,
            None => Ok(()),
        }
    }

    async fn finish(&self, account: &Account) -> Result<()> {
        let is_complete = account.own_gone
            && account.apple_token.is_none()
            && FAMILIES.iter().all(|family| account.reported.iter().any(|done| *done == format!("{family}:2")));
        if is_complete {
            // Where another message was faster, the tombstone stands already.
            let _is_first =
                erasing::bury(&self.accounts, account, &FAMILIES, &self.ids.next(), self.clock.now()).await?;
        }
        Ok(())
    }
}
