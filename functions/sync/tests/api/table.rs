//! The decision table over HTTP: status, winner, the three lists, what is stored, what is in history.

use serde_json::{Value, json};

use crate::support::{delete_ids, entry, pull_all, push, push_one, reasons, status, tombstone, try_push, two_devices};
use satchel_testkit::{Session, Stack};

const NOW: i64 = 1_767_225_600;

/// A stack where the entry `e` holds `x` of the device `a` with the clock `{a: 2}`.
async fn with_entry() -> (Stack, Session, Session) {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", "x", json!({ "a": 2 }), NOW)]).await;
    (stack, phone, laptop)
}

/// A stack where the entry `e` was deleted with the clock `{a: 2}`.
async fn with_tombstone() -> (Stack, Session, Session) {
    let (stack, phone, laptop) = with_entry().await;
    push(&stack, &phone, &[tombstone("e", "a", json!({ "a": 3 }), NOW)]).await;
    (stack, phone, laptop)
}

/// What a push of one entry did: which list, status, winner.
async fn outcome(stack: &Stack, device: &Session, entry: Value) -> (&'static str, String, Option<String>) {
    let answer = push(stack, device, &[entry]).await;
    let lists: Vec<&str> =
        ["accepted", "conflicts", "rejected"].into_iter().filter(|list| answer[*list] != json!([])).collect();
    assert_eq!(lists.len(), 1, "{answer}");
    let result = &answer["results"][0];
    let winner = result["winner"].as_str().map(str::to_owned);
    (lists[0], crate::support::text(&result["status"]), winner)
}

fn is(list: &'static str, status: &str, winner: Option<&str>) -> (&'static str, String, Option<String>) {
    (list, status.to_owned(), winner.map(str::to_owned))
}

async fn stored(stack: &Stack, device: &Session) -> (Value, Value) {
    let held = pull_all(stack, device).await;
    match (held.entries.get("e"), held.tombstones.get("e")) {
        (Some(live), None) => (live["encrypted_data"].clone(), live["vector_clock"].clone()),
        (None, Some(dead)) => (Value::Null, dead["vector_clock"].clone()),
        other => panic!("{other:?}"),
    }
}

fn lost(data: &str, why: &str) -> (String, String) {
    (data.to_owned(), why.to_owned())
}

#[tokio::test]
async fn a_new_entry_is_created() {
    let (stack, phone, laptop) = two_devices().await;
    let new = entry("e", "a", "x", json!({ "a": 1 }), NOW);
    assert_eq!(outcome(&stack, &phone, new).await, is("accepted", "applied", None));
    assert_eq!(stored(&stack, &laptop).await, (json!("x"), json!({ "a": 1 })));
}

#[tokio::test]
async fn a_delete_of_an_unknown_id_with_a_clock_is_a_tombstone() {
    let (stack, phone, laptop) = two_devices().await;
    let delete = tombstone("e", "a", json!({ "a": 1 }), NOW);
    assert_eq!(outcome(&stack, &phone, delete).await, is("accepted", "applied", None));
    assert_eq!(stored(&stack, &laptop).await, (Value::Null, json!({ "a": 1 })));
}

#[tokio::test]
async fn a_dominating_edit_replaces_without_history() {
    let (stack, phone, laptop) = with_entry().await;
    let next = entry("e", "b", "y", json!({ "a": 2, "b": 1 }), NOW - 900);
    assert_eq!(outcome(&stack, &laptop, next).await, is("accepted", "applied", None));
    assert_eq!(stored(&stack, &phone).await, (json!("y"), json!({ "a": 2, "b": 1 })));
    assert_eq!(reasons(&stack, &phone, "e").await, []);
}

