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

/// Entries without clock that lose to what is stored, `bytes` each.
fn losers(count: usize, bytes: usize) -> Vec<Value> {
    (0..count).map(|at| entry(&format!("e{at:04}"), "b", &blob(at + 5_000, bytes), json!({}), 1)).collect()
}

async fn losers_pushed_twice_are_kept_once(count: usize, bytes: usize) {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &many(count, 10)).await;
    for _ in 0..2 {
        for part in losers(count, bytes).chunks(11.max(4_000_000 / (bytes * 2))) {
            let pushed = push(&stack, &laptop, part).await;
            assert!(all(&pushed, "conflict"), "{pushed}");
        }
    }
    for at in [0, count - 1] {
        let kept = crate::support::reasons(&stack, &phone, &format!("e{at:04}")).await;
        assert_eq!(kept, [(blob(at + 5_000, bytes), "lost".to_owned())]);
    }
}

#[tokio::test]
async fn sixty_losers_without_clock_pushed_twice_are_kept_once() {
    losers_pushed_twice_are_kept_once(60, 40).await;
}

#[tokio::test]
async fn two_large_losers_without_clock_pushed_twice_are_kept_once() {
    losers_pushed_twice_are_kept_once(2, 200 * 1024).await;
}

#[tokio::test]
async fn sixty_contents_with_a_used_clock_pushed_twice_are_kept_once() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &many(60, 10)).await;
    let reused: Vec<Value> =
        (0..60).map(|at| entry(&format!("e{at:04}"), "a", "cloned", json!({ "a": 1 }), 5)).collect();
    for _ in 0..2 {
        assert!(all(&push(&stack, &laptop, &reused).await, "clock_reuse"));
    }
    let kept = crate::support::reasons(&stack, &phone, "e0059").await;
    assert_eq!(kept, [("cloned".to_owned(), "clock_reuse".to_owned())]);
}

#[tokio::test]
async fn a_chunk_with_the_longest_ids_writes_at_most_400_kib() {
    let (stack, phone, _) = two_devices().await;
    let entries: Vec<Value> =
        (0..95).map(|at| entry(&format!("{at:0>128}"), "a", &blob(at, 3_950), json!({ "a": 1 }), 5)).collect();
    assert!(all(&push(&stack, &phone, &entries).await, "applied"));
    let table = satchel_store::Table::new(stack.dynamodb(), stack.table("SyncTable"));
    let space = satchel_store::keys::sync::generation(&phone.user_id, 0);
    let rows = table.query_items(satchel_store::table::Range::of(space)).await.unwrap().rows;
    let mut commits = std::collections::BTreeMap::new();
    for row in rows {
        let of = |name: &str| row.get(name).and_then(|value| value.as_n().or_else(|_| value.as_s()).ok()).cloned();
        let sk = of("sk").unwrap();
        let seq = sk.strip_prefix("C#").map(|seq| seq.trim_start_matches('0').to_owned());
        let seq = seq.or_else(|| of("seq").filter(|_| sk.starts_with("E#")));
        if let Some(seq) = seq {
            *commits.entry(seq).or_insert(0) += satchel_store::sync::size(&row);
        }
    }
    let largest = commits.values().max().unwrap();
    assert!((350 * 1024..=400 * 1024).contains(largest), "{commits:?}");
}
