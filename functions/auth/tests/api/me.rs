//! The caller's own account.

use satchel_testkit::Stack;
use serde_json::json;

#[tokio::test]
async fn an_account_says_what_its_person_and_provider_said() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let me = stack.get("/auth/me").auth(&ada).send().await.ok();
    assert_eq!(me["user_id"], ada.user_id.as_str());
    assert_eq!((me["name"].as_str(), me["email"].as_str()), (Some("ada"), Some("ada@example.org")));
    assert_eq!((me["email_verified"].clone(), me["locale"].clone()), (json!(true), json!(null)));
    assert_eq!((me["providers"].clone(), me["created_at"].as_str()), (json!(["google"]), Some("2026-01-01T00:00:00Z")));
    assert!(me.get("customer_id").is_none());
    let entitlements = stack.get("/payments/entitlements").auth(&ada).send().await.ok();
    assert_eq!(me["store_account_token"].as_str().unwrap().len(), 36);
    assert_eq!(me["store_account_token"], entitlements["store_account_token"], "a purchase names one account");
}

#[tokio::test]
async fn a_change_changes_what_it_names_and_null_empties() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let change = json!({ "name": " Ada L. ", "avatar_url": "https://cdn.example/a.png", "locale": "en-GB", "timezone": "europe/london", "nonsense": 1 });
    let me = stack.patch("/auth/me").auth(&ada).json(change).send().await.ok();
    assert_eq!((me["name"].as_str(), me["timezone"].as_str()), (Some("Ada L."), Some("Europe/London")));
    let me = stack.patch("/auth/me").auth(&ada).json(json!({ "avatar_url": null })).send().await.ok();
    assert_eq!(
        (me["avatar_url"].clone(), me["name"].as_str(), me["locale"].as_str()),
        (json!(null), Some("Ada L."), Some("en-GB"))
    );
    assert_eq!(stack.patch("/auth/me").auth(&ada).json(json!({})).send().await.ok(), me);
    assert_eq!(stack.get("/auth/me").auth(&ada).send().await.ok(), me);
    stack.sign_in("ada").await;
    assert_eq!(
        stack.get("/auth/me").auth(&ada).send().await.ok()["name"],
        "Ada L.",
        "a later sign-in keeps the person's own words"
    );
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("a\u{0}")),
        ("name", json!("x".repeat(201))),
        ("name", json!(7)),
        ("avatar_url", json!("http://x.example/a.png")),
        ("avatar_url", json!("javascript:alert(1)")),
        ("locale", json!("en_US")),
        ("timezone", json!("Mars/Phobos")),
    ] {
        let problem =
            stack.patch("/auth/me").auth(&ada).json(json!({ field: value })).send().await.refused(422, "invalid_input");
        assert_eq!(problem["errors"][0]["field"], field, "{value}");
    }
    stack
        .patch("/auth/me")
        .auth(&ada)
        .header("content-type", "application/json")
        .body("{")
        .send()
        .await
        .refused(400, "malformed_json");
}

#[tokio::test]
async fn two_people_see_and_change_only_their_own() {
    let stack = Stack::start().await;
    let (ada, eve) = (stack.sign_in("ada").await, stack.sign_in("eve").await);
    let before = stack.get("/auth/me").auth(&ada).send().await.ok();
    stack.patch("/auth/me").auth(&eve).json(json!({ "name": "Eve", "user_id": ada.user_id })).send().await.ok();
    assert_eq!(stack.get("/auth/me").auth(&ada).send().await.ok(), before);
}

#[tokio::test]
async fn admin_is_carried_from_the_next_refresh() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let key = |name: &str, value: &str| (name.to_owned(), aws_sdk_dynamodb::types::AttributeValue::S(value.to_owned()));
    let update = stack.dynamodb().update_item().table_name(stack.table("AccountsTable"));
    let update = update.set_key(Some([key("pk", &format!("USR#{}", ada.user_id)), key("sk", "ACCOUNT")].into()));
    let update = update.update_expression("SET admin = :yes");
    update
        .expression_attribute_values(":yes", aws_sdk_dynamodb::types::AttributeValue::Bool(true))
        .send()
        .await
        .unwrap();
    let body = stack.post("/auth/refresh").json(json!({ "refresh_token": ada.refresh_token })).send().await.ok();
    assert_eq!(claims(body["access_token"].as_str().unwrap())["scope"], "user admin");
    assert_eq!(claims(&ada.access_token)["scope"], "user");
}

/// The claims of an access token, unverified.
fn claims(token: &str) -> serde_json::Value {
    use base64::Engine as _;
    let body = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap()
}
