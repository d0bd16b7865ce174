//! What the caller may use.

use axum::Json;
use axum::extract::State;
use satchel_domain::entitlements::{Entitlement, best, store_account_token};
use satchel_inbound::http::{ApiResult, Caller};
use satchel_store::entitlements;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;

/// The caller's add-ons.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntitlementsOut {
    /// One an add-on that the caller has or had.
    entitlements: Vec<Entitlement>,
    /// What the app passes to the stores at a purchase (`appAccountToken`, `obfuscatedExternalAccountId`), so that the
    /// purchase names its account.
    #[schema(example = "01563e3a-b5d3-d676-4c61-efb99302bd5b")]
    store_account_token: Option<String>,
}

/// Every add-on the caller has or had.
///
/// The state is computed at this moment from everything that feeds the add-on; the best of it is shown. Times are Unix
/// seconds.
#[utoipa::path(
    get,
    path = "/payments/entitlements",
    tag = "payments",
    security(("access_token" = [])),
    responses((status = 200, description = "The caller's add-ons", body = EntitlementsOut))
)]
pub(crate) async fn list(State(app): State<App>, caller: Caller) -> ApiResult<Json<EntitlementsOut>> {
    let now = app.core.clock.unix();
    let rows = entitlements::list(&app.entitlements, &caller.user).await?;
    let entitlements = rows.iter().filter_map(|row| best(row.add_on, row.sources.values(), now)).collect();
    Ok(Json(EntitlementsOut { entitlements, store_account_token: store_account_token(&caller.user) }))
}