#[tokio::test]
async fn a_dominating_delete_keeps_what_it_deleted_in_history() {
    let (stack, phone, laptop) = with_entry().await;
    let delete = tombstone("e", "b", json!({ "a": 2, "b": 1 }), NOW);
    assert_eq!(outcome(&stack, &laptop, delete).await, is("accepted", "applied", None));
    assert_eq!(stored(&stack, &phone).await, (Value::Null, json!({ "a": 2, "b": 1 })));
    assert_eq!(reasons(&stack, &phone, "e").await, [lost("x", "deleted")]);
}

#[tokio::test]
async fn a_dominating_edit_brings_a_tombstone_back() {
    let (stack, phone, laptop) = with_tombstone().await;
    let back = entry("e", "b", "y", json!({ "a": 3, "b": 1 }), NOW);
    assert_eq!(outcome(&stack, &laptop, back).await, is("accepted", "applied", None));
    assert_eq!(stored(&stack, &phone).await, (json!("y"), json!({ "a": 3, "b": 1 })));
}

#[tokio::test]
async fn the_same_push_again_is_unchanged_with_the_same_head() {
    let (stack, phone, _) = with_entry().await;
    let head = status(&stack, &phone).await["head"].clone();
    let again = entry("e", "a", "x", json!({ "a": 2 }), NOW);
    assert_eq!(outcome(&stack, &phone, again).await, is("accepted", "unchanged", None));
    assert_eq!(status(&stack, &phone).await["head"], head);
}

#[tokio::test]
async fn the_same_delete_again_is_unchanged() {
    let (stack, phone, _) = with_tombstone().await;
    let again = tombstone("e", "a", json!({ "a": 3 }), NOW);
    assert_eq!(outcome(&stack, &phone, again).await, is("accepted", "unchanged", None));
}

#[tokio::test]
async fn an_equal_clock_with_other_content_goes_to_history_once() {
    let (stack, phone, laptop) = with_entry().await;
    let clone = entry("e", "a", "y", json!({ "a": 2 }), NOW + 100);
    for _ in 0..2 {
        assert_eq!(outcome(&stack, &laptop, clone.clone()).await, is("conflicts", "clock_reuse", None));
    }
    assert_eq!(stored(&stack, &phone).await, (json!("x"), json!({ "a": 2 })));
    assert_eq!(reasons(&stack, &phone, "e").await, [lost("y", "clock_reuse")]);
}

#[tokio::test]
async fn history_alone_does_not_move_the_head() {
    let (stack, phone, laptop) = with_entry().await;
    let head = status(&stack, &phone).await["head"].clone();
    push_one(&stack, &laptop, entry("e", "a", "y", json!({ "a": 2 }), NOW + 100)).await;
    assert_eq!(status(&stack, &phone).await["head"], head);
}

#[tokio::test]
async fn an_equal_clock_that_deletes_is_clock_reuse() {
    let (stack, phone, laptop) = with_entry().await;
    let delete = tombstone("e", "a", json!({ "a": 2 }), NOW + 100);
    assert_eq!(outcome(&stack, &laptop, delete).await, is("conflicts", "clock_reuse", None));
    assert_eq!(stored(&stack, &phone).await, (json!("x"), json!({ "a": 2 })));
}

#[tokio::test]
async fn the_repeat_of_a_merged_push_is_unchanged_and_brings_the_merged_clock() {
    let (stack, phone, laptop) = with_entry().await;
    push_one(&stack, &laptop, entry("e", "b", "y", json!({ "b": 1 }), NOW - 100)).await;
    let result = push_one(&stack, &phone, entry("e", "a", "x", json!({ "a": 2 }), NOW)).await;
    assert_eq!((&result["status"], &result["vector_clock"]), (&json!("unchanged"), &json!({ "a": 2, "b": 1 })));
}

#[tokio::test]
async fn a_dominated_edit_is_stale_and_gets_the_servers_entry() {
    let (stack, phone, laptop) = with_entry().await;
    let result = push_one(&stack, &laptop, entry("e", "a", "w", json!({ "a": 1 }), NOW + 100)).await;
    assert_eq!(result["status"], "stale");
    assert_eq!(result["server_entry"]["encrypted_data"], "x");
    assert_eq!(stored(&stack, &phone).await, (json!("x"), json!({ "a": 2 })));
    assert_eq!(reasons(&stack, &phone, "e").await, []);
}

