//! The App Store Server API (facts 2.6): transactions, statuses, histories, the test notification.

use axum::body::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};

use super::history;
use super::state::{AppleBook, Line, Transaction};
use super::{Moment, Signing, auth, notify, ocsp, payloads, receipts};
use crate::services::{decode, pairs};
use crate::stores::input::{Environment, Store};
use crate::stores::mode;
use crate::stores::reply::{self, Reply};
use crate::stores::shops::Shops;

/// An error as the API names it (`errorCode`, `errorMessage`).
pub(super) struct ApiError(pub(super) u16, pub(super) u32, pub(super) &'static str);

impl ApiError {
    const TRANSACTION_ID: Self = Self(400, 4_000_006, "Invalid transaction id.");
    const NOT_FOUND: Self = Self(404, 4_040_010, "Transaction id not found.");
    const STATUS: Self = Self(400, 4_000_031, "Invalid request. The status parameter is invalid.");
    const NO_TEST: Self = Self(404, 4_040_008, "Either the test notification token is expired or unknown.");
    const BROKEN: Self = Self(500, 5_000_000, "An unknown error occurred.");

    fn response(&self) -> Response<Bytes> {
        reply::json(self.0, &json!({ "errorCode": self.1, "errorMessage": self.2 }))
    }
}

pub(super) type Answer = Result<Value, ApiError>;

/// One request, as the handlers need it.
pub(super) struct Asked<'a> {
    pub(super) shops: &'a Shops,
    pub(super) signing: &'a Signing,
    pub(super) environment: Environment,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Value,
}

/// The answer to `request`, whose path is `path` below `/_local/apple/`.
pub(in crate::stores) async fn answer(shops: &Shops, path: &str, request: Request<Bytes>) -> Reply {
    if path == "ocsp" {
        return ocsp::answer(shops, &request);
    }
    let (environment, path) = match path.split_once('/') {
        Some(("production", path)) => (Environment::Production, path.to_owned()),
        Some(("sandbox", path)) => (Environment::Sandbox, path.to_owned()),
        _ => return Some(reply::empty(404)),
    };
    let mode = shops.modes().draw(Store::Apple);
    mode::through(mode, Store::Apple, shops.now_ms(), async move {
        Some(match path.as_str() {
            "verifyReceipt" => receipts::answer(shops, environment, &request),
            _ => api(shops, environment, &path, request).await,
        })
    })
    .await
}

async fn api(shops: &Shops, environment: Environment, path: &str, request: Request<Bytes>) -> Response<Bytes> {
    let now = shops.now_ms().div_euclid(1_000);
    if !auth::is_ours(request.headers(), shops.keys(), shops.settings(), now) {
        return reply::with_type(401, "text/plain", "Unauthenticated\n");
    }
    let Ok(signing) = shops.apple() else { return ApiError::BROKEN.response() };
    let query = pairs(request.uri().query().unwrap_or_default()).collect();
    let body = serde_json::from_slice(request.body()).unwrap_or_default();
    let asked = Asked { shops, signing, environment, query, body };
    let segments: Vec<String> = path.split('/').map(|segment| decode(segment, false)).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (get, post) = (request.method() == Method::GET, request.method() == Method::POST);
    let outcome = match segments.as_slice() {
        ["inApps", "v1", "transactions", id] if get => asked.transaction(id),
        ["inApps", "v1", "subscriptions", id] if get => asked.statuses(id),
        ["inApps", "v2", "history", id] if get => history::transactions(&asked, id),
        ["inApps", "v1", "notifications", "history"] if post => history::notifications(&asked),
        ["inApps", "v1", "notifications", "test"] if post => asked.test().await,
        ["inApps", "v1", "notifications", "test", token] if get => asked.tested(token),
        _ => return reply::empty(404),
    };
    match outcome {
        Ok(body) => reply::json(200, &body),
        Err(error) => error.response(),
    }
}

