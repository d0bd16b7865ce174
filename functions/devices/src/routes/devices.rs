//! The caller's devices.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use satchel_domain::account;
use satchel_domain::devices::{Description, MAX_NAME};
use satchel_domain::ids::DeviceId;
use satchel_domain::session::EndReason;
use satchel_domain::{Error, Result};
use satchel_inbound::http::{ApiResult, Caller, IdempotencyKey, Input, PathId, Problem};
use satchel_store::devices::{self, Change, Own};
use satchel_store::receipts::{self, Look};
use satchel_store::sessions;
use satchel_store::{Cancelled, Retry, Transaction};

use super::wire::{DeviceChange, DeviceIn, DeviceOut, DevicesOut, Done};
use crate::app::{App, session_over};

/// Describes the caller's own device.
///
/// The first call answers 201; the same call again updates, and what it leaves out stays. A push token stands on one
/// device only: when it turns up on another (a reinstalled or resold phone), the old one loses it in the same moment.
#[utoipa::path(
    post,
    path = "/devices",
    tag = "devices",
    security(("access_token" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body within 24 hours gets the first answer", min_length = 1, max_length = 128)),
    request_body = DeviceIn,
    responses(
        (status = 200, description = "The device was described before", body = DeviceOut),
        (status = 201, description = "The device is described for the first time", body = DeviceOut),
        (status = 403, description = "`device_id_mismatch`: `device_id` is not the access token's device", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`idempotency_key_reused`: the key came with another body before", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn describe(
    State(app): State<App>,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    Input(input): Input<DeviceIn>,
) -> ApiResult<Response> {
    if let Some(device) = &input.device_id {
        caller.is_on(device)?;
    }
    let checked = input.clone().checked()?;
    let own = Own { user: &caller.user, device: &caller.device, session: &caller.session };
    let now = app.core.clock.now();
    let mut retry = Retry::default();
    loop {
        let receipt =
            match receipts::look(&app.devices, caller.user.as_str(), "devices", key.as_deref(), &input, now).await? {
                Look::Seen(answer) => {
                    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
                    return Ok((status, Json(answer.body)).into_response());
                }
                Look::New(receipt) => receipt,
            };
        let before = devices::get(&app.devices, own.user, own.device).await?;
        // Decided anew at each try: where another call was first, what the sign-in said counts no more.
        let said = if before.is_none() { at_first(&app, own, &checked).await? } else { checked.clone() };
        let mut transaction = Transaction::new();
        devices::describe(&mut transaction, &app.devices, own, before.as_ref(), &said, now).await?;
        let was_described = before.as_ref().is_some_and(|row| row.described);
        let status = if was_described { StatusCode::OK } else { StatusCode::CREATED };
        let answer = DeviceOut::try_from(devices::described(before, own, &said, now))?;
        receipt.stamp(&mut transaction, &app.devices, status.as_u16(), &answer)?;
        match transaction.run(&app.devices).await {
            Ok(()) => return Ok((status, Json(answer)).into_response()),
            Err(Cancelled::Condition(_)) if devices::has_ended(&app.devices, own.user, own.session).await? => {
                return Err(session_over().into());
            }
            Err(cancelled) => retry.after(cancelled).await?,
        }
    }
}

/// What a device says for the first time, and for the rest what it said at its sign-in.
async fn at_first(app: &App, own: Own<'_>, said: &Description) -> Result<Description> {
    // Whom the registry does not know is being erased.
    let session = sessions::get(&app.accounts, own.user, own.device).await?.ok_or_else(session_over)?;
    if !session.is_live() && session.session_id == *own.session {
        return Err(session_over());
    }
    let (said, then) = (said.clone(), session.said());
    Ok(Description {
        platform: said.platform.or(then.platform),
        device_name: said.device_name.or(then.device_name),
        device_model: said.device_model.or(then.device_model),
        os_version: said.os_version.or(then.os_version),
        app_version: said.app_version.or(then.app_version),
        ..said
    })
}

/// The caller's devices that are in use.
///
/// Those that have not described themselves since their sign-in stand here too, as they said then. A person has at most
/// 50 signed-in devices, so there are no pages.
#[utoipa::path(
    get,
    path = "/devices",
    tag = "devices",
    security(("access_token" = [])),
    responses((status = 200, description = "The devices in use, last seen first", body = DevicesOut))
)]
pub(crate) async fn list(State(app): State<App>, caller: Caller) -> ApiResult<Json<DevicesOut>> {
    let mut rows = app.find_all(&caller.user).await?;
    rows.retain(|row| row.is_active);
    rows.sort_by(|one, other| other.last_seen().cmp(&one.last_seen()).then_with(|| one.id.cmp(&other.id)));
    let devices = rows.into_iter().map(DeviceOut::try_from).collect::<Result<_>>()?;
    Ok(Json(DevicesOut { devices }))
}

/// One of the caller's devices.
#[utoipa::path(
    get,
    path = "/devices/{id}",
    tag = "devices",
    security(("access_token" = [])),
    params(("id" = String, Path, description = "The device", example = "dev_01ARZ3NDEKTSV4RRFFQ69G5FAV")),
    responses((status = 200, description = "The device", body = DeviceOut))
)]
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    PathId(device): PathId<DeviceId>,
) -> ApiResult<Json<DeviceOut>> {
    let row = app.find(&caller.user, &device).await?.ok_or(Error::NotFound("device"))?;
    Ok(Json(DeviceOut::try_from(row)?))
}

