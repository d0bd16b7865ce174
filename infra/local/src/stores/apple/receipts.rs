//! The app receipt of StoreKit 1, and `verifyReceipt`, which Apple deprecated and still answers (facts 2.6).

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request, Response};
use satchel_domain::Timestamp;
use serde_json::{Map, Value, json};

use super::payloads::web_order;
use super::pki::Pki;
use super::receipt_der::{self as der, Attribute};
use super::state::{Line, Status, Transaction};
use crate::keys::KeyError;
use crate::stores::input::Environment;
use crate::stores::product::{ProductKind, group_number};
use crate::stores::reply;
use crate::stores::settings::StoreSettings;
use crate::stores::shops::Shops;

/// Numbers of attributes, by Apple's guide to validating receipts.
const RECEIPT_TYPE: i64 = 0;
const BUNDLE_ID: i64 = 2;
const APP_VERSION: i64 = 3;
const CREATION_DATE: i64 = 12;
const IN_APP: i64 = 17;
const ORIGINAL_APP_VERSION: i64 = 19;
const QUANTITY: i64 = 1701;
const PRODUCT_ID: i64 = 1702;
const TRANSACTION_ID: i64 = 1703;
const PURCHASE_DATE: i64 = 1704;
const ORIGINAL_TRANSACTION_ID: i64 = 1705;
const ORIGINAL_PURCHASE_DATE: i64 = 1706;
const EXPIRES_DATE: i64 = 1708;
const WEB_ORDER: i64 = 1711;
const CANCELLATION_DATE: i64 = 1712;

/// The app receipt with the purchases `lines`, in base64.
pub(super) fn receipt(lines: &[&Line], pki: &Pki, settings: &StoreSettings, now_ms: i64) -> Result<String, KeyError> {
    let is_sandbox = lines.first().is_some_and(|line| line.environment == Environment::Sandbox);
    let mut list: Vec<Attribute> = vec![
        (RECEIPT_TYPE, der::text(receipt_type(is_sandbox))),
        (BUNDLE_ID, der::text(&settings.bundle_id)),
        (APP_VERSION, der::text("1.0.0")),
        (CREATION_DATE, der::date(&rfc3339(now_ms))),
        (ORIGINAL_APP_VERSION, der::text("1.0.0")),
    ];
    for line in lines {
        list.extend(line.transactions.iter().map(|transaction| (IN_APP, in_app(line, transaction))));
    }
    Ok(STANDARD.encode(der::sign(&der::attributes(&list), pki)?))
}

fn receipt_type(is_sandbox: bool) -> &'static str {
    if is_sandbox { "ProductionSandbox" } else { "Production" }
}

fn in_app(line: &Line, transaction: &Transaction) -> Vec<u8> {
    let date = |ms: Option<i64>| der::date(&ms.map(rfc3339).unwrap_or_default());
    let web_order = i64::try_from(transaction.id + 100_000_000).unwrap_or(i64::MAX);
    let mut list = vec![
        (QUANTITY, der::number(1)),
        (PRODUCT_ID, der::text(&transaction.product_id)),
        (TRANSACTION_ID, der::text(&transaction.id.to_string())),
        (PURCHASE_DATE, date(Some(transaction.purchase_ms))),
        (ORIGINAL_TRANSACTION_ID, der::text(&line.original.to_string())),
        (ORIGINAL_PURCHASE_DATE, date(Some(line.original_purchase_ms))),
        (CANCELLATION_DATE, date(transaction.revocation.as_ref().map(|it| it.at_ms))),
    ];
    if transaction.kind == ProductKind::Subscription {
        list.push((EXPIRES_DATE, date(transaction.expires_ms)));
        list.push((WEB_ORDER, der::number(web_order)));
    }
    der::attributes(&list)
}

/// A moment as receipts write it, to the second.
fn rfc3339(ms: i64) -> String {
    Timestamp::from_second(ms.div_euclid(1_000)).map(|time| time.to_string()).unwrap_or_default()
}

/// What a receipt of ours says.
struct Read {
    bundle_id: String,
    is_sandbox: bool,
    /// The transactions in it.
    transactions: Vec<u64>,
}

/// Reads a receipt.
///
/// # Errors
/// Apple's status: 21002 where it is none, 21003 where the store did not sign it.
fn read(receipt: &str, pki: &Pki) -> Result<Read, i64> {
    let bytes: String = receipt.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(bytes).map_err(|_| 21_002)?;
    let message = der::read(&bytes).map_err(|_| 21_002)?;
    let content = message.signed_by(pki).ok_or(21_003)?;
    let list = der::read_attributes(&content).map_err(|_| 21_002)?;
    let find = |list: &[Attribute], wanted: i64| {
        list.iter().find(|(kind, _)| *kind == wanted).and_then(|(_, value)| der::read_text(value))
    };
    let id = |value: &[u8]| find(&der::read_attributes(value).ok()?, TRANSACTION_ID)?.parse().ok();
    Ok(Read {
        bundle_id: find(&list, BUNDLE_ID).unwrap_or_default(),
        is_sandbox: find(&list, RECEIPT_TYPE).as_deref() == Some(receipt_type(true)),
        transactions: list.iter().filter(|(kind, _)| *kind == IN_APP).filter_map(|(_, value)| id(value)).collect(),
    })
}

/// `POST …/verifyReceipt`. Whatever is wrong, its status is 200.
pub(super) fn answer(shops: &Shops, environment: Environment, request: &Request<Bytes>) -> Response<Bytes> {
    let body = verified(shops, environment, request).unwrap_or_else(|status| json!({ "status": status }));
    reply::json(200, &body)
}

