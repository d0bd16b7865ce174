//! A space as one request sees it.

use satchel_domain::ids::{DeviceId, UserId};
use satchel_domain::{Error, Result};
use satchel_store::keys;
use satchel_store::sync::{DeviceRow, Meta, device, meta};

use crate::app::App;

/// How often `seen` of a device is written at most, in seconds.
const SEEN_EVERY: i64 = 30;

/// A space, as it was when it was opened.
pub(crate) struct Space<'a> {
    pub(crate) app: &'a App,
    pub(crate) id: &'a str,
    pub(crate) meta: Meta,
}

impl<'a> Space<'a> {
    /// The space of `user`, made where there is none yet, and what it knows of `device`. `generation` is a guess (a
    /// cursor's) that saves a second read where it is right.
    pub(crate) async fn open(
        app: &'a App,
        user: &'a UserId,
        device: &DeviceId,
        generation: u64,
    ) -> Result<(Self, Option<DeviceRow>)> {
        let id = user.as_str();
        let keys = [keys::sync::meta(id), keys::sync::device(&keys::sync::generation(id, generation), device.as_str())];
        let mut found = None;
        let mut known = None;
        for item in app.sync.get_items(&keys, None).await? {
            match item.get("sk").and_then(|sk| sk.as_s().ok()).map(String::as_str) {
                Some("META") => found = Some(Meta::of(item)?),
                _ => known = Some(DeviceRow::of(item)?),
            }
        }
        let was_there = found.is_some();
        let meta = settle(app, id, found).await?;
        if was_there && meta.generation != generation {
            let space = Self { app, id, meta };
            let known = space.device(device).await?;
            return Ok((space, known));
        }
        Ok((Self { app, id, meta }, known))
    }

    /// The space without a device.
    pub(crate) async fn of(app: &'a App, user: &'a UserId) -> Result<Self> {
        let meta = settle(app, user.as_str(), read(app, user.as_str()).await?).await?;
        Ok(Self { app, id: user.as_str(), meta })
    }

    /// META as it is now.
    pub(crate) async fn reread(&self) -> Result<Meta> {
        settle(self.app, self.id, read(self.app, self.id).await?).await
    }

    /// Partition of the space's rows.
    pub(crate) fn pk(&self) -> String {
        keys::sync::generation(self.id, self.meta.generation)
    }

    /// Partition of the history of the entry `id`.
    pub(crate) fn history(&self, id: &str) -> String {
        keys::sync::history(self.id, self.meta.generation, id)
    }

    /// What the space knows of `device` now.
    pub(crate) async fn device(&self, device: &DeviceId) -> Result<Option<DeviceRow>> {
        let key = keys::sync::device(&self.pk(), device.as_str());
        self.app.sync.get_items(&[key], None).await?.into_iter().next().map(DeviceRow::of).transpose()
    }

    /// Writes where a device stands, where that has changed or is old, or `always`; `false` where another request of the
    /// device has written it since `known` was read.
    pub(crate) async fn remember(&self, known: Option<&DeviceRow>, mut row: DeviceRow, always: bool) -> Result<bool> {
        let now = self.app.core.clock.unix();
        let is_same = known.is_some_and(|known| {
            known.position == row.position && known.pages == row.pages && known.seen + SEEN_EVERY > now
        });
        if is_same && !always {
            return Ok(true);
        }
        row.seen = now;
        // Who stays away for longer has to begin anew anyhow.
        device::put(&self.app.sync, &self.pk(), known, &row, now + self.app.limits.retention()).await
    }
}

async fn read(app: &App, space: &str) -> Result<Option<Meta>> {
    app.sync.get_items(&[keys::sync::meta(space)], None).await?.into_iter().next().map(Meta::of).transpose()
}

/// META as this server may use it: there, and of the present `StoreEpoch`.
async fn settle(app: &App, space: &str, mut found: Option<Meta>) -> Result<Meta> {
    for _ in 0..5 {
        match found {
            None => {
                let fresh = Meta::empty(app.limits.store_epoch, app.core.ids.bytes());
                if meta::create(&app.sync, space, &fresh).await? {
                    return Ok(fresh);
                }
            }
            // An instance of before a deployment goes on in the epoch that a newer one has begun.
            Some(meta) if meta.store_epoch >= app.limits.store_epoch => return Ok(meta),
            Some(was) => {
                let now = u64::try_from(app.core.clock.unix()).unwrap_or(0);
                meta::adopt_epoch(&app.sync, space, &was, app.limits.store_epoch, was.head.max(now)).await?;
            }
        }
        found = read(app, space).await?;
    }
    Err(Error::unavailable("META would not settle"))
}
