//! A person brings what they bought.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use satchel_domain::entitlements::{AddOn, Entitlement, Status, best};
use satchel_domain::purchases::Store;
use satchel_domain::{Error, FieldError, Result};
use satchel_inbound::http::error::public;
use satchel_inbound::http::{ApiResult, Caller, Input};
use satchel_store::entitlements;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::App;
use crate::claims::Bringer;
use crate::fold::refused;

/// Most receipts of one restore.
const MAX_RECEIPTS: usize = 20;
/// Longest product id, in characters.
const MAX_PRODUCT: usize = satchel_domain::purchases::catalogue::MAX_PRODUCT_ID;

/// A purchase.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct VerifyIn {
    /// Where it was bought.
    platform: Store,
    /// iOS: the signed transaction (JWS) of StoreKit 2, a legacy app receipt in base64, or a transaction id. Android:
    /// base64 of `{"packageName", "purchaseToken"}`.
    #[schema(example = "2000000000000001", min_length = 1, max_length = 1_048_576)]
    receipt_data: String,
    /// What the app believes was bought; the store's own product decides.
    #[schema(example = "echolia.sync.monthly", min_length = 1, max_length = 255)]
    product_id: String,
}

/// What it gives.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerifyOut {
    /// Always `success`.
    #[schema(example = "success")]
    status: &'static str,
    /// The add-on.
    add_on_type: AddOn,
    /// Until when, Unix seconds; null for what has no end.
    #[schema(example = 1_767_225_600)]
    expires_at: Option<i64>,
    /// The newest transaction; Google's latest order.
    #[schema(example = "2000000000000002")]
    transaction_id: String,
    /// The first transaction of its line; Google's first order.
    #[schema(example = "2000000000000001")]
    original_transaction_id: String,
}

impl From<Entitlement> for VerifyOut {
    fn from(it: Entitlement) -> Self {
        Self {
            status: "success",
            add_on_type: it.add_on_type,
            expires_at: it.expires_at,
            transaction_id: it.transaction_id,
            original_transaction_id: it.original_transaction_id,
        }
    }
}

fn text(field: &str, text: &str, most: usize) -> Option<FieldError> {
    let fits = (1..=most).contains(&text.len()) && !text.chars().any(char::is_control);
    (!fits).then(|| FieldError { field: field.to_owned(), message: format!("1 to {most} characters") })
}

/// The add-on, where the purchase gives access to it; what it is instead, in the seed's words, where not. Either way what
/// the store said is written down.
fn access(it: Entitlement) -> Result<VerifyOut> {
    if it.is_active {
        return Ok(it.into());
    }
    Err(match it.status {
        Status::Pending => refused("purchase_pending", "Invalid payment state: 0"),
        Status::Hold => refused("purchase_on_hold", "Invalid payment state: on hold"),
        Status::Paused => refused("purchase_paused", "Invalid payment state: paused"),
        Status::Revoked => refused("purchase_revoked", "the purchase was refunded or taken back"),
        Status::Expired | Status::Active | Status::Grace | Status::Owned => {
            refused("purchase_expired", "the purchase has expired")
        }
    })
}

/// Verifies a purchase and gives its add-on.
///
/// The store is asked, so that what counts is what it says now. A purchase counts for one account: the one that the app
/// named to the store by `store_account_token`, else the first that brings it. May be repeated at will.
#[utoipa::path(
    post,
    path = "/payments/verify",
    tag = "payments",
    security(("access_token" = [])),
    request_body = VerifyIn,
    responses(
        (status = 200, description = "The add-on is the caller's", body = VerifyOut),
        (status = 400, description = "`receipt_malformed`, `receipt_refused`, `purchase_not_found`, `unknown_product`, `product_mismatch`, `package_mismatch`, `sandbox_not_allowed`, `environment_mismatch`, `purchase_pending`, `purchase_on_hold`, `purchase_paused`, `purchase_expired`, `purchase_revoked`, `store_not_configured`", body = satchel_inbound::http::Problem, content_type = "application/problem+json"),
        (status = 403, description = "`proof_required`: a bare transaction id of what is not the caller's", body = satchel_inbound::http::Problem, content_type = "application/problem+json"),
        (status = 409, description = "`purchase_belongs_to_another_account`", body = satchel_inbound::http::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn verify(
    State(app): State<App>,
    caller: Caller,
    Input(input): Input<VerifyIn>,
) -> ApiResult<Json<VerifyOut>> {
    let wrong = [
        text("receipt_data", input.receipt_data.trim(), crate::claims::MAX_RECEIPT),
        text("product_id", &input.product_id, MAX_PRODUCT),
    ];
    let wrong: Vec<FieldError> = wrong.into_iter().flatten().collect();
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong).into());
    }
    crate::limits::count(&app.entitlements, &app.limits, &caller.user, 1, app.core.clock.now()).await?;
    let bringer = Bringer { user: &caller.user, restore: false, product: Some(&input.product_id) };
    let claimed = app.stores.claim(input.platform, &input.receipt_data, bringer).await?;
    Ok(Json(access(claimed)?))
}

