//! The mapping of a queue to a function.

use std::time::Duration;

use crate::support::{batches, drain, lying, seen, send, start};
use serde_json::json;

#[tokio::test]
async fn messages_reach_the_function_in_batches_and_are_deleted() {
    let local = start().await;
    for n in 0..5 {
        send(&local, json!({ "n": n }));
    }
    assert!(drain(&local).await.is_empty());
    assert_eq!(seen(&local), [0, 1, 2, 3, 4]);
    assert!(lying(&local, "Queue").is_empty());
}

#[tokio::test]
async fn a_failed_message_comes_again_alone_after_its_visibility_timeout_and_ends_in_the_dead_letter_queue() {
    let local = start().await;
    send(&local, json!({ "n": 1 }));
    send(&local, json!({ "n": 2, "do": "fail" }));
    send(&local, json!({ "n": 3 }));
    assert_eq!(drain(&local).await.values().sum::<u64>(), 1);
    assert_eq!(seen(&local), [1, 2, 3]);

    local.advance(Duration::from_secs(29)).unwrap();
    drain(&local).await;
    assert_eq!(seen(&local), [1, 2, 3], "not before the visibility timeout");
    local.advance(Duration::from_secs(1)).unwrap();
    drain(&local).await;
    assert_eq!(seen(&local), [1, 2, 3, 2]);

    for _ in 0..2 {
        local.advance(Duration::from_secs(30)).unwrap();
        drain(&local).await;
    }
    assert_eq!(seen(&local), [1, 2, 3, 2, 2], "received three times and no more");
    assert_eq!(lying(&local, "Dead"), [json!({ "n": 2, "do": "fail" })]);
    assert!(drain(&local).await.is_empty());
}

#[tokio::test]
async fn an_error_and_a_panic_fail_the_whole_batch_and_nothing_else() {
    for how in ["throw", "panic"] {
        let local = start().await;
        send(&local, json!({ "n": 1, "do": how }));
        send(&local, json!({ "n": 2 }));
        assert_eq!(drain(&local).await.values().sum::<u64>(), 2, "{how}");
        send(&local, json!({ "n": 3 }));
        drain(&local).await;
        assert_eq!(seen(&local).last(), Some(&3), "{how}: the mapping goes on");
        assert_eq!(lying(&local, "Queue").len(), 2, "{how}");
    }
}

#[tokio::test]
async fn what_the_filter_does_not_want_is_deleted_unseen() {
    let local = start().await;
    send(&local, json!({ "other": 1 }));
    send(&local, json!({ "n": 1 }));
    assert!(drain(&local).await.is_empty());
    assert_eq!((seen(&local), batches(&local)), (vec![1], vec![1]));
}

#[tokio::test]
async fn a_delayed_message_is_not_pending_until_it_is_due() {
    let local = start().await;
    local.services().sqs().send(&crate::support::queue(&local, "Queue"), "{\"n\": 1}", Some(60)).unwrap();
    assert!(drain(&local).await.is_empty());
    assert!(seen(&local).is_empty());
    local.advance(Duration::from_secs(60)).unwrap();
    assert!(drain(&local).await.is_empty());
    assert_eq!(seen(&local), [1]);
}
