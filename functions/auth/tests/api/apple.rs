//! Apple's authorization code: exchanged at the sign-in, kept sealed, revoked when the account is erased.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Response, StatusCode};
use p256::pkcs8::EncodePrivateKey as _;
use satchel_inbound::{Entry, Env, Function, Settings};
use satchel_outbound::Http;
use satchel_outbound::http::{BoxFuture, Carrier};
use satchel_testkit::Stack;
use serde_json::{Value, json};
use tower::ServiceExt as _;

const TOKEN_URL: &str = "https://apple.example/auth/token";
const ARN: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:apple";

/// Apple's endpoint and the issuers' keys, and what was asked of the former.
struct Apple {
    jwks: Bytes,
    asked: Mutex<Vec<(String, BTreeMap<String, String>)>>,
    status: Mutex<StatusCode>,
    /// What it says where it refuses.
    error: Mutex<&'static str>,
    /// Whom it takes a code to be of.
    subject: Mutex<&'static str>,
}

impl Carrier for Apple {
    fn carry(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, satchel_domain::error::Cause>> {
        let answer = if request.uri().host() == Some("apple.example") {
            let form = form_urlencoded::parse(request.body()).into_owned().collect();
            self.asked.lock().unwrap().push((request.uri().path().to_owned(), form));
            let claims = URL_SAFE_NO_PAD.encode(json!({ "sub": *self.subject.lock().unwrap() }).to_string());
            let granted = json!({
                "refresh_token": "r.apple", "access_token": "a", "expires_in": 3600, "token_type": "Bearer",
                "id_token": format!("e30.{claims}.c2ln"),
            });
            let is_good = self.status.lock().unwrap().is_success();
            let body = if is_good { granted } else { json!({ "error": *self.error.lock().unwrap() }) }.to_string();
            Response::builder().status(*self.status.lock().unwrap()).body(Bytes::from(body)).unwrap()
        } else {
            Response::new(self.jwks.clone())
        };
        Box::pin(async move { Ok(answer) })
    }
}

async fn build(stack: &Stack, function: &Function, apple: &Arc<Apple>) -> Entry {
    let found = stack.template().functions().iter().find(|one| one.binary == function.name).unwrap();
    let mut settings = found.env.clone();
    settings.insert("APPLE_CLIENT_SECRET_ARN".into(), ARN.into());
    settings.insert("APPLE_TOKEN_URL".into(), TOKEN_URL.into());
    let own: BTreeMap<String, String> = settings.into_iter().collect();
    let env = Env {
        settings: Settings::new(move |name| own.get(name).cloned()),
        clock: stack.clock(),
        ids: stack.ids(),
        aws: stack.aws().clone(),
        http: Http::new(apple.clone()),
    };
    (function.build)(env).await.unwrap()
}

async fn begin() -> (Stack, Arc<Apple>) {
    let stack = Stack::start().await;
    let key = p256::SecretKey::from_slice(&[5; 32]).unwrap().to_pkcs8_pem(Default::default()).unwrap();
    let secret = json!({ "team_id": "TEAM", "key_id": "KEY", "client_id": "local-apple", "private_key": key.as_str() });
    stack.services().secrets().put(ARN, &secret.to_string());
    let jwks = Bytes::from(stack.local().issuer().jwks().unwrap().to_string());
    let apple = Apple {
        jwks,
        asked: Mutex::default(),
        status: Mutex::new(StatusCode::OK),
        error: Mutex::new("invalid_client"),
        subject: Mutex::new("ada"),
    };
    (stack, Arc::new(apple))
}

async fn sign_in(stack: &Stack, apple: &Arc<Apple>) -> Value {
    let Entry::Http(router) = build(stack, &satchel_auth::HTTP, apple).await else { panic!("auth has routes") };
    let id_token = stack.id_token(json!({ "provider": "apple", "subject": "ada" })).await;
    let body =
        json!({ "id_token": id_token, "authorization_code": "c.1", "device": { "name": "x", "platform": "ios" } });
    let request = Request::post("/auth/apple")
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    let answer = router.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    serde_json::from_slice(&axum::body::to_bytes(answer.into_body(), 100_000).await.unwrap()).unwrap()
}

async fn account(stack: &Stack) -> Value {
    stack.rows("AccountsTable").await.into_iter().find(|row| row["sk"] == "ACCOUNT").unwrap()
}

#[tokio::test]
async fn a_code_becomes_a_sealed_token_that_is_revoked_with_the_account() {
    let (stack, apple) = begin().await;
    let body = sign_in(&stack, &apple).await;
    let (path, form) = apple.asked.lock().unwrap().pop().unwrap();
    assert_eq!(path, "/auth/token");
    assert_eq!(
        (form["grant_type"].as_str(), form["code"].as_str(), form["client_id"].as_str()),
        ("authorization_code", "c.1", "local-apple")
    );
    let header = jsonwebtoken::decode_header(&form["client_secret"]).unwrap();
    assert_eq!((header.alg, header.kid.as_deref()), (jsonwebtoken::Algorithm::ES256, Some("KEY")));
    let sealed = account(&stack).await["apple_token"].as_str().unwrap().to_owned();
    assert!(!sealed.contains("r.apple"));

    let bearer = body["access_token"].as_str().unwrap();
    assert_eq!(stack.delete("/auth/me").bearer(bearer).send().await.status, 202);
    let Entry::Event(handle) = build(&stack, &satchel_auth::ON_ERASE, &apple).await else { panic!("it takes events") };
    let message = json!({ "user_id": body["user_id"], "revoke": "apple" });
    let event = json!({ "Records": [{ "messageId": "m", "body": message.to_string() }] });
    // Neither a throttle nor a wrong setting of ours is a revocation.
    for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::BAD_REQUEST] {
        *apple.status.lock().unwrap() = status;
        let failed = handle(event.clone()).await.unwrap();
        assert_eq!(failed["batchItemFailures"].as_array().unwrap().len(), 1, "{status}");
        assert!(account(&stack).await.get("apple_token").is_some(), "{status}");
    }
    apple.asked.lock().unwrap().clear();

