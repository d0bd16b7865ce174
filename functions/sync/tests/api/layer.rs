//! One fault layer with everything at once: transactions that show item by item, random throttles, and a thousand write
//! units a second for one partition key.

use std::collections::BTreeMap;

use satchel_testkit::{Session, Stack};
use serde_json::{Value, json};

use crate::support::{
    Held, assert_adds_up, blob, delete_ids, entry, many, pull_all, push, text, try_pull, try_push, two_devices,
};

/// Torn, throttled at random, a thousand units a second.
fn trouble(stack: &Stack) {
    for fault in [
        json!({ "service": "dynamodb", "kind": "torn", "probability": 0.7, "seed": 11 }),
        json!({ "service": "dynamodb", "kind": "throttle", "probability": 0.05, "seed": 12 }),
        json!({ "service": "dynamodb", "kind": "capacity", "units": 1_000 }),
    ] {
        stack.fault(fault);
    }
}

/// Pushes until it is taken; every refusal is a 503.
async fn push_through(stack: &Stack, device: &Session, entries: &[Value]) {
    for _ in 0..60 {
        let answer = try_push(stack, device, json!({ "entries": entries })).await;
        if answer.status == 200 {
            let accepted = answer.ok()["accepted"].as_array().unwrap().len();
            assert_eq!(accepted, entries.len());
            return;
        }
        answer.refused(503, "unavailable");
    }
    panic!("a push never goes through");
}

/// What a reader was told: by entry the newest commit.
#[derive(Default)]
struct Reader {
    held: Held,
    newest: BTreeMap<String, u64>,
}

impl Reader {
    /// Pulls to the head; no page names an id twice, and none goes back.
    async fn pull(&mut self, stack: &Stack, device: &Session) {
        for _ in 0..2_000 {
            let mut body = json!({ "limit": 40 });
            if !self.held.cursor.is_empty() {
                body["cursor"] = json!(self.held.cursor);
            }
            let answer = try_pull(stack, device, body).await;
            if answer.status == 503 {
                answer.refused(503, "unavailable");
                continue;
            }
            let page = answer.ok();
            let mut ids: Vec<String> = Vec::new();
            for item in ["entries", "tombstones"].iter().flat_map(|list| page[*list].as_array().unwrap()) {
                let (id, seq) = (text(&item["id"]), item["seq"].as_u64().unwrap());
                let newest = self.newest.entry(id.clone()).or_insert(0);
                assert!(*newest <= seq, "{id} goes back from {newest} to {seq}");
                *newest = seq;
                assert!(!ids.contains(&id), "{id} stands twice on {page}");
                ids.push(id);
            }
            self.held.take(&page);
            if page["has_more"] == false {
                return;
            }
        }
        panic!("a pull never ends");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_pull_skips_an_item_while_all_goes_wrong_at_once() {
    let (stack, phone, _) = two_devices().await;
    trouble(&stack);
    let mut tasks = Vec::new();
    for number in 0..2usize {
        let (stack, device) = (stack.clone(), stack.sign_in("ada").await);
        tasks.push(tokio::spawn(async move {
            for round in 1..=3u64 {
                let batch: Vec<Value> = (0..60usize)
                    .map(|at| {
                        // Half of the entries are the other writer's too, and some are large, so that units run out.
                        let id = format!("e{:03}", at + number * 30);
                        let size = if at % 10 == 0 { 20_000 } else { 200 };
                        let data = blob(number * 10 + round as usize, size);
                        let clock = json!({ format!("k{number}"): round });
                        entry(&id, "a", &data, clock, i64::try_from(round).unwrap() * 2 + number as i64)
                    })
                    .collect();
                push_each(&stack, &device, &batch).await;
            }
        }));
    }
    let mut reader = Reader::default();
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        reader.pull(&stack, &phone).await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    reader.pull(&stack, &phone).await;
    stack.faults().clear();
    let now = pull_all(&stack, &phone).await;
    assert_eq!(now.entries.len(), 90);
    assert_eq!((reader.held.entries, reader.held.tombstones), (now.entries, now.tombstones));
    assert_adds_up(&stack, &phone).await;
}

/// Pushes until it is taken, whoever wins a conflict.
async fn push_each(stack: &Stack, device: &Session, entries: &[Value]) {
    for _ in 0..60 {
        let answer = try_push(stack, device, json!({ "entries": entries })).await;
        if answer.status == 200 {
            let answer = answer.ok();
            assert_eq!(answer["rejected"], json!([]), "{answer}");
            return;
        }
        answer.refused(503, "unavailable");
    }
    panic!("a push never goes through");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erase_ends_while_all_goes_wrong_at_once() {
    let (stack, phone, laptop) = two_devices().await;
    // Two batches of deletions whose first alone costs more than two seconds of units, and a history.
    for part in many(60, 100_000).chunks(20) {
        push(&stack, &phone, part).await;
    }
    push(&stack, &laptop, &[entry("e0001", "b", "y", json!({ "b": 1 }), 9_000_000_000)]).await;
    delete_ids(&stack, &phone, &["e0002"]).await;
    trouble(&stack);
    let mut erased = false;
    for _ in 0..20 {
        let answer = stack.delete("/sync/data").auth(&phone).send().await;
        if answer.status == 200 {
            erased = true;
            break;
        }
        answer.refused(503, "unavailable");
    }
    assert!(erased, "an erase is never taken");
    push_through(&stack, &laptop, &[entry("new", "b", "z", json!({ "b": 1 }), 5)]).await;

    // What waits for the clock is brought here by it; a message that fails for good would be in the dead-letter queue.
    let space = format!("S#{}", phone.user_id);
    let is_old = |row: &Value| {
        let pk = text(&row["pk"]);
        pk == format!("{space}#0") || pk.starts_with(&format!("H#{}#0#", phone.user_id))
    };
    let mut left = usize::MAX;
    for _ in 0..40 {
        stack.settle().await;
        left = stack.rows("SyncTable").await.iter().filter(|row| is_old(row)).count();
        if left == 0 {
            break;
        }
        stack.advance(60).await;
    }
    assert_eq!(left, 0, "rows of before the erase are left");
    assert_eq!(stack.dead("SyncEraseDeadQueue"), Vec::<String>::new());
    stack.faults().clear();
    let held = pull_all(&stack, &laptop).await;
    assert_eq!(held.ids(), ["new"]);
    assert_adds_up(&stack, &laptop).await;
}
