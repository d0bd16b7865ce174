//! Erasing an account, whatever fails in between.

use satchel_testkit::{Options, Session, Stack};
use serde_json::{Value, json};

/// What a tombstone may have.
const TOMBSTONE: [&str; 7] = ["pk", "sk", "user_id", "event_id", "state", "created_at", "erasing_at"];

async fn rows_of(stack: &Stack, user: &str) -> Vec<Value> {
    let rows = stack.rows("AccountsTable").await;
    rows.into_iter()
        .filter(|row| !row["pk"].as_str().unwrap().starts_with("LIM#") && row.to_string().contains(user))
        .collect()
}

async fn is_erased(stack: &Stack, user: &str) -> bool {
    let rows = rows_of(stack, user).await;
    let [tombstone] = rows.as_slice() else { return false };
    let fields = tombstone.as_object().unwrap();
    tombstone["state"] == "erased"
        && fields.keys().all(|name| TOMBSTONE.contains(&name.as_str()) || name == "erased_at")
}

/// Lets time pass until the account is a tombstone, or an hour and a half.
async fn pass_time(stack: &Stack, user: &str) {
    for _ in 0..45 {
        stack.settle().await;
        if is_erased(stack, user).await {
            return;
        }
        stack.advance(120).await;
    }
    panic!("the account is not erased: {:#?}", rows_of(stack, user).await);
}

fn events(stack: &Stack, name: &str) -> usize {
    stack.published().iter().filter(|one| one["name"] == name).count()
}

async fn person_with_everything(stack: &Stack) -> Session {
    let ada = stack.sign_in("ada").await;
    let id_token = stack.id_token(json!({ "provider": "apple", "subject": "ada-apple" })).await;
    stack.post("/auth/link").auth(&ada).json(json!({ "provider": "apple", "id_token": id_token })).send().await.ok();
    stack.sign_in_on("ada", "macos", "laptop").await;
    let token = stack.backoffice(&["portal:write"]).await;
    stack.put(&format!("/auth/customers/C-1/members/{}", ada.user_id)).bearer(&token).send().await.ok();
    stack.post("/auth/me/export").auth(&ada).send().await.ok();
    stack.settle().await;
    ada
}

#[tokio::test]
async fn an_erased_account_leaves_one_tombstone_without_personal_data() {
    let stack = Stack::start().await;
    let ada = person_with_everything(&stack).await;
    let bob = stack.sign_in("bob").await;
    let bobs = rows_of(&stack, &bob.user_id).await;
    for _ in 0..2 {
        assert_eq!(stack.delete("/auth/me").auth(&ada).send().await.status, 202);
    }
    // At once: no session, no way in, no account; the same identities make new ones.
    stack
        .post("/auth/refresh")
        .json(json!({ "refresh_token": ada.refresh_token }))
        .send()
        .await
        .refused(401, "session_revoked");
    stack.get("/auth/me").auth(&ada).send().await.refused(404, "not_found");
    stack.patch("/auth/me").auth(&ada).json(json!({ "name": "x" })).send().await.refused(404, "not_found");
    stack.post("/auth/me/export").auth(&ada).send().await.refused(404, "not_found");
    let newcomer = stack.sign_in("ada").await;
    assert_ne!(newcomer.user_id, ada.user_id);

    stack.drain().await;
    stack.advance(1_000).await;
    stack.drain().await;
    assert!(!is_erased(&stack, &ada.user_id).await, "an access token could still have written something");
    pass_time(&stack, &ada.user_id).await;
    stack.drain().await;

    assert_eq!((events(&stack, "account.erasing.v1"), events(&stack, "account.erased.v1")), (1, 1));
    assert_eq!(rows_of(&stack, &bob.user_id).await.len(), bobs.len());
    assert!(stack.services().s3().keys(&bucket(&stack)).iter().all(|key| !key.contains(&ada.user_id)));
    stack.get("/auth/me").auth(&newcomer).send().await;
    assert!(!rows_of(&stack, &newcomer.user_id).await.is_empty());
}

