//! Client credentials.

use satchel_testkit::{Answer, Stack};
use serde_json::json;

const ID: &str = "local-backoffice";
const SECRET: &str = "local-backoffice-secret";
const GRANT: (&str, &str) = ("grant_type", "client_credentials");

fn oauth(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status, answer.json()["error"].as_str()), (status, Some(error)), "{answer}");
    assert!(answer.header("content-type").unwrap().starts_with("application/json"));
    assert!(answer.json()["error_description"].is_string());
    assert!(answer.header("x-request-id").is_some());
}

#[tokio::test]
async fn a_client_gets_a_token_by_header_by_form_and_by_multipart() {
    let stack = Stack::start().await;
    let by_header = stack.post("/auth/token").basic(ID, SECRET).form(&[GRANT]).send().await;
    let body = by_header.ok();
    assert_eq!((body["token_type"].as_str(), body["expires_in"].as_i64()), (Some("Bearer"), Some(900)));
    assert_eq!(body["scope"], "admin portal:write notifications:send entitlements:write");
    assert!(body.get("refresh_token").is_none());
    assert_eq!(by_header.header("cache-control"), Some("no-store"));
    stack.post("/auth/token").form(&[GRANT, ("client_id", ID), ("client_secret", SECRET)]).send().await.ok();
    let part =
        |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let text = [
        part("grant_type", "client_credentials"),
        part("client_id", ID),
        part("client_secret", SECRET),
        "--b--\r\n".into(),
    ]
    .concat();
    stack.post("/auth/token").header("content-type", "multipart/form-data; boundary=b").body(text).send().await.ok();
}

#[tokio::test]
async fn a_client_gets_the_scopes_it_asks_for_and_never_more() {
    let stack = Stack::start().await;
    let with =
        async |scope: &str| stack.post("/auth/token").basic(ID, SECRET).form(&[GRANT, ("scope", scope)]).send().await;
    assert_eq!(with("portal:write").await.ok()["scope"], "portal:write");
    for scope in ["user", "portal:write root", "portal:read"] {
        oauth(&with(scope).await, 400, "invalid_scope");
    }
}

#[tokio::test]
async fn a_wrong_client_is_refused_whatever_is_wrong_with_it() {
    let stack = Stack::start().await;
    let mut bodies = Vec::new();
    for (id, secret) in [(ID, "wrong"), (ID, ""), ("cli_nobody", SECRET), ("", ""), ("a#b", SECRET)] {
        let answer = stack.post("/auth/token").basic(id, secret).form(&[GRANT]).send().await;
        oauth(&answer, 401, "invalid_client");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Basic "));
        bodies.push(answer.json());
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "nobody learns which clients there are");
    oauth(&stack.post("/auth/token").form(&[GRANT]).send().await, 401, "invalid_client");
    oauth(&stack.post("/auth/token").bearer("x").form(&[GRANT]).send().await, 401, "invalid_client");
}

#[tokio::test]
async fn a_wrong_request_has_the_shape_of_the_rfc() {
    let stack = Stack::start().await;
    let post = || stack.post("/auth/token").basic(ID, SECRET);
    oauth(&post().form(&[]).send().await, 400, "invalid_request");
    oauth(&post().form(&[("grant_type", "password")]).send().await, 400, "unsupported_grant_type");
    oauth(&post().form(&[GRANT, GRANT]).send().await, 400, "invalid_request");
    oauth(&post().form(&[GRANT, ("client_secret", SECRET)]).send().await, 400, "invalid_request");
    oauth(&post().form(&[GRANT, ("client_id", "another")]).send().await, 400, "invalid_request");
    oauth(&post().json(json!({ "grant_type": "client_credentials" })).send().await, 415, "invalid_request");
    oauth(&post().header("content-type", "multipart/form-data").body("x").send().await, 400, "invalid_request");
}

#[tokio::test]
async fn a_services_token_has_no_person_in_it() {
    let stack = Stack::start().await;
    let token = stack.backoffice(&["portal:write"]).await;
    use base64::Engine as _;
    let body = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert!(claims["sub"].as_str().unwrap().starts_with("cli_"));
    for absent in ["did", "sid", "cid", "auth_time"] {
        assert!(claims.get(absent).is_none(), "{absent}");
    }
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
}

#[tokio::test]
async fn too_many_requests_of_an_address_wait() {
    let stack = Stack::with(satchel_testkit::Options::default().param("TokenLimitAddress", 1)).await;
    let post = |address: &'static str| stack.post("/auth/token").from(address).basic(ID, SECRET).form(&[GRANT]).send();
    post("203.0.113.1").await.ok();
    assert_eq!(post("203.0.113.1").await.status, 429);
    post("203.0.113.2").await.ok();
}
