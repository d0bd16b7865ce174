//! The Runtime API of these tests, before an empty function: what the contract tests and the benchmark stand on.

#![expect(clippy::unwrap_used, reason = "a helper of a test or a benchmark tells by a panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use satchel_tests::binaries::Binaries;
use satchel_tests::events::{HttpAnswer, HttpEvent};
use satchel_tests::process::{Launch, ProcessError};

fn empty() -> Launch {
    let binary = Binaries::beside_this().find("empty-lambda").unwrap();
    Launch::new("empty", &binary, 256, Duration::from_secs(20), &BTreeMap::new())
}

#[tokio::test]
async fn a_function_is_initialised_and_answers_one_event_after_the_other() {
    let mut function = empty().start().await.unwrap();
    let ready = function.initialised().await.unwrap();
    assert!(ready > function.started());
    for _ in 0..3 {
        let answer = HttpAnswer(function.invoke(HttpEvent::new("GET", "/").value()).await.unwrap());
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
    }
}

#[tokio::test]
async fn an_event_that_is_no_request_is_a_failure_of_the_invocation_and_not_of_the_function() {
    let mut function = empty().start().await.unwrap();
    let failure = function.invoke(&serde_json::json!({ "version": "2.0" })).await.unwrap_err();
    assert!(matches!(failure, ProcessError::Failed { .. }), "{failure}");
    let answer = HttpAnswer(function.invoke(HttpEvent::new("GET", "/").value()).await.unwrap());
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_function_that_ends_is_told_with_what_it_said() {
    let broken = empty().without("AWS_LAMBDA_FUNCTION_NAME");
    let mut function = broken.start().await.unwrap();
    let failure = function.initialised().await.unwrap_err();
    assert!(failure.to_string().contains("AWS_LAMBDA_FUNCTION_NAME"), "{failure}");
}