/// Names one of the caller's devices, or turns its pushes on or off.
#[utoipa::path(
    patch,
    path = "/devices/{id}",
    tag = "devices",
    security(("access_token" = [])),
    params(("id" = String, Path, description = "The device", example = "dev_01ARZ3NDEKTSV4RRFFQ69G5FAV")),
    request_body = DeviceChange,
    responses((status = 200, description = "The device as it is now", body = DeviceOut))
)]
pub(crate) async fn change(
    State(app): State<App>,
    caller: Caller,
    PathId(device): PathId<DeviceId>,
    Input(input): Input<DeviceChange>,
) -> ApiResult<Json<DeviceOut>> {
    let name = match &input.device_name {
        Some(text) => Some(account::plain(text, MAX_NAME).map_err(|message| Error::invalid("device_name", message))?),
        None => None,
    };
    let wanted = Change::Wanted { name, push_enabled: input.push_enabled };
    let now = app.core.clock.now();
    app.change(&caller.user, &device, &wanted, now).await?.ok_or(Error::NotFound("device"))?;
    let row = app.find(&caller.user, &device).await?.ok_or(Error::NotFound("device"))?;
    Ok(Json(DeviceOut::try_from(row)?))
}

/// Deletes one of the caller's devices and ends its session.
///
/// Its refresh token dies and its pushes stop at once; its access token dies by expiry, but describes the device no more.
#[utoipa::path(
    delete,
    path = "/devices/{id}",
    tag = "devices",
    security(("access_token" = [])),
    params(("id" = String, Path, description = "The device", example = "dev_01ARZ3NDEKTSV4RRFFQ69G5FAV")),
    responses((status = 204, description = "The device is gone"))
)]
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    PathId(device): PathId<DeviceId>,
) -> ApiResult<StatusCode> {
    let now = app.core.clock.now();
    let mut was_there = false;
    let mut retry = Retry::default();
    loop {
        let session = sessions::get(&app.accounts, &caller.user, &device).await?;
        let end = session.as_ref().map(|session| (&session.session_id, now));
        was_there |= devices::delete(&app.devices, &caller.user, &device, end).await?;
        // The registry last: where this breaks off, the device is still there, and the repeated call goes on.
        let is_out = match &session {
            Some(session) if session.is_live() => {
                sessions::end_this(&app.accounts, session, EndReason::DeviceDeleted, now).await?
            }
            Some(ended) if ended.end_reason.is_none_or(EndReason::keeps_device_id) => {
                sessions::bar_id(&app.accounts, ended).await?
            }
            _ if was_there => true,
            _ => return Err(Error::NotFound("device").into()),
        };
        if is_out {
            return Ok(StatusCode::NO_CONTENT);
        }
        // The session ended meanwhile, or a sign-in began another: that one goes the same way.
        retry.after(Cancelled::Condition(Vec::new())).await?;
    }
}

/// The person uses the caller's device.
#[utoipa::path(
    post,
    path = "/devices/{id}/activity",
    tag = "devices",
    security(("access_token" = [])),
    params(("id" = String, Path, description = "The caller's own device", example = "dev_01ARZ3NDEKTSV4RRFFQ69G5FAV")),
    responses(
        (status = 200, description = "Noted", body = Done),
        (status = 403, description = "`device_id_mismatch`: the device is another one of the caller's", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn activity(
    State(app): State<App>,
    caller: Caller,
    PathId(device): PathId<DeviceId>,
) -> ApiResult<Json<Done>> {
    if device != caller.device {
        // A stranger's is 404, as if it did not exist.
        app.find(&caller.user, &device).await?.ok_or(Error::NotFound("device"))?;
        caller.is_on(device.as_str())?;
    }
    app.change_own(&caller, &Change::Active).await?;
    Ok(Json(Done::OK))
}
