//! Outgoing webhooks over a whole local stack: what arrives at a receiver on this machine, and when it comes again.

#![expect(clippy::unwrap_used, reason = "a helper that fails should fail its test")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use satchel_domain::webhooks::{Key, signature};
use satchel_inbound::{Complaints, Entry, Env, Settings};
use satchel_outbound::Http;
use satchel_testkit::{Options, Stack};
use serde_json::{Value, json};

const NOW: i64 = 1_767_225_600;
const USER: &str = "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV";
const OLD_KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// One call that arrived.
#[derive(Debug, Clone)]
struct Call {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn signature_by(&self, keys: &[&str]) -> String {
        let keys: Vec<Key> = keys.iter().map(|key| key.parse().unwrap()).collect();
        let timestamp = self.header("webhook-timestamp").parse().unwrap();
        signature(&keys, self.header("webhook-id"), timestamp, &self.body)
    }
}

/// A receiver on this machine.
#[derive(Clone)]
struct Receiver {
    url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    /// What it answers to the next calls, status and a header; then 204.
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

type Answer = (u16, Option<(&'static str, &'static str)>);

impl Receiver {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks?from=satchel", listener.local_addr().unwrap());
        let receiver = Self { url, calls: Arc::default(), answers: Arc::default() };
        let router = axum::Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    async fn stack(&self) -> Stack {
        Stack::with(Options::default().param("EntitlementWebhookUrl", &self.url)).await
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }
}

async fn take(State(receiver): State<Receiver>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<String> {
    receiver.calls.lock().unwrap().push(Call { path: uri.to_string(), headers, body });
    let (status, header) = receiver.answers.lock().unwrap().pop_front().unwrap_or((204, None));
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// The key that the local stack signs with.
fn local_key(stack: &Stack) -> String {
    let secret = stack.services().secrets().get(&stack.template().parameters()["EntitlementWebhookSecretArn"]).unwrap();
    serde_json::from_str::<Value>(&secret).unwrap()["current"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_change_reaches_the_receiver_signed() {
    let receiver = Receiver::start().await;
    let stack = receiver.stack().await;
    stack.grant(USER, "sync", 30).await;
    stack.drain().await;
    let calls = receiver.calls();
    let [call] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!((call.path.as_str(), call.header("content-type")), ("/hooks?from=satchel", "application/json"));
    assert_eq!(call.header("webhook-timestamp"), NOW.to_string());
    assert_eq!(call.header("webhook-signature"), call.signature_by(&[&local_key(&stack)]));
    let body: Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!((&body["type"], &body["timestamp"]), (&json!("payment.updated.v1"), &json!("2026-01-01T00:00:00Z")));
    let event = stack.published().into_iter().find(|event| event["name"] == "payment.updated.v1").unwrap();
    assert_eq!(body["data"], event["event"], "the webhook and the topic tell the same");
    assert_eq!(body["data"]["id"], call.header("webhook-id"));
    assert!(!call.header("webhook-id").contains('.'));
}

#[tokio::test]
async fn without_a_receiver_nothing_waits_for_one() {
    let stack = Stack::start().await;
    stack.grant(USER, "sync", 30).await;
    stack.drain().await;
    assert_eq!(stack.dead("EntitlementWebhookQueue"), Vec::<String>::new());
    // What was sent while there was one is let go.
    stack.send("EntitlementWebhookQueue", &json!({ "id": "evt_1", "body": "{}" })).await;
    stack.drain().await;
    assert_eq!(stack.dead("EntitlementWebhookQueue"), Vec::<String>::new());
}

#[tokio::test]
async fn a_receiver_that_fails_is_tried_for_a_day_and_then_given_up() {
    let receiver = Receiver::start().await;
    receiver.answers((0..20).map(|_| (500, None)));
    let stack = receiver.stack().await;
    stack.grant(USER, "sync", 30).await;
    stack.drain().await;
    for (number, pause) in [5, 295, 1_500, 5_400, 10_800, 18_000, 14_400, 21_600, 14_400].into_iter().enumerate() {
        assert_eq!(receiver.calls().len(), number + 1);
        stack.advance(pause - 1).await;
        stack.drain().await;
        assert_eq!(receiver.calls().len(), number + 1, "before its time");
        // Up to a tenth is added, and a queue counts whole seconds.
        stack.advance(pause / 10 + 3).await;
        stack.drain().await;
    }
    stack.advance(2 * 86_400).await;
    stack.drain().await;
    let calls = receiver.calls();
    assert_eq!(calls.len(), 10);
    assert_eq!(stack.dead("EntitlementWebhookQueue"), Vec::<String>::new());
    assert_eq!(stack.dead("EntitlementWebhookDeadQueue"), Vec::<String>::new(), "a receiver's trouble is none of ours");
    let key = local_key(&stack);
    for call in &calls {
        assert_eq!((call.header("webhook-id"), &call.body), (calls[0].header("webhook-id"), &calls[0].body));
        assert_eq!(call.header("webhook-signature"), call.signature_by(&[&key]));
    }
    let times: Vec<i64> = calls.iter().map(|call| call.header("webhook-timestamp").parse().unwrap()).collect();
    assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
    let day = times[9] - times[0];
    assert!((86_400..=86_400 * 11 / 10 + 60).contains(&day), "{day}");
}

#[tokio::test]
async fn a_receiver_that_comes_back_is_not_told_twice() {
    let receiver = Receiver::start().await;
    receiver.answers([(503, None), (404, None)]);
    let stack = receiver.stack().await;
    stack.grant(USER, "sync", 30).await;
    stack.drain().await;
    for pause in [10, 400, 2_000, 86_400] {
        stack.advance(pause).await;
        stack.drain().await;
    }
    assert_eq!(receiver.calls().len(), 3);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_asked_again_for_this_one() {
    let receiver = Receiver::start().await;
    receiver.answers([(410, None)]);
    let stack = receiver.stack().await;
    stack.grant(USER, "sync", 30).await;
    stack.drain().await;
    stack.advance(86_400).await;
    stack.drain().await;
    assert_eq!(receiver.calls().len(), 1);
    stack.grant(USER, "ai", 30).await;
    stack.drain().await;
    assert_eq!(receiver.calls().len(), 2);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let receiver = Receiver::start().await;
    receiver.answers([(307, Some(("location", "/elsewhere")))]);
    let stack = receiver.stack().await;
    stack.grant(USER, "sync", 30).await;
    stack.drain().await;
    assert_eq!(receiver.calls().len(), 1);
    stack.advance(10).await;
    stack.drain().await;
    let paths: Vec<String> = receiver.calls().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, ["/hooks?from=satchel"; 2]);
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let receiver = Receiver::start().await;
    receiver.answers([(429, Some(("retry-after", "3600")))]);
    let stack = receiver.stack().await;
    stack.grant(USER, "sync", 30).await;
    stack.drain().await;
    stack.advance(3_500).await;
    stack.drain().await;
    assert_eq!(receiver.calls().len(), 1);
    stack.advance(500).await;
    stack.drain().await;
    assert_eq!(receiver.calls().len(), 2);
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_tried_again() {
    // A port that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/");
    let stack = Stack::with(Options::default().param("EntitlementWebhookUrl", &url)).await;
    stack.grant(USER, "sync", 30).await;
    stack.drain().await;
    let waiting = stack.dead("EntitlementWebhookQueue");
    assert_eq!(waiting.len(), 1);
    let message: Value = serde_json::from_str(&waiting[0]).unwrap();
    assert_eq!(message["failures"], 1);
}

#[tokio::test]
async fn a_queue_that_takes_nothing_leaves_the_message_where_it_is() {
    let receiver = Receiver::start().await;
    receiver.answers([(500, None)]);
    let stack = receiver.stack().await;
    stack
        .fault(json!({ "service": "sqs", "operation": "SendMessage", "kind": "error", "probability": 1.0, "seed": 1 }));
    let event =
        json!({ "Records": [{ "messageId": "1", "body": json!({ "id": "evt_1", "body": "{}" }).to_string() }] });
    let answer = stack.invoke("payments-on-webhook", event).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "1" }] }));
}

// ------------------------------------------------------------------------------------------------------- settings

/// The consumer with other settings than its block's.
async fn build(stack: &Stack, settings: &[(&str, &str)]) -> Result<Entry, Complaints> {
    let block = stack.template().functions().iter().find(|block| block.binary == "payments-on-webhook").unwrap();
    let mut own: BTreeMap<String, String> = block.env.clone();
    own.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let env = Env {
        settings: Settings::new(move |name| own.get(name).cloned()),
        clock: stack.clock(),
        ids: stack.ids(),
        aws: stack.aws().clone(),
        http: Http::network(),
    };
    (satchel_payments::ON_WEBHOOK.build)(env).await
}

const SECRET: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:another";

#[tokio::test]
async fn while_a_key_is_replaced_both_sign() {
    let receiver = Receiver::start().await;
    let stack = Stack::start().await;
    let current = local_key(&stack);
    stack.services().secrets().put(SECRET, &json!({ "current": current, "previous": OLD_KEY }).to_string());
    let settings = [("ENTITLEMENT_WEBHOOK_URL", receiver.url.as_str()), ("ENTITLEMENT_WEBHOOK_SECRET_ARN", SECRET)];
    let Entry::Event(handle) = build(&stack, &settings).await.unwrap() else { panic!("it takes events") };
    let event =
        json!({ "Records": [{ "messageId": "1", "body": json!({ "id": "evt_1", "body": "{}" }).to_string() }] });
    assert_eq!(handle(event).await.unwrap(), json!({ "batchItemFailures": [] }));
    let call = receiver.calls().remove(0);
    assert_eq!(call.header("webhook-signature"), call.signature_by(&[&current, OLD_KEY]));
    assert_eq!(call.header("webhook-signature").split(' ').count(), 2);
}

#[tokio::test]
async fn wrong_settings_are_told_without_the_key() {
    let stack = Stack::start().await;
    let url = ("ENTITLEMENT_WEBHOOK_URL", "https://example.com/hooks");
    let complaint = async |settings: &[(&str, &str)]| build(&stack, settings).await.unwrap_err().to_string();
    let text = complaint(&[url, ("ENTITLEMENT_WEBHOOK_SECRET_ARN", "")]).await;
    assert!(text.contains("ENTITLEMENT_WEBHOOK_SECRET_ARN is not set"), "{text}");
    for address in ["http://example.com/hooks", "example.com"] {
        let text = complaint(&[("ENTITLEMENT_WEBHOOK_URL", address)]).await;
        assert!(text.contains("ENTITLEMENT_WEBHOOK_URL is no address"), "{text}");
    }
    for secret in
        [json!({ "current": "hush-hush" }), json!({ "current": OLD_KEY, "previous": "hush-hush" }), json!("hush-hush")]
    {
        stack.services().secrets().put(SECRET, &secret.to_string());
        let text = complaint(&[url, ("ENTITLEMENT_WEBHOOK_SECRET_ARN", SECRET)]).await;
        assert!(text.contains("ENTITLEMENT_WEBHOOK_SECRET_ARN:") && !text.contains("hush"), "{text}");
    }
    let text = complaint(&[url, ("ENTITLEMENT_WEBHOOK_SECRET_ARN", "arn:of:none")]).await;
    assert!(text.contains("ENTITLEMENT_WEBHOOK_SECRET_ARN:"), "{text}");
}
