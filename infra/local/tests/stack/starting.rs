//! What keeps a stack from starting, and what every stack begins with.

use satchel_local::{Local, LocalOptions, registry};

use crate::support::{options, start};

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
async fn the_same_seed_draws_the_same_ids() {
    let (one, other) = (start().await, start().await);
    assert_eq!(one.ids().bytes::<16>(), other.ids().bytes::<16>());
}
