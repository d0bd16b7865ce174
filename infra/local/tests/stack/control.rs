//! The control API.

use crate::support::{control, drain, put, seen, send, start, told_of};
use axum::http::Method;
use http::{Request, header};
use satchel_local::Bytes;
use serde_json::{Value, json};

#[tokio::test]
async fn the_clock_moves_for_everybody_and_schedules_come_due() {
    let local = start().await;
    let (_, before) = control(&local, Method::GET, "/_local/clock", Value::Null).await;
    assert_eq!(before["now"], 1_767_225_600);
    let (_, after) = control(&local, Method::POST, "/_local/clock", json!({ "advance_seconds": 12_000 })).await;
    assert_eq!(after, json!({ "now": 1_767_237_600, "time": "2026-01-01T03:20:00Z" }));
    assert!(drain(&local).await.is_empty());
    let runs = told_of(&local, "scheduled");
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0]["time"], "2026-01-01T03:20:00Z");
    control(&local, Method::POST, "/_local/clock", json!({ "advance_seconds": 10 * 86_400 })).await;
    drain(&local).await;
    assert_eq!(told_of(&local, "scheduled").len(), 2, "once, however far");
    let (status, _) = control(&local, Method::POST, "/_local/clock", json!({ "advance_seconds": -1 })).await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn a_schedule_runs_when_it_is_told_to() {
    let local = start().await;
    for name in ["nightly", "worker"] {
        assert_eq!(control(&local, Method::POST, &format!("/_local/run/{name}"), Value::Null).await.0, 200);
    }
    assert_eq!(told_of(&local, "scheduled").len(), 2);
    let (status, body) = control(&local, Method::POST, "/_local/run/weekly", Value::Null).await;
    assert_eq!(status, 404);
    assert!(body["message"].as_str().unwrap().contains("nightly"));
}

#[tokio::test]
async fn drain_tells_what_is_left() {
    let local = start().await;
    send(&local, json!({ "n": 1, "do": "fail" }));
    send(&local, json!({ "n": 2 }));
    let (_, body) = control(&local, Method::POST, "/_local/drain", json!({ "timeout_ms": 5_000 })).await;
    assert_eq!(body["pending"], 1);
    assert_eq!(body["sources"][0]["count"], 1);
}

#[tokio::test]
async fn faults_come_and_go() {
    let local = start().await;
    let rule = json!({ "service": "dynamodb", "operation": "GetItem", "kind": "error", "probability": 1.0 });
    assert_eq!(control(&local, Method::POST, "/_local/faults", rule).await.0, 204);
    let get = || {
        let client = local.aws().clone().attempts(1).dynamodb();
        let key = aws_sdk_dynamodb::types::AttributeValue::S("x".to_owned());
        let table = local.template().tables()[0].name.clone();
        async move { client.get_item().table_name(table).key("pk", key.clone()).key("sk", key).send().await }
    };
    assert!(get().await.is_err());
    assert_eq!(control(&local, Method::DELETE, "/_local/faults", Value::Null).await.0, 204);
    assert!(get().await.is_ok());
    let (status, body) =
        control(&local, Method::POST, "/_local/faults", json!({ "service": "moon", "kind": "error" })).await;
    assert_eq!(status, 422);
    assert!(body["message"].as_str().unwrap().contains("moon"));
}

#[tokio::test]
async fn an_identity_is_a_token_that_the_issuers_keys_verify() {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation};
    let local = start().await;
    let (_, jwks) = control(&local, Method::GET, "/_local/oidc/jwks.json", Value::Null).await;
    let jwk = serde_json::from_value(jwks["keys"][0].clone()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.validate_aud = false;
    let claims = |body: Value| {
        let (key, validation) = (DecodingKey::from_jwk(&jwk).unwrap(), validation.clone());
        let token = body["id_token"].as_str().unwrap().to_owned();
        jsonwebtoken::decode::<Value>(token, &key, &validation).map(|token| token.claims)
    };
    let ask = async |body: Value| control(&local, Method::POST, "/_local/identity", body).await.1;

    let google = ask(json!({ "provider": "google", "subject": "ada", "email": "a@x.org", "nonce": "n" })).await;
    let google = claims(google).unwrap();
    assert_eq!(google["iss"], "https://accounts.google.com");
    assert_eq!(google["aud"], "local-google");
    assert_eq!(google["sub"], "ada");
    assert_eq!(google["nonce"], "n");
    assert_eq!(google["email_verified"], true);
    assert_eq!(google["exp"].as_i64().unwrap() - google["iat"].as_i64().unwrap(), 3_600);

    let apple =
        ask(json!({ "provider": "apple", "subject": "ada", "nonce": "n", "claims": { "aud": null, "x": 1 } })).await;
    let apple = claims(apple).unwrap();
    assert_eq!(apple["iss"], "https://appleid.apple.com");
    assert_eq!(apple["nonce"], "1b16b1df538ba12dc3f97edbb85caa7050d46c148134290feba80f8236c83db9");
    assert_eq!((&apple["aud"], &apple["x"]), (&Value::Null, &json!(1)));

    let forged = ask(json!({ "provider": "google", "subject": "ada", "forged": true })).await;
    assert!(claims(forged).is_err());
}

#[tokio::test]
async fn reset_leaves_an_empty_stack_that_works() {
    let local = start().await;
    put(&local, "E#1", json!({ "n": 1 })).await;
    send(&local, json!({ "n": 2, "do": "fail" }));
    drain(&local).await;
    control(&local, Method::POST, "/_local/clock", json!({ "advance_seconds": 5 })).await;
    local
        .services()
        .faults()
        .add(serde_json::from_value(json!({ "service": "sns", "kind": "error" })).unwrap())
        .unwrap();
    assert_eq!(control(&local, Method::POST, "/_local/reset", Value::Null).await.0, 204);
    let (_, clock) = control(&local, Method::GET, "/_local/clock", Value::Null).await;
    assert_eq!(clock["now"], 1_767_225_600);
    assert!(drain(&local).await.is_empty());
    assert_eq!(seen(&local), [0; 0]);
    put(&local, "E#3", json!({ "n": 3 })).await;
    assert!(drain(&local).await.is_empty());
    assert_eq!(seen(&local), [3]);
}

#[tokio::test]
async fn pages_of_other_origins_and_rebound_names_are_refused() {
    let local = start().await;
    let ask = |name: header::HeaderName, value: &str| {
        Request::get("/_local/clock").header(name, value).body(Bytes::new()).unwrap()
    };
    for (name, value, status) in [
        (header::HOST, "127.0.0.1:3000", 200),
        (header::HOST, "localhost:3000", 200),
        (header::HOST, "[::1]:3000", 200),
        (header::HOST, "evil.example", 403),
        (header::HOST, "127.0.0.1.evil.example:3000", 403),
        (header::ORIGIN, "http://localhost:5173", 200),
        (header::ORIGIN, "https://evil.example", 403),
        (header::ORIGIN, "null", 403),
    ] {
        assert_eq!(local.call(ask(name, value)).await.status(), status, "{value}");
    }
}
