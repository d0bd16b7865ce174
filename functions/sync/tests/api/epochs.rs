//! What ends a position: retention, a restored backup, an erase.

use satchel_store::{Expr, Table, keys};
use satchel_testkit::{Options, Session, Stack};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Held, assert_adds_up, delete_ids, entry, many, pull, pull_all, push, reasons, seed_pull, status, text, try_pull,
    try_push, two_devices, two_devices_with,
};

const DAY: u64 = 86_400;

fn one(id: &str) -> Vec<Value> {
    vec![entry(id, "a", "x", json!({ "a": 1 }), 5)]
}

/// A space whose commits of 181 days ago are gone, a cursor of before them, and one of after the first.
async fn past_retention() -> (Stack, Session, Value, Value) {
    let (stack, phone, _) = two_devices().await;
    let before = pull(&stack, &phone, json!({})).await;
    push(&stack, &phone, &one("old")).await;
    push(&stack, &phone, &one("older")).await;
    delete_ids(&stack, &phone, &["older"]).await;
    let after = pull(&stack, &phone, json!({})).await;
    stack.advance(181 * DAY).await;
    stack.services().sweep_ttl().unwrap();
    let phone = stack.sign_in_again(&phone).await;
    stack.grant(&phone.user_id, "sync", 30).await;
    (stack, phone, before, after)
}

#[tokio::test]
async fn a_cursor_whose_next_commit_is_gone_is_410() {
    let (stack, phone, before, _) = past_retention().await;
    try_pull(&stack, &phone, json!({ "cursor": before["cursor"] })).await.refused(410, "resync_required");
    let body = json!({ "entries": one("new"), "base_cursor": before["cursor"] });
    try_push(&stack, &phone, body).await.refused(410, "resync_required");
    assert!(!pull_all(&stack, &phone).await.entries.contains_key("new"));
}

#[tokio::test]
async fn the_head_is_never_too_old() {
    let (stack, phone, _, after) = past_retention().await;
    let page = pull(&stack, &phone, json!({ "cursor": after["cursor"] })).await;
    assert_eq!((&page["entries"], &page["complete"]), (&json!([]), &json!(true)));
    let body = json!({ "entries": one("new"), "base_cursor": after["cursor"] });
    let pushed = try_push(&stack, &phone, body).await.ok();
    assert_ne!(pushed["cursor"], after["cursor"]);
}

#[tokio::test]
async fn an_old_cursor_at_the_head_then_is_served_what_came_since() {
    let (stack, phone, _, after) = past_retention().await;
    push(&stack, &phone, &one("new")).await;
    let page = pull(&stack, &phone, json!({ "cursor": after["cursor"] })).await;
    assert_eq!(page["entries"][0]["id"], "new");
}

#[tokio::test]
async fn a_last_sync_at_past_retention_is_served_in_full_with_the_tombstones() {
    let (stack, phone, _, _) = past_retention().await;
    let page = pull(&stack, &phone, json!({ "last_sync_at": 0 })).await;
    assert_eq!((&page["snapshot"], &page["deleted_ids"]), (&json!(true), &json!(["older"])));
    assert_eq!(page["entries"][0]["id"], "old");
    assert_eq!(page["has_more"], false);
}

#[tokio::test]
async fn a_last_sync_at_past_retention_goes_on_by_page_numbers() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &one("first")).await;
    let at = pull(&stack, &phone, json!({ "last_sync_at": null })).await["server_timestamp"].clone();
    for part in many(1_500, 10).chunks(750) {
        push(&stack, &phone, part).await;
    }
    stack.advance(181 * DAY).await;
    stack.services().sweep_ttl().unwrap();
    let phone = stack.sign_in_again(&phone).await;
    stack.grant(&phone.user_id, "sync", 30).await;
    let page = pull(&stack, &phone, json!({ "last_sync_at": at })).await;
    assert_eq!((&page["server_timestamp"], &page["snapshot"]), (&json!(1), &json!(true)));
    let mut held = Held::default();
    held.take(&page);
    seed_pull(&stack, &phone, &mut held, json!(1)).await;
    assert_eq!(held.entries.len(), 1_501);
}

#[tokio::test]
async fn within_retention_a_cursor_of_months_ago_is_served() {
    let (stack, phone, _) = two_devices().await;
    let cursor = pull(&stack, &phone, json!({})).await["cursor"].clone();
    push(&stack, &phone, &one("e")).await;
    stack.advance(170 * DAY).await;
    stack.services().sweep_ttl().unwrap();
    let phone = stack.sign_in_again(&phone).await;
    stack.grant(&phone.user_id, "sync", 30).await;
    push(&stack, &phone, &one("f")).await;
    assert_eq!(pull(&stack, &phone, json!({ "cursor": cursor })).await["entries"].as_array().unwrap().len(), 2);
}