fn bucket(stack: &Stack) -> String {
    stack.template().buckets()[0].name.clone()
}

#[tokio::test]
async fn a_crash_at_any_call_is_resumed() {
    for (service, most) in [("sqs", 14), ("dynamodb", 48), ("s3", 3)] {
        for calls in 0..most {
            let stack = Stack::with(Options::default().seed(calls)).await;
            let ada = person_with_everything(&stack).await;
            assert_eq!(stack.delete("/auth/me").auth(&ada).send().await.status, 202);
            // Three failures: every try of one call of the SDK.
            stack.fault(json!({ "service": service, "kind": "error", "skip": calls, "count": 3, "seed": calls }));
            pass_time(&stack, &ada.user_id).await;
        }
    }
}

#[tokio::test]
async fn messages_may_come_twice_and_out_of_order() {
    let stack = Stack::start().await;
    let ada = person_with_everything(&stack).await;
    let user = &ada.user_id;
    let messages = [
        json!({ "user_id": user, "pass": 2 }),
        json!({ "user_id": user, "pass": 0 }),
        json!({ "user_id": user, "revoke": "apple" }),
        json!({ "user_id": user, "family": "sync", "pass": 1 }),
        json!({ "user_id": user, "pass": 0 }),
        json!({ "user_id": user, "pass": 2 }),
    ];
    for message in &messages {
        stack.send("AccountEraseQueue", message).await;
    }
    stack.settle().await;
    stack.get("/auth/me").auth(&ada).send().await.ok();
    assert!(!rows_of(&stack, user).await.is_empty(), "nothing is erased that nobody asked to be");

    assert_eq!(stack.delete("/auth/me").auth(&ada).send().await.status, 202);
    for message in &messages {
        stack.send("AccountEraseQueue", message).await;
    }
    pass_time(&stack, user).await;
    for message in &messages {
        stack.send("AccountEraseQueue", message).await;
    }
    stack.settle().await;
    assert!(is_erased(&stack, user).await);
    assert_eq!(events(&stack, "account.erased.v1"), 1);
}

#[tokio::test]
async fn one_family_that_does_not_report_keeps_the_account_open() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let user = &ada.user_id;
    assert_eq!(stack.delete("/auth/me").auth(&ada).send().await.status, 202);
    // The handler alone, without the other families' consumers.
    let event = |body: Value| json!({ "Records": [{ "messageId": "m", "body": body.to_string() }] });
    stack.services().faults().clear();
    let handle = async |body: Value| {
        let answer = stack.invoke("auth-on-erase", event(body)).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    };
    handle(json!({ "user_id": user, "family": "devices", "pass": 1 })).await;
    handle(json!({ "user_id": user, "family": "devices", "pass": 2 })).await;
    handle(json!({ "user_id": user, "family": "sync", "pass": 2 })).await;
    assert!(!is_erased(&stack, user).await);
    let unknown =
        stack.invoke("auth-on-erase", event(json!({ "user_id": user, "family": "nobody", "pass": 2 }))).await.unwrap();
    assert_eq!(unknown["batchItemFailures"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn fifty_devices_are_erased_in_one_transaction() {
    let options = Options::default().param("SignInLimitAddress", 1_000).param("SignInLimitAccount", 1_000);
    let stack = Stack::with(options).await;
    let mut ada = stack.sign_in("ada").await;
    for _ in 1..50 {
        ada = stack.sign_in("ada").await;
    }
    let id_token = stack.id_token(json!({ "provider": "apple", "subject": "a" })).await;
    stack.post("/auth/link").auth(&ada).json(json!({ "provider": "apple", "id_token": id_token })).send().await.ok();
    assert_eq!(stack.delete("/auth/me").auth(&ada).send().await.status, 202);
    let rows = rows_of(&stack, &ada.user_id).await;
    let devices: Vec<_> = rows.iter().filter(|row| row["sk"].as_str().unwrap().starts_with("DEV#")).collect();
    assert!(devices.iter().all(|row| row.get("ended_at").is_some()));
    assert!(rows.iter().all(|row| row["sk"] != "LINK"));
}
