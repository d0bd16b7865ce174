//! The daily clean-up on a moved clock.

use satchel_testkit::{Session, Stack};
use serde_json::{Value, json};

const DAY: u64 = 86_400;

async fn rows_of(stack: &Stack, prefix: &str) -> Vec<Value> {
    let rows = stack.rows("DevicesTable").await;
    rows.into_iter().filter(|row| row["sk"].as_str().is_some_and(|sk| sk.starts_with(prefix))).collect()
}

async fn described(stack: &Stack, name: &str) -> Session {
    let who = stack.sign_in(name).await;
    stack.post("/devices").auth(&who).json(json!({ "token": format!("{name}-token") })).send().await.ok();
    who
}

async fn due(stack: &Stack) -> Vec<Value> {
    let rows = stack.rows("DevicesTable").await;
    rows.into_iter().filter(|row| row["pk"].as_str().is_some_and(|pk| pk.starts_with("DUE#"))).collect()
}

async fn run(stack: &Stack) -> Value {
    stack.run("devices-every-day-cleanup").await
}

#[tokio::test]
async fn an_unseen_device_goes_out_of_use() {
    let stack = Stack::start().await;
    let ada = described(&stack, "ada").await;
    stack.advance(90 * DAY - 1).await;
    assert_eq!(run(&stack).await["retired"], 0);
    assert_eq!(rows_of(&stack, "DEV#").await[0]["is_active"], true);
    stack.advance(1).await;
    run(&stack).await;
    let row = &rows_of(&stack, "DEV#").await[0];
    assert_eq!((&row["is_active"], row.get("push_token")), (&json!(false), None));
    assert!(rows_of(&stack, "TOK").await.is_empty());
    let refresh = stack.post("/auth/refresh").json(json!({ "refresh_token": ada.refresh_token })).send().await;
    assert_eq!(refresh.status, 401);
    assert_eq!(run(&stack).await, json!({ "retired": 0, "moved": 0, "finished": true }), "a second run did something");
}

#[tokio::test]
async fn a_device_in_use_stays_and_is_looked_at_again_in_time() {
    let stack = Stack::start().await;
    let ada = described(&stack, "ada").await;
    stack.advance(80 * DAY).await;
    // Only its session was used: a device that merely syncs is in use too.
    stack.post("/auth/refresh").json(json!({ "refresh_token": ada.refresh_token })).send().await.ok();
    stack.advance(11 * DAY).await;
    run(&stack).await;
    assert_eq!(rows_of(&stack, "DEV#").await[0]["is_active"], true);
    let places = due(&stack).await;
    assert_eq!(places.len(), 1, "a device stands on the list once");
    let day = 1_767_225_600 / DAY + 80 + 90;
    assert_eq!(places[0]["day"], day);
    stack.advance(79 * DAY).await;
    run(&stack).await;
    assert_eq!(rows_of(&stack, "DEV#").await[0]["is_active"], false);
}

#[tokio::test]
async fn a_retired_device_that_comes_back_is_in_use_again() {
    let stack = Stack::start().await;
    let ada = described(&stack, "ada").await;
    stack.advance(91 * DAY).await;
    run(&stack).await;
    stack.drain().await;
    let again = stack.sign_in_again(&ada).await;
    stack.post("/devices").auth(&again).json(json!({ "token": "new" })).send().await.ok();
    let rows = rows_of(&stack, "DEV#").await;
    assert!(rows.iter().any(|row| row["id"] == again.device_id.as_str() && row["is_active"] == true));
    assert_eq!(rows.len(), due(&stack).await.len(), "each device stands on the list once");
}

#[tokio::test]
async fn a_run_that_breaks_off_is_resumed() {
    let stack = Stack::start().await;
    for name in ["ada", "bob", "cleo", "dan", "eve", "fay"] {
        described(&stack, name).await;
    }
    // The last second before, so that the schedule itself finds nothing to do yet.
    stack.advance(90 * DAY - 1).await;
    stack.fault(json!({ "service": "dynamodb", "operation": "TransactWriteItems", "kind": "error", "probability": 0.8, "seed": 3 }));
    stack.advance(1).await;
    let mut broke_off = 0;
    for _ in 0..3 {
        // A run with failures says so, that it shows in the alarm.
        broke_off += u32::from(stack.invoke("devices-every-day-cleanup", json!({})).await.is_err());
    }
    assert!(broke_off > 0, "no run broke off");
    stack.faults().clear();
    run(&stack).await;
    let rows = rows_of(&stack, "DEV#").await;
    assert!(rows.iter().all(|row| row["is_active"] == false), "{rows:?}");
    assert!(rows_of(&stack, "TOK").await.is_empty());
    assert_eq!(due(&stack).await.len(), rows.len());
}