fn folder() -> TempDir {
    TempDir::new().unwrap_or_else(|error| panic!("no folder for the data: {error}"))
}

/// A stack stopped and started again on the same data with the next `StoreEpoch`, as after a restore.
async fn restored() -> (Stack, Session, Value, TempDir) {
    let data = folder();
    let (stack, phone, _) = two_devices_with(Options::default().data(data.path())).await;
    push(&stack, &phone, &one("e")).await;
    let page = pull(&stack, &phone, json!({})).await;
    let now = stack.timestamp();
    stack.local().stop().await;
    drop(stack);
    let stack = Stack::with(Options::default().data(data.path()).param("StoreEpoch", 2).now(now).seed(2)).await;
    (stack, phone, page, data)
}

#[tokio::test]
async fn after_a_raised_store_epoch_old_cursors_are_410() {
    let (stack, phone, page, _data) = restored().await;
    try_pull(&stack, &phone, json!({ "cursor": page["cursor"] })).await.refused(410, "resync_required");
    let body = json!({ "entries": one("f"), "base_cursor": page["cursor"] });
    try_push(&stack, &phone, body).await.refused(410, "resync_required");
    assert_eq!(status(&stack, &phone).await["epoch"], "2.0");
}

#[tokio::test]
async fn after_a_raised_store_epoch_entries_stand_and_a_full_pull_completes_at_once() {
    let (stack, phone, _, _data) = restored().await;
    let page = pull(&stack, &phone, json!({})).await;
    assert_eq!((&page["entries"][0]["id"], &page["complete"]), (&json!("e"), &json!(true)));
    assert_adds_up(&stack, &phone).await;
}

#[tokio::test]
async fn after_a_raised_store_epoch_a_full_pull_completes_though_some_commits_are_young_and_some_not() {
    let data = folder();
    let (stack, phone, _) = two_devices_with(Options::default().data(data.path())).await;
    push(&stack, &phone, &one("older")).await;
    stack.advance(20).await;
    push(&stack, &phone, &one("young")).await;
    stack.advance(5).await;
    let now = stack.timestamp();
    stack.local().stop().await;
    drop(stack);
    let stack = Stack::with(Options::default().data(data.path()).param("StoreEpoch", 2).now(now).seed(2)).await;
    let page = pull(&stack, &phone, json!({})).await;
    assert_eq!((page["entries"].as_array().unwrap().len(), &page["complete"]), (2, &json!(true)));
}

#[tokio::test]
async fn after_a_raised_store_epoch_pushes_and_deltas_go_on() {
    let (stack, phone, page, _data) = restored().await;
    let full = pull(&stack, &phone, json!({})).await;
    assert!(full["server_timestamp"].as_u64() >= page["server_timestamp"].as_u64());
    let result = push(&stack, &phone, &one("f")).await["results"][0].clone();
    assert!(result["seq"].as_u64() > full["server_timestamp"].as_u64());
    let delta = pull(&stack, &phone, json!({ "cursor": full["cursor"] })).await;
    assert_eq!(delta["entries"][0]["id"], "f");
    let by_time = pull(&stack, &phone, json!({ "last_sync_at": full["server_timestamp"] })).await;
    assert_eq!(by_time["entries"][0]["id"], "f");
}

#[tokio::test]
async fn an_instance_of_before_the_raise_serves_the_new_epoch() {
    let data = folder();
    let (stack, phone, _) = two_devices_with(Options::default().data(data.path()).param("StoreEpoch", 2)).await;
    push(&stack, &phone, &one("e")).await;
    let cursor = pull(&stack, &phone, json!({})).await["cursor"].clone();
    stack.local().stop().await;
    drop(stack);
    let stack = Stack::with(Options::default().data(data.path()).seed(2)).await;
    pull(&stack, &phone, json!({ "cursor": cursor })).await;
    assert_eq!(status(&stack, &phone).await["epoch"], "2.0");
}

async fn erase(stack: &Stack, device: &Session) -> Value {
    stack.delete("/sync/data").auth(device).send().await.ok()
}

#[tokio::test]
async fn an_erase_begins_an_empty_epoch() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &many(50, 10)).await;
    assert_eq!(erase(&stack, &phone).await["epoch"], "1.1");
    let status = status(&stack, &laptop).await;
    assert_eq!([&status["entry_count"], &status["tombstones"], &status["bytes"]], [0, 0, 0]);
    assert_eq!((&status["digest"], &status["epoch"]), (&json!("0".repeat(32)), &json!("1.1")));
    let page = pull(&stack, &laptop, json!({})).await;
    assert_eq!((&page["entries"], &page["deleted_ids"], &page["complete"]), (&json!([]), &json!([]), &json!(true)));
}