/// Purchases to bring to this account.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct RestoreIn {
    /// Where they were bought.
    platform: Store,
    /// Each as in `receipt_data` of `POST /payments/verify`.
    #[schema(min_items = 1, max_items = 20)]
    receipts: Vec<String>,
}

/// What became of one receipt.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RestoredOut {
    /// `success` or `failed`.
    #[schema(example = "success")]
    status: &'static str,
    /// What it gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    entitlement: Option<Entitlement>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "transfer_limit")]
    code: Option<String>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// What a restore led to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RestoreOut {
    /// The caller's add-ons after it.
    entitlements: Vec<Entitlement>,
    /// One a receipt, in their order.
    results: Vec<RestoredOut>,
}

/// Brings purchases to this account.
///
/// A purchase that names no account moves here from the account it counts for, at most three times in 30 days, where the
/// stack's policy is `transfer`. One that names another account stays there. Each receipt succeeds or fails on its own.
#[utoipa::path(
    post,
    path = "/payments/restore",
    tag = "payments",
    security(("access_token" = [])),
    request_body = RestoreIn,
    responses((status = 200, description = "What became of each", body = RestoreOut))
)]
pub(crate) async fn restore(
    State(app): State<App>,
    caller: Caller,
    Input(input): Input<RestoreIn>,
) -> ApiResult<Response> {
    let mut wrong = Vec::new();
    if !(1..=MAX_RECEIPTS).contains(&input.receipts.len()) {
        wrong.push(FieldError { field: "receipts".to_owned(), message: format!("1 to {MAX_RECEIPTS} receipts") });
    }
    let most = crate::claims::MAX_RECEIPT;
    wrong.extend(
        input.receipts.iter().enumerate().filter_map(|(at, it)| text(&format!("receipts[{at}]"), it.trim(), most)),
    );
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong).into());
    }
    let receipts = u32::try_from(input.receipts.len()).unwrap_or(u32::MAX);
    crate::limits::count(&app.entitlements, &app.limits, &caller.user, receipts, app.core.clock.now()).await?;
    let bringer = Bringer { user: &caller.user, restore: true, product: None };
    let mut results = Vec::new();
    for receipt in &input.receipts {
        results.push(match app.stores.claim(input.platform, receipt, bringer).await {
            Ok(entitlement) => {
                RestoredOut { status: "success", entitlement: Some(entitlement), code: None, detail: None }
            }
            // Not the receipt's fault: none of them is answered, and the app tries again.
            Err(error) if error.is_transient() || matches!(error, Error::Internal(_)) => return Err(error.into()),
            Err(error) => {
                let (_, code, detail) = public(&error);
                let detail = detail.as_str().map(str::to_owned);
                RestoredOut { status: "failed", entitlement: None, code: Some(code.to_owned()), detail }
            }
        });
    }
    let now = app.core.clock.unix();
    let rows = entitlements::list(&app.entitlements, &caller.user).await?;
    let entitlements = rows.iter().filter_map(|row| best(row.add_on, row.sources.values(), now)).collect();
    Ok((StatusCode::OK, Json(RestoreOut { entitlements, results })).into_response())
}
