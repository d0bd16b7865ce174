//! What happened to the caller's add-ons.

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use satchel_domain::entitlements::{AddOn, Status};
use satchel_domain::ids::UserId;
use satchel_domain::{Error, Result};
use satchel_inbound::http::{ApiResult, Caller, Params};
use satchel_store::Key;
use satchel_store::entitlements::{self, LedgerRow};
use satchel_store::keys::entitlements as keys;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::App;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageIn {
    /// Most changes in the page, 1 to 100; 50 without it.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<i32>,
    /// `next_cursor` of the page before.
    #[param(max_length = 512)]
    cursor: Option<String>,
}

/// A change of an add-on, or an event that changed nothing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeOut {
    /// The event.
    #[schema(example = "evt_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    event_id: String,
    /// When it happened, Unix milliseconds, by the clock of who told of it.
    #[schema(example = 1_764_547_200_000_i64)]
    at: i64,
    /// What happened: `granted`, `revoked`, `verified`, `restored`, `moved`, `reconciled`, or the store's word, such as
    /// `DID_RENEW` or `SUBSCRIPTION_RENEWED`.
    #[schema(example = "DID_RENEW")]
    cause: String,
    /// Who told of it: `app`, `apple`, `google`, `reconcile`, or the back office's client.
    #[schema(example = "apple")]
    by: String,
    /// The add-on.
    add_on_type: AddOn,
    /// The state of the purchase or grant before; null for a new one.
    from: Option<Status>,
    /// Its state after.
    to: Status,
    /// End of what is paid after it, Unix seconds; null for what has no end.
    expires_at: Option<i64>,
    /// Whether anything changed: an event that is known already, or older than what is known, is only recorded.
    changed: bool,
}

/// Changes, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LedgerOut {
    /// The page.
    changes: Vec<ChangeOut>,
    /// Asks for the next page; null after the last.
    next_cursor: Option<String>,
    /// Whether there is a next page.
    has_more: bool,
}

impl From<LedgerRow> for ChangeOut {
    fn from(line: LedgerRow) -> Self {
        Self {
            event_id: line.event_id.to_string(),
            at: line.at,
            cause: line.cause,
            // A back office's client is the back office to a person.
            by: if line.by.starts_with("cli_") { "backoffice".to_owned() } else { line.by },
            add_on_type: line.add_on,
            from: line.from,
            to: line.to,
            expires_at: line.expires_at,
            changed: line.changed,
        }
    }
}

/// The place that a cursor names, in the caller's own ledger: whatever somebody makes of it, it leads nowhere else.
fn place(user: &UserId, cursor: &str) -> Result<Key> {
    let invalid =
        || Error::Malformed { code: "invalid_cursor", message: "the cursor is not one of this list".to_owned() };
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
    keys::ledger_place(user, &String::from_utf8(bytes).map_err(|_| invalid())?).ok_or_else(invalid)
}

/// What happened to the caller's add-ons, newest first.
///
/// Every purchase, renewal, refund, grant and move of the caller's, and the events that told of nothing new. Nothing here
/// is ever changed; it is kept when a purchase ends.
#[utoipa::path(
    get,
    path = "/payments/history",
    tag = "payments",
    security(("access_token" = [])),
    params(PageIn),
    responses(
        (status = 200, description = "A page", body = LedgerOut),
        (status = 400, description = "`invalid_cursor`", body = satchel_inbound::http::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(page): Params<PageIn>,
) -> ApiResult<Json<LedgerOut>> {
    let limit = page.limit.unwrap_or(50);
    if !(1..=100).contains(&limit) {
        return Err(Error::invalid("limit", "must be 1 to 100").into());
    }
    let after = page.cursor.as_deref().map(|cursor| place(&caller.user, cursor)).transpose()?;
    let found = entitlements::history(&app.entitlements, &caller.user, after, limit).await?;
    let next_cursor = found.next.map(|key| URL_SAFE_NO_PAD.encode(key.sk));
    Ok(Json(LedgerOut {
        changes: found.rows.into_iter().map(ChangeOut::from).collect(),
        has_more: next_cursor.is_some(),
        next_cursor,
    }))
}
