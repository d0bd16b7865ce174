//! Each function binary as Lambda runs it: a real process under a Runtime API, with the settings of its block in
//! `template.yaml`, fed with recorded events (`tests/events`), in front of the emulators over a socket.

#![expect(clippy::unwrap_used, reason = "a helper of a test or a benchmark tells by a panic")]

use std::time::Duration;

use satchel_domain::entitlements::AddOn;
use satchel_inbound::Settings;
use satchel_local::registry;
use satchel_local::services::{Denial, FaultRule};
use satchel_local::template::Event;
use satchel_store::keys;
use satchel_tests::binaries::Binaries;
use satchel_tests::events::{self, HttpAnswer, HttpEvent};
use satchel_tests::process::{Process, ProcessError};
use satchel_tests::stage::{Session, Stage};
use serde_json::{Value, json};

const NOBODY: &str = "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV";

async fn stage() -> Stage {
    Stage::start(&[]).await.unwrap()
}

async fn start(stage: &Stage, binary: &str) -> Process {
    stage.launch(binary, &Binaries::beside_this()).unwrap().start().await.unwrap()
}

async fn ask(function: &mut Process, event: &HttpEvent) -> HttpAnswer {
    HttpAnswer(function.invoke(event.value()).await.unwrap())
}

async fn paid(stage: &Stage, subject: &str) -> Session {
    let session = stage.sign_in(subject).await.unwrap();
    stage.grant_sync(&session.user_id).await.unwrap();
    session
}

fn push(session: &Session, id: &str) -> Value {
    let entry = json!({
        "id": id, "device_id": session.device_id, "encrypted_data": "Y2lwaGVydGV4dA==",
        "vector_clock": { &session.device_id: 1 }, "updated_at": 1_772_000_000,
    });
    json!({ "device_id": session.device_id, "entries": [entry] })
}

#[tokio::test]
async fn every_binary_of_the_template_is_built_and_comes_up_with_the_settings_of_its_block() {
    let stage = stage().await;
    let blocks = stage.local().template().functions();
    let names: Vec<&str> = blocks.iter().map(|block| block.binary.as_str()).collect();
    Binaries::beside_this().check(names.iter().copied()).unwrap_or_else(|problems| panic!("\n{problems}\n"));
    for name in names {
        let mut function = start(&stage, name).await;
        let ready = tokio::time::timeout(Duration::from_secs(10), function.initialised()).await;
        ready.unwrap_or_else(|_| panic!("{name} asks for no event: {}", function.output())).unwrap();
    }
}

