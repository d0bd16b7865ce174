//! Requests that take long, on a clock that runs by itself whenever everybody waits.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Held, entry, many, pull, pull_on, push, status, try_push, two_devices};

/// Two devices, and nobody else at work: what a fault meets is the test's own.
async fn quiet() -> (satchel_testkit::Stack, satchel_testkit::Session, satchel_testkit::Session) {
    let (stack, phone, laptop) = two_devices().await;
    stack.drain().await;
    (stack, phone, laptop)
}

#[tokio::test(start_paused = true)]
async fn a_chunk_whose_write_hangs_is_given_up_in_its_five_seconds() {
    let (stack, phone, _) = quiet().await;
    stack.fault(json!({ "service": "dynamodb", "operation": "TransactWriteItems", "kind": "hang" }));
    let begun = Instant::now();
    try_push(&stack, &phone, json!({ "entries": many(3, 10) })).await.refused(503, "unavailable");
    assert!(begun.elapsed() <= Duration::from_secs(6), "{:?}", begun.elapsed());
    stack.faults().clear();
    assert_eq!(push(&stack, &phone, &many(3, 10)).await["accepted"].as_array().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_whose_reads_hang_is_given_up_in_its_five_seconds() {
    let (stack, phone, _) = quiet().await;
    push(&stack, &phone, &many(3, 10)).await;
    // The first read is the space's, before any chunk.
    stack.fault(json!({ "service": "dynamodb", "operation": "BatchGetItem", "kind": "hang", "skip": 1 }));
    let begun = Instant::now();
    try_push(&stack, &phone, json!({ "entries": many(3, 10) })).await.refused(503, "unavailable");
    assert!(begun.elapsed() <= Duration::from_secs(6), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_slow_push_does_not_raise_a_device_that_began_anew_meanwhile() {
    let (stack, phone, _) = quiet().await;
    push(&stack, &phone, &many(3, 10)).await;
    stack.fault(json!({ "service": "dynamodb", "operation": "TransactWriteItems", "kind": "hang", "count": 1 }));
    let slow = {
        let (stack, phone) = (stack.clone(), phone.clone());
        tokio::spawn(async move { push(&stack, &phone, &[entry("slow", "a", "x", json!({ "a": 1 }), 5)]).await })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The device was wiped: it holds nothing, and what the slow push brings is not in this page.
    let page = pull(&stack, &phone, json!({ "last_sync_at": null })).await;
    assert_eq!(page["entries"].as_array().unwrap().len(), 3);
    let answer = slow.await.unwrap();
    assert_eq!(answer["accepted"], json!(["slow"]));
    assert_eq!(answer["server_timestamp"], 0, "the lower of both");
    assert_eq!(status(&stack, &phone).await["last_sync_at"], 0);
    let next = push(&stack, &phone, &[entry("next", "a", "x", json!({ "a": 1 }), 5)]).await;
    let page = pull(&stack, &phone, json!({ "last_sync_at": next["server_timestamp"] })).await;
    assert!(page["entries"].as_array().unwrap().iter().any(|entry| entry["id"] == "slow"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_began_anew_is_remembered_though_a_push_came_first() {
    let (stack, phone, _) = quiet().await;
    push(&stack, &phone, &many(3, 10)).await;
    stack.advance(60).await;
    // The walk's only query hangs, so that the pull has read where the device stands and not yet written it.
    stack.fault(json!({ "service": "dynamodb", "operation": "Query", "kind": "hang", "count": 1 }));
    let slow = {
        let (stack, phone) = (stack.clone(), phone.clone());
        tokio::spawn(async move { pull(&stack, &phone, json!({ "last_sync_at": null })).await })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    push(&stack, &phone, &[entry("between", "a", "x", json!({ "a": 1 }), 5)]).await;
    slow.await.unwrap();
    assert_eq!(status(&stack, &phone).await["last_sync_at"], 0);
}

/// 350 commits, each of which writes the same entry.
async fn grown() -> (satchel_testkit::Stack, satchel_testkit::Session, satchel_testkit::Session, String) {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &many(1, 10)).await;
    let mut held = Held::default();
    pull_on(&stack, &laptop, &mut held, json!({}), 1_000).await;
    let versions: Vec<Value> = (1..=350).map(|at| entry("e", "a", &format!("v{at}"), json!({ "a": at }), 5)).collect();
    push(&stack, &phone, &versions).await;
    (stack, phone, laptop, held.cursor)
}

#[tokio::test(start_paused = true)]
async fn a_delta_that_takes_long_ends_its_page_with_the_cursor_moved() {
    let (stack, _, laptop, cursor) = grown().await;
    // Two tries of a query, then two of the next but one, three seconds each.
    for skip in [1, 2] {
        stack.fault(json!({ "service": "dynamodb", "operation": "Query", "kind": "hang", "skip": skip, "count": 2 }));
    }
    let begun = Instant::now();
    let page = pull(&stack, &laptop, json!({ "cursor": cursor })).await;
    assert!(begun.elapsed() <= Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!((&page["entries"], &page["has_more"], &page["complete"]), (&json!([]), &json!(true), &json!(false)));
    assert_ne!(page["cursor"], json!(cursor));
    let mut held = Held::default();
    pull_on(&stack, &laptop, &mut held, json!({ "cursor": page["cursor"] }), 1_000).await;
    assert_eq!(held.entries["e"]["encrypted_data"], "v350");
}

#[tokio::test]
async fn superseded_commits_cost_few_reads() {
    let (stack, _, laptop, cursor) = grown().await;
    stack.counters().reset();
    let page = pull(&stack, &laptop, json!({ "cursor": cursor })).await;
    assert_eq!(page["entries"][0]["encrypted_data"], "v350");
    let calls: u64 = stack.counters().snapshot().values().map(|count| count.calls).sum();
    assert!(calls <= 20, "{calls} calls for 350 commits");
}
