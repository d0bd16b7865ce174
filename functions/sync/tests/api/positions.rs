//! `server_timestamp` in a push's answer: a client of the seed that goes on from it skips nothing.

use serde_json::{Value, json};

use crate::support::{delete_ids, entry, many, pull, push, status, try_push, two_devices};
use satchel_testkit::{Session, Stack};

fn one(id: &str) -> Vec<Value> {
    vec![entry(id, "a", "x", json!({ "a": 1 }), 5)]
}

async fn pulled(stack: &Stack, device: &Session, last_sync_at: &Value) -> Value {
    pull(stack, device, json!({ "last_sync_at": last_sync_at })).await
}

fn ids(page: &Value) -> Vec<String> {
    page["entries"].as_array().unwrap().iter().map(|entry| crate::support::text(&entry["id"])).collect()
}

#[tokio::test]
async fn the_first_push_into_an_empty_space_answers_its_own_last_commit() {
    let (stack, phone, _) = two_devices().await;
    let pushed = push(&stack, &phone, &many(300, 10)).await;
    assert_eq!(pushed["server_timestamp"], status(&stack, &phone).await["head"]);
    let page = pulled(&stack, &phone, &pushed["server_timestamp"]).await;
    assert_eq!((ids(&page).len(), &page["complete"]), (0, &json!(true)));
}

#[tokio::test]
async fn a_push_after_a_presented_position_moves_it() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &laptop, &one("theirs")).await;
    let at = pulled(&stack, &phone, &Value::Null).await["server_timestamp"].clone();
    assert_eq!(pulled(&stack, &phone, &at).await["server_timestamp"], at);
    let pushed = push(&stack, &phone, &one("mine")).await;
    assert!(pushed["server_timestamp"].as_u64() > at.as_u64());
    assert_eq!(ids(&pulled(&stack, &phone, &pushed["server_timestamp"]).await).len(), 0);
}

#[tokio::test]
async fn a_push_after_anothers_write_does_not_skip_it() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &one("first")).await;
    push(&stack, &laptop, &one("theirs")).await;
    let pushed = push(&stack, &phone, &one("mine")).await;
    let page = pulled(&stack, &phone, &pushed["server_timestamp"]).await;
    assert!(ids(&page).contains(&"theirs".to_owned()), "{page}");
}

#[tokio::test]
async fn a_position_that_was_only_sent_does_not_count() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &one("first")).await;
    push(&stack, &laptop, &one("theirs")).await;
    // This answer is lost: the phone never hears of `theirs`.
    pulled(&stack, &phone, &Value::Null).await;
    let pushed = push(&stack, &phone, &one("mine")).await;
    let page = pulled(&stack, &phone, &pushed["server_timestamp"]).await;
    assert!(ids(&page).contains(&"theirs".to_owned()), "{page}");
}

#[tokio::test]
async fn a_device_that_never_pulled_is_told_all_of_a_space_that_others_filled() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &one("theirs")).await;
    let pushed = push(&stack, &laptop, &one("mine")).await;
    let page = pulled(&stack, &laptop, &pushed["server_timestamp"]).await;
    assert!(ids(&page).contains(&"theirs".to_owned()), "{page}");
}

#[tokio::test]
async fn a_push_that_writes_nothing_leaves_the_position() {
    let (stack, phone, _) = two_devices().await;
    let first = push(&stack, &phone, &one("e")).await;
    let again = push(&stack, &phone, &one("e")).await;
    assert_eq!(again["server_timestamp"], first["server_timestamp"]);
    assert_eq!(delete_ids(&stack, &phone, &["never"]).await["server_timestamp"], first["server_timestamp"]);
}

#[tokio::test]
async fn a_push_twice_with_the_first_answer_lost_skips_nothing() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &one("e")).await;
    push(&stack, &laptop, &one("theirs")).await;
    push(&stack, &phone, &one("f")).await;
    let again = push(&stack, &phone, &one("f")).await;
    let page = pulled(&stack, &phone, &again["server_timestamp"]).await;
    assert!(ids(&page).contains(&"theirs".to_owned()), "{page}");
}

#[tokio::test]
async fn a_push_in_the_middle_of_a_full_pull_does_not_end_it() {
    let (stack, phone, laptop) = two_devices().await;
    for part in many(1_400, 10).chunks(700) {
        push(&stack, &phone, part).await;
    }
    let page = pulled(&stack, &laptop, &Value::Null).await;
    assert_eq!(page["server_timestamp"], 1, "the number of a page");
    let pushed = push(&stack, &laptop, &one("mine")).await;
    assert_eq!(pushed["server_timestamp"], 0, "a position that skips nothing");
    let rest = pulled(&stack, &laptop, &json!(1)).await;
    assert!(rest["snapshot"].as_bool().unwrap());
    assert!(ids(&rest).contains(&"e1399".to_owned()));
}

#[tokio::test]
async fn deletions_by_id_say_which_version_they_saw_only_by_base_cursor() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &one("e")).await;
    let cursor = pulled(&stack, &laptop, &Value::Null).await["cursor"].clone();
    push(&stack, &phone, &[entry("e", "a", "newer", json!({ "a": 2 }), 6)]).await;
    let body = json!({ "deleted_ids": ["e"], "base_cursor": cursor });
    assert_eq!(try_push(&stack, &laptop, body).await.ok()["results"][0]["status"], "conflict");
    assert_eq!(delete_ids(&stack, &laptop, &["e"]).await["results"][0]["status"], "applied");
}

#[tokio::test]
async fn the_higher_of_a_pulls_and_a_pushs_position_tells_once_and_skips_nothing() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &laptop, &many(5, 10)).await;
    let mut last = Value::Null;
    let mut told = Vec::new();
    for round in 0..4 {
        let page = pulled(&stack, &phone, &last).await;
        assert_eq!(page["has_more"], false);
        told.extend(ids(&page).into_iter().filter(|id| !id.starts_with("mine")));
        let pulled_to = page["server_timestamp"].as_u64();
        push(&stack, &laptop, &one(&format!("between{round}"))).await;
        let pushed = push(&stack, &phone, &one(&format!("mine{round}"))).await["server_timestamp"].as_u64();
        last = json!(pulled_to.max(pushed));
        push(&stack, &laptop, &one(&format!("after{round}"))).await;
    }
    told.extend(ids(&pulled(&stack, &phone, &last).await).into_iter().filter(|id| !id.starts_with("mine")));
    let once: std::collections::BTreeSet<_> = told.iter().collect();
    assert_eq!((once.len(), told.len()), (5 + 8, 5 + 8), "{told:?}");
}
