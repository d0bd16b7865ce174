//! Refreshing: one line of tokens a session, whatever the network does.

use std::collections::BTreeSet;

use satchel_testkit::{Answer, Stack};
use serde_json::json;

async fn refresh(stack: &Stack, token: &str) -> Answer {
    stack.post("/auth/refresh").json(json!({ "refresh_token": token })).send().await
}

async fn next(stack: &Stack, token: &str) -> String {
    refresh(stack, token).await.ok()["refresh_token"].as_str().unwrap().to_owned()
}

async fn revocations(stack: &Stack, reason: &str) -> usize {
    stack.drain().await;
    let published = stack.published();
    let of_reason = published
        .iter()
        .filter(|one| one["name"] == "account.session-revoked.v1" && one["event"]["data"]["reason"] == reason);
    of_reason.count()
}

#[tokio::test]
async fn a_refresh_gives_a_new_pair_of_the_same_session() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    stack.advance(800).await;
    let body = refresh(&stack, &ada.refresh_token).await.ok();
    assert_ne!(body["refresh_token"], ada.refresh_token.as_str());
    assert_eq!((body["token_type"].as_str(), body["expires_in"].as_i64()), (Some("Bearer"), Some(900)));
    stack.advance(800).await;
    let me = stack.get("/auth/me").bearer(body["access_token"].as_str().unwrap()).send().await.ok();
    assert_eq!(me["user_id"], ada.user_id.as_str());
    stack.get("/auth/me").auth(&ada).send().await.refused(401, "token_expired");
}

#[tokio::test]
async fn a_lost_answer_is_told_again_and_the_successor_ends_the_grace() {
    let stack = Stack::start().await;
    let zero = stack.sign_in("ada").await.refresh_token;
    let one = next(&stack, &zero).await;
    stack.advance(30).await;
    assert_eq!(next(&stack, &zero).await, one);
    let two = next(&stack, &one).await;
    assert_eq!(next(&stack, &one).await, two);
    refresh(&stack, &zero).await.refused(401, "session_revoked");
    refresh(&stack, &two).await.refused(401, "session_revoked");
    assert_eq!(revocations(&stack, "token_reused").await, 1);
}

#[tokio::test]
async fn an_old_token_is_theft_after_the_grace_and_ends_the_session_alone() {
    let stack = Stack::start().await;
    let phone = stack.sign_in("ada").await;
    let laptop = stack.sign_in_on("ada", "macos", "laptop").await;
    let one = next(&stack, &phone.refresh_token).await;
    stack.advance(31).await;
    refresh(&stack, &phone.refresh_token).await.refused(401, "session_revoked");
    refresh(&stack, &one).await.refused(401, "session_revoked");
    refresh(&stack, &laptop.refresh_token).await.ok();
    assert_eq!(revocations(&stack, "token_reused").await, 1);
    let rows = stack.rows("AccountsTable").await;
    assert_eq!(rows.iter().find(|row| row["sk"] == "ACCOUNT").unwrap()["live"], 1);
    stack.sign_in_again(&phone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_refreshes_at_once_with_one_token_have_one_successor() {
    let stack = Stack::start().await;
    let zero = stack.sign_in("ada").await.refresh_token;
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (stack, zero) = (stack.clone(), zero.clone());
            tokio::spawn(async move { next(&stack, &zero).await })
        })
        .collect();
    let mut successors = BTreeSet::new();
    for call in calls {
        successors.insert(call.await.unwrap());
    }
    assert_eq!(successors.len(), 1);
    next(&stack, successors.first().unwrap()).await;
    assert_eq!(revocations(&stack, "token_reused").await, 0);
}

#[tokio::test]
async fn a_write_that_was_done_but_not_answered_is_no_theft() {
    let stack = Stack::start().await;
    let mut token = stack.sign_in("ada").await.refresh_token;
    for kind in ["timeout", "error"] {
        for seed in 0..6 {
            stack.fault(json!({ "service": "dynamodb", "operation": "UpdateItem", "kind": kind, "seed": seed, "probability": 0.5, "count": 2 }));
            let answer = refresh(&stack, &token).await;
            stack.faults().clear();
            token = if answer.status == 503 {
                next(&stack, &token).await
            } else {
                answer.ok()["refresh_token"].as_str().unwrap().to_owned()
            };
        }
        stack.advance(60).await;
    }
    assert_eq!(revocations(&stack, "token_reused").await, 0);
}

#[tokio::test]
async fn a_session_ends_by_idleness_and_by_age() {
    let stack = Stack::start().await;
    let mut token = stack.sign_in("ada").await.refresh_token;
    for _ in 0..4 {
        stack.advance(90 * 86_400).await;
        token = next(&stack, &token).await;
    }
    stack.advance(6 * 86_400).await;
    refresh(&stack, &token).await.refused(401, "session_expired");
    refresh(&stack, &token).await.refused(401, "session_revoked");
    let idle = stack.sign_in("bob").await.refresh_token;
    stack.advance(90 * 86_400 + 1).await;
    refresh(&stack, &idle).await.refused(401, "session_expired");
}

#[tokio::test]
async fn what_was_never_given_out_is_refused_and_ends_nothing() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let token = &ada.refresh_token;
    let (body, _mac) = token.rsplit_once('.').unwrap();
    for bad in [
        String::new(),
        "x".into(),
        body.to_owned(),
        format!("{body}.AAAA"),
        token[1..].to_owned(),
        ada.access_token.clone(),
        "a".repeat(5_000),
    ] {
        refresh(&stack, &bad).await.refused(401, "invalid_refresh_token");
    }
    next(&stack, token).await;
    stack.post("/auth/refresh").json(json!({})).send().await.refused(422, "invalid_input");
}

#[tokio::test]
async fn too_many_refreshes_of_a_session_wait() {
    let stack = Stack::with(satchel_testkit::Options::default().param("RefreshLimitSession", 2)).await;
    let ada = stack.sign_in("ada").await;
    next(&stack, &ada.refresh_token).await;
    next(&stack, &ada.refresh_token).await;
    let answer = refresh(&stack, &ada.refresh_token).await;
    answer.refused(429, "too_many_requests");
    assert!(answer.header("retry-after").is_some());
}