#[tokio::test]
async fn a_stale_edit_of_a_tombstone_gets_the_tombstone() {
    let (stack, _, laptop) = with_tombstone().await;
    let result = push_one(&stack, &laptop, entry("e", "a", "w", json!({ "a": 1 }), NOW + 100)).await;
    assert_eq!(result["server_entry"]["is_deleted"], true);
    assert_eq!(result["server_entry"]["vector_clock"], json!({ "a": 3 }));
}

#[tokio::test]
async fn a_dominated_delete_is_stale() {
    let (stack, phone, laptop) = with_entry().await;
    let delete = tombstone("e", "a", json!({ "a": 1 }), NOW + 100);
    assert_eq!(outcome(&stack, &laptop, delete).await, is("conflicts", "stale", None));
    assert_eq!(stored(&stack, &phone).await, (json!("x"), json!({ "a": 2 })));
}

#[tokio::test]
async fn a_later_concurrent_edit_wins() {
    let (stack, phone, laptop) = with_entry().await;
    let later = entry("e", "b", "y", json!({ "b": 1 }), NOW + 100);
    assert_eq!(outcome(&stack, &laptop, later).await, is("accepted", "conflict", Some("client")));
    assert_eq!(stored(&stack, &phone).await, (json!("y"), json!({ "a": 2, "b": 1 })));
    assert_eq!(reasons(&stack, &phone, "e").await, [lost("x", "lost")]);
}

#[tokio::test]
async fn an_earlier_concurrent_edit_loses_and_the_merged_clock_reaches_every_device() {
    let (stack, phone, laptop) = with_entry().await;
    let cursor = pull_all(&stack, &phone).await.cursor;
    let earlier = entry("e", "b", "y", json!({ "b": 1 }), NOW - 100);
    assert_eq!(outcome(&stack, &laptop, earlier).await, is("conflicts", "conflict", Some("server")));
    assert_eq!(reasons(&stack, &phone, "e").await, [lost("y", "lost")]);
    let page = crate::support::pull(&stack, &phone, json!({ "cursor": cursor })).await;
    assert_eq!(page["entries"][0]["vector_clock"], json!({ "a": 2, "b": 1 }));
    assert_eq!(page["entries"][0]["encrypted_data"], "x");
}

#[tokio::test]
async fn a_devices_own_later_edit_does_not_lose_to_its_earlier_one_after_a_merge() {
    let (stack, phone, laptop) = with_entry().await;
    push_one(&stack, &laptop, entry("e", "b", "y", json!({ "b": 1 }), NOW - 100)).await;
    let later = entry("e", "a", "z", json!({ "a": 3 }), NOW - 500);
    assert_eq!(outcome(&stack, &phone, later).await, is("accepted", "conflict", Some("client")));
    assert_eq!(stored(&stack, &laptop).await, (json!("z"), json!({ "a": 3, "b": 1 })));
}

#[tokio::test]
async fn an_edit_wins_against_a_concurrent_tombstone() {
    let (stack, phone, laptop) = with_tombstone().await;
    let edit = entry("e", "b", "y", json!({ "b": 1 }), NOW - 900);
    assert_eq!(outcome(&stack, &laptop, edit).await, is("accepted", "conflict", Some("client")));
    assert_eq!(stored(&stack, &phone).await, (json!("y"), json!({ "a": 3, "b": 1 })));
}

#[tokio::test]
async fn a_concurrent_delete_loses_against_an_edit() {
    let (stack, phone, laptop) = with_entry().await;
    let delete = tombstone("e", "b", json!({ "b": 1 }), NOW + 900);
    assert_eq!(outcome(&stack, &laptop, delete).await, is("conflicts", "conflict", Some("server")));
    assert_eq!(stored(&stack, &phone).await, (json!("x"), json!({ "a": 2, "b": 1 })));
}

