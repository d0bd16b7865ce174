//! The queue that erases: what it must not touch, what it must not leave, what it waits for.

use satchel_store::table::Item;
use satchel_store::{Expr, Table, keys};
use satchel_testkit::{Session, Stack};
use serde_json::{Value, json};

use crate::support::{assert_adds_up, delete_ids, many, pull_all, push, text, two_devices};

/// Hands an order to the consumer as the queue would; whether it took it.
async fn order(stack: &Stack, body: Value) -> bool {
    let event = json!({ "Records": [{ "messageId": "m", "body": body.to_string() }] });
    stack.invoke("sync-on-erase", event).await.unwrap() == json!({ "batchItemFailures": [] })
}

/// Partition and sort key of every row of Ada's space.
async fn left(stack: &Stack) -> Vec<(String, String)> {
    stack.rows("SyncTable").await.iter().map(|row| (text(&row["pk"]), text(&row["sk"]))).collect()
}

async fn erase(stack: &Stack, device: &Session) {
    stack.delete("/sync/data").auth(device).send().await.ok();
}

#[tokio::test]
async fn an_order_from_before_a_restore_spares_the_generation_that_lives_again() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &many(3, 10)).await;
    delete_ids(&stack, &phone, &["e0002"]).await;
    assert!(order(&stack, json!({ "space": phone.user_id, "generation": 0 })).await);
    assert_eq!(pull_all(&stack, &phone).await.entries.len(), 2);
    assert_eq!(crate::support::history(&stack, &phone, "e0002").await.len(), 1);
    assert_adds_up(&stack, &phone).await;
}

#[tokio::test]
async fn an_order_that_comes_again_leaves_the_next_generation() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &many(3, 10)).await;
    erase(&stack, &phone).await;
    push(&stack, &phone, &many(2, 10)).await;
    for generation in [0, 0, 1, 2] {
        assert!(order(&stack, json!({ "space": phone.user_id, "generation": generation })).await);
    }
    assert_eq!(pull_all(&stack, &phone).await.entries.len(), 2);
}

#[tokio::test]
async fn an_erase_waits_for_a_partition_that_has_no_units_left() {
    let (stack, phone, _) = two_devices().await;
    for part in many(36, 40 * 1024).chunks(18) {
        push(&stack, &phone, part).await;
    }
    // A batch of 25 deletions takes 1,000 units: the partition has none for the next two seconds.
    stack.fault(json!({ "service": "dynamodb", "kind": "capacity", "units": 300 }));
    erase(&stack, &phone).await;
    stack.drain().await;
    let pk = format!("S#{}#0", phone.user_id);
    assert_eq!(left(&stack).await.iter().filter(|(of, _)| *of == pk).count(), 0);
    assert_eq!(stack.dead("SyncEraseDeadQueue"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_erase_that_gets_no_answer_is_sent_on_and_done_later() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &many(30, 10)).await;
    erase(&stack, &phone).await;
    stack.drain().await;
    push(&stack, &phone, &many(30, 10)).await;
    stack.fault(json!({ "service": "dynamodb", "operation": "BatchWriteItem", "kind": "hang" }));
    assert!(order(&stack, json!({ "user_id": phone.user_id, "pass": 2 })).await, "it is no failure");
    assert!(left(&stack).await.len() > 30);
    stack.faults().clear();
    stack.advance(60).await;
    stack.drain().await;
    assert_eq!(left(&stack).await, []);
}

#[tokio::test]
async fn the_second_pass_finds_what_came_into_a_later_generation_after_the_first() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &many(3, 10)).await;
    erase(&stack, &phone).await;
    push(&stack, &phone, &many(3, 10)).await;
    stack.drain().await;
    assert!(order(&stack, json!({ "user_id": phone.user_id, "pass": 1 })).await);
    // A request that had read META before the first pass writes after it.
    let key = keys::sync::device(&keys::sync::generation(&phone.user_id, 1), "dev_late");
    let table = Table::new(stack.dynamodb(), stack.table("SyncTable"));
    assert!(table.put_item(&key, Item::new(), Expr::always()).await.unwrap());
    assert!(order(&stack, json!({ "user_id": phone.user_id, "pass": 2 })).await);
    assert_eq!(left(&stack).await, []);
}

#[tokio::test]
async fn the_first_pass_leaves_nothing_but_meta() {
    let (stack, phone, _) = two_devices().await;
    push(&stack, &phone, &many(3, 10)).await;
    erase(&stack, &phone).await;
    push(&stack, &phone, &many(3, 10)).await;
    stack.drain().await;
    assert!(order(&stack, json!({ "user_id": phone.user_id, "pass": 1 })).await);
    assert_eq!(left(&stack).await, [(format!("S#{}", phone.user_id), "META".to_owned())]);
}
