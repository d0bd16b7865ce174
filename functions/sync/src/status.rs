//! `GET /sync/status`: what a space adds up to; its cost does not grow with the account.

use std::collections::BTreeMap;

use satchel_domain::Result;
use satchel_domain::access::Person;
use satchel_domain::sync::clock::MAX_NEW_KEYS;
use satchel_domain::time::DAY;
use satchel_store::keys;
use satchel_store::sync::DeviceRow;
use satchel_store::table::Range;

use crate::app::{App, MAX_PAGE, MAX_PUSH};
use crate::space::Space;
use crate::wire::{LimitsOut, StatusOut, SyncDeviceOut};

/// A device without a row in the table of devices is told of for so long after it was last here, in seconds: it was deleted,
/// or it has only just signed in.
const UNKNOWN: i64 = DAY;

/// The status of the caller's space.
pub(crate) async fn status(app: &App, person: &Person) -> Result<StatusOut> {
    let space = Space::of(app, &person.user).await?;
    let range = Range::of(space.pk()).prefix(keys::sync::DEVICE);
    let (rows, described) = futures_util::future::try_join(
        app.sync.query_items(range),
        satchel_store::devices::list(&app.devices, &person.user),
    )
    .await?;
    let rows = rows.rows.into_iter().map(DeviceRow::of).collect::<Result<Vec<_>>>()?;
    let heard_of_since = app.core.clock.unix().saturating_sub(UNKNOWN);
    let is_told =
        |row: &&DeviceRow| row.seen > heard_of_since || described.iter().any(|device| device.id.as_str() == row.device);
    let mut devices: BTreeMap<String, SyncDeviceOut> = rows
        .iter()
        .filter(is_told)
        .map(|row| {
            let out = SyncDeviceOut {
                device_id: row.device.clone(),
                device_name: None,
                platform: None,
                last_seen_at: row.seen,
                last_acked: row.position,
            };
            (row.device.clone(), out)
        })
        .collect();
    for device in described {
        let out = devices.entry(device.id.to_string()).or_insert_with(|| SyncDeviceOut {
            device_id: device.id.to_string(),
            device_name: None,
            platform: None,
            last_seen_at: 0,
            last_acked: 0,
        });
        out.last_seen_at = out.last_seen_at.max(device.last_seen());
        out.device_name = device.device_name.clone();
        out.platform = serde_json::to_value(device.platform).ok().and_then(|value| value.as_str().map(str::to_owned));
    }
    let meta = &space.meta;
    Ok(StatusOut {
        last_sync_at: rows.iter().find(|row| row.device == person.device.as_str()).map(|row| row.position),
        entry_count: meta.totals.live,
        pending_pushes: 0,
        devices: devices.into_values().collect(),
        head: meta.head,
        epoch: meta.epoch().to_string(),
        bytes: meta.totals.bytes,
        quota_bytes: app.limits.quota_bytes,
        tombstones: meta.totals.tombstones,
        digest: meta.totals.digest_hex(),
        retention_days: app.limits.retention_days,
        limits: LimitsOut {
            entry_bytes: app.limits.entry_bytes,
            entries_per_push: MAX_PUSH,
            clock_keys: MAX_NEW_KEYS,
            page: MAX_PAGE,
        },
    })
}
