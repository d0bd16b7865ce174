//! DynamoDB throttles, times out, errs, tears transactions apart, has a thousand units a second.

use std::collections::BTreeMap;

use satchel_testkit::{Session, Stack};
use serde_json::{Value, json};

use crate::support::{Held, assert_adds_up, entry, many, pull_all, text, try_pull, try_push, two_devices};

/// Pushes until it is taken; every refusal is a 503 that says when to come again.
async fn push_through(stack: &Stack, device: &Session, entries: &[Value]) -> Value {
    for _ in 0..40 {
        let answer = try_push(stack, device, json!({ "entries": entries })).await;
        if answer.status == 200 {
            return answer.ok();
        }
        answer.refused(503, "unavailable");
        assert!(answer.header("retry-after").is_some(), "{answer}");
    }
    panic!("a push never goes through");
}

/// Pulls on from where it stands until there is no more, whatever goes wrong in between.
async fn pull_through(stack: &Stack, device: &Session, held: &mut Held, limit: usize) {
    for _ in 0..2_000 {
        let mut body = json!({ "limit": limit });
        if !held.cursor.is_empty() {
            body["cursor"] = json!(held.cursor);
        }
        let answer = try_pull(stack, device, body).await;
        if answer.status == 503 {
            assert!(answer.header("retry-after").is_some(), "{answer}");
            continue;
        }
        let page = answer.ok();
        held.take(&page);
        if page["has_more"] == false {
            return;
        }
    }
    panic!("a pull never ends");
}

/// What commits wrote: for each entry the seq of the last commit that names it.
async fn last_commits(stack: &Stack) -> BTreeMap<String, u64> {
    let mut last = BTreeMap::new();
    for row in stack.rows("SyncTable").await {
        let Some(seq) = text(&row["sk"]).strip_prefix("C#").map(|seq| seq.parse::<u64>().unwrap()) else { continue };
        for word in text(&row["i"]).split(' ') {
            let newest = last.entry(word[1..].to_owned()).or_insert(0);
            *newest = seq.max(*newest);
        }
    }
    last
}

async fn with_faults_at_ten_percent(kind: &str) {
    let (stack, phone, laptop) = two_devices().await;
    stack.fault(json!({ "service": "dynamodb", "kind": kind, "probability": 0.1, "seed": 7 }));
    let mut held = Held::default();
    for round in 1..=6u64 {
        let entries: Vec<Value> = (0..130)
            .map(|at| entry(&format!("e{at:03}"), "a", &format!("v{round}"), json!({ "a": round }), 5))
            .collect();
        let answer = push_through(&stack, &phone, &entries).await;
        assert_eq!(answer["accepted"].as_array().unwrap().len(), 130, "{}", answer["results"]);
        pull_through(&stack, &laptop, &mut held, 50).await;
    }
    stack.faults().clear();
    // No chunk is half done: every entry was written by the last commit that names it, and the totals agree.
    let commits = last_commits(&stack).await;
    let now = pull_all(&stack, &phone).await;
    for (id, entry) in &now.entries {
        assert_eq!((&entry["encrypted_data"], entry["seq"].as_u64()), (&json!("v6"), Some(commits[id])), "{id}");
    }
    assert_eq!((now.entries.len(), held.entries), (130, now.entries));
    assert_adds_up(&stack, &phone).await;
}

#[tokio::test]
async fn throttles_leave_pushes_whole_and_pulls_complete() {
    with_faults_at_ten_percent("throttle").await;
}

#[tokio::test]
async fn timeouts_leave_pushes_whole_and_pulls_complete() {
    with_faults_at_ten_percent("timeout").await;
}

#[tokio::test]
async fn errors_leave_pushes_whole_and_pulls_complete() {
    with_faults_at_ten_percent("error").await;
}

#[tokio::test]
async fn conflicts_under_faults_lose_no_acknowledged_content() {
    let (stack, phone, laptop) = two_devices().await;
    for (at, kind) in ["throttle", "timeout", "error"].into_iter().enumerate() {
        stack.fault(json!({ "service": "dynamodb", "kind": kind, "probability": 0.05, "seed": at }));
    }
    for round in 1..=10u64 {
        let (device, key) = if round % 2 == 0 { (&phone, "a") } else { (&laptop, "b") };
        let time = if round % 3 == 0 { 1 } else { round as i64 };
        push_through(
            &stack,
            device,
            &[entry("e", key, &format!("v{round}"), json!({ format!("{key}{round}"): 1 }), time)],
        )
        .await;
    }
    stack.faults().clear();
    let stored = pull_all(&stack, &phone).await.entries["e"].clone();
    let kept: Vec<String> =
        crate::support::reasons(&stack, &phone, "e").await.into_iter().map(|(data, _)| data).collect();
    for round in 1..=10 {
        let data = format!("v{round}");
        assert!(stored["encrypted_data"] == json!(data) || kept.contains(&data), "{data} is lost: {kept:?}");
    }
    assert_adds_up(&stack, &phone).await;
}

