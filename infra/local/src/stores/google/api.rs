//! The Google Play Developer API (facts 2.7): purchases, acknowledgements, what was voided.

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, Request, Response, header};
use satchel_domain::time::DAY;
use serde_json::{Value, json};

use super::state::Purchase;
use super::{grant, payloads, settle};
use crate::carrier::JWKS_CACHE;
use crate::services::{decode, pairs};
use crate::stores::bearer::bearer;
use crate::stores::input::Store;
use crate::stores::mode::{self, Mode};
use crate::stores::reply::{self, Reply};
use crate::stores::shops::Shops;

/// Most entries of one page.
const PAGE: usize = 1_000;
/// How far back the list of what was voided reaches, in milliseconds.
const VOIDED_MS: i64 = 30 * DAY * 1_000;

/// An error as Google's APIs name it: status, reason, message.
struct ApiError(u16, &'static str, &'static str);

impl ApiError {
    const TOKEN: Self = Self(404, "purchaseTokenNotFound", "The purchase token was not found.");
    const GONE: Self = Self(
        410,
        "subscriptionPurchaseNoLongerAvailable",
        "The subscription purchase is no longer available for query because it has been expired for too long.",
    );
    const PACKAGE: Self = Self(404, "applicationNotFound", "No application was found for the given package name.");
    const NOT_OWNED: Self = Self(400, "productNotOwnedByUser", "The product purchase is not owned by the user.");
    const MISMATCH: Self =
        Self(400, "purchaseTokenDoesNotMatchProductId", "The purchase token does not match the product ID.");
    const VALUE: Self = Self(400, "invalid", "Invalid Value");

    fn response(&self) -> Response<Bytes> {
        let Self(code, reason, message) = *self;
        let detail = json!({ "message": message, "domain": "androidpublisher", "reason": reason });
        let mut body = json!({ "error": { "code": code, "message": message, "errors": [detail] } });
        if code == 404 {
            body["error"]["status"] = "NOT_FOUND".into();
        }
        reply::json(code, &body)
    }
}

/// What is said of an app that nobody sells here.
pub(in crate::stores) fn no_app() -> Response<Bytes> {
    ApiError::PACKAGE.response()
}

/// What is said to who has no token, or an old one.
fn unauthenticated() -> Response<Bytes> {
    let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other \
                   valid authentication credential.";
    let body = json!({ "error": { "code": 401, "message": message, "status": "UNAUTHENTICATED" } });
    reply::with_header(
        reply::json(401, &body),
        header::WWW_AUTHENTICATE,
        "Bearer realm=\"https://accounts.google.com/\"",
    )
}

/// The answer to `request`, whose path is `path` below `/_local/google/`.
pub(in crate::stores) async fn answer(shops: &Shops, path: &str, request: Request<Bytes>) -> Reply {
    if path == "certs" && request.method() == Method::GET {
        let Ok(keys) = shops.issuer().jwks() else { return Some(reply::empty(500)) };
        return Some(reply::with_header(reply::json(200, &keys), header::CACHE_CONTROL, JWKS_CACHE));
    }
    // An account is one thing, its apps are another.
    let is_app_asked = path != "token" || !shops.modes().is(Store::Google, Mode::NoApp);
    let mode = if is_app_asked { shops.modes().draw(Store::Google) } else { Mode::Up };
    mode::through(mode, Store::Google, shops.now_ms(), async move {
        Some(match path {
            "token" => grant::answer(shops, &request),
            _ => api(shops, path, &request),
        })
    })
    .await
}

fn api(shops: &Shops, path: &str, request: &Request<Bytes>) -> Response<Bytes> {
    let now = shops.now_ms().div_euclid(1_000);
    if !bearer(request.headers()).is_some_and(|token| grant::is_good(shops, token, now)) {
        return unauthenticated();
    }
    let Some(rest) = path.strip_prefix("androidpublisher/v3/applications/") else { return reply::empty(404) };
    let segments: Vec<String> = rest.split('/').map(|segment| decode(segment, false)).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let [package, "purchases", rest @ ..] = segments.as_slice() else { return reply::empty(404) };
    if *package != shops.settings().package {
        return no_app();
    }
    let (get, post) = (request.method() == Method::GET, request.method() == Method::POST);
    let query: Vec<(String, String)> = pairs(request.uri().query().unwrap_or_default()).collect();
    let outcome = match rest {
        ["subscriptionsv2", "tokens", token] if get => subscription(shops, token).map(Some),
        ["productsv2", "tokens", token] if get => product(shops, token).map(Some),
        // The product's id is no longer needed, and not compared (facts 2.7).
        ["subscriptions", _, "tokens", call] if post => acknowledge(shops, call, None),
        ["products", id, "tokens", call] if post => acknowledge(shops, call, Some(id)),
        ["voidedpurchases"] if get => voided(shops, &query).map(Some),
        _ => return reply::empty(404),
    };
    match outcome {
        Ok(Some(body)) => reply::json(200, &body),
        Ok(None) => reply::empty(204),
        Err(error) => error.response(),
    }
}

