//! What keeps a stack from starting, and what every stack begins with.

use std::time::Duration;

use http::Method;
use satchel_local::{Local, LocalClock, LocalOptions, registry};
use serde_json::Value;

use crate::support::{control, options, start, start_at};

#[tokio::test]
async fn functions_and_blocks_that_do_not_meet_are_all_named() {
    let mut wrong = options();
    wrong.functions.retain(|function| function.name != "worker");
    wrong.functions.push(satchel_inbound::Function { name: "unheard-of", ..wrong.functions[0] });
    let complaints = Local::start(wrong).await.unwrap_err().to_string();
    assert!(complaints.contains("no function `worker`"), "{complaints}");
    assert!(complaints.contains("`unheard-of` has no block"), "{complaints}");
}

#[tokio::test]
async fn a_setting_that_cannot_be_read_is_named_with_its_function() {
    let params = [("TokenKeys".to_owned(), "not a JWKS".to_owned())].into();
    let complaints = Local::start(LocalOptions { params, ..LocalOptions::default() }).await.unwrap_err().to_string();
    for function in ["sync:", "devices:", "payments:"] {
        assert!(complaints.contains(function) && complaints.contains("TOKEN_KEYS"), "{complaints}");
    }
}

#[tokio::test]
async fn every_function_of_the_repository_runs_in_the_stack() {
    let local = Local::start(LocalOptions::default()).await.unwrap();
    for function in registry::all() {
        assert!(local.function(function.name).is_some(), "{}", function.name);
    }
    assert_eq!(local.services().counters().snapshot().len(), 0, "what starting costs is not counted");
}

#[tokio::test]
async fn a_moved_clock_is_still_moved_after_a_restart_on_the_same_folder() {
    let folder = tempfile::tempdir().unwrap();
    let begin = async || {
        let data = Some(folder.path().to_owned());
        Local::start(LocalOptions { data, clock: LocalClock::real(), ..options() }).await.unwrap()
    };
    let local = begin().await;
    assert_eq!(local.clock().moved_by(), Duration::ZERO);
    for _ in 0..2 {
        local.advance(Duration::from_secs(43_200)).unwrap();
    }
    let before = local.clock().now_ms();
    local.stop().await;
    drop(local);

    let local = begin().await;
    assert_eq!(local.clock().moved_by(), Duration::from_secs(86_400));
    assert!(local.clock().now_ms() >= before, "time fell back");
    assert_eq!(control(&local, Method::POST, "/_local/reset", Value::Null).await.0, 204);
    local.stop().await;
    drop(local);
    assert_eq!(begin().await.clock().moved_by(), Duration::ZERO, "after a reset it is the machine's");
}

#[tokio::test]
async fn a_clock_that_stands_still_begins_where_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let local = start_at(folder.path().to_owned()).await;
    let begun = local.clock().now_ms();
    local.advance(Duration::from_secs(60)).unwrap();
    local.stop().await;
    drop(local);
    assert_eq!(start_at(folder.path().to_owned()).await.clock().now_ms(), begun);
}

#[tokio::test]
async fn a_folder_whose_clock_cannot_be_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("clock"), "noon").unwrap();
    let data = Some(folder.path().to_owned());
    let options = LocalOptions { data, clock: LocalClock::real(), ..options() };
    let complaint = Local::start(options).await.unwrap_err().to_string();
    assert!(complaint.contains("does not hold a number of milliseconds"), "{complaint}");
}

#[tokio::test]
async fn the_same_seed_draws_the_same_ids() {
    let (one, other) = (start().await, start().await);
    assert_eq!(one.ids().bytes::<16>(), other.ids().bytes::<16>());
}
