//! Clients that know `last_sync_at` alone, and lose nothing.

use satchel_testkit::{Session, Stack};
use serde_json::{Value, json};

use crate::support::{Held, delete_ids, entry, many, pull, pull_all, push, seed_pull, status, tombstone, two_devices};

/// A space of 2,300 entries, older than a minute.
async fn large() -> (Stack, Session, Session) {
    let (stack, phone, laptop) = two_devices().await;
    for part in many(2_300, 10).chunks(800) {
        push(&stack, &phone, part).await;
    }
    stack.advance(60).await;
    (stack, phone, laptop)
}

async fn page(stack: &Stack, device: &Session, last_sync_at: Value) -> Value {
    pull(stack, device, json!({ "last_sync_at": last_sync_at, "vector_clock": {} })).await
}

fn ids(page: &Value) -> Vec<String> {
    page["entries"].as_array().unwrap().iter().map(|entry| crate::support::text(&entry["id"])).collect()
}

#[tokio::test]
async fn server_timestamp_is_the_seq_of_the_last_commit() {
    let (stack, phone, laptop) = two_devices().await;
    let result = crate::support::push_one(&stack, &phone, entry("e", "a", "x", json!({ "a": 1 }), 5)).await;
    assert_eq!(page(&stack, &laptop, Value::Null).await["server_timestamp"], result["seq"]);
}

#[tokio::test]
async fn last_sync_at_brings_exactly_what_came_after_it() {
    let (stack, phone, laptop) = two_devices().await;
    let mut positions = vec![page(&stack, &laptop, Value::Null).await["server_timestamp"].clone()];
    for at in 0..6 {
        push(&stack, &phone, &[entry(&format!("e{at}"), "a", "x", json!({ "a": 1 }), 1_000 - at)]).await;
        positions.push(page(&stack, &laptop, positions[0].clone()).await["server_timestamp"].clone());
    }
    for (at, position) in positions.iter().enumerate() {
        let wanted: Vec<String> = (at..6).map(|at| format!("e{at}")).collect();
        assert_eq!(ids(&page(&stack, &laptop, position.clone()).await), wanted, "after {position}");
    }
}

#[tokio::test]
async fn a_full_pull_goes_on_by_page_numbers_and_ends_with_a_position() {
    let (stack, phone, laptop) = large().await;
    let first = page(&stack, &laptop, Value::Null).await;
    assert_eq!((ids(&first).len(), &first["server_timestamp"], &first["has_more"]), (1_000, &json!(1), &json!(true)));
    let second = page(&stack, &laptop, json!(1)).await;
    assert_eq!(
        (ids(&second).len(), &second["server_timestamp"], &second["has_more"]),
        (1_000, &json!(2), &json!(true))
    );
    let third = page(&stack, &laptop, json!(2)).await;
    assert_eq!((ids(&third).len(), &third["has_more"]), (300, &json!(false)));
    assert_eq!(third["server_timestamp"], status(&stack, &phone).await["head"]);
}

#[tokio::test]
async fn a_page_whose_answer_was_lost_is_asked_again() {
    let (stack, _, laptop) = large().await;
    let mut held = Held::default();
    held.take(&page(&stack, &laptop, Value::Null).await);
    let lost = page(&stack, &laptop, json!(1)).await;
    let again = page(&stack, &laptop, json!(1)).await;
    assert_eq!(ids(&lost), ids(&again));
    held.take(&again);
    held.take(&page(&stack, &laptop, json!(2)).await);
    assert_eq!(held.entries.len(), 2_300);
}

#[tokio::test]
async fn the_first_page_lost_begins_anew_and_brings_all() {
    let (stack, _, laptop) = large().await;
    page(&stack, &laptop, Value::Null).await;
    let mut held = Held::default();
    seed_pull(&stack, &laptop, &mut held, Value::Null).await;
    assert_eq!(held.entries.len(), 2_300);
}

#[tokio::test]
async fn a_full_pull_begun_anew_in_the_middle_brings_all() {
    let (stack, _, laptop) = large().await;
    page(&stack, &laptop, Value::Null).await;
    page(&stack, &laptop, json!(1)).await;
    let mut held = Held::default();
    seed_pull(&stack, &laptop, &mut held, Value::Null).await;
    assert_eq!(held.entries.len(), 2_300);
}

#[tokio::test]
async fn a_page_number_that_is_not_kept_begins_anew() {
    let (stack, _, laptop) = large().await;
    for number in [1, 7, 999_999] {
        let mut held = Held::default();
        seed_pull(&stack, &laptop, &mut held, json!(number)).await;
        assert_eq!(held.entries.len(), 2_300, "page {number}");
    }
}

#[tokio::test]
async fn devices_have_page_numbers_of_their_own() {
    let (stack, phone, laptop) = large().await;
    let (mut one, mut other) = (Held::default(), Held::default());
    one.take(&page(&stack, &phone, Value::Null).await);
    other.take(&page(&stack, &laptop, Value::Null).await);
    one.take(&page(&stack, &phone, json!(1)).await);
    other.take(&page(&stack, &laptop, json!(1)).await);
    one.take(&page(&stack, &phone, json!(2)).await);
    other.take(&page(&stack, &laptop, json!(2)).await);
    assert_eq!((one.entries.len(), other.entries.len()), (2_300, 2_300));
}

