//! Ways to sign in.

use satchel_testkit::{Answer, Session, Stack};
use serde_json::json;

async fn link(stack: &Stack, person: &Session, provider: &str, subject: &str) -> Answer {
    let id_token = stack.id_token(json!({ "provider": provider, "subject": subject })).await;
    stack.post("/auth/link").auth(person).json(json!({ "provider": provider, "id_token": id_token })).send().await
}

async fn apple(stack: &Stack, subject: &str) -> serde_json::Value {
    let id_token = stack.id_token(json!({ "provider": "apple", "subject": subject })).await;
    let body = json!({ "id_token": id_token, "device": { "name": "x", "platform": "ios" } });
    stack.post("/auth/apple").json(body).send().await.ok()
}

#[tokio::test]
async fn a_linked_provider_signs_in_to_the_same_account_until_it_is_taken_away() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    assert_eq!(link(&stack, &ada, "apple", "ada-apple").await.ok()["providers"], json!(["apple", "google"]));
    link(&stack, &ada, "apple", "ada-apple").await.ok();
    assert_eq!(apple(&stack, "ada-apple").await["user_id"], ada.user_id.as_str());
    assert_eq!(stack.delete("/auth/link/apple").auth(&ada).send().await.status, 204);
    stack.delete("/auth/link/apple").auth(&ada).send().await.refused(404, "not_found");
    assert_ne!(apple(&stack, "ada-apple").await["user_id"], ada.user_id.as_str());
    stack.drain().await;
    let names: Vec<_> = stack.published().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.iter().filter(|name| *name == "account.linked.v1").count(), 1);
    assert_eq!(names.iter().filter(|name| *name == "account.unlinked.v1").count(), 1);
}

#[tokio::test]
async fn an_identity_signs_in_to_one_account_and_an_account_has_one_of_a_provider() {
    let stack = Stack::start().await;
    let (ada, bob) = (stack.sign_in("ada").await, stack.sign_in("bob").await);
    link(&stack, &ada, "google", "bob").await.refused(409, "identity_in_use");
    link(&stack, &ada, "google", "another-google").await.refused(409, "provider_already_linked");
    link(&stack, &ada, "apple", "shared").await.ok();
    link(&stack, &bob, "apple", "shared").await.refused(409, "identity_in_use");
}

#[tokio::test]
async fn the_last_way_to_sign_in_stays() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    stack.delete("/auth/link/google").auth(&ada).send().await.refused(409, "last_provider");
    stack.delete("/auth/link/apple").auth(&ada).send().await.refused(404, "not_found");
    stack.delete("/auth/link/myspace").auth(&ada).send().await.refused(404, "not_found");
}

#[tokio::test]
async fn a_stolen_access_token_opens_no_lasting_way_in() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    stack.advance(600).await;
    link(&stack, &ada, "apple", "early-enough").await.ok();
    stack.advance(1).await;
    link(&stack, &ada, "apple", "thief").await.refused(403, "reauthentication_required");
    stack.delete("/auth/link/apple").auth(&ada).send().await.refused(403, "reauthentication_required");
    stack.delete("/auth/me").auth(&ada).send().await.refused(403, "reauthentication_required");
    stack.post("/auth/me/export").auth(&ada).send().await.refused(403, "reauthentication_required");
    // A refresh is no sign-in.
    let body = stack.post("/auth/refresh").json(json!({ "refresh_token": ada.refresh_token })).send().await.ok();
    let refreshed = Session { access_token: body["access_token"].as_str().unwrap().to_owned(), ..ada.clone() };
    link(&stack, &refreshed, "apple", "thief").await.refused(403, "reauthentication_required");
    let again = stack.sign_in_again(&ada).await;
    stack.delete("/auth/link/apple").auth(&again).send().await;
}

#[tokio::test]
async fn a_bad_id_token_links_nothing() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let forged = stack.id_token(json!({ "provider": "apple", "subject": "x", "forged": true })).await;
    let body = json!({ "provider": "apple", "id_token": forged });
    stack.post("/auth/link").auth(&ada).json(body).send().await.refused(401, "invalid_id_token");
    stack
        .post("/auth/link")
        .auth(&ada)
        .json(json!({ "provider": "myspace", "id_token": "x" }))
        .send()
        .await
        .refused(422, "invalid_input");
    assert_eq!(stack.get("/auth/me").auth(&ada).send().await.ok()["providers"], json!(["google"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_takings_that_race_leave_one_way_in() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    link(&stack, &ada, "apple", "ada-apple").await.ok();
    let take = |provider: &'static str| {
        let (stack, ada) = (stack.clone(), ada.clone());
        tokio::spawn(async move { stack.delete(&format!("/auth/link/{provider}")).auth(&ada).send().await.status })
    };
    let (one, other) = (take("apple"), take("google"));
    let mut statuses = [one.await.unwrap(), other.await.unwrap()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409]);
    assert_eq!(stack.get("/auth/me").auth(&ada).send().await.ok()["providers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_that_was_ended_opens_no_lasting_way_in() {
    let stack = Stack::start().await;
    let (thief, owner) = (stack.sign_in("ada").await, stack.sign_in("ada").await);
    let ended = stack.delete(&format!("/auth/sessions/{}", thief.device_id)).auth(&owner).send().await;
    assert_eq!(ended.status, 204);
    // The access token itself lives on for minutes, and is recent.
    stack.get("/auth/me").auth(&thief).send().await.ok();
    let id_token = stack.id_token(json!({ "provider": "apple", "subject": "eve", "nonce": "n" })).await;
    let body = json!({ "provider": "apple", "id_token": id_token, "nonce": "n" });
    stack.post("/auth/link").auth(&thief).json(body).send().await.refused(401, "session_revoked");
    stack.post("/auth/me/export").auth(&thief).json(json!({})).send().await.refused(401, "session_revoked");
    stack.delete("/auth/me").auth(&thief).send().await.refused(401, "session_revoked");
    let me = stack.get("/auth/me").auth(&owner).send().await.ok();
    assert_eq!(me["providers"], json!(["google"]));
}