#[tokio::test]
async fn after_an_erase_old_cursors_are_410() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &many(20, 10)).await;
    let whole = pull_all(&stack, &phone).await.cursor;
    let middle = text(&pull(&stack, &phone, json!({ "limit": 7 })).await["cursor"]);
    erase(&stack, &phone).await;
    for cursor in [whole, middle] {
        try_pull(&stack, &phone, json!({ "cursor": cursor })).await.refused(410, "resync_required");
        let body = json!({ "entries": one("e"), "base_cursor": cursor });
        try_push(&stack, &phone, body).await.refused(410, "resync_required");
    }
}

#[tokio::test]
async fn after_an_erase_a_last_sync_at_of_before_starts_over() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &one("e")).await;
    push(&stack, &phone, &one("f")).await;
    let at = pull(&stack, &laptop, json!({})).await["server_timestamp"].as_u64().unwrap();
    erase(&stack, &phone).await;
    push(&stack, &phone, &one("g")).await;
    let page = pull(&stack, &laptop, json!({ "last_sync_at": at - 1 })).await;
    assert_eq!((&page["snapshot"], &page["entries"][0]["id"]), (&json!(true), &json!("g")));
    assert_eq!(page["entries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn after_an_erase_the_queue_leaves_no_row_of_before() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &many(300, 10)).await;
    push(&stack, &laptop, &[entry("e0001", "b", "y", json!({ "b": 1 }), 9_000_000_000)]).await;
    delete_ids(&stack, &phone, &["e0002"]).await;
    pull_all(&stack, &laptop).await;
    erase(&stack, &phone).await;
    stack.drain().await;
    let left: Vec<String> =
        stack.rows("SyncTable").await.iter().map(|row| format!("{} {}", text(&row["pk"]), text(&row["sk"]))).collect();
    let space = format!("S#{}", phone.user_id);
    assert!(left.iter().all(|key| key.starts_with(&format!("{space} "))), "{left:?}");
    assert!(left.len() <= 2, "META and the order: {left:?}");
}

#[tokio::test]
async fn after_an_erase_ids_clocks_and_history_begin_anew() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", "x", json!({ "a": 9 }), 5)]).await;
    delete_ids(&stack, &phone, &["e"]).await;
    erase(&stack, &phone).await;
    stack.get("/sync/entries/e/history").auth(&phone).send().await.refused(404, "not_found");
    assert_eq!(push(&stack, &laptop, &one("e")).await["results"][0]["status"], "applied");
    assert_eq!(reasons(&stack, &phone, "e").await, []);
    assert_adds_up(&stack, &laptop).await;
}

#[tokio::test]
async fn after_an_erase_positions_go_on() {
    let (stack, phone, _) = two_devices().await;
    let before = push(&stack, &phone, &one("e")).await["results"][0]["seq"].clone();
    let base = erase(&stack, &phone).await["server_timestamp"].clone();
    assert_eq!(base, before);
    let pushed = push(&stack, &phone, &one("e")).await;
    assert!(pushed["results"][0]["seq"].as_u64() > before.as_u64());
    let page = pull(&stack, &phone, json!({ "last_sync_at": base })).await;
    assert_eq!(page["entries"][0]["id"], "e");
}

#[tokio::test]
async fn erasing_twice_and_erasing_nothing_are_epochs_too() {
    let (stack, phone, _) = two_devices().await;
    assert_eq!(erase(&stack, &phone).await["epoch"], "1.1");
    assert_eq!(erase(&stack, &phone).await["epoch"], "1.2");
    stack.drain().await;
    push(&stack, &phone, &one("e")).await;
    assert_adds_up(&stack, &phone).await;
}

#[tokio::test]
async fn a_commit_that_is_not_to_be_seen_yet_is_503_for_a_cursor_at_0_too() {
    let (stack, phone, _) = two_devices().await;
    let start = pull(&stack, &phone, json!({})).await["cursor"].clone();
    push(&stack, &phone, &one("e")).await;
    push(&stack, &phone, &one("f")).await;
    let rows = stack.rows("SyncTable").await;
    let first = rows.iter().find(|row| text(&row["sk"]).starts_with("C#")).unwrap();
    let seq = keys::sync::seq_of(&text(&first["sk"])).unwrap();
    let table = Table::new(stack.dynamodb(), stack.table("SyncTable"));
    table.delete(&keys::sync::commit(&text(&first["pk"]), seq), Expr::always()).await.unwrap();
    try_pull(&stack, &phone, json!({ "cursor": start })).await.refused(503, "unavailable");
    let body = json!({ "entries": one("g"), "base_cursor": start });
    try_push(&stack, &phone, body).await.ok();
    stack.advance(120).await;
    try_pull(&stack, &phone, json!({ "cursor": start })).await.refused(410, "resync_required");
}
