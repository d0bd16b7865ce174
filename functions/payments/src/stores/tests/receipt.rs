//! `verifyReceipt`.

use serde_json::{Value, json};

use super::apple::api;
use super::apple_trouble::wait;
use super::given::{Given, api_key};
use super::heard::Heard;
use super::pki::Pki;
use super::server::{html, json};
use super::{APPLE_ARN, BUNDLE, NOW, now};
use crate::stores::StoreError;

const RECEIPT: &str = "bm8gcmVhbCByZWNlaXB0";

fn bought(id: &str, expires: Option<i64>) -> Value {
    json!({
        "product_id": "app.satchel.sync.yearly", "transaction_id": id, "original_transaction_id": "1", "quantity": "1",
        "expires_date_ms": expires.map(|expires| expires.to_string()),
    })
}

fn receipt(environment: &str) -> Value {
    json!({
        "status": 0, "environment": environment,
        "receipt": { "bundle_id": BUNDLE, "in_app": [bought("1", None), bought("2", Some(NOW))] },
        "latest_receipt_info": [bought("3", Some(NOW * 1000)), bought("1", Some(5))],
    })
}

/// Answers by host: production, sandbox.
fn hosts(production: Value, sandbox: Value) -> impl Fn(&http::Request<axum::body::Bytes>) -> super::server::Answer {
    move |request| {
        let is_production = request.uri().host() == Some("apple.example");
        json(200, if is_production { production.clone() } else { sandbox.clone() })
    }
}