/// The purchase `token` as it stands now, what it continues, and the time.
fn find<T>(
    shops: &Shops,
    token: &str,
    found: impl FnOnce(&Purchase, Option<&Purchase>, i64) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    settle(shops);
    shops.book().read(|kept| {
        let now_ms = shops.now_ms();
        let purchase = kept.google.purchases.get(token).ok_or(ApiError::TOKEN)?;
        if purchase.is_forgotten(now_ms) {
            return Err(ApiError::GONE);
        }
        // Google tells of it until the purchase is acknowledged.
        let continues = purchase.continues.as_ref().filter(|_| !purchase.acknowledged);
        found(purchase, continues.and_then(|token| kept.google.purchases.get(token)), now_ms)
    })
}

fn subscription(shops: &Shops, token: &str) -> Result<Value, ApiError> {
    find(shops, token, |purchase, expired, now_ms| {
        payloads::subscription(purchase, expired, now_ms).ok_or(ApiError::VALUE)
    })
}

fn product(shops: &Shops, token: &str) -> Result<Value, ApiError> {
    find(
        shops,
        token,
        |purchase, _, _| {
            if purchase.plan.is_some() { Err(ApiError::VALUE) } else { Ok(payloads::product(purchase)) }
        },
    )
}

fn acknowledge(shops: &Shops, call: &str, product_id: Option<&str>) -> Result<Option<Value>, ApiError> {
    let token = call.strip_suffix(":acknowledge").ok_or(ApiError::VALUE)?;
    settle(shops);
    shops.book().change(|kept| {
        let (now_ms, revision) = (shops.now_ms(), kept.next());
        let purchase = kept.google.purchases.get_mut(token).ok_or(ApiError::TOKEN)?;
        if purchase.plan.is_some() != product_id.is_none() {
            return Err(ApiError::TOKEN);
        }
        if product_id.is_some_and(|id| id != purchase.product_id) {
            return Err(ApiError::MISMATCH);
        }
        if purchase.is_forgotten(now_ms) {
            return Err(ApiError::GONE);
        }
        if !purchase.is_owned() || purchase.order().is_some_and(|order| order.voided.is_some()) {
            return Err(ApiError::NOT_OWNED);
        }
        (purchase.acknowledged, purchase.revision) = (true, revision);
        Ok(None)
    })
}

/// What was voided, oldest first; one-time purchases alone unless `type` is 1.
fn voided(shops: &Shops, query: &[(String, String)]) -> Result<Value, ApiError> {
    let text = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let number = |wanted: &str| text(wanted).map(|text| text.parse::<i64>().map_err(|_| ApiError::VALUE)).transpose();
    let now_ms = shops.now_ms();
    let start = number("startTime")?.unwrap_or(now_ms - VOIDED_MS);
    let end = number("endTime")?.unwrap_or(now_ms).min(now_ms);
    // Some leniency: the caller's clock is not ours.
    if start < now_ms - VOIDED_MS - 60_000 || end < start {
        return Err(ApiError::VALUE);
    }
    let with_subscriptions = number("type")?.unwrap_or(0) == 1;
    let most = number("maxResults")?.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let skipped = text("token").map(|token| place(token).ok_or(ApiError::VALUE)).transpose()?.unwrap_or(0);
    settle(shops);
    Ok(shops.book().read(|kept| {
        let mut found: Vec<(i64, Value)> = Vec::new();
        for purchase in kept.google.purchases.values().filter(|it| with_subscriptions || it.plan.is_none()) {
            for order in &purchase.orders {
                if let Some(voided) = order.voided.as_ref().filter(|voided| (start..=end).contains(&voided.at_ms)) {
                    found.push((voided.at_ms, payloads::voided(purchase, order, voided)));
                }
            }
        }
        found.sort_by_key(|(at_ms, _)| *at_ms);
        let all = found.len();
        let page: Vec<Value> = found.into_iter().skip(skipped).take(most).map(|(_, item)| item).collect();
        let next = skipped + page.len();
        // An empty list is absent, as everywhere in this API.
        let mut answer = json!({});
        if !page.is_empty() {
            answer["voidedPurchases"] = page.into();
        }
        if next < all {
            let token = URL_SAFE_NO_PAD.encode(format!("page-{next}"));
            answer["tokenPagination"] = json!({ "nextPageToken": token });
        }
        answer
    }))
}

fn place(token: &str) -> Option<usize> {
    let token = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    token.strip_prefix("page-")?.parse().ok()
}
