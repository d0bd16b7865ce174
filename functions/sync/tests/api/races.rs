//! Many devices at once: no write is lost, one chain, one META.

use std::collections::BTreeSet;

use satchel_testkit::{Session, Stack};
use serde_json::{Value, json};

use crate::support::{
    Held, assert_adds_up, delete_ids, entry, pull, pull_all, pull_on, push, reasons, status, text, try_push,
    two_devices,
};

async fn join<T: Send + 'static>(tasks: Vec<impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    all
}

async fn devices(stack: &Stack, count: usize) -> Vec<Session> {
    let mut devices = Vec::new();
    for _ in 0..count {
        devices.push(stack.sign_in("ada").await);
    }
    devices
}

/// The commits of Ada's space, in order: (seq, the one before).
async fn chain(stack: &Stack) -> Vec<(u64, u64)> {
    let rows = stack.rows("SyncTable").await.into_iter();
    let mut chain: Vec<(u64, u64)> = rows
        .filter_map(|row| {
            let seq = text(&row["sk"]).strip_prefix("C#")?.parse().ok()?;
            Some((seq, row["p"].as_u64()?))
        })
        .collect();
    chain.sort_unstable();
    chain
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_pushes_of_many_devices_lose_no_write_and_make_one_chain() {
    let (stack, phone, _) = two_devices().await;
    let pushes = devices(&stack, 8).await.into_iter().enumerate().map(|(number, device)| {
        let stack = stack.clone();
        async move {
            for round in 0..4 {
                let entries: Vec<Value> = (0..5)
                    .map(|at| entry(&format!("d{number}r{round}e{at}"), "a", "x", json!({ "a": 1 }), 5))
                    .collect();
                push(&stack, &device, &entries).await;
            }
        }
    });
    join(pushes.collect()).await;
    assert_eq!(pull_all(&stack, &phone).await.entries.len(), 160);
    let chain = chain(&stack).await;
    assert_eq!(chain.len(), 32);
    assert!(chain.windows(2).all(|pair| pair[1].1 == pair[0].0), "{chain:?}");
    assert_adds_up(&stack, &phone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_edits_of_one_entry_keep_every_content() {
    let (stack, phone, _) = two_devices().await;
    let pushes = devices(&stack, 8).await.into_iter().enumerate().map(|(number, device)| {
        let stack = stack.clone();
        async move {
            let mine = entry("e", "a", &format!("v{number}"), json!({ format!("k{number}"): 1 }), 100 + number as i64);
            push(&stack, &device, &[mine]).await
        }
    });
    join(pushes.collect()).await;
    let stored = pull_all(&stack, &phone).await.entries["e"].clone();
    assert_eq!(stored["encrypted_data"], "v7", "the latest");
    assert_eq!(stored["vector_clock"].as_object().unwrap().len(), 8);
    let lost: BTreeSet<String> = reasons(&stack, &phone, "e").await.into_iter().map(|(data, _)| data).collect();
    assert_eq!(lost.len(), 7);
    assert_adds_up(&stack, &phone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_beside_writers_holds_in_the_end_what_is_there() {
    let (stack, phone, laptop) = two_devices().await;
    let writers = devices(&stack, 4).await.into_iter().enumerate().map(|(number, device)| {
        let stack = stack.clone();
        async move {
            for round in 1..=6u64 {
                let clock = json!({ format!("k{number}"): round });
                let entries: Vec<Value> = (0..10)
                    .map(|at| entry(&format!("e{at}"), "a", &format!("{number}.{round}"), clock.clone(), 5))
                    .collect();
                push(&stack, &device, &entries).await;
                if round == 3 {
                    delete_ids(&stack, &device, &["e1", "e2"]).await;
                }
            }
        }
    });
    let reader = {
        let stack = stack.clone();
        tokio::spawn(async move {
            let mut held = Held::default();
            let mut from = json!({});
            for _ in 0..12 {
                pull_on(&stack, &laptop, &mut held, from, 7).await;
                from = json!({ "cursor": held.cursor });
            }
            (held, laptop)
        })
    };
    join(writers.collect()).await;
    let (mut held, laptop) = reader.await.unwrap();
    let from = json!({ "cursor": held.cursor });
    pull_on(&stack, &laptop, &mut held, from, 1_000).await;
    let now = pull_all(&stack, &phone).await;
    assert_eq!((held.entries, held.tombstones), (now.entries, now.tombstones));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_make_meta_at_once_make_one() {
    let (stack, _, _) = two_devices().await;
    let calls = devices(&stack, 6).await.into_iter().enumerate().map(|(number, device)| {
        let stack = stack.clone();
        async move {
            if number % 2 == 0 {
                text(&pull(&stack, &device, json!({})).await["cursor"]);
            } else {
                push(&stack, &device, &[entry(&format!("e{number}"), "a", "x", json!({ "a": 1 }), 5)]).await;
            }
            device
        }
    });
    let devices = join(calls.collect()).await;
    let held = pull_all(&stack, &devices[0]).await;
    assert_eq!(held.ids(), ["e1", "e3", "e5"]);
    assert_eq!(status(&stack, &devices[0]).await["entry_count"], 3);
    let page = pull(&stack, &devices[1], json!({ "cursor": held.cursor })).await;
    assert_eq!(page["complete"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erase_beside_pushes_leaves_a_space_that_adds_up() {
    let (stack, phone, laptop) = two_devices().await;
    push(&stack, &phone, &crate::support::many(100, 10)).await;
    let pushing = {
        let (stack, laptop) = (stack.clone(), laptop.clone());
        tokio::spawn(async move {
            for at in 0..10 {
                let entries = [entry(&format!("n{at}"), "a", "x", json!({ "a": 1 }), 5)];
                let answer = try_push(&stack, &laptop, json!({ "entries": entries })).await;
                assert!([200, 503].contains(&answer.status), "{answer}");
            }
        })
    };
    stack.delete("/sync/data").auth(&phone).send().await.ok();
    pushing.await.unwrap();
    stack.drain().await;
    assert_adds_up(&stack, &phone).await;
    let held = pull_all(&stack, &phone).await;
    assert!(held.ids().iter().all(|id| id.starts_with('n')), "{:?}", held.ids());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_push_at_once_is_one() {
    let (stack, phone, _) = two_devices().await;
    let calls = (0..6).map(|_| {
        let (stack, phone) = (stack.clone(), phone.clone());
        async move { push(&stack, &phone, &crate::support::many(120, 10)).await }
    });
    for answer in join(calls.collect()).await {
        assert_eq!(answer["accepted"].as_array().unwrap().len(), 120, "{}", answer["results"]);
    }
    assert_eq!(chain(&stack).await.len(), 2);
    assert_adds_up(&stack, &phone).await;
}
