//! Receipts of StoreKit 1, and `verifyReceipt`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use satchel_local::Local;
use satchel_local::stores::{BuyIn, Environment};
use serde_json::{Value, json};

use crate::support::{APPLE_SECRET, MONTHLY, SUPPORTER, ask, days, held, on, start};

fn password(local: &Local) -> Value {
    let secret: Value = serde_json::from_str(&local.services().secrets().get(APPLE_SECRET).unwrap()).unwrap();
    secret["shared_secret"].clone()
}

async fn verify(local: &Local, side: &str, body: Value) -> Value {
    ask(local, "POST", &format!("apple/{side}/verifyReceipt"), None, body.to_string().as_bytes()).await.ok()
}

#[tokio::test]
async fn a_receipt_tells_of_all_that_its_customer_has() {
    let local = start().await;
    let store = local.stores().apple();
    let of_ada = |product: &str| BuyIn { customer: Some("ada".to_owned()), ..held(product) };
    let sync = store.buy(of_ada(MONTHLY)).await.unwrap();
    let both = store.buy(of_ada(SUPPORTER)).await.unwrap();
    days(&local, 30);
    let renewed = store.renew(on(&sync.transaction_id)).await.unwrap();
    // The receipt on the phone is older than the renewal; what Apple says is not.
    let body = json!({ "receipt-data": both.receipt, "password": password(&local), "exclude-old-transactions": true });
    let answer = verify(&local, "production", body).await;
    assert_eq!((&answer["status"], &answer["environment"]), (&json!(0), &json!("Production")));
    assert_eq!(answer["receipt"]["bundle_id"], "app.satchel");
    let products: Vec<_> =
        answer["receipt"]["in_app"].as_array().unwrap().iter().map(|it| it["product_id"].clone()).collect();
    assert_eq!(products.len(), 2);
    assert!(products.contains(&json!(SUPPORTER)));
    let latest = &answer["latest_receipt_info"];
    assert_eq!(latest.as_array().unwrap().len(), 1);
    assert_eq!(latest[0]["transaction_id"], renewed.transaction_id);
    assert_eq!(latest[0]["expires_date"], "2026-03-02 00:00:00 Etc/GMT");
    assert_eq!(latest[0]["expires_date_ms"], "1772409600000");
    assert_eq!(answer["pending_renewal_info"][0]["auto_renew_status"], "1");
    let again = json!({ "receipt-data": answer["latest_receipt"], "password": password(&local) });
    assert_eq!(verify(&local, "production", again).await["latest_receipt_info"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn each_thing_that_is_wrong_has_its_status() {
    let local = start().await;
    let store = local.stores().apple();
    let real = store.buy(held(MONTHLY)).await.unwrap().receipt;
    let sandbox = store.buy(BuyIn { environment: Environment::Sandbox, ..held(MONTHLY) }).await.unwrap().receipt;
    let one_time = store.buy(held(SUPPORTER)).await.unwrap().receipt;
    let forged = {
        let mut bytes = STANDARD.decode(&real).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        STANDARD.encode(bytes)
    };
    let password = password(&local);
    let with = |receipt: &str| json!({ "receipt-data": receipt, "password": password });
    for (side, body, status) in [
        ("production", with(&real), 0),
        ("production", with(&sandbox), 21_007),
        ("sandbox", with(&real), 21_008),
        ("sandbox", with(&sandbox), 0),
        ("production", with("not base64!"), 21_002),
        ("production", with("aGVsbG8="), 21_002),
        ("production", json!({}), 21_002),
        ("production", with(&forged), 21_003),
        ("production", json!({ "receipt-data": real, "password": "wrong" }), 21_004),
        ("production", json!({ "receipt-data": real }), 21_004),
        ("production", json!({ "receipt-data": one_time }), 0),
    ] {
        assert_eq!(verify(&local, side, body.clone()).await["status"], status, "{side} {body}");
    }
    assert_eq!(ask(&local, "GET", "apple/production/verifyReceipt", None, b"").await.ok()["status"], 21_000);
}
