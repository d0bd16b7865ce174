//! What is brought and refused: a clear problem, and nothing changes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{AI, SYNC, Shop};

/// The rows of purchases, add-ons and the ledger.
async fn books(shop: &Shop) -> Vec<Value> {
    let mut rows = shop.rows("U#").await;
    rows.extend(shop.rows("STORE#").await);
    rows
}

fn google(value: &Value) -> Value {
    STANDARD.encode(value.to_string()).into()
}

#[tokio::test]
async fn receipts_that_are_none() {
    let shop = Shop::open().await;
    let long = "1".repeat(21);
    for receipt in ["!", "a b", "-1", "1.0", long.as_str(), "2000000000000001/../me", "a.b", "a.b.c.d"] {
        let answer = shop.verify(&shop.ada, "ios", &receipt.into(), SYNC).await;
        assert_eq!(answer.status, 400, "{receipt}: {answer}");
        let code = answer.json()["code"].as_str().unwrap().to_owned();
        assert!(["receipt_malformed", "receipt_refused"].contains(&code.as_str()), "{receipt}: {answer}");
    }
    for receipt in [
        json!("!"),
        json!(STANDARD.encode("not json")),
        google(&json!({})),
        google(&json!({ "packageName": "app.satchel" })),
        google(&json!({ "packageName": "app.satchel", "purchaseToken": "a/b" })),
        google(&json!({ "packageName": "app.satchel", "purchaseToken": ".." })),
        google(&json!({ "packageName": "app.satchel", "purchaseToken": "" })),
    ] {
        shop.verify(&shop.ada, "android", &receipt, SYNC).await.refused(400, "receipt_malformed");
    }
    let foreign = google(&json!({ "packageName": "app.other", "purchaseToken": "token" }));
    shop.verify(&shop.ada, "android", &foreign, SYNC).await.refused(400, "package_mismatch");
    let unknown = google(&json!({ "packageName": "app.satchel", "purchaseToken": "unknown-token" }));
    shop.verify(&shop.ada, "android", &unknown, SYNC).await.refused(400, "purchase_not_found");
    shop.verify(&shop.ada, "ios", &"2000000000999999".into(), SYNC).await.refused(403, "proof_required");
    assert_eq!(books(&shop).await, Vec::<Value>::new());
}

#[tokio::test]
async fn bodies_that_are_none() {
    let shop = Shop::open().await;
    let post = |body: Value| shop.stack.post("/payments/verify").auth(&shop.ada).json(body).send();
    for body in [
        json!({}),
        json!({ "platform": "ios", "receipt_data": "1" }),
        json!({ "platform": "windows", "receipt_data": "1", "product_id": SYNC }),
        json!({ "platform": "grant", "receipt_data": "1", "product_id": SYNC }),
        json!({ "platform": "ios", "receipt_data": 1, "product_id": SYNC }),
        json!({ "platform": "ios", "receipt_data": "", "product_id": SYNC }),
        json!({ "platform": "ios", "receipt_data": "1", "product_id": "" }),
        json!({ "platform": "ios", "receipt_data": "1", "product_id": "a\u{0}b" }),
        json!({ "platform": "ios", "receipt_data": "1", "product_id": "x".repeat(256) }),
        json!({ "platform": "ios", "receipt_data": "x".repeat(1_048_577), "product_id": SYNC }),
        json!([]),
    ] {
        post(body).await.refused(422, "invalid_input");
    }
    for receipts in [json!([]), json!(vec!["1"; 21]), json!([""]), json!("1"), json!([1])] {
        shop.restore(&shop.ada, "ios", receipts).await.refused(422, "invalid_input");
    }
    let text = shop.stack.post("/payments/verify").auth(&shop.ada).body("x").header("content-type", "text/plain");
    text.send().await.refused(415, "unsupported_media_type");
}

#[tokio::test]
async fn the_stores_product_decides() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    let proof = &bought["signed_transaction"];
    shop.verify(&shop.ada, "ios", proof, AI).await.refused(400, "product_mismatch");
    // The seed took any product with `sync` in its name.
    let refusal = shop.verify(&shop.ada, "ios", proof, "evil.sync.monthly").await.refused(400, "unknown_product");
    assert_eq!(refusal["detail"], "Unknown product ID: evil.sync.monthly");
    let other = shop.buy("apple", "app.satchel.sync.weekly", json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "ios", &other["signed_transaction"], SYNC).await.refused(400, "unknown_product");
    let google = shop.buy("google", AI, json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "android", &google["receipt_data"], SYNC).await.refused(400, "product_mismatch");
    assert_eq!(books(&shop).await, Vec::<Value>::new());
}

