//! The mapping of a table's stream to a function.

use std::time::Duration;

use crate::support::{drain, lying, put, seen, start, start_at};
use serde_json::json;

#[tokio::test]
async fn changes_reach_the_function_in_order_and_only_the_wanted_ones() {
    let local = start().await;
    for n in 0..20 {
        put(&local, &format!("E#{n}"), json!({ "n": n })).await;
        put(&local, &format!("X#{n}"), json!({ "n": -n })).await;
    }
    assert!(drain(&local).await.is_empty());
    assert_eq!(seen(&local), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_poison_record_is_tried_a_few_times_told_of_and_stepped_over() {
    for how in ["throw", "panic", "fail"] {
        let local = start().await;
        for n in 0..8 {
            put(&local, &format!("E#{n}"), json!({ "n": n, "do": if n == 5 { how } else { "ok" } })).await;
        }
        assert!(drain(&local).await.is_empty(), "{how}");
        let seen = seen(&local);
        let tries = |n| seen.iter().filter(|seen| **seen == n).count();
        for n in [0, 1, 2, 3, 4, 6, 7] {
            assert!(tries(n) >= 1, "{how}: {n} was not handled: {seen:?}");
        }
        let alone = seen.iter().rev().skip_while(|seen| **seen != 5).take_while(|seen| **seen == 5).count();
        assert!(alone >= 4, "{how}: once and three times more, alone: {seen:?}");
        assert_eq!(seen.last(), Some(&7), "{how}: what comes after it is handled last");

        let told = lying(&local, "Failed");
        assert_eq!(told.len(), 1, "{how}: {told:?}");
        assert_eq!(told[0]["requestContext"]["condition"], "RetryAttemptsExhausted");
        assert_eq!(told[0]["DDBStreamBatchInfo"]["batchSize"], 1);
        assert_eq!(
            told[0]["DDBStreamBatchInfo"]["startSequenceNumber"],
            told[0]["DDBStreamBatchInfo"]["endSequenceNumber"]
        );
    }
}

#[tokio::test]
async fn a_record_past_its_age_is_given_up_untried() {
    let local = start().await;
    local.stop().await;
    put(&local, "E#1", json!({ "n": 1 })).await;
    local.advance(Duration::from_secs(3_601)).unwrap();
    put(&local, "E#2", json!({ "n": 2 })).await;
    local.resume();
    assert!(drain(&local).await.is_empty());
    assert_eq!(seen(&local), [2]);
    let told = lying(&local, "Failed");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["requestContext"]["condition"], "RecordAgeExceeded");
}

#[tokio::test]
async fn a_restart_goes_on_where_the_last_one_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let local = start_at(folder.path().to_owned()).await;
    put(&local, "E#1", json!({ "n": 1 })).await;
    drain(&local).await;
    assert_eq!(seen(&local), [1]);
    local.stop().await;
    put(&local, "E#2", json!({ "n": 2 })).await;
    crate::support::send(&local, json!({ "n": 3 }));
    drop(local);

    let local = start_at(folder.path().to_owned()).await;
    assert!(drain(&local).await.is_empty());
    let mut handled = seen(&local);
    handled.sort_unstable();
    assert_eq!(handled, [2, 3], "the first record is not delivered again, the others are not lost");
}
