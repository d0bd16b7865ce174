//! What stands in the way of an answer of Apple's.

use std::time::Duration;

use http::header;
use satchel_domain::Error;
use serde_json::json;

use super::apple::{api, code, routes};
use super::google::Case;
use super::heard::Heard;
use super::pki::{NEWEST, Pki, transaction};
use super::server::{bearer, html, json, text};
use super::{later, now};
use crate::stores::StoreError;

/// After how many seconds to try again.
pub(super) fn wait<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> u32 {
    match answer {
        Err(StoreError::Later(Error::Unavailable { retry_after, .. })) => retry_after,
        other => panic!("it can be had later: {other:?}"),
    }
}

#[tokio::test]
async fn a_throttle_says_when_to_come_back() {
    for (value, seconds) in [
        (Some("17"), 17),
        // Apple writes the moment, in milliseconds; a part of a second is waited for too.
        (Some("1780272040001"), 41),
        (Some("1780271999000"), 1),
        (Some("Mon, 01 Jun 2026 00:02:00 GMT"), 120),
        (Some("86400"), 900),
        (Some("9999999999999999"), 900),
        (Some("0"), 1),
        (Some("-5"), 1),
        (Some("soon"), 30),
        (None, 30),
    ] {
        let heard = Heard::begin();
        let script = move |_: &http::Request<_>| {
            let answer = code(429, 4_290_000);
            value.map_or_else(|| code(429, 4_290_000), |value| answer.header(header::RETRY_AFTER, value))
        };
        let (api, server) = api(&Pki::new(), |given| given, script).await;
        assert_eq!(wait(api.purchase(NEWEST, None, now()).await), seconds, "{value:?}");
        assert_eq!(server.asked().len(), 1, "a throttle is not answered by another call");
        assert_eq!(heard.count("StoreCallFailed", "apple"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_is_tried_again_and_then_later() {
    let heard = Heard::begin();
    let (api, server) = api(&Pki::new(), |given| given, |_| code(500, 5_000_001)).await;
    wait(api.purchase(NEWEST, None, now()).await);
    assert_eq!(server.asked().len(), 3);
    assert!(
        server.lines().iter().all(|line| line.starts_with("GET https://apple.example/")),
        "only production is asked"
    );
    assert_eq!(heard.count("StoreCallFailed", "apple"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_purchase_that_takes_too_long_is_given_up() {
    let tries = std::sync::atomic::AtomicUsize::new(0);
    // Of three tries the first two are never answered.
    let script = move |_: &http::Request<_>| {
        let number = tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        code(404, 4_040_010).after(Duration::from_secs(if number % 3 == 2 { 2 } else { 60 }))
    };
    let (api, _) = api(&Pki::new(), |given| given, script).await;
    let begun = tokio::time::Instant::now();
    wait(api.purchase(NEWEST, None, now()).await);
    assert_eq!(begun.elapsed().as_secs(), 15);
}

#[tokio::test]
async fn codes_that_apple_calls_retryable_are_for_later_and_others_for_somebody() {
    for retryable in [4_040_002, 4_040_004, 4_040_006] {
        let (api, server) = api(&Pki::new(), |given| given, move |_| code(404, retryable)).await;
        wait(api.purchase(NEWEST, None, now()).await);
        assert_eq!(server.asked().len(), 1);
    }
    for absent in [4_040_001, 4_040_005, 4_040_010] {
        let (api, _) = api(&Pki::new(), |given| given, move |_| code(404, absent)).await;
        assert!(matches!(api.purchase(NEWEST, None, now()).await, Err(StoreError::NotFound)), "{absent}");
    }
    let heard = Heard::begin();
    let (other, _) = api(&Pki::new(), |given| given, |_| code(404, 4_040_003)).await;
    assert!(matches!(other.purchase(NEWEST, None, now()).await, Err(StoreError::Unusable("status"))));
    assert_eq!(heard.count("StoreAnswerUnusable", "apple"), 1);
    assert!(heard.text().contains("4040003"));
    let (bad_id, _) = api(&Pki::new(), |given| given, |_| code(400, 4_000_006)).await;
    assert!(matches!(bad_id.purchase(NEWEST, None, now()).await, Err(StoreError::Refused("transaction_id"))));
}

#[tokio::test]
async fn an_answer_of_another_shape_is_of_no_use() {
    let answers: [Case; 7] = [
        ("answer_shape", || text(200, "application/json", "{\"signedTransactionInfo\":")),
        ("answer_shape", || json(200, json!({ "signedTransaction": "x" }))),
        ("answer_shape", || html(200)),
        ("status", || html(404)),
        ("status", || html(403)),
        ("status", || json(404, json!({ "message": "no route" }))),
        ("redirect", || html(302).header(header::LOCATION, "https://elsewhere.example/")),
    ];
    for (reason, answer) in answers {
        let heard = Heard::begin();
        let (api, server) = api(&Pki::new(), |given| given, move |_| answer()).await;
        match api.purchase(NEWEST, None, now()).await {
            Err(StoreError::Unusable(told)) => assert_eq!(told, reason),
            other => panic!("{reason}: {other:?}"),
        }
        assert_eq!(server.asked().len(), 1, "{reason}: nothing is followed, nothing tried again");
        assert_eq!(heard.count("StoreAnswerUnusable", "apple"), 1, "{reason}");
    }
}

#[tokio::test]
async fn a_key_that_is_refused_is_told_and_its_token_forgotten() {
    let heard = Heard::begin();
    let script = |_: &http::Request<_>| text(401, "text/plain", "Unauthenticated\n\nRequest ID: X\n");
    let (api, server) = api(&Pki::new(), |given| given.set("ALLOW_SANDBOX", "false"), script).await;
    for at in [0, 10] {
        assert_eq!(wait(api.purchase(NEWEST, None, later(at)).await), 60);
    }
    assert_eq!(heard.count("StoreCredentialsRefused", "apple"), 2);
    let tokens: Vec<String> = server.asked().iter().map(bearer).collect();
    assert_ne!(tokens[0], tokens[1], "the first would be good for minutes");
    assert!(!heard.text().contains(&tokens[0]) && !heard.text().contains("Bearer"));
}

#[tokio::test]
async fn app_review_buys_in_the_sandbox_while_production_refuses_the_key() {
    let pki = Pki::new();
    let asked = transaction(NEWEST, "Sandbox");
    let sandbox = routes(vec![("sandbox.example/inApps/v1/transactions/", pki.info(&asked))]);
    let refusing = move |request: &http::Request<axum::body::Bytes>| {
        if request.uri().host() == Some("apple.example") { text(401, "text/plain", "") } else { sandbox(request) }
    };
    let (released, _) = api(&pki, |given| given, refusing).await;
    assert_eq!(released.purchase(NEWEST, None, now()).await.unwrap().environment.as_str(), "Sandbox");
    // But what the sandbox does not know may be production's.
    let unknown = |request: &http::Request<axum::body::Bytes>| {
        if request.uri().host() == Some("apple.example") { text(401, "text/plain", "") } else { code(404, 4_040_010) }
    };
    let (unsure, _) = api(&pki, |given| given, unknown).await;
    assert_eq!(wait(unsure.purchase(NEWEST, None, now()).await), 60);
    let only = satchel_domain::appstore::Environment::Sandbox;
    let answer = unsure.purchase(NEWEST, Some(only), now()).await;
    assert!(matches!(answer, Err(StoreError::NotFound)), "the sandbox alone was asked: {answer:?}");
}

#[tokio::test]
async fn a_moment_of_apples_is_read_by_the_injected_time() {
    let script = |_: &http::Request<_>| code(429, 4_290_000).header(header::RETRY_AFTER, "1780272060000");
    let (api, _) = api(&Pki::new(), |given| given, script).await;
    assert_eq!(wait(api.purchase(NEWEST, None, later(50)).await), 10);
}