impl Asked<'_> {
    /// What `find` makes of the purchase and transaction `id`, in this environment.
    pub(super) fn find<T>(
        &self,
        id: &str,
        find: impl FnOnce(&AppleBook, &Line, &Transaction, Moment) -> T,
    ) -> Result<T, ApiError> {
        let fits = (1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
        let number = Some(id).filter(|_| fits).and_then(|id| id.parse().ok()).ok_or(ApiError::TRANSACTION_ID)?;
        self.shops.book().read(|kept| {
            let line = kept.apple.line(number).filter(|line| line.environment == self.environment);
            let found = line.and_then(|line| Some((line, line.transaction(number)?)));
            let (line, transaction) = found.ok_or(ApiError::NOT_FOUND)?;
            let now_ms = self.shops.now_ms();
            Ok(find(&kept.apple, line, transaction, Moment { now_ms, signed_ms: kept.seen_at(now_ms) }))
        })
    }

    /// `transaction` of `line`, signed.
    pub(super) fn signed(&self, line: &Line, transaction: &Transaction, at: Moment) -> String {
        self.signing.signer.sign(&payloads::transaction(line, transaction, self.shops.settings(), at.signed_ms))
    }

    fn transaction(&self, id: &str) -> Answer {
        self.find(id, |_, line, transaction, at| json!({ "signedTransactionInfo": self.signed(line, transaction, at) }))
    }

    /// All subscriptions of the customer, by group.
    fn statuses(&self, id: &str) -> Answer {
        let mut wanted = Vec::new();
        for (_, text) in self.query.iter().filter(|(name, _)| name == "status") {
            wanted.push(text.parse::<i64>().ok().filter(|status| (1..=5).contains(status)).ok_or(ApiError::STATUS)?);
        }
        self.find(id, |book, line, _, at| {
            let mut groups: Vec<(String, Vec<Value>)> = Vec::new();
            for line in book.of_customer(&line.customer, line.environment) {
                let (Some(status), Some(current)) = (line.status(at.now_ms), line.current()) else { continue };
                if !wanted.is_empty() && !wanted.contains(&status.number()) {
                    continue;
                }
                let renewal = payloads::renewal(line, at);
                let last = json!({
                    "originalTransactionId": line.original.to_string(),
                    "status": status.number(),
                    "signedTransactionInfo": self.signed(line, current, at),
                    "signedRenewalInfo": renewal.map(|payload| self.signing.signer.sign(&payload)),
                });
                let group = crate::stores::product::group_number(&line.group);
                match groups.iter_mut().find(|(known, _)| *known == group) {
                    Some((_, lasts)) => lasts.push(last),
                    None => groups.push((group, vec![last])),
                }
            }
            let data: Vec<Value> = groups
                .into_iter()
                .map(|(group, lasts)| json!({ "subscriptionGroupIdentifier": group, "lastTransactions": lasts }))
                .collect();
            let settings = self.shops.settings();
            json!({
                "environment": self.environment.as_str(), "bundleId": settings.bundle_id,
                "appAppleId": settings.app_id, "data": data,
            })
        })
    }

    /// Sends a `TEST` before it answers, where Apple does so soon after.
    async fn test(&self) -> Answer {
        let made = notify(self.shops, self.environment, "TEST", None).map_err(|_| ApiError::BROKEN)?;
        self.shops.send(std::slice::from_ref(&made.id)).await;
        Ok(json!({ "testNotificationToken": format!("{}_{}", made.id, made.at_ms) }))
    }

    fn tested(&self, token: &str) -> Answer {
        let id = token.rsplit_once('_').map_or(token, |(id, _)| id);
        self.shops.book().read(|kept| {
            let mut notices = kept.notices.iter();
            let notice = notices.find(|notice| notice.id == id && notice.kind == "TEST").ok_or(ApiError::NO_TEST)?;
            Ok(history::item(notice))
        })
    }
}