#[tokio::test]
async fn a_receipt_names_its_transactions_each_once() {
    let (api, server) = api(&Pki::new(), |given| given, hosts(receipt("Production"), json!({}))).await;
    let found = api.verify_receipt(RECEIPT, now()).await.unwrap();
    let short: Vec<_> = found.iter().map(|one| (one.transaction_id.as_str(), one.expires_date_ms)).collect();
    assert_eq!(short, [("3", Some(NOW * 1000)), ("1", Some(5)), ("2", Some(NOW))]);
    assert_eq!(
        (found[0].product_id.as_str(), found[0].original_transaction_id.as_str()),
        ("app.satchel.sync.yearly", "1")
    );
    assert_eq!(found[0].environment.as_str(), "Production");
    assert_eq!(server.lines(), ["POST https://apple.example/verifyReceipt"]);
    let asked = &server.asked()[0];
    assert!(asked.headers().get("authorization").is_none());
    let body: Value = serde_json::from_slice(asked.body()).unwrap();
    let expected = json!({ "receipt-data": RECEIPT, "password": "shared-secret", "exclude-old-transactions": true });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn without_a_shared_secret_none_is_sent() {
    let secret = json!({ "issuer_id": "i", "key_id": "k", "private_key": api_key() });
    let change = |given: Given| given.secret(APPLE_ARN, &secret);
    let (api, server) = api(&Pki::new(), change, hosts(receipt("Production"), json!({}))).await;
    api.verify_receipt(RECEIPT, now()).await.unwrap();
    let body: Value = serde_json::from_slice(server.asked()[0].body()).unwrap();
    assert!(body.get("password").is_none());
}

#[tokio::test]
async fn a_receipt_of_the_sandbox_is_asked_for_there_where_it_is_allowed() {
    let answers = || hosts(json!({ "status": 21_007 }), receipt("Sandbox"));
    let (allowed, server) = api(&Pki::new(), |given| given, answers()).await;
    let found = allowed.verify_receipt(RECEIPT, now()).await.unwrap();
    assert!(found.iter().all(|one| one.environment.as_str() == "Sandbox"));
    assert_eq!(
        server.lines(),
        ["POST https://apple.example/verifyReceipt", "POST https://sandbox.example/verifyReceipt"]
    );
    let (forbidden, server) = api(&Pki::new(), |given| given.set("ALLOW_SANDBOX", "false"), answers()).await;
    let answer = forbidden.verify_receipt(RECEIPT, now()).await;
    assert!(matches!(answer, Err(StoreError::Refused("sandbox_receipt"))), "{answer:?}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_receipt_of_production_does_not_count_in_a_stage_of_the_sandbox() {
    let change = |given: Given| given.set("APPLE_ENVIRONMENT", "Sandbox");
    let (stage, server) = api(&Pki::new(), change, hosts(json!({}), json!({ "status": 21_008 }))).await;
    let answer = stage.verify_receipt(RECEIPT, now()).await;
    assert!(matches!(answer, Err(StoreError::Refused("production_receipt"))), "{answer:?}");
    assert_eq!(server.lines(), ["POST https://sandbox.example/verifyReceipt"]);
    let answers = hosts(json!({ "status": 21_007 }), json!({ "status": 21_008 }));
    let (circle, server) = api(&Pki::new(), |given| given, answers).await;
    let answer = circle.verify_receipt(RECEIPT, now()).await;
    assert!(matches!(answer, Err(StoreError::Unusable("environment"))), "{answer:?}");
    assert_eq!(server.asked().len(), 2, "not round in a circle");
}

#[tokio::test]
async fn each_status_has_its_meaning() {
    let heard = Heard::begin();
    for (status, reason) in [
        (21_000, "receipt_request"),
        (21_002, "receipt_malformed"),
        (21_003, "receipt_not_authentic"),
        (21_004, "receipt_shared_secret"),
        (21_010, "receipt_account"),
    ] {
        let (api, _) = api(&Pki::new(), |given| given, hosts(json!({ "status": status }), json!({}))).await;
        match api.verify_receipt(RECEIPT, now()).await {
            Err(StoreError::Refused(told)) => assert_eq!(told, reason),
            other => panic!("{status}: {other:?}"),
        }
    }
    assert_eq!(heard.count("StoreCredentialsRefused", "apple"), 1, "the shared secret");
    for status in [21_005, 21_009, 21_100, 21_199] {
        let (api, _) = api(&Pki::new(), |given| given, hosts(json!({ "status": status }), json!({}))).await;
        wait(api.verify_receipt(RECEIPT, now()).await);
    }
    for status in [1, 21_001, 21_200] {
        let (api, _) = api(&Pki::new(), |given| given, hosts(json!({ "status": status }), json!({}))).await;
        let answer = api.verify_receipt(RECEIPT, now()).await;
        assert!(matches!(answer, Err(StoreError::Unusable("status"))), "{status}: {answer:?}");
    }
    let mut expired = receipt("Production");
    expired["status"] = json!(21_006);
    let (api, _) = api(&Pki::new(), |given| given, hosts(expired, json!({}))).await;
    assert_eq!(api.verify_receipt(RECEIPT, now()).await.unwrap().len(), 3, "a receipt may be of the past");
}

#[tokio::test]
async fn a_receipt_of_another_app_or_environment_is_not_taken() {
    let heard = Heard::begin();
    for bundle in [json!("app.other"), Value::Null] {
        let mut foreign = receipt("Production");
        foreign["receipt"]["bundle_id"] = bundle;
        let (api, _) = api(&Pki::new(), |given| given, hosts(foreign, json!({}))).await;
        assert!(matches!(api.verify_receipt(RECEIPT, now()).await, Err(StoreError::Refused("bundle"))));
    }
    let (lying, _) = api(&Pki::new(), |given| given, hosts(receipt("Sandbox"), json!({}))).await;
    assert!(matches!(lying.verify_receipt(RECEIPT, now()).await, Err(StoreError::Unusable("environment"))));
    let (empty, _) = api(&Pki::new(), |given| given, hosts(json!({ "status": 0 }), json!({}))).await;
    assert!(matches!(empty.verify_receipt(RECEIPT, now()).await, Err(StoreError::Unusable("answer_shape"))));
    let (page, _) = api(&Pki::new(), |given| given, |_| html(200)).await;
    assert!(matches!(page.verify_receipt(RECEIPT, now()).await, Err(StoreError::Unusable("answer_shape"))));
    assert!(!heard.text().contains(RECEIPT) && !heard.text().contains("shared-secret"));
}

#[tokio::test]
async fn where_it_is_off_nobody_is_asked() {
    for off in ["off", ""] {
        let change = |given: Given| given.set("LEGACY_VERIFY_RECEIPT", off);
        let (api, server) = api(&Pki::new(), change, |_| html(200)).await;
        let answer = api.verify_receipt(RECEIPT, now()).await;
        assert!(matches!(answer, Err(StoreError::Refused("legacy_receipt"))));
        assert_eq!(server.asked().len(), 0);
    }
}
