//! Signing in.

use satchel_testkit::Options;
use satchel_testkit::Stack;
use serde_json::{Value, json};

fn device() -> Value {
    json!({ "name": "phone", "platform": "android", "model": "Pixel 12", "os_version": "18", "app_version": "1.0" })
}

async fn google(stack: &Stack, identity: Value) -> satchel_testkit::Answer {
    google_on(stack, identity, device()).await
}

async fn google_on(stack: &Stack, mut identity: Value, device: Value) -> satchel_testkit::Answer {
    identity["provider"] = "google".into();
    let nonce = identity["nonce"].clone();
    let id_token = stack.id_token(identity).await;
    stack.post("/auth/google").json(json!({ "id_token": id_token, "device": device, "nonce": nonce })).send().await
}

#[tokio::test]
async fn a_first_sign_in_makes_the_account_and_a_second_finds_it() {
    let stack = Stack::start().await;
    let first = google(&stack, json!({ "subject": "ada", "email": "ada@gmail.com", "name": "Ada" })).await.ok();
    assert_eq!(first["is_new_user"], true);
    assert_eq!((first["token_type"].as_str(), first["expires_in"].as_i64()), (Some("Bearer"), Some(900)));
    let second = google(&stack, json!({ "subject": "ada", "email": "other@gmail.com" })).await.ok();
    assert_eq!(second["is_new_user"], false);
    assert_eq!(first["user_id"], second["user_id"]);
    assert_ne!(first["device_id"], second["device_id"]);
    let stranger = google(&stack, json!({ "subject": "eve", "email": "ada@gmail.com" })).await.ok();
    assert_ne!(first["user_id"], stranger["user_id"], "an account is never found by its address");
}

#[tokio::test]
async fn apple_tells_the_name_once_and_has_subjects_of_its_own() {
    let stack = Stack::start().await;
    let apple = async |name: Option<&str>| {
        let id_token = stack
            .id_token(
                json!({ "provider": "apple", "subject": "ada", "email": "x@privaterelay.appleid.com", "nonce": "raw" }),
            )
            .await;
        let body = json!({ "id_token": id_token, "nonce": "raw", "name": name, "authorization_code": "c.1", "device": device() });
        stack.post("/auth/apple").json(body).send().await.ok()
    };
    let first = apple(Some("Ada")).await;
    let again = apple(Some("Impostor")).await;
    assert_eq!(first["user_id"], again["user_id"]);
    let me = stack.get("/auth/me").bearer(again["access_token"].as_str().unwrap()).send().await.ok();
    assert_eq!(me["name"], "Ada");
    let by_google = google(&stack, json!({ "subject": "ada" })).await.ok();
    assert_ne!(by_google["user_id"], first["user_id"]);
}

#[tokio::test]
async fn an_id_token_that_is_not_believed_signs_nobody_in() {
    let stack = Stack::start().await;
    let now = stack.now();
    for (why, identity) in [
        ("forged", json!({ "subject": "ada", "forged": true })),
        ("unknown key", json!({ "subject": "ada", "kid": "nobody" })),
        ("other audience", json!({ "subject": "ada", "audience": "another-app" })),
        ("other issuer", json!({ "subject": "ada", "claims": { "iss": "https://evil.example" } })),
        ("expired", json!({ "subject": "ada", "issued_at": now - 7_200 })),
        ("of the future", json!({ "subject": "ada", "issued_at": now + 3_600 })),
        ("without subject", json!({ "subject": "" })),
    ] {
        let answer = google(&stack, identity).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("invalid_id_token")), "{why}");
    }
    let id_token = stack.id_token(json!({ "provider": "apple", "subject": "ada" })).await;
    let crossed = stack.post("/auth/google").json(json!({ "id_token": id_token, "device": device() })).send().await;
    crossed.refused(401, "invalid_id_token");
    assert!(stack.rows("AccountsTable").await.iter().all(|row| row["sk"] != "ACCOUNT" && row["sk"] != "LINK"));
}

