//! The same over the control API.

use http::{Method, Request, header};
use satchel_local::{Bytes, Local};
use serde_json::{Value, json};

use crate::support::{MONTHLY, SUPPORTER, hooked, start};

async fn control(local: &Local, method: Method, path: &str, body: Value) -> (u16, Value) {
    let request = Request::builder().method(method).uri(format!("/_local/{path}"));
    let answer = local.call(request.body(Bytes::from(body.to_string())).unwrap()).await;
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default())
}

async fn post(local: &Local, path: &str, body: Value) -> (u16, Value) {
    control(local, Method::POST, &format!("stores/{path}"), body).await
}

#[tokio::test]
async fn a_purchase_is_made_moved_and_told_over_http() {
    let local = start().await;
    let (status, bought) = post(&local, "apple/buy", json!({ "product_id": MONTHLY, "deliver": "hold" })).await;
    assert_eq!(status, 200, "{bought}");
    assert!(bought["signed_transaction"].is_string() && bought["receipt"].is_string());
    assert_eq!(bought["notifications"][0]["type"], "SUBSCRIBED");
    let about = json!({ "original_transaction_id": bought["original_transaction_id"] });
    let (status, cancelled) = post(&local, "apple/cancel", about).await;
    assert_eq!((status, &cancelled["notifications"][0]["attempts"][0]["status"]), (200, &json!(204)));
    let (_, played) = post(&local, "google/buy", json!({ "product_id": SUPPORTER, "test": true })).await;
    assert!(played["purchase_token"].is_string() && played["receipt_data"].is_string());
    let (_, listed) = control(&local, Method::GET, "stores/notifications", Value::Null).await;
    let delivered: Vec<_> =
        listed["notifications"].as_array().unwrap().iter().map(|it| it["delivered"].clone()).collect();
    assert_eq!(delivered, [false, true, true]);
    let (status, sent) = post(&local, "deliver", json!({ "ids": "all", "store": "apple", "copies": 2 })).await;
    assert_eq!((status, sent["deliveries"].as_array().unwrap().len()), (200, 4));
    assert_eq!(hooked(&local).len(), 6);
    assert_eq!(post(&local, "apple/mode", json!({ "mode": "429", "count": 3 })).await.0, 204);
    assert_eq!(post(&local, "apple/ocsp", json!({ "mode": "revoked" })).await.0, 204);
    let forged = json!({ "ids": [bought["notifications"][0]["id"]], "forge": "chain" });
    assert_eq!(post(&local, "deliver", forged).await.0, 200);
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_a_sentence() {
    let local = start().await;
    let (_, bought) = post(&local, "apple/buy", json!({ "product_id": MONTHLY })).await;
    let id = &bought["transaction_id"];
    for (path, body, status, word) in [
        ("apple/buy", json!({}), 422, "product_id"),
        ("apple/buy", json!({ "product_id": MONTHLY, "colour": "red" }), 422, "colour"),
        ("apple/buy", json!({ "product_id": MONTHLY, "pending": true }), 422, "paid"),
        ("apple/dance", json!({}), 404, "refund_reverse"),
        ("samsung/buy", json!({ "product_id": MONTHLY }), 404, "samsung"),
        ("apple/renew", json!({}), 422, "transaction_id"),
        ("apple/renew", json!({ "transaction_id": "1" }), 404, "1"),
        ("apple/recover", json!({ "transaction_id": id }), 409, "recover"),
        ("apple/pause", json!({ "transaction_id": id }), 422, "Google"),
        ("google/refund_reverse", json!({ "purchase_token": "x" }), 404, "x"),
        ("google/renew", json!({ "transaction_id": id }), 422, "purchase_token"),
        ("deliver", json!({ "ids": ["nobody"] }), 404, "nobody"),
        ("deliver", json!({ "copies": 0 }), 422, "copies"),
        ("apple/mode", json!({ "mode": "sideways" }), 422, "sideways"),
    ] {
        let (found, answer) = post(&local, path, body.clone()).await;
        let message = answer["message"].as_str().unwrap_or_default();
        assert!(found == status && message.contains(word), "{path} {body}: {found} {message}");
    }
}

#[tokio::test]
async fn the_stores_answer_other_processes_of_this_machine_and_no_pages() {
    let local = start().await;
    let (status, keys) = control(&local, Method::GET, "google/certs", Value::Null).await;
    assert_eq!((status, &keys["keys"][0]["kty"]), (200, &json!("RSA")));
    let (status, answer) = control(&local, Method::POST, "apple/production/verifyReceipt", json!({})).await;
    assert_eq!((status, &answer["status"]), (200, &json!(21_002)));
    let page = Request::get("/_local/google/certs").header(header::ORIGIN, "https://evil.example");
    assert_eq!(local.call(page.body(Bytes::new()).unwrap()).await.status(), 403);
}