#[tokio::test]
async fn what_is_written_between_pages_is_in_the_last_one() {
    let (stack, phone, laptop) = large().await;
    let mut held = Held::default();
    held.take(&page(&stack, &laptop, Value::Null).await);
    push(&stack, &phone, &[entry("e0001", "a", "changed", json!({ "a": 2 }), 5)]).await;
    delete_ids(&stack, &phone, &["e0002"]).await;
    seed_pull(&stack, &laptop, &mut held, json!(1)).await;
    assert_eq!(held.entries["e0001"]["encrypted_data"], "changed");
    assert!(held.tombstones.contains_key("e0002"));
    assert_eq!(held.entries, pull_all(&stack, &phone).await.entries);
}

#[tokio::test]
async fn a_delta_of_more_than_a_thousand_ends_between_commits_and_loses_nothing() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("first", "a", "x", json!({ "a": 1 }), 5)]).await;
    let at = page(&stack, &laptop, Value::Null).await["server_timestamp"].clone();
    for part in many(2_300, 10).chunks(800) {
        push(&stack, &phone, part).await;
    }
    let (mut last, mut told) = (at, 0);
    loop {
        let page = page(&stack, &laptop, last).await;
        told += ids(&page).len();
        last = page["server_timestamp"].clone();
        if page["has_more"] == false {
            break;
        }
        assert!(last.as_u64().unwrap() > 1_000_000, "a position, no page number");
    }
    assert_eq!(told, 2_300, "nothing twice, nothing skipped");
}

#[tokio::test]
async fn tombstones_are_in_deleted_ids_of_a_delta() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", "x", json!({ "a": 1 }), 5)]).await;
    let at = page(&stack, &laptop, Value::Null).await["server_timestamp"].clone();
    push(&stack, &phone, &[tombstone("e", "a", json!({ "a": 2 }), 6)]).await;
    let delta = page(&stack, &laptop, at).await;
    assert_eq!((&delta["deleted_ids"], ids(&delta).len()), (&json!(["e"]), 0));
}

#[tokio::test]
async fn last_sync_at_0_in_a_space_that_was_empty_then_brings_all() {
    let (stack, phone, laptop) = two_devices().await;
    assert_eq!(page(&stack, &laptop, Value::Null).await["server_timestamp"], 0);
    push(&stack, &phone, &[entry("e", "a", "x", json!({ "a": 1 }), 5)]).await;
    assert_eq!(ids(&page(&stack, &laptop, json!(0)).await), ["e"]);
}

#[tokio::test]
async fn a_last_sync_at_past_the_head_is_served_in_full() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", "x", json!({ "a": 1 }), 5)]).await;
    push(&stack, &phone, &[tombstone("f", "a", json!({ "a": 1 }), 5)]).await;
    let full = page(&stack, &laptop, json!(9_000_000_000u64)).await;
    assert_eq!(
        (ids(&full), &full["deleted_ids"], &full["snapshot"]),
        (vec!["e".to_owned()], &json!(["f"]), &json!(true))
    );
}

#[tokio::test]
async fn a_last_sync_at_of_the_clients_own_clock_between_commits_skips_nothing_in_the_end() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("one", "a", "x", json!({ "a": 1 }), 5)]).await;
    stack.advance(300).await;
    push(&stack, &phone, &[entry("two", "a", "x", json!({ "a": 1 }), 5)]).await;
    let between = stack.now() - 100;
    stack.advance(120).await;
    let mut held = Held::default();
    seed_pull(&stack, &laptop, &mut held, json!(between)).await;
    assert_eq!(held.ids(), ["one", "two"]);
}

#[tokio::test]
async fn a_seed_client_and_its_clockless_entries_go_round() {
    let (stack, phone, laptop) = two_devices().await;
    let (mut one, mut other) = (Held::default(), Held::default());
    let seed =
        |id: &str, data: &str, at: i64| json!({ "id": id, "device_id": "a", "encrypted_data": data, "updated_at": at });
    push(&stack, &phone, &[seed("e", "v1", 100), seed("f", "v1", 100)]).await;
    seed_pull(&stack, &laptop, &mut other, Value::Null).await;
    push(&stack, &laptop, &[seed("e", "v2", 200)]).await;
    delete_ids(&stack, &laptop, &["f"]).await;
    seed_pull(&stack, &phone, &mut one, Value::Null).await;
    let at = json!(other.server_timestamp);
    seed_pull(&stack, &laptop, &mut other, at).await;
    assert_eq!((&one.entries, &one.tombstones), (&other.entries, &other.tombstones));
    assert_eq!(one.entries["e"]["encrypted_data"], "v2");
    assert!(one.tombstones.contains_key("f"));
}