#[tokio::test]
async fn a_store_that_is_down_is_503_and_changes_nothing() {
    let (stack, phone, _) = two_devices().await;
    stack.fault(json!({ "service": "dynamodb", "operation": "TransactWriteItems", "kind": "throttle" }));
    let answer = try_push(&stack, &phone, json!({ "entries": [entry("e", "a", "x", json!({ "a": 1 }), 5)] })).await;
    answer.refused(503, "unavailable");
    assert!(answer.header("retry-after").is_some());
    stack.faults().clear();
    assert_eq!(pull_all(&stack, &phone).await.entries.len(), 0);
}

#[tokio::test]
async fn a_transaction_whose_answer_was_lost_is_written_once() {
    for seed in 0..6 {
        let (stack, phone, _) = two_devices().await;
        stack.fault(json!({
            "service": "dynamodb", "operation": "TransactWriteItems", "kind": "timeout", "count": 2, "seed": seed,
        }));
        let pushed = push_through(&stack, &phone, &many(3, 10)).await;
        assert_eq!(pushed["accepted"].as_array().unwrap().len(), 3);
        let commits = stack.rows("SyncTable").await.iter().filter(|row| text(&row["sk"]).starts_with("C#")).count();
        assert_eq!(commits, 1);
        assert_adds_up(&stack, &phone).await;
    }
}

/// Writers and a reader beside each other; the reader checks that no pull skips an item.
async fn writers_and_reader(stack: Stack, writers: usize, rounds: u64, entries: usize) {
    let mut tasks = Vec::new();
    for number in 0..writers {
        let (stack, device) = (stack.clone(), stack.sign_in("ada").await);
        tasks.push(tokio::spawn(async move {
            for round in 1..=rounds {
                let clock = json!({ format!("k{number}"): round });
                let batch: Vec<Value> = (0..entries)
                    .map(|at| {
                        entry(
                            &format!("e{:03}", (at + number * entries / 2) % 200),
                            "a",
                            &format!("{number}.{round}"),
                            clock.clone(),
                            round as i64,
                        )
                    })
                    .collect();
                push_through(&stack, &device, &batch).await;
            }
        }));
    }
    let reader = stack.sign_in("ada").await;
    let mut held = Held::default();
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        pull_through(&stack, &reader, &mut held, 40).await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    pull_through(&stack, &reader, &mut held, 40).await;
    stack.faults().clear();
    let now = pull_all(&stack, &reader).await;
    assert_eq!((held.entries, held.tombstones), (now.entries, now.tombstones));
    assert_adds_up(&stack, &reader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torn_transactions_make_no_pull_skip_an_item() {
    let (stack, _, _) = two_devices().await;
    stack.fault(json!({ "service": "dynamodb", "kind": "torn", "probability": 1.0, "seed": 3 }));
    writers_and_reader(stack, 3, 8, 30).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torn_transactions_under_throttling_make_no_pull_skip_an_item() {
    let (stack, _, _) = two_devices().await;
    stack.fault(json!({ "service": "dynamodb", "kind": "torn", "probability": 0.7, "seed": 5 }));
    stack.fault(json!({ "service": "dynamodb", "kind": "throttle", "probability": 0.05, "seed": 6 }));
    writers_and_reader(stack, 3, 6, 30).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_units_a_second_slow_writers_down_and_lose_nothing() {
    let (stack, _, _) = two_devices().await;
    stack.fault(json!({ "service": "dynamodb", "kind": "capacity", "units": 1_000 }));
    writers_and_reader(stack, 2, 4, 90).await;
}

#[tokio::test]
async fn a_push_of_3_mb_goes_through_at_a_thousand_units_a_second() {
    let (stack, phone, laptop) = two_devices().await;
    stack.fault(json!({ "service": "dynamodb", "kind": "capacity", "units": 1_000 }));
    let entries = many(10, 262_144);
    push_through(&stack, &phone, &entries).await;
    stack.faults().clear();
    assert_eq!(pull_all(&stack, &laptop).await.entries.len(), 10);
}