#[tokio::test]
async fn a_provider_without_client_ids_is_refused_and_the_other_works() {
    let stack = Stack::with(Options::default().param("AppleClientIds", "")).await;
    google(&stack, json!({ "subject": "ada" })).await.ok();
    let id_token = stack.id_token(json!({ "provider": "apple", "subject": "ada", "nonce": "raw" })).await;
    let body = json!({ "id_token": id_token, "nonce": "raw", "device": device() });
    stack.post("/auth/apple").json(body).send().await.refused(401, "invalid_id_token");
}

#[tokio::test]
async fn a_replayed_id_token_fails_by_its_nonce() {
    let stack = Stack::start().await;
    let id_token = stack.id_token(json!({ "provider": "google", "subject": "ada", "nonce": "n1" })).await;
    for nonce in [json!(null), json!("n2")] {
        let body = json!({ "id_token": id_token, "nonce": nonce, "device": device() });
        stack.post("/auth/google").json(body).send().await.refused(401, "invalid_id_token");
    }
    stack
        .post("/auth/google")
        .json(json!({ "id_token": id_token, "nonce": "n1", "device": device() }))
        .send()
        .await
        .ok();
}

#[tokio::test]
async fn wrong_fields_are_named_all_at_once() {
    let stack = Stack::start().await;
    let id_token = stack.id_token(json!({ "provider": "google", "subject": "ada" })).await;
    let body =
        json!({ "id_token": id_token, "name": "a\u{0}b", "device": { "name": "", "platform": "ios", "model": "\n" } });
    let problem = stack.post("/auth/google").json(body).send().await.refused(422, "invalid_input");
    let fields: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|one| one["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["device.name", "name"]);
    for device in [
        json!({ "name": "x", "platform": "amiga" }),
        json!({ "name": "x" }),
        json!({ "name": "x", "platform": "ios", "id": "usr_1" }),
    ] {
        let body = json!({ "id_token": id_token, "device": device });
        stack.post("/auth/google").json(body).send().await.refused(422, "invalid_input");
    }
    stack.post("/auth/google").body("{}").send().await.refused(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_device_keeps_its_id_and_its_older_session_ends() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let again = stack.sign_in_again(&ada).await;
    assert_eq!(ada.device_id, again.device_id);
    stack
        .post("/auth/refresh")
        .json(json!({ "refresh_token": ada.refresh_token }))
        .send()
        .await
        .refused(401, "session_revoked");
    stack.post("/auth/refresh").json(json!({ "refresh_token": again.refresh_token })).send().await.ok();
    let list = stack.get("/auth/sessions").auth(&again).send().await.ok();
    assert_eq!(list["sessions"].as_array().unwrap().len(), 1);
    stack.drain().await;
    let replaced =
        stack.published().into_iter().filter(|one| one["name"] == "account.session-revoked.v1").collect::<Vec<_>>();
    assert_eq!(replaced.len(), 1);
    assert_eq!(replaced[0]["event"]["data"]["reason"], "replaced");
}

#[tokio::test]
async fn a_device_that_signed_out_keeps_its_id() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    stack.post("/auth/logout").auth(&ada).send().await;
    let again = stack.sign_in_again(&ada).await;
    assert_eq!(ada.device_id, again.device_id);
}

#[tokio::test]
async fn a_strangers_device_id_is_never_taken_over() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let device = json!({ "id": ada.device_id, "name": "mine now", "platform": "web" });
    let eve = google_on(&stack, json!({ "subject": "eve" }), device).await.ok();
    assert_ne!(eve["device_id"], ada.device_id.as_str());
    stack.post("/auth/refresh").json(json!({ "refresh_token": ada.refresh_token })).send().await.ok();
}

