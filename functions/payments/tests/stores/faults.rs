//! Trouble between the functions and their services.

use serde_json::{Value, json};

use crate::support::{DAY, SYNC, Shop, active};

fn fault(service: &str, probability: f64, seed: u64) -> Value {
    json!({ "service": service, "kind": "error", "probability": probability, "seed": seed })
}

#[tokio::test]
async fn at_ten_percent_no_event_is_lost_after_its_200() {
    for seed in 0..3 {
        let shop = Shop::open().await;
        let apple = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
        let google = shop.buy("google", "app.satchel.ai.monthly", json!({ "account_token": shop.token })).await;
        // Acknowledged, or Google takes it back.
        shop.verify(&shop.ada, "android", &google["receipt_data"], "app.satchel.ai.monthly").await.ok();
        for _ in 0..3 {
            shop.advance(30 * DAY).await;
            shop.apple("renew", &apple, json!({})).await;
            shop.google("renew", &google, json!({})).await;
        }
        shop.stack.fault(fault("dynamodb", 0.1, seed));
        shop.stack.fault(fault("sqs", 0.1, seed + 100));
        // The stores repeat what was not taken.
        for _ in 0..6 {
            shop.control("deliver", json!({})).await;
            shop.stack.settle().await;
        }
        shop.stack.faults().clear();
        shop.advance(3_600).await;
        shop.stack.run("payments-every-hour-reconcile").await;
        shop.stack.drain().await;
        let waiting: Vec<Value> =
            shop.rows("EVENT#").await.into_iter().filter(|event| event["outcome"].is_null()).collect();
        assert_eq!(waiting, Vec::<Value>::new(), "seed {seed}");
        assert_eq!(shop.rows("EVENT#").await.len(), 8, "seed {seed}");
        assert_eq!((shop.state("sync").await, shop.state("ai").await), (active(), active()), "seed {seed}");
        crate::story::consistent(&shop).await;
    }
}

#[tokio::test]
async fn a_verify_is_answered_200_or_503_and_never_half_done() {
    for seed in 0..4 {
        let shop = Shop::open().await;
        let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
        shop.stack.fault(fault("dynamodb", 0.3, seed));
        let mut answers = Vec::new();
        for _ in 0..8 {
            answers.push(shop.verify(&shop.ada, "ios", &bought["signed_transaction"], SYNC).await.status);
        }
        shop.stack.faults().clear();
        assert!(answers.iter().all(|status| [200, 503].contains(status)), "{answers:?}");
        shop.verify(&shop.ada, "ios", &bought["signed_transaction"], SYNC).await.ok();
        assert_eq!(shop.ledger().await.len(), 1, "seed {seed}");
        crate::story::consistent(&shop).await;
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_before_its_grant_is_written() {
    let shop = Shop::open().await;
    let bought = shop.buy("google", SYNC, json!({ "account_token": shop.token })).await;
    let crash = json!({ "service": "dynamodb", "operation": "TransactWriteItems", "kind": "throttle" });
    shop.stack.fault(crash);
    shop.verify(&shop.ada, "android", &bought["receipt_data"], SYNC).await.refused(503, "unavailable");
    shop.stack.faults().clear();
    // Google takes back what nobody acknowledged: so nobody did.
    shop.advance(4 * DAY).await;
    let ada = shop.stack.sign_in_again(&shop.ada).await;
    let answer = shop.verify(&ada, "android", &bought["receipt_data"], SYNC).await;
    assert_eq!(answer.status, 400, "{answer}");
    assert!(!shop.state("sync").await.1);
}
