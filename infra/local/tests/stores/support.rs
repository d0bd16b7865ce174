//! A stack whose one function takes what stores send, and asks stores what it is told to ask.

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Request, StatusCode};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use satchel_domain::Timestamp;
use satchel_domain::appstore::{App, Environment, Event, Refused, Root, Source, Transaction, Verified, Verifier};
use satchel_inbound::{Entry, Env, Function};
use satchel_local::stores::{ActIn, BuyIn, Deliver};
use satchel_local::{Bytes, Local, LocalClock, LocalOptions};
use satchel_outbound::Topic;
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW: i64 = 1_767_225_600;
pub(crate) const DAY: u64 = 86_400;
pub(crate) const MONTHLY: &str = "app.satchel.sync.monthly";
pub(crate) const YEARLY: &str = "app.satchel.sync.yearly";
pub(crate) const SUPPORTER: &str = "app.satchel.supporter";
pub(crate) const APPLE_SECRET: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:satchel-local-app-store";
pub(crate) const GOOGLE_SECRET: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:satchel-local-google-play";
const BASE: &str = "http://127.0.0.1:3000/_local";

pub(crate) const FUNCTIONS: [Function; 1] =
    [Function { name: "hooks", build: |env| Box::pin(async move { Ok(Entry::Http(hooks(env))) }) }];

/// Tells what came through a topic, and is in trouble where that fails; asks stores what the body of `/ask` says.
fn hooks(env: Env) -> Router {
    let topic = Topic::new(env.aws.sns(), env.settings.get("TOPIC").unwrap_or_default());
    let http = env.http.clone();
    Router::new()
        .route(
            "/payments/webhook/{store}",
            post(move |headers: HeaderMap, body: String| {
                let topic = topic.clone();
                async move {
                    let body: Value = serde_json::from_str(&body).unwrap_or_default();
                    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok());
                    match topic.publish("hook", &json!({ "body": body, "bearer": bearer })).await {
                        Ok(_) => StatusCode::NO_CONTENT,
                        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
                    }
                }
            }),
        )
        .route(
            "/ask",
            post(move |body: String| {
                let http = http.clone();
                async move {
                    let asked: Value = serde_json::from_str(&body).unwrap_or_default();
                    let text = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
                    let mut request = Request::builder().method(text("method").as_str()).uri(text("url"));
                    if asked["bearer"].is_string() {
                        request = request.header("authorization", format!("Bearer {}", text("bearer")));
                    }
                    let body = STANDARD.decode(text("body")).unwrap_or_default();
                    let request = request.body(Bytes::from(body)).unwrap();
                    match http.once(request).await {
                        Ok(answer) => json!({
                            "status": answer.status().as_u16(), "body": STANDARD.encode(answer.body()),
                            "retry_after": answer.headers().get("retry-after").and_then(|value| value.to_str().ok()),
                        }),
                        Err(error) => json!({ "status": 0, "error": error.to_string() }),
                    }
                    .to_string()
                }
            }),
        )
}

pub(crate) fn options() -> LocalOptions {
    LocalOptions {
        clock: LocalClock::manual(Timestamp::from_second(NOW).unwrap()),
        seed: Some(1),
        template: include_str!("stores.yaml"),
        functions: FUNCTIONS.to_vec(),
        ..LocalOptions::default()
    }
}

pub(crate) async fn start() -> Local {
    Local::start(options()).await.unwrap()
}

pub(crate) async fn start_at(data: PathBuf) -> Local {
    Local::start(LocalOptions { data: Some(data), ..options() }).await.unwrap()
}

pub(crate) fn days(local: &Local, days: u64) {
    local.advance(Duration::from_secs(days * DAY)).unwrap();
}

pub(crate) fn seconds(local: &Local, seconds: u64) {
    local.advance(Duration::from_secs(seconds)).unwrap();
}

/// A purchase whose notifications stay where they are.
pub(crate) fn held(product_id: &str) -> BuyIn {
    BuyIn { deliver: Deliver::Hold, ..BuyIn::of(product_id) }
}

/// What happens to the purchase `id`, likewise.
pub(crate) fn on(id: &str) -> ActIn {
    ActIn { deliver: Deliver::Hold, ..ActIn::on(id) }
}

/// What arrived at the routes, oldest first.
pub(crate) fn hooked(local: &Local) -> Vec<Value> {
    let events = local.services().outbox().topic(&local.template().topics()[0].arn).into_iter();
    events.map(|event| serde_json::from_str(&event.message).unwrap()).collect()
}

/// An answer of a store.
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) bytes: Vec<u8>,
    pub(crate) retry_after: Option<String>,
}