    *apple.status.lock().unwrap() = StatusCode::OK;
    for _ in 0..2 {
        assert_eq!(handle(event.clone()).await.unwrap(), json!({ "batchItemFailures": [] }));
    }
    let asked = apple.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1, "a token that is revoked is not revoked again");
    assert_eq!((asked[0].0.as_str(), asked[0].1["token"].as_str()), ("/auth/revoke", "r.apple"));
    assert!(account(&stack).await.get("apple_token").is_none());
}

#[tokio::test]
async fn a_token_that_is_void_already_counts_as_revoked() {
    let (stack, apple) = begin().await;
    let body = sign_in(&stack, &apple).await;
    let bearer = body["access_token"].as_str().unwrap();
    assert_eq!(stack.delete("/auth/me").bearer(bearer).send().await.status, 202);
    let Entry::Event(handle) = build(&stack, &satchel_auth::ON_ERASE, &apple).await else { panic!("it takes events") };
    (*apple.status.lock().unwrap(), *apple.error.lock().unwrap()) = (StatusCode::BAD_REQUEST, "invalid_grant");
    let message = json!({ "user_id": body["user_id"], "revoke": "apple" });
    let event = json!({ "Records": [{ "messageId": "m", "body": message.to_string() }] });
    assert_eq!(handle(event).await.unwrap(), json!({ "batchItemFailures": [] }));
    assert!(account(&stack).await.get("apple_token").is_none());
}

#[tokio::test]
async fn a_code_is_asked_for_once_and_anothers_is_not_kept() {
    let (stack, apple) = begin().await;
    *apple.status.lock().unwrap() = StatusCode::BAD_GATEWAY;
    sign_in(&stack, &apple).await;
    assert_eq!(apple.asked.lock().unwrap().len(), 1, "a code that was spent once is not tried again");
    *apple.status.lock().unwrap() = StatusCode::OK;
    *apple.subject.lock().unwrap() = "eve";
    sign_in(&stack, &apple).await;
    assert!(account(&stack).await.get("apple_token").is_none());
}

#[tokio::test]
async fn a_code_that_apple_refuses_does_not_fail_the_sign_in() {
    let (stack, apple) = begin().await;
    *apple.status.lock().unwrap() = StatusCode::BAD_REQUEST;
    sign_in(&stack, &apple).await;
    assert!(account(&stack).await.get("apple_token").is_none());
}