#[tokio::test]
async fn concurrent_deletes_merge_and_are_applied() {
    let (stack, phone, laptop) = with_tombstone().await;
    let delete = tombstone("e", "b", json!({ "b": 1 }), NOW - 900);
    assert_eq!(outcome(&stack, &laptop, delete).await, is("accepted", "applied", None));
    assert_eq!(stored(&stack, &phone).await, (Value::Null, json!({ "a": 3, "b": 1 })));
}

#[tokio::test]
async fn a_clockless_entry_is_created_with_the_servers_first_count() {
    let (stack, phone, laptop) = two_devices().await;
    let seed = json!({ "id": "e", "device_id": "a", "encrypted_data": "x", "updated_at": NOW });
    assert_eq!(outcome(&stack, &phone, seed).await, is("accepted", "applied", None));
    assert_eq!(stored(&stack, &laptop).await, (json!("x"), json!({ "srv": 1 })));
}

#[tokio::test]
async fn a_clockless_edit_of_the_same_content_is_unchanged() {
    let (stack, _, laptop) = with_entry().await;
    let same = entry("e", "b", "x", json!({}), NOW + 100);
    assert_eq!(outcome(&stack, &laptop, same).await, is("accepted", "unchanged", None));
}

#[tokio::test]
async fn a_later_clockless_edit_wins_and_ticks_the_server() {
    let (stack, phone, laptop) = with_entry().await;
    let later = entry("e", "b", "y", json!({}), NOW + 100);
    assert_eq!(outcome(&stack, &laptop, later).await, is("accepted", "conflict", Some("client")));
    assert_eq!(stored(&stack, &phone).await, (json!("y"), json!({ "a": 2, "srv": 1 })));
    assert_eq!(reasons(&stack, &phone, "e").await, [lost("x", "lost")]);
}

#[tokio::test]
async fn an_earlier_clockless_edit_goes_to_history_once() {
    let (stack, phone, laptop) = with_entry().await;
    let earlier = entry("e", "b", "y", json!({}), NOW - 100);
    for _ in 0..3 {
        assert_eq!(outcome(&stack, &laptop, earlier.clone()).await, is("conflicts", "conflict", Some("server")));
    }
    assert_eq!(stored(&stack, &phone).await, (json!("x"), json!({ "a": 2 })));
    assert_eq!(reasons(&stack, &phone, "e").await, [lost("y", "lost")]);
}

#[tokio::test]
async fn a_clockless_edit_goes_by_rank_against_a_tombstone() {
    let (stack, phone, laptop) = with_tombstone().await;
    let replay = entry("e", "b", "w", json!({}), NOW - 100);
    assert_eq!(outcome(&stack, &laptop, replay).await, is("conflicts", "conflict", Some("server")));
    let later = entry("e", "b", "y", json!({}), NOW + 100);
    assert_eq!(outcome(&stack, &laptop, later).await, is("accepted", "conflict", Some("client")));
    assert_eq!(stored(&stack, &phone).await, (json!("y"), json!({ "a": 3, "srv": 1 })));
}

#[tokio::test]
async fn a_clockless_delete_is_as_deleted_ids() {
    for by_id in [false, true] {
        let (stack, phone, laptop) = with_entry().await;
        if by_id {
            assert_eq!(delete_ids(&stack, &laptop, &["e"]).await["accepted"], json!(["e"]));
        } else {
            let delete = tombstone("e", "b", json!({}), NOW - 100);
            assert_eq!(outcome(&stack, &laptop, delete).await, is("accepted", "applied", None));
        }
        assert_eq!(stored(&stack, &phone).await, (Value::Null, json!({ "a": 2, "srv": 1 })));
        assert_eq!(reasons(&stack, &phone, "e").await, [lost("x", "deleted")]);
    }
}

