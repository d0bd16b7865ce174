//! What is read at init, and what is said where it is wrong.

use satchel_domain::appstore::{Environment, Source};
use satchel_inbound::Complaints;
use serde_json::json;

use super::given::{Given, api_key};
use super::pki::{NEWEST, Pki, transaction};
use super::server::{Server, html};
use super::{APPLE_ARN, GOOGLE_ARN};
use crate::stores::apple::AppleApi;
use crate::stores::google::PlayApi;

async fn apple(given: Given) -> Result<Option<AppleApi>, Vec<String>> {
    let server = Server::new(|_| html(404));
    AppleApi::from_env(&given.env(server.http())).await.map_err(|Complaints(all)| all)
}

async fn google(given: Given) -> Result<Option<PlayApi>, Vec<String>> {
    let server = Server::new(|_| html(404));
    PlayApi::from_env(&given.env(server.http())).await.map_err(|Complaints(all)| all)
}

fn complaints<T>(result: Result<Option<T>, Vec<String>>) -> Vec<String> {
    result.err().expect("there is something to complain of")
}

#[tokio::test]
async fn a_store_without_a_name_of_the_app_is_off() {
    assert!(apple(Given::apple(&Pki::new()).set("APPLE_BUNDLE_ID", "")).await.unwrap().is_none());
    assert!(google(Given::google("").set("GOOGLE_PACKAGE_NAME", "")).await.unwrap().is_none());
}

#[tokio::test]
async fn production_stands_before_the_sandbox_and_both_trust_the_configured_root() {
    let pki = Pki::new();
    let api = apple(Given::apple(&pki)).await.unwrap().unwrap();
    let believes = |environment: &str| {
        let text = pki.sign(&transaction(NEWEST, environment));
        let one = |verifier: &satchel_domain::appstore::Verifier| verifier.transaction(&text, Source::Api, &[]).is_ok();
        api.verifiers().map(one).collect::<Vec<_>>()
    };
    assert_eq!(believes("Production"), [true, false]);
    assert_eq!(believes("Sandbox"), [false, true]);
    assert_eq!(api.sides[0].environment, Environment::Production { app_apple_id: super::APP_ID });
}

