//! What devices can do for each other, and whether they are there.

use std::cmp::Reverse;

use axum::Json;
use axum::extract::State;
use satchel_domain::devices::{is_online, models};
use satchel_inbound::http::{ApiResult, Caller, Input, Problem};
use satchel_store::devices::{Change, DeviceRow};

use super::wire::{CapabilitiesIn, CapableDevice, CapableOut, Done, HeartbeatIn};
use crate::App;

/// What the caller's device can do for the person's others.
///
/// A desktop says so at its start. It counts as a heartbeat.
#[utoipa::path(
    post,
    path = "/devices/capabilities",
    tag = "devices",
    security(("access_token" = [])),
    request_body = CapabilitiesIn,
    responses(
        (status = 200, description = "Noted", body = Done),
        (status = 403, description = "`device_id_mismatch`: `device_id` is not the access token's device", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn capabilities(
    State(app): State<App>,
    caller: Caller,
    Input(input): Input<CapabilitiesIn>,
) -> ApiResult<Json<Done>> {
    caller.is_on(&input.device_id)?;
    let models = models(input.inference_models)?;
    app.change_own(&caller, &Change::Capable { can_inference: input.can_inference, models }).await?;
    Ok(Json(Done::OK))
}

/// The caller's device is there.
///
/// To be sent every 30 seconds; a device is online while its last heartbeat is at most 60 seconds old.
#[utoipa::path(
    post,
    path = "/devices/heartbeat",
    tag = "devices",
    security(("access_token" = [])),
    request_body = HeartbeatIn,
    responses(
        (status = 200, description = "Noted", body = Done),
        (status = 403, description = "`device_id_mismatch`: `device_id` is not the access token's device", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn heartbeat(
    State(app): State<App>,
    caller: Caller,
    Input(input): Input<HeartbeatIn>,
) -> ApiResult<Json<Done>> {
    caller.is_on(&input.device_id)?;
    app.change_own(&caller, &Change::Heartbeat).await?;
    Ok(Json(Done::OK))
}

/// The caller's devices that run inference.
///
/// Phones ask this to find the person's desktops. Whether a device is online is computed at this moment.
#[utoipa::path(
    get,
    path = "/devices/capable",
    tag = "devices",
    security(("access_token" = [])),
    responses((status = 200, description = "Online first", body = CapableOut))
)]
pub(crate) async fn capable(State(app): State<App>, caller: Caller) -> ApiResult<Json<CapableOut>> {
    let now = app.core.clock.unix();
    let rows = app.find_all(&caller.user).await?;
    let mut devices: Vec<CapableDevice> =
        rows.into_iter().filter(|row| row.can_inference && row.is_active).map(|row| seen(row, now)).collect();
    devices.sort_by(|one, other| {
        let order = |device: &CapableDevice| (Reverse(device.is_online), Reverse(device.last_seen));
        order(one).cmp(&order(other)).then_with(|| one.device_id.cmp(&other.device_id))
    });
    Ok(Json(CapableOut { devices }))
}

fn seen(row: DeviceRow, now: i64) -> CapableDevice {
    let kind = || format!("{:?}", row.platform).to_lowercase();
    CapableDevice {
        device_name: row.device_name.or(row.device_model).unwrap_or_else(kind),
        device_id: row.id,
        platform: row.platform,
        is_online: is_online(row.last_heartbeat_at, now),
        inference_models: row.inference_models,
        last_seen: row.last_heartbeat_at.unwrap_or(0),
    }
}
