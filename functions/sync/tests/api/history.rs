//! Versions that lost or were deleted: why, in which order, for how long.

use satchel_testkit::{Session, Stack};
use serde_json::{Value, json};

use crate::support::{delete_ids, entry, history, many, pull_all, push, push_one, reasons, text, two_devices};

/// An entry with `count` lost versions, `v1` the oldest.
async fn with_lost(stack: &Stack, device: &Session, count: usize) {
    for at in 1..=count {
        push(stack, device, &[entry("e", "a", &format!("v{at}"), json!({}), 100 * at as i64)]).await;
    }
    push(stack, device, &[entry("e", "a", "last", json!({}), 100_000)]).await;
}

#[tokio::test]
async fn every_reason_is_named_newest_first() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", "one", json!({ "a": 1 }), 100)]).await;
    push(&stack, &laptop, &[entry("e", "b", "two", json!({ "b": 1 }), 200)]).await;
    push(&stack, &laptop, &[entry("e", "b", "cloned", json!({ "a": 1, "b": 1 }), 300)]).await;
    delete_ids(&stack, &phone, &["e"]).await;
    let named =
        [("two", "deleted"), ("cloned", "clock_reuse"), ("one", "lost")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(reasons(&stack, &phone, "e").await, named);
}

#[tokio::test]
async fn a_version_has_the_entry_it_was() {
    let (stack, phone, laptop) = two_devices().await;
    let mut lost = entry("e", "older-phone", "aGVsbG8=", json!({ "b": 3 }), 50);
    lost["version"] = json!(4);
    push(&stack, &phone, &[entry("e", "a", "x", json!({ "a": 1 }), 100)]).await;
    push(&stack, &laptop, &[lost.clone()]).await;
    let version = history(&stack, &phone, "e").await.remove(0);
    for field in
        ["id", "device_id", "encrypted_data", "vector_clock", "version", "created_at", "updated_at", "is_deleted"]
    {
        assert_eq!(version[field], lost[field], "{field}");
    }
    assert_eq!(version["kept_until"], stack.now() + 30 * 86_400);
}

#[tokio::test]
async fn a_version_is_restored_by_pushing_it_with_a_newer_clock() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", "precious", json!({ "a": 1 }), 100)]).await;
    delete_ids(&stack, &phone, &["e"]).await;
    let kept = history(&stack, &phone, "e").await.remove(0);
    let back = entry("e", "a", &text(&kept["encrypted_data"]), json!({ "a": 2, "srv": 1 }), 200);
    assert_eq!(push_one(&stack, &phone, back).await["status"], "applied");
    assert_eq!(pull_all(&stack, &phone).await.entries["e"]["encrypted_data"], "precious");
}

#[tokio::test]
async fn pages_bring_every_version_once() {
    let (stack, phone, _) = two_devices().await;
    with_lost(&stack, &phone, 23).await;
    for limit in ["1", "7", "100"] {
        let (mut data, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut call = stack.get("/sync/entries/e/history").auth(&phone).query(&[("limit", limit)]);
            if let Some(cursor) = &cursor {
                call = call.query(&[("cursor", cursor)]);
            }
            let page = call.send().await.ok();
            data.extend(page["versions"].as_array().unwrap().iter().map(|version| text(&version["encrypted_data"])));
            assert_eq!(page["has_more"] == json!(true), page["next_cursor"].is_string());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        let wanted: Vec<String> = (1..=23).rev().map(|at| format!("v{at}")).collect();
        assert_eq!(data, wanted, "pages of {limit}");
    }
}

#[tokio::test]
async fn a_history_of_large_versions_fits_the_answer() {
    let (stack, phone, _) = two_devices().await;
    for at in 1..=20 {
        push(&stack, &phone, &[entry("e", "a", &crate::support::blob(at, 262_144), json!({}), 100 * at as i64)]).await;
    }
    let answer = stack.get("/sync/entries/e/history").auth(&phone).send().await;
    assert!(crate::support::escaped(&answer) <= 4_500_000);
    let page = answer.ok();
    assert_eq!(page["has_more"], true);
    assert!(page["versions"].as_array().unwrap().len() >= 10);
}

#[tokio::test]
async fn after_thirty_days_a_version_is_gone_though_its_row_may_not_be() {
    let (stack, phone, _) = two_devices().await;
    with_lost(&stack, &phone, 1).await;
    stack.advance(30 * 86_400 - 60).await;
    let phone = stack.sign_in_again(&phone).await;
    assert_eq!(history(&stack, &phone, "e").await.len(), 1);
    stack.advance(61).await;
    assert_eq!(history(&stack, &phone, "e").await.len(), 0);
}

#[tokio::test]
async fn an_entry_without_lost_versions_has_an_empty_history() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &many(1, 5)).await;
    let page = stack.get("/sync/entries/e0000/history").auth(&phone).send().await.ok();
    assert_eq!(page, json!({ "versions": [], "next_cursor": null, "has_more": false }));
}

#[tokio::test]
async fn an_unknown_entry_has_no_history() {
    let (stack, phone, _) = two_devices().await;
    stack.get("/sync/entries/never/history").auth(&phone).send().await.refused(404, "not_found");
}

#[tokio::test]
async fn a_content_that_lost_is_kept_once_again_after_its_time() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &[entry("e", "a", "later", json!({ "a": 1 }), 200)]).await;
    let earlier = entry("e", "b", "earlier", json!({}), 100);
    push(&stack, &phone, std::slice::from_ref(&earlier)).await;
    stack.advance(31 * 86_400).await;
    let phone = stack.sign_in_again(&phone).await;
    stack.grant(&phone.user_id, "sync", 30).await;
    push(&stack, &phone, &[earlier]).await;
    assert_eq!(reasons(&stack, &phone, "e").await, [("earlier".to_owned(), "lost".to_owned())]);
}

#[tokio::test]
async fn the_authors_own_ancestor_is_not_in_history() {
    let (stack, phone, _) = two_devices().await;
    for at in 1..=3u64 {
        push(&stack, &phone, &[entry("e", "a", &format!("v{at}"), json!({ "a": at }), 5)]).await;
    }
    assert_eq!(history(&stack, &phone, "e").await, Vec::<Value>::new());
}