#[tokio::test]
async fn deleted_ids_of_the_devices_own_unseen_write_delete_it() {
    let (stack, phone, _) = two_devices().await;
    let base = pull_all(&stack, &phone).await.cursor;
    push(&stack, &phone, &[entry("e", "a", "x", json!({ "a": 1 }), NOW)]).await;
    let pushed = try_push(&stack, &phone, json!({ "deleted_ids": ["e"], "base_cursor": base })).await.ok();
    assert_eq!(pushed["results"][0]["status"], "applied");
}

#[tokio::test]
async fn an_id_twice_in_a_push_is_applied_in_order() {
    let (stack, phone, laptop) = two_devices().await;
    let (first, second) = (entry("e", "a", "x", json!({ "a": 1 }), NOW), entry("e", "a", "y", json!({ "a": 2 }), NOW));
    let body = json!({ "entries": [first, second], "deleted_ids": ["e"] });
    let pushed = try_push(&stack, &phone, body).await.ok();
    let statuses: Vec<_> = pushed["results"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
    assert_eq!(statuses, ["applied", "applied", "applied"]);
    assert_eq!(stored(&stack, &laptop).await, (Value::Null, json!({ "a": 2, "srv": 1 })));
    assert_eq!(reasons(&stack, &laptop, "e").await, [lost("y", "deleted")]);
}

#[tokio::test]
async fn the_policy_reject_writes_nothing_and_returns_the_servers_entry() {
    let (stack, phone, laptop) = with_entry().await;
    let head = status(&stack, &phone).await["head"].clone();
    let later = entry("e", "b", "y", json!({ "b": 1 }), NOW + 100);
    let body = json!({ "entries": [later], "conflict_policy": "reject" });
    let pushed = try_push(&stack, &laptop, body).await.ok();
    let result = &pushed["results"][0];
    assert_eq!((&result["status"], &result["winner"]), (&json!("conflict"), &json!("server")));
    assert_eq!(result["server_entry"]["encrypted_data"], "x");
    assert_eq!(status(&stack, &phone).await["head"], head);
    assert_eq!(reasons(&stack, &phone, "e").await, []);
}

#[tokio::test]
async fn results_are_in_request_order_and_a_bad_entry_is_invalid_alone() {
    let (stack, phone, _) = two_devices().await;
    let entries = [
        entry("good", "a", "x", json!({ "a": 1 }), NOW),
        entry("bad/id", "a", "x", json!({ "a": 1 }), NOW),
        entry("fine", "a", "x", json!({ "a": 1 }), NOW),
    ];
    let pushed = try_push(&stack, &phone, json!({ "entries": entries, "deleted_ids": ["good"] })).await.ok();
    let ids: Vec<_> = pushed["results"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, ["good", "bad/id", "fine", "good"]);
    assert_eq!(pushed["rejected"], json!(["bad/id"]));
    assert_eq!(pushed["accepted"], json!(["good", "fine", "good"]));
}

#[tokio::test]
async fn a_merge_that_leaves_the_content_does_not_count_as_having_seen_it() {
    let (stack, phone, laptop) = with_entry().await;
    let base = pull_all(&stack, &laptop).await.cursor;
    push(&stack, &phone, &[entry("e", "a", "newer", json!({ "a": 3 }), NOW + 50)]).await;
    let loser = entry("e", "b", "y", json!({ "b": 1 }), NOW - 100);
    assert_eq!(outcome(&stack, &laptop, loser).await, is("conflicts", "conflict", Some("server")));
    let body = json!({ "deleted_ids": ["e"], "base_cursor": base });
    let pushed = try_push(&stack, &laptop, body).await.ok();
    assert_eq!(pushed["results"][0]["status"], "conflict", "it never saw `newer`");
    assert_eq!(stored(&stack, &phone).await, (json!("newer"), json!({ "a": 3, "b": 1 })));
}
