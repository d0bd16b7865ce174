//! The public keys.

use satchel_testkit::Stack;
use serde_json::json;

#[tokio::test]
async fn the_keys_are_public_and_verify_what_was_signed() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let answer = stack.get("/.well-known/jwks.json").send().await;
    let jwks: jsonwebtoken::jwk::JwkSet = serde_json::from_value(answer.ok()).unwrap();
    assert!(answer.header("cache-control").unwrap().starts_with("public, max-age="));
    let header = jsonwebtoken::decode_header(&ada.access_token).unwrap();
    assert_eq!(header.alg, jsonwebtoken::Algorithm::ES256);
    let key = jsonwebtoken::DecodingKey::from_jwk(jwks.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    validation.validate_exp = false;
    validation.validate_aud = false;
    let claims = jsonwebtoken::decode::<serde_json::Value>(&ada.access_token, &key, &validation).unwrap().claims;
    let now = stack.now();
    for (name, expected) in [
        ("sub", json!(ada.user_id)),
        ("did", json!(ada.device_id)),
        ("auth_time", json!(now)),
        ("iat", json!(now)),
        ("nbf", json!(now)),
        ("exp", json!(now + 900)),
        ("scope", json!("user")),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
    assert!(claims["sid"].as_str().unwrap().starts_with("ses_") && claims["jti"].is_string());
    assert!(!answer.text().contains("\"d\""), "no private part is published");
}

#[tokio::test]
async fn keys_that_are_known_are_not_sent_again() {
    let stack = Stack::start().await;
    let first = stack.get("/.well-known/jwks.json").send().await;
    let tag = first.header("etag").unwrap();
    let again = stack.get("/.well-known/jwks.json").header("if-none-match", tag).send().await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(stack.get("/.well-known/jwks.json").header("if-none-match", "\"x\"").send().await.status, 200);
}
