//! The repository's own functions against the stand-ins: what they are for.

use std::time::Duration;

use http::{Method, Request};
use satchel_domain::Timestamp;
use satchel_local::stores::{ActIn, BuyIn};
use satchel_local::{Bytes, Local, LocalClock, LocalOptions};
use serde_json::{Value, json};

use crate::support::{DAY, MONTHLY, NOW, SUPPORTER};

async fn start() -> Local {
    let clock = LocalClock::manual(Timestamp::from_second(NOW).unwrap());
    Local::start(LocalOptions { clock, seed: Some(1), ..LocalOptions::default() }).await.unwrap()
}

async fn call(local: &Local, method: Method, path: &str, token: &str, body: Value) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {token}"));
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let answer = local.call(request.body(body).unwrap()).await;
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
}

/// An access token of a new account.
async fn sign_in(local: &Local) -> String {
    let wanted = json!({ "provider": "google", "subject": "ada", "email": "ada@example.org", "name": "Ada" });
    let id_token = local.issuer().id_token(serde_json::from_value(wanted).unwrap()).unwrap();
    let body = json!({ "id_token": id_token, "device": { "name": "phone", "platform": "ios" } });
    let (status, session) = call(local, Method::POST, "/auth/google", "", body).await;
    assert_eq!(status, 200, "{session}");
    session["access_token"].as_str().unwrap().to_owned()
}

/// The add-on `add_on` of the account.
async fn add_on(local: &Local, token: &str, add_on: &str) -> Value {
    local.drain(Duration::from_secs(20)).await;
    let (_, body) = call(local, Method::GET, "/payments/entitlements", token, Value::Null).await;
    let list = body["entitlements"].as_array().or_else(|| body.as_array()).cloned().unwrap_or_default();
    list.into_iter().find(|item| item["add_on_type"] == add_on).unwrap_or_default()
}

#[tokio::test]
async fn a_purchase_in_either_store_gives_an_add_on_and_a_refund_takes_it_away() {
    let local = start().await;
    let token = sign_in(&local).await;
    let stores = local.stores();
    let sync = stores.apple().buy(BuyIn::of(MONTHLY)).await.unwrap();
    let supporter = stores.google().buy(BuyIn::of(SUPPORTER)).await.unwrap();
    for (platform, receipt, product) in
        [("ios", &sync.signed_transaction, MONTHLY), ("android", &supporter.receipt_data, SUPPORTER)]
    {
        let body = json!({ "platform": platform, "receipt_data": receipt, "product_id": product });
        let (status, answer) = call(&local, Method::POST, "/payments/verify", &token, body).await;
        assert_eq!(status, 200, "{platform}: {answer}");
    }
    assert_eq!(add_on(&local, &token, "sync").await["is_active"], true);
    assert_eq!(add_on(&local, &token, "supporter").await["is_active"], true);
    let refunded = stores.apple().refund(ActIn::on(&sync.transaction_id)).await.unwrap();
    assert!(refunded.notifications[0].delivered, "{refunded:?}");
    assert_eq!(add_on(&local, &token, "sync").await["is_active"], false);
    let refunded = stores.google().refund(ActIn::on(&supporter.purchase_token)).await.unwrap();
    assert!(refunded.notifications[0].delivered, "{refunded:?}");
    assert_eq!(add_on(&local, &token, "supporter").await["is_active"], false);
    assert!(local.services().denials().is_empty(), "{:?}", local.services().denials());
}

#[tokio::test]
async fn a_renewal_that_is_told_moves_the_end() {
    let local = start().await;
    let token = sign_in(&local).await;
    let store = local.stores().apple();
    let bought = store.buy(BuyIn::of(MONTHLY)).await.unwrap();
    let body = json!({ "platform": "ios", "receipt_data": bought.signed_transaction, "product_id": MONTHLY });
    assert_eq!(call(&local, Method::POST, "/payments/verify", &token, body).await.0, 200);
    let before = add_on(&local, &token, "sync").await["expires_at"].clone();
    local.advance(Duration::from_secs(29 * DAY)).unwrap();
    local.drain(Duration::from_secs(20)).await;
    let renewed = store.renew(ActIn::on(&bought.transaction_id)).await.unwrap();
    assert!(renewed.notifications[0].delivered, "{renewed:?}");
    let token = sign_in(&local).await;
    assert_ne!(add_on(&local, &token, "sync").await["expires_at"], before);
}