impl Heard {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// The body of a good answer.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    /// Status and code of Apple's errors.
    pub(crate) fn refusal(&self) -> (u16, i64) {
        (self.status, self.json()["errorCode"].as_i64().unwrap_or_default())
    }
}

/// Asks a store as a function does, through its HTTP client; the status is 0 where nothing comes back or it is a 5xx.
pub(crate) async fn ask(local: &Local, method: &str, path: &str, bearer: Option<&str>, body: &[u8]) -> Heard {
    let asked = json!({
        "method": method, "url": format!("{BASE}/{path}"), "bearer": bearer, "body": STANDARD.encode(body),
    });
    let request = Request::post("/ask").body(Bytes::from(asked.to_string())).unwrap();
    let answer = local.call(request).await;
    let answer: Value = serde_json::from_slice(answer.body()).unwrap();
    Heard {
        status: answer["status"].as_u64().unwrap().try_into().unwrap(),
        bytes: STANDARD.decode(answer["body"].as_str().unwrap_or_default()).unwrap(),
        retry_after: answer["retry_after"].as_str().map(str::to_owned),
    }
}

fn secret(local: &Local, arn: &str) -> Value {
    serde_json::from_str(&local.services().secrets().get(arn).unwrap()).unwrap()
}

/// The bearer that Apple wants, with other claims where `change` makes them so.
pub(crate) fn apple_bearer(local: &Local, change: impl FnOnce(&mut Header, &mut Value)) -> String {
    let secret = secret(local, APPLE_SECRET);
    let now = local.clock().now().as_second();
    let mut header = Header::new(Algorithm::ES256);
    header.kid = secret["key_id"].as_str().map(str::to_owned);
    let mut claims = json!({
        "iss": secret["issuer_id"], "iat": now - 60, "exp": now + 300, "aud": "appstoreconnect-v1", "bid": "app.satchel",
    });
    change(&mut header, &mut claims);
    let key = EncodingKey::from_ec_pem(secret["private_key"].as_str().unwrap().as_bytes()).unwrap();
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

/// Asks Apple's production API.
pub(crate) async fn apple(local: &Local, path: &str) -> Heard {
    let bearer = apple_bearer(local, |_, _| ());
    ask(local, "GET", &format!("apple/production/inApps/{path}"), Some(&bearer), b"").await
}

/// The assertion that Google wants, with other claims where `change` makes them so.
pub(crate) fn assertion(local: &Local, change: impl FnOnce(&mut Value)) -> String {
    let secret = secret(local, GOOGLE_SECRET);
    let now = local.clock().now().as_second();
    let mut claims = json!({
        "iss": secret["client_email"], "scope": "https://www.googleapis.com/auth/androidpublisher",
        "aud": secret["token_uri"], "iat": now, "exp": now + 3_600,
    });
    change(&mut claims);
    let key = EncodingKey::from_rsa_pem(secret["private_key"].as_str().unwrap().as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap()
}

pub(crate) async fn grant(local: &Local, assertion: &str) -> Heard {
    let form = format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}");
    ask(local, "POST", "google/token", None, form.as_bytes()).await
}

/// Asks Google's API with a new token.
pub(crate) async fn google(local: &Local, method: &str, path: &str) -> Heard {
    let token = grant(local, &assertion(local, |_| ())).await.ok()["access_token"].as_str().unwrap().to_owned();
    let path = format!("google/androidpublisher/v3/applications/app.satchel/purchases/{path}");
    ask(local, method, &path, Some(&token), b"{}").await
}

pub(crate) fn root(local: &Local) -> Root {
    Root::from_der(STANDARD.decode(&local.template().parameters()["AppleRootCa"]).unwrap()).unwrap()
}

/// Who judges what the App Store signs, in production.
pub(crate) fn verifier(local: &Local) -> Verifier {
    verifier_of(local, Environment::Production { app_apple_id: 1_234_567_890 })
}

pub(crate) fn verifier_of(local: &Local, environment: Environment) -> Verifier {
    Verifier::new(root(local), App::new("app.satchel", environment))
}

/// A transaction that is believed.
pub(crate) fn transaction(local: &Local, signed: &str) -> Transaction {
    verifier(local).transaction(signed, Source::Device, &[]).unwrap().value
}

/// What the verifier says of a notification's body.
pub(crate) fn notification(local: &Local, body: &Value) -> Result<Verified<Event>, Refused> {
    let signed = body["signedPayload"].as_str().unwrap();
    verifier(local).notification(signed, Source::Webhook { now: local.clock().now() }, &[])
}