#[tokio::test]
async fn every_http_binary_answers_an_unknown_route_with_our_own_404() {
    let stage = stage().await;
    for block in stage.local().template().functions() {
        if !block.events.iter().any(|event| matches!(event, Event::Http { .. })) {
            continue;
        }
        let mut function = start(&stage, &block.binary).await;
        let answer = ask(&mut function, &HttpEvent::new("GET", "/nowhere/at/all")).await;
        assert_eq!((answer.status(), answer.json()["code"].as_str()), (404, Some("not_found")), "{}", block.binary);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", block.binary);
        let id = answer.header("x-request-id").unwrap();
        assert!(id.starts_with("8476a536-"), "{}: the request id is not Lambda's: {id}", block.binary);
        assert_eq!(answer.json()["request_id"], id);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn every_binary_says_all_that_is_missing_at_once_and_does_not_come_up() {
    let stage = stage().await;
    for block in stage.local().template().functions() {
        let function = registry::find(&block.binary).unwrap();
        let env = satchel_inbound::Env {
            settings: Settings::new(|_| None),
            clock: stage.local().clock().clock(),
            ids: stage.local().ids().clone(),
            aws: stage.local().aws().clone(),
            http: satchel_outbound::Http::network(),
        };
        let complaints = match (function.build)(env).await {
            Err(complaints) => complaints.0,
            // `web` needs nothing but its code.
            Ok(_) => continue,
        };
        let file = Binaries::beside_this().find(&block.binary).unwrap();
        let launch = block
            .env
            .keys()
            .fold(stage.launch_file(&block.binary, &file).unwrap(), |launch, name| launch.without(name));
        let mut process = launch.start().await.unwrap();
        let (status, output) = process.ends(Duration::from_secs(10)).await.unwrap();
        assert!(!status.success(), "{}", block.binary);
        for complaint in &complaints {
            assert!(output.contains(complaint), "{}: `{complaint}` is not said in:\n{output}", block.binary);
        }
        let tables = block.env.keys().filter(|name| name.starts_with("TABLE_"));
        for table in tables {
            assert!(output.contains(table.as_str()), "{}: {table} is not named in:\n{output}", block.binary);
        }
    }
}

#[tokio::test]
async fn sync_takes_a_body_as_text_and_in_base64_and_serves_what_it_took() {
    let stage = stage().await;
    let ada = paid(&stage, "ada").await;
    let mut sync = start(&stage, "sync").await;
    let text = HttpEvent::json("POST", "/sync/push", &push(&ada, "one")).bearer(&ada.access_token);
    let answer = ask(&mut sync, &text).await;
    assert_eq!((answer.status(), &answer.json()["accepted"]), (200, &json!(["one"])), "{}", answer.text());
    let encoded = HttpEvent::json("POST", "/sync/push", &push(&ada, "two")).in_base64().bearer(&ada.access_token);
    let answer = ask(&mut sync, &encoded).await;
    assert_eq!((answer.status(), &answer.json()["accepted"]), (200, &json!(["two"])), "{}", answer.text());
    let pull = HttpEvent::json("POST", "/sync/pull", &json!({ "device_id": ada.device_id })).bearer(&ada.access_token);
    let answer = ask(&mut sync, &pull).await;
    let mut ids: Vec<String> = answer.json()["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    assert_eq!(ids, ["one", "two"]);
}

#[tokio::test]
async fn a_stage_in_the_path_cookies_and_headers_of_two_values_do_not_disturb() {
    let stage = stage().await;
    let ada = paid(&stage, "ada").await;
    let launch = stage.launch("sync", &Binaries::beside_this()).unwrap();
    let event = HttpEvent::staged("GET", "/sync/status").bearer(&ada.access_token);
    // With the variable of the template, and as the runtime's client is without it: the stage in the path twice.
    for launch in [launch.clone(), launch.without("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH")] {
        let mut sync = launch.start().await.unwrap();
        let answer = ask(&mut sync, &event).await;
        assert_eq!((answer.status(), &answer.json()["entry_count"]), (200, &json!(0)), "{}", answer.text());
    }
}

/// `tests/events/http-decoded-path.json`: an HTTP API decodes a path before it hands it on (`infra/local/src/gateway/lambda.rs`
/// has the evidence), so that what was `no%20device%20%CE%BB` has a space in it here.
const DECODED: &str = include_str!("../events/http-decoded-path.json");

#[tokio::test]
async fn a_path_that_api_gateway_decoded_names_nothing_and_changes_nothing() {
    let stage = stage().await;
    let ada = paid(&stage, "ada").await;
    let mut devices = start(&stage, "devices").await;
    let list = HttpEvent::new("GET", "/devices").bearer(&ada.access_token);
    let before = ask(&mut devices, &list).await;
    assert!(before.text().contains(&ada.device_id), "{}", before.text());
    let mut event: Value = serde_json::from_str(DECODED).unwrap();
    event["headers"]["authorization"] = format!("Bearer {}", ada.access_token).into();
    // As recorded; what came of `%2E%2E`, `%5C`, `%252F`, `%22%3C`, `%00`, `%2525` and `%23`; and a path as it was sent.
    let recorded = event["rawPath"].as_str().unwrap().to_owned();
    let others =
        ["..", ".", "a\\b", "a/b", "\"<", "a\0b", "100%", "a#b", "a%20b%2Fc"].map(|id| format!("/devices/{id}"));
    for path in [recorded].into_iter().chain(others) {
        event["rawPath"] = path.as_str().into();
        event["requestContext"]["http"]["path"] = path.as_str().into();
        let answer = HttpAnswer(devices.invoke(&event).await.unwrap_or_else(|error| panic!("{path}: {error}")));
        assert_eq!((answer.status(), answer.json()["code"].as_str()), (404, Some("not_found")), "{path}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
    }
    assert_eq!(ask(&mut devices, &list).await.json(), before.json());
}

#[tokio::test]
async fn sync_refuses_strangers_and_the_unpaid() {
    let stage = stage().await;
    let bob = stage.sign_in("bob").await.unwrap();
    let mut sync = start(&stage, "sync").await;
    let event = HttpEvent::json("POST", "/sync/push", &push(&bob, "one"));
    let answer = ask(&mut sync, &event).await;
    assert_eq!((answer.status(), answer.header("www-authenticate")), (401, Some("Bearer")));
    let answer = ask(&mut sync, &event.clone().bearer("not.a.token")).await;
    assert_eq!((answer.status(), answer.json()["code"].as_str()), (401, Some("invalid_token")));
    let answer = ask(&mut sync, &event.bearer(&bob.access_token)).await;
    assert_eq!((answer.status(), &answer.json()["detail"]["error"]), (402, &json!("sync_add_on_required")));
}

#[tokio::test]
async fn auth_signs_in_and_refreshes_with_keys_it_fetched_itself() {
    let stage = stage().await;
    let mut auth = start(&stage, "auth").await;
    let device = json!({ "name": "Ada's phone", "platform": "ios" });
    let body = json!({ "id_token": stage.id_token("ada").await.unwrap(), "device": device });
    let answer = ask(&mut auth, &HttpEvent::json("POST", "/auth/google", &body)).await;
    assert_eq!(answer.status(), 200, "{}\n{}", answer.text(), auth.output());
    let session: Session = serde_json::from_value(answer.json()).unwrap();
    let answer = ask(&mut auth, &HttpEvent::new("GET", "/auth/me").bearer(&session.access_token)).await;
    assert_eq!((answer.status(), &answer.json()["user_id"]), (200, &json!(session.user_id)), "{}", answer.text());
    let body = json!({ "refresh_token": session.refresh_token });
    let answer = ask(&mut auth, &HttpEvent::json("POST", "/auth/refresh", &body)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    // What one binary signs, another believes.
    let fresh = answer.json()["access_token"].as_str().unwrap().to_owned();
    stage.grant_sync(&session.user_id).await.unwrap();
    let mut sync = start(&stage, "sync").await;
    let answer = ask(&mut sync, &HttpEvent::new("GET", "/sync/status").bearer(&fresh)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

#[tokio::test]
async fn auth_takes_a_form_in_base64_and_basic_authorization() {
    let stage = stage().await;
    let mut auth = start(&stage, "auth").await;
    let form = HttpEvent::form("POST", "/auth/token", "grant_type=client_credentials&scope=entitlements%3Awrite");
    // local-backoffice:local-backoffice-secret
    let basic = form.header("authorization", "Basic bG9jYWwtYmFja29mZmljZTpsb2NhbC1iYWNrb2ZmaWNlLXNlY3JldA==");
    let answer = ask(&mut auth, &basic).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!((&answer.json()["scope"], &answer.json()["expires_in"]), (&json!("entitlements:write"), &json!(900)));
}

#[tokio::test]
async fn devices_payments_and_web_answer_a_signed_in_person() {
    let stage = stage().await;
    let ada = paid(&stage, "ada").await;
    let mut devices = start(&stage, "devices").await;
    let answer = ask(&mut devices, &HttpEvent::new("GET", "/devices").bearer(&ada.access_token)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let mut payments = start(&stage, "payments").await;
    let answer = ask(&mut payments, &HttpEvent::new("GET", "/payments/entitlements").bearer(&ada.access_token)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(answer.text().contains("sync"), "{}", answer.text());
    let mut web = start(&stage, "web").await;
    assert_eq!(ask(&mut web, &HttpEvent::new("GET", "/health")).await.status(), 200);
    let document = ask(&mut web, &HttpEvent::new("GET", "/openapi.json")).await;
    assert_eq!((document.status(), document.json()["openapi"].as_str().map(|it| &it[..3])), (200, Some("3.1")));
}

#[tokio::test]
async fn a_request_leaves_one_line_with_metrics_and_without_its_token_or_its_body() {
    let stage = stage().await;
    let ada = paid(&stage, "ada").await;
    let mut sync = start(&stage, "sync").await;
    let event = HttpEvent::json("POST", "/sync/push", &push(&ada, "secret-entry-id")).bearer(&ada.access_token);
    for _ in 0..2 {
        assert_eq!(ask(&mut sync, &event).await.status(), 200);
    }
    // The line is written before the answer, but its pipe is read by another task.
    let output = loop {
        let output = sync.output();
        if output.lines().filter(|line| line.contains("POST /sync/push")).count() == 2 {
            break output;
        }
        tokio::task::yield_now().await;
    };
    let lines: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [first, second] = &lines[..] else { panic!("{output}") };
    assert_eq!(
        (&first["route"], &first["status"], &first["user"]),
        (&json!("POST /sync/push"), &json!(200), &json!(ada.user_id))
    );
    assert_eq!((&first["cold_start"], &second["cold_start"]), (&json!(true), &json!(false)));
    assert_eq!(first["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Satchel");
    assert!(first["write_units"].as_f64().unwrap() > second["write_units"].as_f64().unwrap(), "{output}");
    for secret in [&ada.access_token[..], "Y2lwaGVydGV4dA", "secret-entry-id"] {
        assert!(!output.contains(secret), "the log has `{secret}`");
    }
}

#[tokio::test]
async fn a_binary_may_do_what_its_own_role_allows_and_nothing_more() {
    let stage = stage().await;
    let ada = stage.sign_in("ada").await.unwrap();
    let list = HttpEvent::new("GET", "/devices").bearer(&ada.access_token);
    let launch = stage.launch("devices", &Binaries::beside_this()).unwrap();
    let denials = || stage.local().services().denials();
    assert_eq!(ask(&mut launch.start().await.unwrap(), &list).await.status(), 200);
    assert_eq!(denials(), Vec::new());
    // The same under the key of a function whose role has no table.
    let answer = ask(&mut launch.with("AWS_ACCESS_KEY_ID", "web").start().await.unwrap(), &list).await;
    assert!(answer.status() >= 500, "{}", answer.text());
    let denied = denials();
    assert!(!denied.is_empty());
    let told = |denial: &Denial| denial.function == "web" && denial.action.starts_with("dynamodb:");
    assert!(denied.iter().all(told), "{denied:?}");
}

// ------------------------------------------------------------------------------------------------------- consumers

/// The body of a message that the consumer takes and that changes nothing of anybody's.
fn harmless(binary: &str) -> Value {
    match binary {
        "auth-on-erase" => json!({ "user_id": NOBODY, "family": "sync", "pass": 1 }),
        "auth-on-export" => json!({ "user_id": NOBODY, "export_id": "exp_01ARZ3NDEKTSV4RRFFQ69G5FAV" }),
        "payments-on-store-event" => json!({ "event": { "store": "ios", "id": "an-event-of-nobody" } }),
        // No receiver is set: it is let go.
        "payments-on-webhook" => json!({ "id": "evt_payment-0", "body": "{}" }),
        _ => json!({ "user_id": NOBODY, "pass": 1 }),
    }
}

fn consumers(stage: &Stage) -> Vec<String> {
    let blocks = stage.local().template().functions().iter();
    let fed = blocks.filter(|block| block.events.iter().any(|event| matches!(event, Event::Sqs { .. })));
    fed.map(|block| block.binary.clone()).collect()
}

#[tokio::test]
async fn every_queue_consumer_does_what_it_can_and_reports_only_the_poison() {
    let stage = stage().await;
    let consumers = consumers(&stage);
    assert!(consumers.len() >= 7, "{consumers:?}");
    for binary in consumers {
        let good = harmless(&binary).to_string();
        let batch =
            events::sqs(&[good.clone(), "this is not JSON".to_owned(), r#"{"of": "another shape"}"#.to_owned(), good]);
        let mut function = start(&stage, &binary).await;
        let answer = function.invoke(&batch).await.unwrap_or_else(|error| panic!("{binary}: {error}"));
        assert_eq!(events::failures(&answer), ["message-1", "message-2"], "{binary}: {}", function.output());
        // The same once more: delivery is at least once.
        let answer = function.invoke(&batch).await.unwrap();
        assert_eq!(events::failures(&answer), ["message-1", "message-2"], "{binary}, again");
        let answer = function.invoke(&json!({ "Records": [] })).await.unwrap();
        assert_eq!(events::failures(&answer), Vec::<String>::new(), "{binary}, an empty batch");
    }
}

#[tokio::test]
async fn an_event_of_another_kind_fails_the_invocation_so_that_nothing_is_taken_for_done() {
    let stage = stage().await;
    for binary in consumers(&stage) {
        let mut function = start(&stage, &binary).await;
        let failure = function.invoke(&events::schedule()).await.unwrap_err();
        assert!(matches!(failure, ProcessError::Failed { .. }), "{binary}: {failure}");
    }
}

#[tokio::test]
async fn a_batch_that_a_dependency_fails_is_reported_and_done_when_it_comes_again() {
    let stage = stage().await;
    let message = json!({ "user_id": NOBODY, "pass": 1 }).to_string();
    let batch = events::sqs(&[message.clone(), message]);
    // Not `sync-on-erase`, for which a throttled partition is no failure: it waits, and goes on.
    for binary in ["payments-on-account-erased", "devices-on-account-erased"] {
        let mut function = start(&stage, binary).await;
        let rule: FaultRule =
            serde_json::from_value(json!({ "service": "dynamodb", "kind": "throttle", "probability": 1.0 })).unwrap();
        stage.local().services().faults().add(rule).unwrap();
        let answer = function.invoke(&batch).await.unwrap_or_else(|error| panic!("{binary}: {error}"));
        assert_eq!(events::failures(&answer), ["message-0", "message-1"], "{binary}");
        stage.local().services().faults().clear();
        let answer = function.invoke(&batch).await.unwrap();
        assert_eq!(events::failures(&answer), Vec::<String>::new(), "{binary}: {}", function.output());
    }
}

#[tokio::test]
async fn the_stream_of_sync_stops_at_a_poison_record_and_tells_of_what_came_before() {
    let stage = stage().await;
    let pk = keys::sync::generation(NOBODY, 0);
    let commit = |seq: u64| {
        let key = keys::sync::commit(&pk, seq);
        let keys = json!({ "pk": { "S": key.pk }, "sk": { "S": key.sk } });
        let mut image = keys.clone();
        image["by"] = json!({ "S": "dev_01ARZ3NDEKTSV4RRFFQ69G5FAV" });
        image["t"] = json!({ "N": "1772000000" });
        ("INSERT", keys, Some(image), None)
    };
    let poison = ("INSERT", json!({ "pk": { "S": "of nobody" }, "sk": { "S": "nothing" } }), Some(json!({})), None);
    let mut function = start(&stage, "sync-on-commit").await;
    let answer = function.invoke(&events::stream(&[commit(1), poison, commit(2)])).await.unwrap();
    assert_eq!(events::failures(&answer), ["2"], "{}", function.output());
    let topics = stage.local().template().topics();
    let topic = topics.iter().find(|topic| topic.logical_id == "EventsTopic").unwrap();
    let told = stage.local().services().outbox().topic(&topic.arn);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].message.contains("\"head\":1"), "{}", told[0].message);
    let answer = function.invoke(&events::stream(&[commit(2)])).await.unwrap();
    assert_eq!(events::failures(&answer), Vec::<String>::new());
}

#[tokio::test]
async fn the_streams_of_accounts_and_entitlements_pass_over_rows_that_mean_nothing_to_them() {
    let stage = stage().await;
    for binary in ["auth-on-session", "payments-on-entitlement"] {
        let mut function = start(&stage, binary).await;
        let answer = function.invoke(&events::stream_recorded()).await.unwrap();
        assert_eq!(events::failures(&answer), Vec::<String>::new(), "{binary}: {}", function.output());
        let record = events::stream_recorded()["Records"][0].clone();
        let without_keys = {
            let mut record = record.clone();
            record["dynamodb"]["Keys"] = json!({});
            record["dynamodb"]["SequenceNumber"] = "poison".into();
            record
        };
        let answer = function.invoke(&json!({ "Records": [record, without_keys] })).await.unwrap();
        assert_eq!(events::failures(&answer), ["poison"], "{binary}");
    }
}

#[tokio::test]
async fn the_stream_of_entitlements_tells_of_an_add_on() {
    let stage = stage().await;
    let key = keys::entitlements::add_on(&NOBODY.parse().unwrap(), AddOn::Sync);
    let text = |text: &str| json!({ "S": text });
    let keys = json!({ "pk": text(&key.pk), "sk": text(&key.sk) });
    let source = json!({
        "platform": text("ios"), "status": text("owned"), "product_id": text("app.satchel.supporter"),
        "environment": text("production"), "transaction_id": text("1"), "original_transaction_id": text("1"),
        "purchase_date": { "N": "1772000000" }, "updated_at": { "N": "1772000000" },
    });
    let mut image = keys.clone();
    image["add_on"] = text("sync");
    image["version"] = json!({ "N": "3" });
    image["sources"] = json!({ "M": { "ios#1": { "M": source } } });
    let mut function = start(&stage, "payments-on-entitlement").await;
    let batch = events::stream(&[("MODIFY", keys, Some(image), None)]);
    for _ in 0..2 {
        let answer = function.invoke(&batch).await.unwrap();
        assert_eq!(events::failures(&answer), Vec::<String>::new(), "{}", function.output());
    }
    let topics = stage.local().template().topics();
    let topic = topics.iter().find(|topic| topic.logical_id == "EventsTopic").unwrap();
    let told = stage.local().services().outbox().topic(&topic.arn);
    let events: Vec<Value> = told.iter().map(|event| serde_json::from_str(&event.message).unwrap()).collect();
    assert_eq!((events.len(), &events[0]["id"]), (2, &events[1]["id"]), "{events:?}");
    assert_eq!((&events[0]["version"], &events[0]["entitlement"]["status"]), (&json!(3), &json!("owned")));
}

#[tokio::test]
async fn the_schedules_run_by_their_own_event() {
    let stage = stage().await;
    for binary in ["devices-every-day-cleanup", "payments-every-hour-reconcile"] {
        let mut function = start(&stage, binary).await;
        function.invoke(&events::schedule()).await.unwrap_or_else(|error| panic!("{binary}: {error}"));
    }
}
