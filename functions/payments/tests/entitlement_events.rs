//! What the stream of entitlements tells of: `payment.updated.v1` on the topic.

#![expect(clippy::unwrap_used, reason = "a helper that fails should fail its test")]

use satchel_testkit::{Session, Stack};
use serde_json::{Value, json};

const NOW: i64 = 1_767_225_600;
const DAY: i64 = 86_400;

/// The events so far, oldest first.
async fn told(stack: &Stack) -> Vec<Value> {
    stack.drain().await;
    let events = stack.published().into_iter().filter(|event| event["name"] == "payment.updated.v1");
    events.map(|mut event| event["event"].take()).collect()
}

async fn grant(stack: &Stack, ada: &Session, change: Value) {
    let mut body = json!({ "user_id": ada.user_id, "add_on_type": "sync", "reason": "r" });
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let token = stack.backoffice(&["entitlements:write"]).await;
    stack.post("/payments/grants").bearer(&token).json(&body).send().await.ok();
}

#[tokio::test]
async fn a_grant_is_told_as_clients_see_it() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    grant(&stack, &ada, json!({ "expires_at": NOW + DAY })).await;
    let events = told(&stack).await;
    let [event] = &events[..] else { panic!("{events:?}") };
    let shown = stack.get("/payments/entitlements").auth(&ada).send().await.ok()["entitlements"][0].clone();
    assert_eq!(event["entitlement"], shown);
    assert_eq!((&event["previous"], &event["version"], &event["at"]), (&Value::Null, &json!(1), &json!(NOW)));
    assert_eq!((&event["user_id"], &event["add_on_type"]), (&json!(ada.user_id), &json!("sync")));
    assert!(event["id"].as_str().unwrap().starts_with("evt_payment-"));
}

#[tokio::test]
async fn each_change_is_told_once_and_what_changes_nothing_is_not() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    grant(&stack, &ada, json!({ "expires_at": NOW + DAY })).await;
    grant(&stack, &ada, json!({ "expires_at": NOW + 2 * DAY })).await;
    for _ in 0..2 {
        grant(&stack, &ada, json!({ "revoke": true })).await;
    }
    let events = told(&stack).await;
    let states: Vec<_> = events
        .iter()
        .map(|event| (event["entitlement"]["is_active"].as_bool(), event["entitlement"]["expires_at"].as_i64()))
        .collect();
    assert_eq!(
        states,
        [(Some(true), Some(NOW + DAY)), (Some(true), Some(NOW + 2 * DAY)), (Some(false), Some(NOW + 2 * DAY))]
    );
    for pair in events.windows(2) {
        assert_eq!(pair[1]["previous"], pair[0]["entitlement"]);
        assert_ne!(pair[1]["id"], pair[0]["id"]);
    }
    let rows = stack.rows("EntitlementsTable").await.len();
    assert!(rows > 3, "receipts, grants and the ledger were written too: {rows}");
}

#[tokio::test]
async fn an_end_is_told_with_the_next_word_of_it() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    grant(&stack, &ada, json!({ "expires_at": NOW + DAY })).await;
    stack.drain().await;
    stack.advance(2 * 86_400).await;
    assert_eq!(told(&stack).await.len(), 1, "no row changes when an end comes");
    grant(&stack, &ada, json!({ "revoke": true })).await;
    let events = told(&stack).await;
    assert_eq!((events.len(), &events[1]["previous"]["is_active"]), (2, &json!(true)));
    assert_eq!(events[1]["entitlement"]["status"], "revoked");
}

#[tokio::test]
async fn an_erased_account_is_told_to_have_nothing() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    grant(&stack, &ada, json!({})).await;
    let before = told(&stack).await.remove(0);
    stack.send("PaymentsEraseQueue", &json!({ "user_id": ada.user_id, "pass": 1 })).await;
    let events = told(&stack).await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!((&events[1]["entitlement"], &events[1]["previous"]), (&Value::Null, &before["entitlement"]));
    assert_eq!((&events[1]["user_id"], &events[1]["version"]), (&json!(ada.user_id), &json!(2)));
}

/// The record of Ada's add-on as its stream told it.
fn record(user: &str, number: &str, version: &str) -> Value {
    let text = |value: &str| json!({ "S": value });
    let source = json!({ "M": {
        "platform": text("grant"), "status": text("active"), "will_renew": { "BOOL": false }, "is_trial": { "BOOL": false },
        "product_id": text("grant.sync"), "environment": text("production"), "transaction_id": text("grt_1"),
        "original_transaction_id": text("grt_1"), "purchase_date": { "N": "1767225600" }, "updated_at": { "N": "1767225600" },
    } });
    let (pk, sk) = (text(&format!("U#{user}")), text("ADDON#sync"));
    let image = json!({ "pk": pk, "sk": sk, "add_on": text("sync"), "version": { "N": version }, "sources": { "M": { "grant": source } } });
    json!({ "eventName": "INSERT", "dynamodb": { "SequenceNumber": number, "Keys": { "pk": pk, "sk": sk }, "NewImage": image } })
}

#[tokio::test]
async fn a_record_that_comes_again_has_the_same_id_and_poison_stops_the_batch_there() {
    let stack = Stack::start().await;
    let ada = "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let mut poison = record(ada, "2", "2");
    poison["dynamodb"]["NewImage"]["add_on"] = json!({ "S": "gold" });
    let batch = json!({ "Records": [record(ada, "1", "1"), poison, record(ada, "3", "3")] });
    for _ in 0..2 {
        let answer = stack.invoke("payments-on-entitlement", batch.clone()).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "2" }] }));
    }
    let nobodys = json!({ "Records": [record("dev_1", "4", "1")] });
    let answer = stack.invoke("payments-on-entitlement", nobodys).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "4" }] }));
    let events = told(&stack).await;
    assert_eq!((events.len(), &events[0]["id"]), (2, &events[1]["id"]), "{events:?}");
}

#[tokio::test]
async fn a_topic_that_is_down_is_told_when_it_is_back() {
    let stack = Stack::start().await;
    stack.fault(json!({ "service": "sns", "kind": "error", "probability": 1.0, "seed": 1 }));
    let batch = json!({ "Records": [record("usr_01ARZ3NDEKTSV4RRFFQ69G5FAV", "1", "1")] });
    let answer = stack.invoke("payments-on-entitlement", batch.clone()).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "1" }] }));
    stack.faults().clear();
    let answer = stack.invoke("payments-on-entitlement", batch).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert!(!told(&stack).await.is_empty());
}
