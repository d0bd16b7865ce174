//! Devices that go: signed out, deleted, erased with their account.

use satchel_store::keys::accounts;
use satchel_store::{Expr, Table};
use satchel_testkit::{Session, Stack};
use serde_json::{Value, json};

async fn device(stack: &Stack, who: &Session) -> Value {
    stack.get(&format!("/devices/{}", who.device_id)).auth(who).send().await.ok()
}

async fn listed(stack: &Stack, who: &Session) -> Vec<String> {
    let list = stack.get("/devices").auth(who).send().await.ok();
    let ids = list["devices"].as_array().into_iter().flatten().filter_map(|device| device["id"].as_str());
    ids.map(str::to_owned).collect()
}

async fn holder(stack: &Stack) -> Vec<Value> {
    let rows = stack.rows("DevicesTable").await;
    rows.into_iter().filter(|row| row["pk"].as_str().is_some_and(|pk| pk.starts_with("TOK#"))).collect()
}

async fn erase(stack: &Stack, who: &Session, pass: u32) {
    let message = json!({ "user_id": who.user_id, "pass": pass }).to_string();
    let event = json!({ "Records": [{ "messageId": "1", "body": message }] });
    let answer = stack.invoke("devices-on-account-erased", event).await;
    assert_eq!(answer, Ok(json!({ "batchItemFailures": [] })));
}

async fn rows_of(stack: &Stack, who: &Session) -> Vec<Value> {
    let rows = stack.rows("DevicesTable").await;
    rows.into_iter().filter(|row| row.to_string().contains(&who.user_id)).collect()
}

#[tokio::test]
async fn a_signed_out_device_is_out_of_use_but_still_the_persons() {
    let stack = Stack::start().await;
    let phone = stack.sign_in("ada").await;
    let mac = stack.sign_in_on("ada", "macos", "Ada's Mac").await;
    let silent = stack.sign_in_on("ada", "linux", "Ada's box").await;
    let can = json!({ "device_id": mac.device_id, "can_inference": true, "inference_models": [] });
    stack.post("/devices").auth(&mac).json(json!({ "token": "abc" })).send().await.ok();
    stack.post("/devices/capabilities").auth(&mac).json(can).send().await.ok();
    assert_eq!(listed(&stack, &phone).await.len(), 3);
    for gone in [&mac, &silent] {
        assert_eq!(stack.post("/auth/logout").auth(gone).json(json!({})).send().await.status, 204);
    }
    assert_eq!(listed(&stack, &phone).await, [phone.device_id.as_str()]);
    stack.drain().await;
    // Its access token has minutes to live; that does not bring it back.
    stack.post("/devices/heartbeat").auth(&mac).json(json!({ "device_id": mac.device_id })).send().await;
    assert_eq!(listed(&stack, &phone).await, [phone.device_id.as_str()]);
    assert_eq!(stack.get("/devices/capable").auth(&phone).send().await.ok(), json!({ "devices": [] }));
    for gone in [&mac, &silent] {
        let path = format!("/devices/{}", gone.device_id);
        assert_eq!(stack.get(&path).auth(&phone).send().await.ok()["is_active"], false, "{path}");
    }
    let path = format!("/devices/{}", mac.device_id);
    let named = stack.patch(&path).auth(&phone).json(json!({ "device_name": "Old Mac" })).send().await.ok();
    assert_eq!((&named["device_name"], &named["is_active"]), (&json!("Old Mac"), &json!(false)));

    let again = stack.sign_in_again(&mac).await;
    assert_eq!(again.device_id, mac.device_id);
    assert_eq!(listed(&stack, &phone).await.len(), 2);
    assert_eq!(device(&stack, &again).await["is_active"], true);
}

