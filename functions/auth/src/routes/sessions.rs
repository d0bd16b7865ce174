//! The sessions of a person: one a device.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use satchel_domain::ids::{DeviceId, SessionId};
use satchel_domain::session::{EndReason, Platform};
use satchel_domain::time::from_unix;
use satchel_domain::{Error, Timestamp};
use satchel_inbound::http::{ApiResult, Caller, PathId, Problem};
use satchel_store::sessions::{self, Session};
use serde::Serialize;

use super::Authenticated;
use crate::app::App;

/// A session.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SessionView {
    /// The device it is on.
    #[schema(example = "dev_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    device_id: DeviceId,
    /// Its id, as in the claim `sid`.
    #[schema(example = "ses_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    session_id: SessionId,
    /// What the person called the device at the sign-in.
    name: String,
    /// What kind of device it is.
    platform: Platform,
    /// Model.
    model: Option<String>,
    /// Version of its system.
    os_version: Option<String>,
    /// Version of the app at the sign-in.
    app_version: Option<String>,
    /// When the person signed in, RFC 3339.
    #[schema(value_type = String, format = DateTime, example = "2026-01-31T12:00:00Z")]
    created_at: Timestamp,
    /// When its tokens were last refreshed, RFC 3339.
    #[schema(value_type = String, format = DateTime, example = "2026-01-31T12:14:00Z")]
    last_used_at: Timestamp,
    /// Whether it is the session of this request.
    current: bool,
}

/// Sessions: at most 50, so always one page.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Sessions {
    /// Last used first.
    sessions: Vec<SessionView>,
    /// Always null.
    next_cursor: Option<String>,
    /// Always false.
    has_more: bool,
}

/// Sign out
///
/// Ends the session of this request: its refresh token dies at once, the access token by its expiry.
#[utoipa::path(
    post, path = "/auth/logout", tag = "auth", security(("access_token" = [])),
    responses((status = 204, description = "Signed out."), Authenticated),
)]
pub(crate) async fn logout(State(app): State<App>, caller: Caller) -> ApiResult<StatusCode> {
    let own = sessions::get(&app.accounts, &caller.user, &caller.device).await?;
    // A newer sign-in on the device is not this session, and stays.
    if let Some(own) = own.filter(|own| own.session_id == caller.session && own.is_live()) {
        sessions::end_this(&app.accounts, &own, EndReason::SignedOut, app.core.clock.now()).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// List sessions
#[utoipa::path(
    get, path = "/auth/sessions", tag = "auth", security(("access_token" = [])),
    responses((status = 200, description = "The caller's live sessions.", body = Sessions), Authenticated),
)]
pub(crate) async fn list(State(app): State<App>, caller: Caller) -> ApiResult<Json<Sessions>> {
    let now = app.core.clock.now();
    let mut live = sessions::list_live(&app.accounts, &caller.user).await?;
    live.retain(|session| !app.lifetimes.is_over(session.created_at, session.last_used_at, now));
    live.sort_by_key(|session| std::cmp::Reverse(session.last_used_at));
    let sessions = live.into_iter().map(|session| view(session, &caller.session)).collect();
    Ok(Json(Sessions { sessions, next_cursor: None, has_more: false }))
}

/// End a session
///
/// Its refresh token dies at once, its access token by its expiry.
#[utoipa::path(
    delete, path = "/auth/sessions/{device_id}", tag = "auth", security(("access_token" = [])),
    params(("device_id" = DeviceId, Path, description = "The device whose session is to end.")),
    responses(
        (status = 204, description = "Ended."),
        (status = 404, description = "The caller has no live session on such a device.", body = Problem, content_type = "application/problem+json"),
        Authenticated,
    ),
)]
pub(crate) async fn end(
    State(app): State<App>,
    caller: Caller,
    PathId(device): PathId<DeviceId>,
) -> ApiResult<StatusCode> {
    let reason = if device == caller.device { EndReason::SignedOut } else { EndReason::Revoked };
    if sessions::end(&app.accounts, &caller.user, &device, reason, app.core.clock.now()).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Error::NotFound("session").into())
}

fn view(session: Session, current: &SessionId) -> SessionView {
    SessionView {
        current: session.session_id == *current,
        device_id: session.device_id,
        session_id: session.session_id,
        name: session.name,
        platform: session.platform,
        model: session.model,
        os_version: session.os_version,
        app_version: session.app_version,
        created_at: from_unix(session.created_at),
        last_used_at: from_unix(session.last_used_at),
    }
}
