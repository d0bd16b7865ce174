//! What every test of the families stands on.

use std::time::{Duration, Instant};

use satchel_testkit::{Options, Stack};
use serde_json::json;

#[tokio::test]
async fn a_stack_starts_in_milliseconds() {
    // The first one reads the template and makes the keys for all.
    let begun = Instant::now();
    let first = Stack::start().await;
    let took_first = begun.elapsed();
    let begun = Instant::now();
    let mut stacks = vec![first];
    for _ in 0..10 {
        stacks.push(Stack::start().await);
    }
    let took = begun.elapsed() / 10;
    println!("first {took_first:?}, then {took:?} each");
    // Ten times what is wanted: a machine under load must not fail this.
    assert!(took < Duration::from_millis(500), "{took:?}");
}

#[tokio::test]
async fn a_person_signs_in_and_again_on_the_same_device() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let mac = stack.sign_in_on("ada", "macos", "Ada's Mac").await;
    let ben = stack.sign_in("ben").await;
    assert_eq!(ada.user_id, mac.user_id);
    assert_ne!(ada.user_id, ben.user_id);
    assert_ne!(ada.device_id, mac.device_id);
    stack.advance(60).await;
    let again = stack.sign_in_again(&ada).await;
    assert_eq!((&again.user_id, &again.device_id), (&ada.user_id, &ada.device_id));
    stack.drain().await;
}

#[tokio::test]
async fn the_back_office_grants_what_a_person_then_has() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    stack.grant(&ada.user_id, "sync", 30).await;
    let entitlements = stack.get("/payments/entitlements").auth(&ada).send().await.ok();
    assert!(entitlements.to_string().contains("\"sync\""), "{entitlements}");
    assert!(!stack.rows("EntitlementsTable").await.is_empty());
}

#[tokio::test]
async fn a_refusal_is_a_problem() {
    let stack = Stack::start().await;
    stack.get("/devices").send().await.refused(401, "missing_token");
    stack.get("/nowhere").send().await.refused(404, "not_found");
    stack.fault(json!({ "service": "dynamodb", "kind": "throttle" }));
    assert!(!stack.rows("AccountsTable").await.is_empty(), "looking at rows is beyond faults");
}

#[tokio::test]
async fn a_stack_on_a_folder_goes_on_after_a_restart() {
    let folder = std::env::temp_dir().join(format!("satchel-testkit-{}", std::process::id()));
    let stack = Stack::with(Options::default().data(&folder)).await;
    let ada = stack.sign_in("ada").await;
    let stack = stack.restart().await;
    let me = stack.get("/auth/me").auth(&ada).send().await.ok();
    assert_eq!(me["user_id"], ada.user_id.as_str());
    drop(stack);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn the_control_api_makes_an_admin_who_is_one_from_the_next_sign_in() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    stack.post("/_local/admin").json(json!({ "user_id": ada.user_id })).send().await.ok();
    let again = stack.sign_in_again(&ada).await;
    let claims = URL_SAFE_NO_PAD.decode(again.access_token.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["scope"], "user admin");
    let nobody = json!({ "user_id": "usr_01JGFJJZ00AAAAAAAAAAAAAAAA" });
    assert_eq!(stack.post("/_local/admin").json(nobody).send().await.status, 404);
}