fn verified(shops: &Shops, environment: Environment, request: &Request<Bytes>) -> Result<Value, i64> {
    if request.method() != Method::POST {
        return Err(21_000);
    }
    let asked: Value = serde_json::from_slice(request.body()).map_err(|_| 21_002)?;
    let signing = shops.apple().map_err(|_| 21_009)?;
    let read = read(asked["receipt-data"].as_str().ok_or(21_002)?, &signing.pki)?;
    match (read.is_sandbox, environment) {
        (true, Environment::Production) => return Err(21_007),
        (false, Environment::Sandbox) => return Err(21_008),
        _ => {}
    }
    let newest_only = asked["exclude-old-transactions"].as_bool().unwrap_or(false);
    shops.book().read(|kept| {
        let now_ms = shops.now_ms();
        let known = |id: &u64| kept.apple.line(*id).and_then(|line| Some((line, line.transaction(*id)?)));
        let held: Vec<(&Line, &Transaction)> = read.transactions.iter().filter_map(known).collect();
        let mut lines: Vec<&Line> = Vec::new();
        for (line, _) in &held {
            if lines.iter().all(|known| known.original != line.original) {
                lines.push(line);
            }
        }
        let renewing: Vec<&Line> = lines.iter().copied().filter(|line| line.renewal.is_some()).collect();
        // Only what renews needs the app's secret.
        if !renewing.is_empty() && asked["password"].as_str() != Some(&shops.keys().apple_shared_secret) {
            return Err(21_004);
        }
        let in_app: Vec<Value> = held.iter().map(|(line, it)| item(line, it)).collect();
        let created = rfc3339(now_ms);
        let mut body = json!({
            "status": 0, "environment": environment.as_str(),
            "receipt": {
                "receipt_type": receipt_type(read.is_sandbox), "bundle_id": read.bundle_id,
                "app_item_id": shops.settings().app_id, "application_version": "1.0.0",
                "original_application_version": "1.0.0", "receipt_creation_date": created,
                "receipt_creation_date_ms": now_ms.to_string(), "in_app": in_app,
            },
        });
        if !renewing.is_empty() {
            // Newest first, as Apple has them.
            let latest = renewing.iter().flat_map(|line| {
                let count = if newest_only { 1 } else { usize::MAX };
                line.transactions.iter().rev().take(count).map(|it| item(line, it))
            });
            body["latest_receipt_info"] = latest.collect();
            body["pending_renewal_info"] = renewing.iter().filter_map(|line| pending(line, now_ms)).collect();
            let latest = receipt(&lines, &signing.pki, shops.settings(), now_ms).map_err(|_| 21_009)?;
            body["latest_receipt"] = latest.into();
        }
        Ok(body)
    })
}

/// A transaction in a receipt: all texts, as Apple writes them.
fn item(line: &Line, transaction: &Transaction) -> Value {
    let mut item = Map::new();
    let mut set = |name: &str, value: String| item.insert(name.to_owned(), value.into());
    set("quantity", "1".to_owned());
    set("product_id", transaction.product_id.clone());
    set("transaction_id", transaction.id.to_string());
    set("original_transaction_id", line.original.to_string());
    set("in_app_ownership_type", if line.family_shared { "FAMILY_SHARED" } else { "PURCHASED" }.to_owned());
    let mut dates =
        vec![("purchase_date", transaction.purchase_ms), ("original_purchase_date", line.original_purchase_ms)];
    dates.extend(transaction.expires_ms.map(|ms| ("expires_date", ms)));
    dates.extend(transaction.revocation.as_ref().map(|revocation| ("cancellation_date", revocation.at_ms)));
    for (name, ms) in dates {
        set(name, rfc3339(ms).replace('T', " ").replace('Z', " Etc/GMT"));
        set(&format!("{name}_ms"), ms.to_string());
    }
    if transaction.kind == ProductKind::Subscription {
        let trial = transaction.offer.as_ref().is_some_and(|offer| offer.kind == 1);
        set("is_trial_period", trial.to_string());
        set("is_in_intro_offer_period", "false".to_owned());
        set("web_order_line_item_id", web_order(transaction.id));
        set("subscription_group_identifier", group_number(&line.group));
    }
    if let Some(token) = &transaction.account_token {
        set("app_account_token", token.clone());
    }
    if let Some(revocation) = &transaction.revocation {
        set("cancellation_reason", revocation.reason.to_string());
    }
    if transaction.is_upgraded {
        set("is_upgraded", "true".to_owned());
    }
    Value::Object(item)
}

fn pending(line: &Line, now_ms: i64) -> Option<Value> {
    let (renewal, current, status) = (line.renewal.as_ref()?, line.current()?, line.status(now_ms)?);
    let is_over = status == Status::Expired;
    let mut item = json!({
        "original_transaction_id": line.original.to_string(), "product_id": current.product_id,
        "auto_renew_product_id": renewal.next_product,
        "auto_renew_status": if renewal.auto_renew && !is_over { "1" } else { "0" },
    });
    if matches!(status, Status::Retry | Status::Grace) {
        (item["is_in_billing_retry_period"], item["expiration_intent"]) = ("1".into(), "2".into());
    } else if is_over {
        let unsaid = if renewal.auto_renew { 2 } else { 1 };
        item["is_in_billing_retry_period"] = "0".into();
        item["expiration_intent"] = renewal.intent.unwrap_or(unsaid).to_string().into();
    }
    if let Some(until_ms) = renewal.grace_until_ms {
        item["grace_period_expires_date_ms"] = until_ms.to_string().into();
    }
    Some(item)
}