#[tokio::test]
async fn a_deleted_device_is_gone_for_good_also_after_a_sign_out() {
    let stack = Stack::start().await;
    let phone = stack.sign_in("ada").await;
    let (described, silent) = (stack.sign_in("ada").await, stack.sign_in("ada").await);
    stack.post("/devices").auth(&described).json(json!({ "token": "abc" })).send().await.ok();
    for gone in [&described, &silent] {
        assert_eq!(stack.post("/auth/logout").auth(gone).json(json!({})).send().await.status, 204);
        stack.drain().await;
        let path = format!("/devices/{}", gone.device_id);
        assert_eq!(stack.delete(&path).auth(&phone).send().await.status, 204);
        stack.get(&path).auth(&phone).send().await.refused(404, "not_found");
        stack.delete(&path).auth(&phone).send().await.refused(404, "not_found");
        assert_ne!(stack.sign_in_again(gone).await.device_id, gone.device_id, "a deleted device got its id back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_beside_a_sign_in_leaves_no_session_on_a_deleted_device() {
    let stack = Stack::start().await;
    let phone = stack.sign_in("ada").await;
    let mut other = stack.sign_in("ada").await;
    for round in 0..8 {
        stack.advance(60).await;
        let path = format!("/devices/{}", other.device_id);
        let delete = tokio::spawn(stack.delete(&path).auth(&phone).send());
        let again = stack.sign_in_again(&other).await;
        let deleted = delete.await.unwrap();
        assert_eq!(deleted.status, 204, "round {round}");
        let list = listed(&stack, &phone).await;
        assert!(!list.contains(&other.device_id), "round {round}: a deleted device is in use");
        if again.device_id == other.device_id {
            let body = json!({ "refresh_token": again.refresh_token });
            stack.post("/auth/refresh").json(body).send().await.refused(401, "session_revoked");
            other = stack.sign_in("ada").await;
        } else {
            other = again;
        }
    }
}

#[tokio::test]
async fn an_erased_account_leaves_nothing_here() {
    let stack = Stack::start().await;
    let (ada, bob) = (stack.sign_in("ada").await, stack.sign_in("bob").await);
    stack.post("/devices").auth(&ada).header("idempotency-key", "k").json(json!({ "token": "abc" })).send().await.ok();
    stack.post("/devices").auth(&bob).json(json!({ "token": "def" })).send().await.ok();
    stack.drain().await;
    for _ in 0..2 {
        erase(&stack, &ada, 1).await;
        assert_eq!(rows_of(&stack, &ada).await, Vec::<Value>::new());
        assert_eq!(holder(&stack).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn erasing_beside_descriptions_leaves_no_push_token() {
    let stack = Stack::start().await;
    let mut devices = Vec::new();
    for _ in 0..9 {
        devices.push(stack.sign_in("ada").await);
    }
    stack.drain().await;
    for round in 0..4 {
        for (at, who) in devices.iter().enumerate() {
            let body = json!({ "token": format!("{round}-{at}") });
            stack.post("/devices").auth(who).json(body).send().await.ok();
        }
        // Access tokens live on while the account is erased.
        let calls = devices.iter().enumerate().map(|(at, who)| {
            let body = json!({ "token": format!("{round}-{at}-again") });
            tokio::spawn(stack.post("/devices").auth(who).json(body).send())
        });
        let calls = futures_util::future::join_all(calls);
        erase(&stack, &devices[0], 1).await;
        calls.await;
        let named: Vec<Value> = rows_of(&stack, &devices[0]).await;
        let devices_left = named.iter().filter(|row| row["sk"].as_str().is_some_and(|sk| sk.starts_with("DEV#")));
        let hashes: Vec<_> = devices_left.map(|row| format!("TOK#{}", row["push_hash"].as_str().unwrap())).collect();
        for claim in holder(&stack).await {
            assert!(hashes.iter().any(|hash| claim["pk"] == hash.as_str()), "round {round}: nobody has {claim}");
        }
        erase(&stack, &devices[0], 2).await;
        assert_eq!(rows_of(&stack, &devices[0]).await, Vec::<Value>::new(), "round {round}");
    }
}

#[tokio::test]
async fn the_end_of_a_session_outlives_the_first_erasing() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    stack.post("/devices").auth(&ada).json(json!({ "token": "abc" })).send().await.ok();
    assert_eq!(stack.post("/auth/logout").auth(&ada).json(json!({})).send().await.status, 204);
    stack.drain().await;
    erase(&stack, &ada, 1).await;
    let left = rows_of(&stack, &ada).await;
    assert!(left.iter().all(|row| row["sk"].as_str().is_some_and(|sk| sk.starts_with("END#"))), "{left:?}");
    assert_eq!(left.len(), 1, "an access token of the session could give a push token again");
    stack.post("/devices").auth(&ada).json(json!({ "token": "abc" })).send().await.refused(401, "session_revoked");
    erase(&stack, &ada, 2).await;
    assert_eq!(rows_of(&stack, &ada).await, Vec::<Value>::new());
}

#[tokio::test]
async fn whom_the_registry_no_longer_knows_describes_nothing() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    stack.drain().await;
    let table = Table::new(stack.dynamodb(), stack.table("AccountsTable"));
    let key = accounts::device(&ada.user_id.parse().unwrap(), &ada.device_id.parse().unwrap());
    table.delete(&key, Expr::always()).await.unwrap();
    erase(&stack, &ada, 1).await;
    stack.post("/devices").auth(&ada).json(json!({ "token": "abc" })).send().await.refused(401, "session_revoked");
    assert!(holder(&stack).await.is_empty());
}
