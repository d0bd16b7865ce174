//! A full space: entries over quota are refused alone, deletions never.

use satchel_testkit::{Options, Session, Stack};
use serde_json::{Value, json};

use crate::support::{
    assert_adds_up, delete_ids, entry, many, pull_all, push, push_one, status, tombstone, try_push, two_devices_with,
};

/// A space of 10,000 bytes.
async fn small() -> (Stack, Session, Session) {
    two_devices_with(Options::default().param("SyncQuotaBytes", 10_000)).await
}

fn of(id: &str, bytes: usize, count: u64) -> Value {
    entry(id, "a", &crate::support::blob(count as usize, bytes), json!({ "a": count }), 5)
}

#[tokio::test]
async fn an_entry_over_quota_is_invalid_alone() {
    let (stack, phone, _) = small().await;
    let pushed = push(&stack, &phone, &[of("one", 5_000, 1), of("two", 6_000, 1), of("three", 1_000, 1)]).await;
    assert_eq!((&pushed["accepted"], &pushed["rejected"]), (&json!(["one", "three"]), &json!(["two"])));
    assert_eq!(pushed["results"][1]["error"], "quota_exceeded");
    assert_adds_up(&stack, &phone).await;
}

#[tokio::test]
async fn a_push_whose_every_entry_is_over_quota_is_413() {
    let (stack, phone, _) = small().await;
    push(&stack, &phone, &[of("one", 9_000, 1)]).await;
    let body = json!({ "entries": [of("two", 2_000, 1), of("three", 2_000, 1)] });
    try_push(&stack, &phone, body).await.refused(413, "quota_exceeded");
    assert_eq!(pull_all(&stack, &phone).await.ids(), ["one"]);
}

#[tokio::test]
async fn deletions_are_always_allowed() {
    let (stack, phone, _) = small().await;
    push(&stack, &phone, &[of("one", 4_500, 1), of("two", 4_500, 1)]).await;
    assert_eq!(delete_ids(&stack, &phone, &["one"]).await["accepted"], json!(["one"]));
    assert_eq!(push_one(&stack, &phone, tombstone("two", "a", json!({ "a": 2 }), 6)).await["status"], "applied");
    assert_eq!(push_one(&stack, &phone, tombstone("never", "a", json!({ "a": 1 }), 6)).await["status"], "applied");
    assert_eq!(push_one(&stack, &phone, of("three", 9_000, 1)).await["status"], "applied", "there is room again");
    assert_adds_up(&stack, &phone).await;
}

#[tokio::test]
async fn a_deletion_next_to_entries_over_quota_is_200() {
    let (stack, phone, _) = small().await;
    push(&stack, &phone, &[of("one", 9_000, 1)]).await;
    let body = json!({ "entries": [of("two", 2_000, 1)], "deleted_ids": ["one"] });
    let pushed = try_push(&stack, &phone, body).await.ok();
    assert_eq!((&pushed["accepted"], &pushed["rejected"]), (&json!(["one"]), &json!(["two"])));
}

#[tokio::test]
async fn an_entry_may_shrink_in_a_full_space_and_not_grow() {
    let (stack, phone, _) = small().await;
    push(&stack, &phone, &[of("one", 9_700, 1)]).await;
    let body = json!({ "entries": [of("one", 9_900, 2)] });
    try_push(&stack, &phone, body).await.refused(413, "quota_exceeded");
    assert_eq!(push_one(&stack, &phone, of("one", 9_000, 2)).await["status"], "applied");
}

#[tokio::test]
async fn a_conflict_the_server_wins_is_merged_in_a_full_space() {
    let (stack, phone, laptop) = small().await;
    let mut large = of("one", 9_780, 1);
    large["updated_at"] = json!(1_000);
    push(&stack, &phone, &[large]).await;
    let result =
        push_one(&stack, &laptop, entry("one", "b", "y", json!({ "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb": 1 }), 5)).await;
    assert_eq!((&result["status"], &result["winner"]), (&json!("conflict"), &json!("server")));
    assert_adds_up(&stack, &phone).await;
}

#[tokio::test]
async fn the_number_of_entries_and_tombstones_is_limited_too() {
    let (stack, phone, _) = two_devices_with(Options::default().param("SyncMaxEntries", 10)).await;
    push(&stack, &phone, &many(9, 5)).await;
    delete_ids(&stack, &phone, &["e0000", "e0001"]).await;
    let pushed = push(&stack, &phone, &[of("ten", 5, 1), of("eleven", 5, 1)]).await;
    assert_eq!((&pushed["accepted"], &pushed["rejected"]), (&json!(["ten"]), &json!(["eleven"])));
    assert_eq!(push_one(&stack, &phone, of("ten", 5, 2)).await["status"], "applied", "a change of what is there");
    assert_eq!(push_one(&stack, &phone, tombstone("x", "a", json!({ "a": 1 }), 5)).await["status"], "applied");
}

#[tokio::test]
async fn status_tells_the_quota() {
    let (stack, phone, _) = small().await;
    assert_eq!(status(&stack, &phone).await["quota_bytes"], 10_000);
}