#[tokio::test]
async fn the_fifty_first_device_is_refused_until_one_leaves_or_expires() {
    let options = Options::default().param("SignInLimitAddress", 1_000).param("SignInLimitAccount", 1_000);
    let stack = Stack::with(options).await;
    let mut sessions = Vec::new();
    for _ in 0..50 {
        sessions.push(stack.sign_in("ada").await);
    }
    google(&stack, json!({ "subject": "ada" })).await.refused(409, "device_limit");
    let again = stack.sign_in_again(&sessions[0]).await;
    google(&stack, json!({ "subject": "ada" })).await.refused(409, "device_limit");
    assert_eq!(stack.post("/auth/logout").auth(&again).send().await.status, 204);
    google(&stack, json!({ "subject": "ada" })).await.ok();
    google(&stack, json!({ "subject": "ada" })).await.refused(409, "device_limit");
    stack.advance(91 * 86_400).await;
    google(&stack, json!({ "subject": "ada" })).await.ok();
    let rows = stack.rows("AccountsTable").await;
    let account = rows.iter().find(|row| row["sk"] == "ACCOUNT").unwrap();
    assert_eq!(account["live"], 1, "sessions that are over by their age were ended and no longer count");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_first_sign_ins_that_race_make_one_account() {
    let stack = Stack::with(Options::default().param("SignInLimitAccount", 100)).await;
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let stack = stack.clone();
            tokio::spawn(async move { google(&stack, json!({ "subject": "ada" })).await.ok() })
        })
        .collect();
    let mut users = std::collections::BTreeSet::new();
    let mut new = 0;
    for call in calls {
        let body = call.await.unwrap();
        users.insert(body["user_id"].as_str().unwrap().to_owned());
        new += usize::from(body["is_new_user"] == true);
    }
    assert_eq!((users.len(), new), (1, 1));
    let rows = stack.rows("AccountsTable").await;
    assert_eq!(rows.iter().filter(|row| row["sk"] == "ACCOUNT").count(), 1);
    assert_eq!(rows.iter().find(|row| row["sk"] == "ACCOUNT").unwrap()["live"], 6);
}

#[tokio::test]
async fn too_many_sign_ins_of_an_address_or_account_wait() {
    let stack = Stack::with(Options::default().param("SignInLimitAddress", 3).param("SignInLimitAccount", 2)).await;
    google(&stack, json!({ "subject": "ada" })).await.ok();
    google(&stack, json!({ "subject": "ada" })).await.ok();
    let answer = google(&stack, json!({ "subject": "ada" })).await;
    answer.refused(429, "too_many_requests");
    assert_eq!(answer.header("retry-after"), Some("60"));
    google(&stack, json!({ "subject": "bob" })).await.refused(429, "too_many_requests");
    stack.advance(60).await;
    google(&stack, json!({ "subject": "ada" })).await.ok();
}

#[tokio::test]
async fn a_limiter_that_cannot_count_locks_nobody_out() {
    let stack = Stack::start().await;
    stack.fault(json!({ "service": "dynamodb", "operation": "UpdateItem", "kind": "throttle" }));
    google(&stack, json!({ "subject": "ada" })).await.ok();
}

#[tokio::test]
async fn without_any_keys_nobody_is_believed_and_old_ones_do_for_a_day() {
    let stack = Stack::start().await;
    stack.sign_in("ada").await;
    stack.fault(json!({ "service": "http", "operation": "jwks", "kind": "error" }));
    stack.advance(3_601).await;
    stack.sign_in("ada").await;
    stack.advance(86_400).await;
    let answer = google(&stack, json!({ "subject": "ada" })).await;
    answer.refused(503, "unavailable");
    assert!(answer.header("retry-after").is_some());
    stack.faults().clear();
    stack.advance(10).await;
    stack.sign_in("ada").await;
}

#[tokio::test]
async fn a_sign_in_whose_write_was_done_but_not_answered_is_one_session() {
    let stack = Stack::start().await;
    stack.sign_in("ada").await;
    stack.fault(json!({ "service": "dynamodb", "operation": "TransactWriteItems", "kind": "error", "count": 1 }));
    let answer = google(&stack, json!({ "subject": "ada" })).await;
    answer.ok();
    let rows = stack.rows("AccountsTable").await;
    let account = rows.iter().find(|row| row["sk"] == "ACCOUNT").unwrap();
    let devices = rows.iter().filter(|row| row["sk"].as_str().is_some_and(|sk| sk.starts_with("DEV#"))).count();
    assert_eq!((account["live"].as_i64(), devices), (Some(2), 2));
}