#[tokio::test]
async fn signatures_that_are_not_the_stores() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    let text = bought["signed_transaction"].as_str().unwrap();
    let (signed, signature) = text.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let swapped = format!("{header}.{payload}.{}", &signature[..signature.len() - 2]);
    let letter = if signature.starts_with('A') { "B" } else { "A" };
    let altered = format!("{signed}.{letter}{}", &signature[1..]);
    let none = format!("{}.{payload}.", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
    for forged in [swapped, altered, none] {
        shop.verify(&shop.ada, "ios", &forged.into(), SYNC).await.refused(400, "receipt_refused");
    }
    // A legacy receipt that Apple does not know.
    let forged = STANDARD.encode(b"not a receipt of Apple's at all");
    shop.verify(&shop.ada, "ios", &forged.into(), SYNC).await.refused(400, "receipt_refused");
    assert_eq!(books(&shop).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_purchase_that_gives_nothing_now_says_so() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.apple("refund", &bought, json!({})).await;
    shop.verify(&shop.ada, "ios", &bought["signed_transaction"], SYNC).await.refused(400, "purchase_revoked");
    let old = shop.buy("apple", AI, json!({ "account_token": shop.token })).await;
    shop.apple("cancel", &old, json!({})).await;
    shop.advance(31 * 86_400).await;
    shop.apple("expire", &old, json!({})).await;
    let ada = shop.stack.sign_in_again(&shop.ada).await;
    shop.verify(&ada, "ios", &old["signed_transaction"], AI).await.refused(400, "purchase_expired");
    assert_eq!(shop.state("ai").await, ("expired".to_owned(), false));
}

#[tokio::test]
async fn a_store_that_is_not_set_up_says_so() {
    let options = satchel_testkit::Options::default().param("AppleBundleId", "").param("GooglePackageName", "");
    let shop = Shop::with(options).await;
    shop.verify(&shop.ada, "ios", &"2000000000000001".into(), SYNC).await.refused(400, "store_not_configured");
    shop.verify(&shop.ada, "android", &"e30=".into(), SYNC).await.refused(400, "store_not_configured");
    let apple = shop.stack.post("/payments/webhook/apple").json(json!({ "signedPayload": "a.b.c" })).send().await;
    apple.refused(400, "store_not_configured");
    let google = shop.stack.post("/payments/webhook/google").json(json!({})).send().await;
    google.refused(400, "store_not_configured");
    shop.stack.run("payments-every-hour-reconcile").await;
}

#[tokio::test]
async fn a_store_in_trouble_costs_nothing_but_time() {
    let shop = Shop::open().await;
    let apple = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    let google = shop.buy("google", AI, json!({ "account_token": shop.token })).await;
    for mode in ["down", "429", "500", "malformed", "redirect", "html"] {
        for store in ["apple", "google"] {
            shop.control(&format!("{store}/mode"), json!({ "mode": mode })).await;
        }
        let answer = shop.verify(&shop.ada, "ios", &apple["signed_transaction"], SYNC).await;
        answer.refused(503, "unavailable");
        assert!(answer.header("retry-after").is_some());
        shop.verify(&shop.ada, "android", &google["receipt_data"], AI).await.refused(503, "unavailable");
    }
    assert_eq!(books(&shop).await, Vec::<Value>::new());
    for store in ["apple", "google"] {
        shop.control(&format!("{store}/mode"), json!({ "mode": "up" })).await;
    }
    shop.verify(&shop.ada, "ios", &apple["signed_transaction"], SYNC).await.ok();
    shop.verify(&shop.ada, "android", &google["receipt_data"], AI).await.ok();
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_and_a_silent_responder_is_no_refusal() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.control("apple/ocsp", json!({ "mode": "down" })).await;
    shop.verify(&shop.ada, "ios", &bought["signed_transaction"], SYNC).await.refused(503, "unavailable");
    shop.control("apple/ocsp", json!({ "mode": "unknown" })).await;
    shop.verify(&shop.ada, "ios", &bought["signed_transaction"], SYNC).await.refused(503, "unavailable");
    shop.control("apple/ocsp", json!({ "mode": "revoked" })).await;
    shop.verify(&shop.ada, "ios", &bought["signed_transaction"], SYNC).await.refused(400, "receipt_refused");
    assert_eq!(books(&shop).await, Vec::<Value>::new());
    shop.control("apple/ocsp", json!({ "mode": "good" })).await;
    shop.verify(&shop.ada, "ios", &bought["signed_transaction"], SYNC).await.ok();
}
