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
        shop.reconcile().await;
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

/// Work that is cut off before its call number `at` to `service`; false where it was done before.
async fn crash<T>(shop: &Shop, service: &str, at: u64, work: impl Future<Output = T>) -> bool {
    shop.stack.fault(json!({ "service": service, "kind": "hang", "skip": at }));
    // Nothing else waits, so this much of the paused clock passes at once where a call hangs.
    let cut = tokio::time::timeout(std::time::Duration::from_millis(900), work).await.is_err();
    shop.stack.faults().clear();
    cut
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_any_two_steps_of_a_verify_is_made_up_for() {
    for (store, platform, proof) in [("apple", "ios", "signed_transaction"), ("google", "android", "receipt_data")] {
        for service in ["dynamodb", "http"] {
            let mut steps = 0;
            loop {
                let shop = Shop::open().await;
                let bought = shop.buy(store, SYNC, json!({ "account_token": shop.token })).await;
                shop.stack.drain().await;
                let cut = crash(&shop, service, steps, shop.verify(&shop.ada, platform, &bought[proof], SYNC)).await;
                shop.verify(&shop.ada, platform, &bought[proof], SYNC).await.ok();
                assert_eq!(shop.state("sync").await, active(), "{store}, {service} {steps}");
                assert_eq!(shop.ledger().await.len(), 1, "{store}, {service} {steps}");
                crate::story::consistent(&shop).await;
                let waits =
                    shop.rows("STORE#android").await.iter().any(|row| row["facts"]["purchase"]["acknowledged"] != true);
                assert!(!waits, "{store}, {service} {steps}: not acknowledged");
                if !cut {
                    break;
                }
                steps += 1;
            }
            assert!(steps >= 3, "{store} made only {steps} calls to {service}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_any_two_steps_of_an_event_is_made_up_for() {
    for store in ["apple", "google"] {
        for service in ["dynamodb", "http", "sqs"] {
            let mut steps = 0;
            loop {
                let shop = Shop::open().await;
                shop.buy(store, SYNC, json!({ "account_token": shop.token })).await;
                shop.stack.drain().await;
                // The route first, then the worker: the store repeats what it has no answer to.
                let cut = crash(&shop, service, steps, shop.control("deliver", json!({}))).await;
                shop.control("deliver", json!({})).await;
                let key = shop.rows("EVENT#").await.remove(0);
                let message = json!({ "event": { "store": key["store"], "id": key["id"] } });
                let record = json!({ "messageId": "1", "body": message.to_string() });
                let again = crash(&shop, service, steps, async {
                    shop.stack.invoke("payments-on-store-event", json!({ "Records": [record] })).await
                });
                let again = again.await;
                shop.stack.drain().await;
                shop.advance(3_600).await;
                shop.stack.drain().await;
                assert_eq!(shop.state("sync").await, active(), "{store}, {service} {steps}");
                assert_eq!(shop.ledger().await.iter().filter(|line| line["changed"] == true).count(), 1);
                assert!(shop.rows("EVENT#").await.iter().all(|event| event["outcome"] == "applied"));
                crate::story::consistent(&shop).await;
                if !cut && !again {
                    break;
                }
                steps += 1;
            }
            assert!(service != "dynamodb" || steps >= 5, "{store} made only {steps} calls");
        }
    }
}