#[tokio::test]
async fn the_sandbox_counts_only_where_it_is_allowed_and_alone_where_it_is_configured() {
    let pki = Pki::new();
    let sides = async |given: Given| {
        let api = apple(given).await.unwrap().unwrap();
        api.sides.iter().map(|side| side.environment.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(sides(Given::apple(&pki)).await, ["Production", "Sandbox"]);
    assert_eq!(sides(Given::apple(&pki).set("ALLOW_SANDBOX", "false")).await, ["Production"]);
    let stage = Given::apple(&pki).set("APPLE_ENVIRONMENT", "Sandbox").set("APPLE_APP_ID", "");
    assert_eq!(sides(stage.set("ALLOW_SANDBOX", "false")).await, ["Sandbox"]);
}

#[tokio::test]
async fn without_another_root_apples_own_is_pinned() {
    let api = apple(Given::apple(&Pki::new()).set("APPLE_ROOT_CA", "")).await.unwrap().unwrap();
    assert_eq!(api.root().fingerprint(), satchel_domain::appstore::Root::apple().unwrap().fingerprint());
}

#[tokio::test]
async fn another_root_is_pinned_in_the_local_stack_alone() {
    let pki = Pki::new();
    for stage in ["", "dev", "prod", "Local", "locals"] {
        let all = complaints(apple(Given::apple(&pki).set("STAGE", stage)).await);
        assert_eq!(all, ["APPLE_ROOT_CA is set, but STAGE is not local"], "{stage}");
        let without = Given::apple(&pki).set("STAGE", stage).set("APPLE_ROOT_CA", "");
        assert!(apple(without).await.unwrap().is_some(), "{stage}");
    }
}

#[test]
fn keys_of_ours_go_over_plain_http_to_this_machine_alone() {
    let is_taken = |text: &str| {
        let text = text.to_owned();
        let settings = satchel_inbound::Settings::new(move |_| Some(text.clone()));
        settings.read(|it| crate::stores::address(it, "X_URL", "https://own.example")).is_ok()
    };
    for taken in [
        "https://play.example",
        "https://play.example:8443/a/",
        "https://127.0.0.1/",
        "http://127.0.0.1:3000/_local/google",
        "http://localhost:3000",
        "http://[::1]:3000/x",
    ] {
        assert!(is_taken(taken), "{taken}");
    }
    for refused in [
        "http://play.example",
        "http://127.0.0.1.example/",
        "http://localhost.example",
        "http://localhost@play.example/",
        "http://127.0.0.2/",
        "http://[::2]/",
        "http://0.0.0.0:3000/",
        "ftp://127.0.0.1/",
        "https://play.example/?a=b",
        "http://localhost/?a=b",
        "https://",
        "play.example",
        "/token",
    ] {
        assert!(!is_taken(refused), "{refused}");
    }
}

#[tokio::test]
async fn all_complaints_about_apple_come_at_once() {
    let given = Given::apple(&Pki::new())
        .set("APPLE_APP_ID", "x")
        .set("ALLOW_SANDBOX", "yes")
        .set("APPLE_API_URL", "apple")
        .set("APPLE_ROOT_CA", "AAAA")
        .set("LEGACY_VERIFY_RECEIPT", "true")
        .secret(APPLE_ARN, &json!({ "issuer_id": "i", "key_id": "k", "private_key": "no key" }));
    let all = complaints(apple(given).await);
    for start in [
        "APPLE_ROOT_CA is no certificate of a root",
        "APPLE_APP_ID cannot be read",
        "ALLOW_SANDBOX cannot be read",
        "APPLE_API_URL is no address",
        "LEGACY_VERIFY_RECEIPT is neither on nor off",
        "APPLE_STORE_SECRET_ARN: private_key is no P-256 key",
    ] {
        assert!(all.iter().any(|one| one.starts_with(start)), "{start}: {all:?}");
    }
    assert!(all.iter().all(|one| !one.contains("no key")), "a secret is quoted: {all:?}");
}

#[tokio::test]
async fn what_is_missing_of_apple_is_said() {
    let pki = Pki::new();
    let starts = async |given: Given, start: &str| {
        let all = complaints(apple(given).await);
        assert!(all.iter().any(|one| one.starts_with(start)), "{start}: {all:?}");
    };
    starts(Given::apple(&pki).set("APPLE_APP_ID", ""), "APPLE_APP_ID is needed").await;
    starts(Given::apple(&pki).set("APPLE_ENVIRONMENT", "Xcode"), "APPLE_ENVIRONMENT is neither").await;
    starts(Given::apple(&pki).set("APPLE_ROOT_CA", "%"), "APPLE_ROOT_CA is not base64").await;
    starts(Given::apple(&pki).set("APPLE_STORE_SECRET_ARN", ""), "APPLE_STORE_SECRET_ARN is not set").await;
    starts(Given::apple(&pki).set("APPLE_STORE_SECRET_ARN", "arn:other"), "APPLE_STORE_SECRET_ARN: ").await;
    starts(Given::apple(&pki).secret(APPLE_ARN, &json!({})), "APPLE_STORE_SECRET_ARN: internal error").await;
}

#[tokio::test]
async fn all_complaints_about_google_come_at_once() {
    let given = Given::google("")
        .set("GOOGLE_PACKAGE_NAME", "app/satchel")
        .set("GOOGLE_TOKEN_URL", "ftp://x")
        .set("GOOGLE_PLAY_URL", "https://")
        // A key, but of another kind.
        .secret(GOOGLE_ARN, &json!({ "client_email": "a@b", "private_key": api_key(), "private_key_id": "1" }));
    let all = complaints(google(given).await);
    for start in [
        "GOOGLE_PACKAGE_NAME is no name",
        "GOOGLE_TOKEN_URL is no address",
        "GOOGLE_PLAY_URL is no address",
        "GOOGLE_PLAY_SECRET_ARN: private_key is no RSA key",
    ] {
        assert!(all.iter().any(|one| one.starts_with(start)), "{start}: {all:?}");
    }
}
