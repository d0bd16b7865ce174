//! Who may: paying, lapsed, another device, a stranger.

use satchel_testkit::{Answer, Session, Stack};
use serde_json::{Value, json};

use crate::support::{delete_ids, entry, history, pull_all, push, status, text, try_pull, try_push, two_devices};

const DAY: u64 = 86_400;

fn one() -> Value {
    entry("e", "a", "x", json!({ "a": 1 }), 5)
}

async fn erase(stack: &Stack, device: &Session) -> Answer {
    stack.delete("/sync/data").auth(device).send().await
}

#[tokio::test]
async fn without_the_add_on_push_pull_and_status_are_402() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    try_push(&stack, &ada, json!({ "entries": [one()] })).await.refused(402, "sync_add_on_required");
    try_pull(&stack, &ada, json!({})).await.refused(402, "sync_add_on_required");
    stack.get("/sync/status").auth(&ada).send().await.refused(402, "sync_add_on_required");
}

#[tokio::test]
async fn without_the_add_on_history_and_erase_work() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    stack.get("/sync/entries/e/history").auth(&ada).send().await.refused(404, "not_found");
    erase(&stack, &ada).await.ok();
}

/// Ada's phone with an entry and its history, `days` after the add-on lapsed.
async fn lapsed(days: u64) -> (Stack, Session) {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &[one()]).await;
    delete_ids(&stack, &phone, &["e"]).await;
    push(&stack, &phone, &[entry("kept", "a", "x", json!({ "a": 1 }), 5)]).await;
    stack.advance((30 + days) * DAY).await;
    let phone = stack.sign_in_again(&phone).await;
    (stack, phone)
}

#[tokio::test]
async fn after_a_lapse_a_push_is_402_and_reading_works_for_thirty_days() {
    let (stack, phone) = lapsed(29).await;
    try_push(&stack, &phone, json!({ "entries": [one()] })).await.refused(402, "sync_add_on_required");
    try_push(&stack, &phone, json!({ "deleted_ids": ["kept"] })).await.refused(402, "sync_add_on_required");
    assert_eq!(pull_all(&stack, &phone).await.ids(), ["kept"]);
    assert_eq!(status(&stack, &phone).await["entry_count"], 1);
}

#[tokio::test]
async fn after_the_grace_reading_is_402_and_nothing_is_lost() {
    let (stack, phone) = lapsed(31).await;
    try_pull(&stack, &phone, json!({})).await.refused(402, "sync_add_on_required");
    stack.get("/sync/status").auth(&phone).send().await.refused(402, "sync_add_on_required");
    history(&stack, &phone, "e").await;
    stack.grant(&phone.user_id, "sync", 30).await;
    assert_eq!(pull_all(&stack, &phone).await.ids(), ["kept"]);
}

#[tokio::test]
async fn another_devices_id_is_403() {
    let (stack, phone, laptop) = two_devices().await;
    for (path, body) in [
        ("/sync/push", json!({ "device_id": laptop.device_id, "entries": [one()] })),
        ("/sync/pull", json!({ "device_id": laptop.device_id })),
        ("/sync/pull", json!({ "device_id": "" })),
    ] {
        stack.post(path).auth(&phone).json(body).send().await.refused(403, "device_id_mismatch");
    }
    assert_eq!(pull_all(&stack, &phone).await.ids().len(), 0);
}

#[tokio::test]
async fn a_services_token_is_403() {
    let (stack, phone, _) = two_devices().await;
    let service = stack.backoffice(&[]).await;
    let body = json!({ "device_id": phone.device_id });
    for call in [stack.post("/sync/push").json(&body), stack.post("/sync/pull").json(&body), stack.get("/sync/status")]
    {
        assert_eq!(call.bearer(&service).send().await.status, 403);
    }
    for call in [stack.get("/sync/entries/e/history"), stack.delete("/sync/data")] {
        assert_eq!(call.bearer(&service).send().await.status, 403);
    }
}

/// Ada with an entry and a history, and Eve, who pays too.
async fn ada_and_eve() -> (Stack, Session, Session) {
    let (stack, ada, _) = two_devices().await;
    push(&stack, &ada, &[entry("e", "a", "secret", json!({ "a": 1 }), 5)]).await;
    delete_ids(&stack, &ada, &["e"]).await;
    push(&stack, &ada, &[entry("f", "a", "secret", json!({ "a": 1 }), 5)]).await;
    let eve = stack.sign_in("eve").await;
    stack.grant(&eve.user_id, "sync", 30).await;
    (stack, ada, eve)
}

#[tokio::test]
async fn a_stranger_pulls_nothing_of_anothers() {
    let (stack, _, eve) = ada_and_eve().await;
    let held = pull_all(&stack, &eve).await;
    assert_eq!((held.entries.len(), held.tombstones.len(), held.server_timestamp), (0, 0, 0));
}

#[tokio::test]
async fn a_strangers_push_of_the_same_ids_changes_nothing_of_anothers() {
    let (stack, ada, eve) = ada_and_eve().await;
    let before = (pull_all(&stack, &ada).await, status(&stack, &ada).await["digest"].clone());
    let body = json!({ "entries": [entry("f", "a", "hers", json!({ "a": 9 }), 9)], "deleted_ids": ["e"] });
    let pushed = try_push(&stack, &eve, body).await.ok();
    assert_eq!([&pushed["results"][0]["status"], &pushed["results"][1]["status"]], ["applied", "unchanged"]);
    let after = pull_all(&stack, &ada).await;
    assert_eq!((after.entries, after.tombstones), (before.0.entries, before.0.tombstones));
    assert_eq!(status(&stack, &ada).await["digest"], before.1);
}

#[tokio::test]
async fn a_strangers_status_counts_nothing_of_anothers() {
    let (stack, ada, eve) = ada_and_eve().await;
    let status = status(&stack, &eve).await;
    assert_eq!([&status["entry_count"], &status["tombstones"], &status["bytes"], &status["head"]], [0, 0, 0, 0]);
    let devices: Vec<String> =
        status["devices"].as_array().unwrap().iter().map(|device| text(&device["device_id"])).collect();
    assert!(!devices.contains(&ada.device_id));
}

#[tokio::test]
async fn a_strangers_history_of_anothers_entry_is_404() {
    let (stack, _, eve) = ada_and_eve().await;
    for id in ["e", "f"] {
        stack.get(&format!("/sync/entries/{id}/history")).auth(&eve).send().await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_strangers_erase_leaves_anothers_space() {
    let (stack, ada, eve) = ada_and_eve().await;
    erase(&stack, &eve).await.ok();
    stack.drain().await;
    assert_eq!(pull_all(&stack, &ada).await.ids(), ["f"]);
    assert_eq!(history(&stack, &ada, "e").await.len(), 1);
}

#[tokio::test]
async fn a_commit_tells_the_spaces_other_devices() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &[one()]).await;
    stack.drain().await;
    let told: Vec<Value> = stack.published().into_iter().filter(|event| event["name"] == "sync.changed.v1").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["event"]["user_id"], phone.user_id);
    assert_eq!(told[0]["event"]["device_id"], phone.device_id);
    assert_eq!(told[0]["event"]["head"], status(&stack, &phone).await["head"]);
}

#[tokio::test]
async fn a_push_that_writes_nothing_tells_nobody() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &[one()]).await;
    stack.drain().await;
    let before = stack.published().len();
    push(&stack, &phone, &[one()]).await;
    pull_all(&stack, &phone).await;
    stack.drain().await;
    assert_eq!(stack.published().len(), before);
}
