//! The archive of everything that is the caller's.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use satchel_domain::ids::ExportId;
use satchel_domain::time::{from_unix, plus};
use satchel_domain::{Error, Timestamp};
use satchel_inbound::http::{ApiResult, Caller, PathId, Problem, RecentCaller};
use satchel_store::Cancelled;
use satchel_store::exports::{self, Export, Standing};
use serde::Serialize;

use super::Authenticated;
use crate::app::App;
use crate::limits;

/// How long a link to an archive is good, in seconds.
const LINK: u32 = 900;
/// An export that is asked for again so soon, in seconds, is the one that is being made.
const SAME: i64 = 900;

/// An export that was asked for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Requested {
    /// Its id.
    #[schema(example = "exp_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    export_id: ExportId,
}

/// Where an export stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExportStatus {
    /// Being made.
    Pending,
    /// Done; `url` has it.
    Ready,
}

/// An export.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ExportView {
    /// Its id.
    export_id: ExportId,
    /// Where it stands.
    status: ExportStatus,
    /// Where the archive, a zip of JSON files, can be had by anybody who has this address; absent while pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Until when the address is good, RFC 3339; a later request gives a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, example = "2026-01-31T12:15:00Z")]
    url_expires_at: Option<Timestamp>,
    /// When it was asked for, RFC 3339.
    #[schema(value_type = String, format = DateTime, example = "2026-01-31T12:00:00Z")]
    requested_at: Timestamp,
}

/// Ask for an export
///
/// Makes a zip of JSON files, one or more a family. Needs a sign-in of this session that is at most 10 minutes old.
#[utoipa::path(
    post, path = "/auth/me/export", tag = "auth", security(("access_token" = [])),
    responses(
        (status = 202, description = "It is being made.", body = Requested),
        (status = 404, description = "The account is being erased.", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many exports today.", body = Problem, content_type = "application/problem+json"),
        Authenticated,
    ),
)]
pub(crate) async fn request(State(app): State<App>, caller: RecentCaller) -> ApiResult<(StatusCode, Json<Requested>)> {
    let now = app.core.clock.now();
    let export = match pending(&app, &caller, now).await? {
        Some(export_id) => export_id,
        None => {
            limits::count(&app.accounts, &app.limits.export_account, caller.user.as_str(), now).await?;
            let export = Export::new(app.core.ids.next(), now);
            match exports::request(&app.accounts, &caller, &export).await {
                Ok(()) => export.export_id,
                Err(Cancelled::Condition(_)) => return Err(Error::NotFound("account").into()),
                Err(other) => return Err(Error::from(other).into()),
            }
        }
    };
    Ok((StatusCode::ACCEPTED, Json(Requested { export_id: export })))
}

async fn pending(app: &App, caller: &RecentCaller, now: Timestamp) -> satchel_domain::Result<Option<ExportId>> {
    let all = exports::list(&app.accounts, &caller.user).await?;
    let recent = |export: &Export| export.standing == Standing::Pending && now.as_second() - export.requested_at < SAME;
    Ok(all.into_iter().rev().find(recent).map(|export| export.export_id))
}

/// Read an export
#[utoipa::path(
    get, path = "/auth/me/export/{id}", tag = "auth", security(("access_token" = [])),
    params(("id" = ExportId, Path, description = "The export.")),
    responses(
        (status = 200, description = "Where it stands.", body = ExportView),
        (status = 404, description = "No such export of the caller's.", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "`export_expired`: it is older than 7 days.", body = Problem, content_type = "application/problem+json"),
        Authenticated,
    ),
)]
pub(crate) async fn read(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ExportId>,
) -> ApiResult<Json<ExportView>> {
    let now = app.core.clock.now();
    let export = exports::get(&app.accounts, &caller.user, &id).await?.ok_or(Error::NotFound("export"))?;
    if export.ttl <= now.as_second() {
        return Err(Error::Gone {
            code: "export_expired",
            message: "the export is older than 7 days: ask for another",
        }
        .into());
    }
    let url = match export.standing {
        Standing::Pending => None,
        Standing::Ready => {
            let object = exports::object(&caller.user, &id);
            Some(app.exports.link(&object, Duration::from_secs(LINK.into()), now.as_second())?)
        }
    };
    Ok(Json(ExportView {
        export_id: id,
        status: if url.is_some() { ExportStatus::Ready } else { ExportStatus::Pending },
        url_expires_at: url.as_ref().map(|_| plus(now, LINK.into())),
        url,
        requested_at: from_unix(export.requested_at),
    }))
}
