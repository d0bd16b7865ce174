//! The routes of sync.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::{HeaderValue, header};
use satchel_domain::Error;
use satchel_domain::ids::is_id;
use satchel_inbound::http::{ApiResult, Caller, Input, Paid, PaidOrGrace, Params, PathId, Problem};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::wire::{ErasedOut, HistoryOut, PullIn, PullOut, PushIn, PushOut, StatusOut};
use crate::{erase, history, pull, push, status};

/// The routes with their description.
pub fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(push_entries))
        .routes(routes!(pull_entries))
        .routes(routes!(get_status))
        .routes(routes!(get_history))
        .routes(routes!(erase_data))
}

/// The router, as it is served.
pub fn router(app: App) -> Router {
    let core = app.core.clone();
    satchel_inbound::http::serve(api().split_for_parts().0, app, core)
}

/// Push entries and deletions.
///
/// Each is decided on by its clock; conflicts are merged by rule and no acknowledged version is lost: it is an ancestor
/// of what is stored, or stands in history. Pushing the same again changes nothing.
#[utoipa::path(
    post, path = "/sync/push", tag = "sync", request_body = PushIn,
    responses(
        (status = 200, description = "What became of each entry, in request order", body = PushOut),
        (status = 400, description = "Not JSON (`malformed_json`), or a foreign cursor (`invalid_cursor`)", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No or no valid access token", body = Problem, content_type = "application/problem+json"),
        (status = 402, description = "`sync_add_on_required`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`device_id_mismatch`, or a service's token", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "`base_cursor` is of another epoch or too old (`resync_required`)", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`too_many_entries`, `quota_exceeded` (every entry), `body_too_large`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not application/json", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is missing or of a wrong type", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Busy: the same push again is safe", body = Problem, content_type = "application/problem+json"),
    ),
    security(("access_token" = []))
)]
async fn push_entries(State(app): State<App>, paid: Paid, Input(input): Input<PushIn>) -> ApiResult<Json<PushOut>> {
    paid.is_on(&input.device_id)?;
    Ok(Json(push::push(&app, &paid.0, input).await?))
}

/// Pull entries and tombstones.
///
/// With `cursor` or `last_sync_at` what changed since, with neither everything. Repeat with the answer's `cursor` (or
/// `server_timestamp` as `last_sync_at`) while `has_more`.
#[utoipa::path(
    post, path = "/sync/pull", tag = "sync", request_body = PullIn,
    responses(
        (status = 200, description = "A page", body = PullOut),
        (status = 400, description = "Not JSON (`malformed_json`), or a foreign cursor (`invalid_cursor`)", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No or no valid access token", body = Problem, content_type = "application/problem+json"),
        (status = 402, description = "`sync_add_on_required`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`device_id_mismatch`, or a service's token", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The cursor is of another epoch or too old (`resync_required`)", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not application/json", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is missing or of a wrong type", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Busy: try again", body = Problem, content_type = "application/problem+json"),
    ),
    security(("access_token" = []))
)]
async fn pull_entries(State(app): State<App>, paid: PaidOrGrace, Input(input): Input<PullIn>) -> ApiResult<Response> {
    paid.is_on(&input.device_id)?;
    let mut response = Body::from(pull::pull(&app, &paid.0, input).await?).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// What the space adds up to.
#[utoipa::path(
    get, path = "/sync/status", tag = "sync",
    responses(
        (status = 200, description = "The status", body = StatusOut),
        (status = 401, description = "No or no valid access token", body = Problem, content_type = "application/problem+json"),
        (status = 402, description = "`sync_add_on_required`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "A service's token", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Busy: try again", body = Problem, content_type = "application/problem+json"),
    ),
    security(("access_token" = []))
)]
async fn get_status(State(app): State<App>, paid: PaidOrGrace) -> ApiResult<Json<StatusOut>> {
    Ok(Json(status::status(&app, &paid.0).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HistoryParams {
    /// Versions of a page.
    #[serde(default = "fifty")]
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: usize,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

fn fifty() -> usize {
    50
}

/// Versions of an entry that lost a conflict or were deleted, newest first.
#[utoipa::path(
    get, path = "/sync/entries/{id}/history", tag = "sync",
    params(("id" = String, Path, description = "Entry id", min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9_.:-]+$"), HistoryParams),
    responses(
        (status = 200, description = "A page of versions", body = HistoryOut),
        (status = 400, description = "A foreign cursor (`invalid_cursor`)", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No or no valid access token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "A service's token", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such entry", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The cursor is of another epoch (`resync_required`)", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Busy: try again", body = Problem, content_type = "application/problem+json"),
    ),
    security(("access_token" = []))
)]
async fn get_history(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<String>,
    Params(params): Params<HistoryParams>,
) -> ApiResult<Json<HistoryOut>> {
    if !is_id(&id) {
        return Err(Error::NotFound("entry").into());
    }
    if !(1..=100).contains(&params.limit) {
        return Err(Error::invalid("limit", "must be between 1 and 100").into());
    }
    Ok(Json(history::history(&app, &caller, &id, params.limit, params.cursor.as_deref()).await?))
}

/// Erase the space: a new epoch begins, empty.
#[utoipa::path(
    delete, path = "/sync/data", tag = "sync",
    responses(
        (status = 200, description = "The new epoch", body = ErasedOut),
        (status = 401, description = "No or no valid access token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "A service's token", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Busy: try again", body = Problem, content_type = "application/problem+json"),
    ),
    security(("access_token" = []))
)]
async fn erase_data(State(app): State<App>, caller: Caller) -> ApiResult<Json<ErasedOut>> {
    Ok(Json(erase::erase(&app, &caller).await?))
}
