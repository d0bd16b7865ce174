//! Exports: a zip of JSON files, one or more a family, written as it is read, so that its size is not the function's.
//!
//! | file | what |
//! | --- | --- |
//! | `account.json` | the account |
//! | `sessions.json` | the devices of the registry with their sessions |
//! | `devices.json` | the devices as they describe themselves |
//! | `entitlements.json` | add-ons, purchases, the ledger |
//! | `sync/entries.ndjson` | the synchronised entries, one JSON a line |
//!
//! What would let somebody in is left out: hashes of refresh tokens, Apple's token, push tokens, the keys of cursors.
//!
//! # Limits
//! A page of rows (1 MB), what the compressor holds, and a part of the upload (5 MiB) are in memory at one time.

mod archive;

use std::sync::Arc;

use satchel_domain::Result;
use satchel_domain::ids::{ExportId, UserId};
use satchel_inbound::{Clock, Complaints, Entry, Env, batch};
use satchel_outbound::Bucket;
use satchel_store::Table;
use satchel_store::accounts::{self, Account};
use satchel_store::copy::{self, Part};
use satchel_store::exports::{self, Standing};
use serde::Deserialize;

use archive::Archive;

struct OnExport {
    clock: Clock,
    accounts: Table,
    devices: Table,
    sync: Table,
    entitlements: Table,
    bucket: Bucket,
}

#[derive(Debug, Deserialize)]
struct Message {
    user_id: UserId,
    export_id: ExportId,
}

pub(crate) async fn build(env: Env) -> Result<Entry, Complaints> {
    let (accounts, devices, sync, entitlements, bucket) = env.settings.read(|settings| {
        (
            settings.text("TABLE_ACCOUNTS"),
            settings.text("TABLE_DEVICES"),
            settings.text("TABLE_SYNC"),
            settings.text("TABLE_ENTITLEMENTS"),
            settings.text("BUCKET_EXPORTS"),
        )
    })?;
    let table = |name: String| Table::new(env.aws.dynamodb(), name);
    let consumer = Arc::new(OnExport {
        accounts: table(accounts),
        devices: table(devices),
        sync: table(sync),
        entitlements: table(entitlements),
        bucket: Bucket::new(env.aws.s3(), bucket),
        clock: env.clock.clone(),
    });
    Ok(Entry::event(move |event| {
        let consumer = consumer.clone();
        async move { batch::queue(event, |message: Message| consumer.on(message)).await }
    }))
}

impl OnExport {
    async fn on(&self, Message { user_id: user, export_id: id }: Message) -> Result<()> {
        let is_pending =
            exports::get(&self.accounts, &user, &id).await?.is_some_and(|export| export.standing == Standing::Pending);
        let account = accounts::get(&self.accounts, &user).await?.filter(Account::is_active);
        if !is_pending || account.is_none() {
            // Made already, or the account is being erased.
            return Ok(());
        }
        let object = exports::object(&user, &id);
        let mut archive = Archive::begin(&self.bucket, &object).await?;
        if let Err(error) = self.write(&user, &mut archive).await {
            archive.abandon().await;
            return Err(error);
        }
        archive.finish().await?;
        if !exports::ready(&self.accounts, &user, &id, self.clock.now()).await? {
            self.bucket.delete(&object).await?;
        }
        Ok(())
    }

    async fn write(&self, user: &UserId, archive: &mut Archive) -> Result<()> {
        self.list(archive, "account.json", copy::account(&self.accounts, user)).await?;
        self.list(archive, "sessions.json", copy::sessions(&self.accounts, user)).await?;
        self.list(archive, "devices.json", copy::devices(&self.devices, user)).await?;
        self.list(archive, "entitlements.json", copy::entitlements(&self.entitlements, user)).await?;

        archive.file("sync/entries.ndjson")?;
        if let Some(mut entries) = copy::entries(&self.sync, user).await? {
            while let Some(rows) = entries.next().await? {
                for row in rows {
                    archive.line(&row)?;
                }
                archive.send_full_parts().await?;
            }
        }
        Ok(())
    }

    /// One file with a JSON list.
    async fn list(&self, archive: &mut Archive, name: &str, mut part: Part) -> Result<()> {
        archive.file(name)?;
        let mut separator: &[u8] = b"[\n";
        while let Some(rows) = part.next().await? {
            for row in rows {
                archive.bytes(separator)?;
                archive.json(&row)?;
                separator = b",\n";
            }
            archive.send_full_parts().await?;
        }
        archive.bytes(if separator == b"[\n" { b"[]\n" } else { b"\n]\n" })
    }
}
