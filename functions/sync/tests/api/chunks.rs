//! Heavy pushes: many chunks, each all or nothing, together one push.

use serde_json::{Value, json};

use crate::support::{assert_adds_up, blob, delete_ids, entry, many, pull_all, push, status, two_devices};

fn all(answer: &Value, status: &str) -> bool {
    answer["results"].as_array().unwrap().iter().all(|result| result["status"] == status)
}

#[tokio::test]
async fn a_thousand_entries_are_pushed_in_one_request() {
    let (stack, phone, laptop) = two_devices().await;
    let pushed = push(&stack, &phone, &many(1_000, 40)).await;
    assert!(all(&pushed, "applied"));
    assert_eq!(pull_all(&stack, &laptop).await.entries.len(), 1_000);
    assert_adds_up(&stack, &phone).await;
}

#[tokio::test]
async fn a_thousand_entries_pushed_again_write_nothing() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &many(1_000, 40)).await;
    let head = status(&stack, &phone).await["head"].clone();
    let again = push(&stack, &phone, &many(1_000, 40)).await;
    assert!(all(&again, "unchanged"));
    assert_eq!(status(&stack, &phone).await["head"], head);
}

#[tokio::test]
async fn entries_of_40_kib_are_pushed_and_500_of_them_deleted_in_one_request() {
    let (stack, phone, laptop) = two_devices().await;
    let entries = many(500, 40 * 1024);
    // 200 of them make 10.9 MB of base64: more than a body holds, so they come in bodies of 75.
    for part in entries.chunks(75) {
        assert!(all(&push(&stack, &phone, part).await, "applied"));
    }
    let ids: Vec<String> = (0..500).map(|at| format!("e{at:04}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let deleted = delete_ids(&stack, &laptop, &ids).await;
    assert!(all(&deleted, "applied"));
    let held = pull_all(&stack, &phone).await;
    assert_eq!((held.entries.len(), held.tombstones.len()), (0, 500));
    assert_eq!(crate::support::history(&stack, &phone, "e0499").await[0]["encrypted_data"], blob(499, 40 * 1024));
    assert_adds_up(&stack, &phone).await;
}

#[tokio::test]
async fn two_hundred_entries_of_15_kib_in_one_request_fill_chunks_by_bytes() {
    let (stack, phone, laptop) = two_devices().await;
    let pushed = push(&stack, &phone, &many(200, 15 * 1024)).await;
    assert!(all(&pushed, "applied"));
    let commits: std::collections::BTreeSet<u64> =
        pushed["results"].as_array().unwrap().iter().map(|result| result["seq"].as_u64().unwrap()).collect();
    assert!((8..=9).contains(&commits.len()), "3 MB in chunks of 400 KB: {commits:?}");
    assert_eq!(pull_all(&stack, &laptop).await.entries.len(), 200);
}

#[tokio::test]
async fn an_id_many_times_in_a_push_goes_through_many_chunks_in_order() {
    let (stack, phone, laptop) = two_devices().await;
    let entries: Vec<Value> = (1..=20).map(|at| entry("e", "a", &format!("v{at}"), json!({ "a": at }), 5)).collect();
    let pushed = push(&stack, &phone, &entries).await;
    assert!(all(&pushed, "applied"));
    let held = pull_all(&stack, &laptop).await;
    assert_eq!(held.entries["e"]["encrypted_data"], "v20");
    assert_eq!(held.entries["e"]["seq"], pushed["results"][19]["seq"]);
}

#[tokio::test]
async fn invalid_entries_between_others_do_not_break_a_chunk() {
    let (stack, phone, laptop) = two_devices().await;
    let entries: Vec<Value> = (0..600)
        .map(|at| {
            entry(&if at % 2 == 0 { format!("e{at}") } else { format!("bad/{at}") }, "a", "x", json!({ "a": 1 }), 5)
        })
        .collect();
    let pushed = push(&stack, &phone, &entries).await;
    assert_eq!(pushed["accepted"].as_array().unwrap().len(), 300);
    assert_eq!(pushed["rejected"].as_array().unwrap().len(), 300);
    assert_eq!(pull_all(&stack, &laptop).await.entries.len(), 300);
}

#[tokio::test]
async fn three_hundred_conflicts_in_one_push_keep_every_loser() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &many(300, 40)).await;
    let theirs: Vec<Value> = (0..300)
        .map(|at| {
            entry(&format!("e{at:04}"), "b", "theirs", json!({ "b": 1 }), if at % 2 == 0 { 1 } else { 1_800_000_000 })
        })
        .collect();
    let pushed = push(&stack, &laptop, &theirs).await;
    assert!(all(&pushed, "conflict"));
    assert_eq!(pushed["accepted"].as_array().unwrap().len(), 150);
    let kept = crate::support::reasons(&stack, &phone, "e0000").await;
    assert_eq!(kept, [("theirs".to_owned(), "lost".to_owned())]);
    let kept = crate::support::reasons(&stack, &phone, "e0299").await;
    assert_eq!(kept, [(blob(299, 40), "lost".to_owned())]);
    assert_adds_up(&stack, &phone).await;
}
