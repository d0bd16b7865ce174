//! The routes of devices over a whole local stack.

use satchel_testkit::{Session, Stack};
use serde_json::{Value, json};

async fn device(stack: &Stack, who: &Session) -> Value {
    stack.get(&format!("/devices/{}", who.device_id)).auth(who).send().await.ok()
}

async fn holder(stack: &Stack) -> Vec<Value> {
    let rows = stack.rows("DevicesTable").await;
    rows.into_iter().filter(|row| row["pk"].as_str().is_some_and(|pk| pk.starts_with("TOK#"))).collect()
}

async fn with_token(stack: &Stack) -> Vec<Value> {
    let rows = stack.rows("DevicesTable").await;
    rows.into_iter().filter(|row| row.get("push_token").is_some()).collect()
}

#[tokio::test]
async fn describing_creates_and_then_updates() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let body = json!({
        "platform": "ios", "device_name": " Ada's phone ", "device_model": "iPhone17,1", "os_version": "19.1",
        "app_version": "3.2.0", "timezone": "europe/vienna", "token": "abc123",
    });
    let first = stack.post("/devices").auth(&ada).json(&body).send().await;
    assert_eq!(first.status, 201);
    let made = first.json();
    assert_eq!(made["id"], ada.device_id.as_str());
    assert_eq!(made["device_name"], "Ada's phone");
    assert_eq!(made["timezone"], "Europe/Vienna");
    assert_eq!(made["created_at"], "2026-01-01T00:00:00Z");
    assert_eq!(made["capabilities"], json!({ "can_inference": false, "inference_models": [] }));
    assert_eq!(
        (&made["push_enabled"], &made["is_active"], &made["last_heartbeat_at"]),
        (&json!(true), &json!(true), &Value::Null)
    );
    assert!(!first.body.windows(6).any(|part| part == b"abc123"), "the push token came back");

    stack.advance(60).await;
    let second = stack.post("/devices").auth(&ada).json(json!({ "app_version": "3.3.0" })).send().await;
    assert_eq!(second.status, 200);
    let now = second.json();
    assert_eq!((&now["app_version"], &now["device_model"]), (&json!("3.3.0"), &json!("iPhone17,1")));
    assert_eq!(
        (&now["created_at"], &now["updated_at"]),
        (&json!("2026-01-01T00:00:00Z"), &json!("2026-01-01T00:01:00Z"))
    );
    assert_eq!(now, device(&stack, &ada).await, "the answer is not what is stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_descriptions_at_once_take_nothing_from_each_other() {
    let stack = Stack::start().await;
    for round in 0..10 {
        let ada = stack.sign_in_on(&format!("ada-{round}"), "ios", "said at the sign-in").await;
        let bodies =
            [json!({ "device_name": "Ada's phone" }), json!({ "token": "t" }), json!({ "os_version": "19.1" })];
        let calls = bodies.iter().map(|body| tokio::spawn(stack.post("/devices").auth(&ada).json(body).send()));
        for answer in join_all(calls.collect()).await {
            answer.unwrap().ok();
        }
        let now = device(&stack, &ada).await;
        assert_eq!(
            (&now["device_name"], &now["os_version"], &now["platform"]),
            (&json!("Ada's phone"), &json!("19.1"), &json!("ios")),
            "round {round}: what the sign-in said took the place of what the device says"
        );
    }
}

#[tokio::test]
async fn a_device_that_said_nothing_is_known_by_its_sign_in() {
    let stack = Stack::start().await;
    let mac = stack.sign_in_on("ada", "macos", "Ada's Mac").await;
    let list = stack.get("/devices").auth(&mac).send().await.ok();
    assert_eq!(list["devices"].as_array().unwrap().len(), 1);
    let one = device(&stack, &mac).await;
    assert_eq!((&one["platform"], &one["device_name"]), (&json!("macos"), &json!("Ada's Mac")));
    let changed = stack
        .patch(&format!("/devices/{}", mac.device_id))
        .auth(&mac)
        .json(json!({ "push_enabled": false }))
        .send()
        .await
        .ok();
    assert_eq!((&changed["push_enabled"], &changed["device_name"]), (&json!(false), &json!("Ada's Mac")));
}

#[tokio::test]
async fn wrong_descriptions_are_refused_by_field() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    for (body, field) in [
        (json!({ "platform": "amiga" }), "platform"),
        (json!({ "device_name": "" }), "device_name"),
        (json!({ "device_name": "x".repeat(201) }), "device_name"),
        (json!({ "device_name": 7 }), "device_name"),
        (json!({ "timezone": "Mars/Olympus" }), "timezone"),
        (json!({ "token": "with blank" }), "token"),
        (json!({ "token": "x".repeat(4097) }), "token"),
        (json!({ "push_enabled": "yes" }), "push_enabled"),
    ] {
        let problem = stack.post("/devices").auth(&ada).json(&body).send().await.refused(422, "invalid_input");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    stack
        .post("/devices")
        .auth(&ada)
        .body("{")
        .header("content-type", "application/json")
        .send()
        .await
        .refused(400, "malformed_json");
    stack.post("/devices").auth(&ada).body("{}").send().await.refused(415, "unsupported_media_type");
    stack.post("/devices").json(json!({})).send().await.refused(401, "missing_token");
    stack
        .post("/devices")
        .auth(&ada)
        .json(json!({ "device_id": "dev_other" }))
        .send()
        .await
        .refused(403, "device_id_mismatch");
    let token = stack.backoffice(&[]).await;
    stack.get("/devices").bearer(&token).send().await.refused(403, "not_for_services");
}

#[tokio::test]
async fn a_strangers_device_does_not_exist() {
    let stack = Stack::start().await;
    let (ada, bob) = (stack.sign_in("ada").await, stack.sign_in("bob").await);
    stack.post("/devices").auth(&ada).json(json!({ "token": "ada-token" })).send().await.ok();
    let path = format!("/devices/{}", ada.device_id);
    stack.get(&path).auth(&bob).send().await.refused(404, "not_found");
    stack.patch(&path).auth(&bob).json(json!({ "device_name": "mine" })).send().await.refused(404, "not_found");
    stack.delete(&path).auth(&bob).send().await.refused(404, "not_found");
    stack.post(&format!("{path}/activity")).auth(&bob).send().await.refused(404, "not_found");
    for path in ["/devices/capabilities", "/devices/heartbeat"] {
        let body = json!({ "device_id": ada.device_id, "can_inference": true, "inference_models": [] });
        stack.post(path).auth(&bob).json(body).send().await.refused(403, "device_id_mismatch");
    }
    stack.get("/devices/usr_1").auth(&ada).send().await.refused(404, "not_found");
    assert_eq!(device(&stack, &ada).await["device_name"], "ada's phone");
    let list = stack.get("/devices").auth(&bob).send().await.ok();
    assert!(list["devices"].as_array().unwrap().iter().all(|device| device["id"] != ada.device_id.as_str()));
}

#[tokio::test]
async fn a_person_changes_and_deletes_any_of_their_devices() {
    let stack = Stack::start().await;
    let (phone, other) = (stack.sign_in("ada").await, stack.sign_in("ada").await);
    stack.post("/devices").auth(&other).json(json!({ "token": "other-token" })).send().await.ok();
    let path = format!("/devices/{}", other.device_id);
    let changed = stack.patch(&path).auth(&phone).json(json!({ "device_name": "Tablet" })).send().await.ok();
    assert_eq!(changed["device_name"], "Tablet");
    stack.patch(&path).auth(&phone).json(json!({ "device_name": "\u{7}" })).send().await.refused(422, "invalid_input");
    stack.post(&format!("{path}/activity")).auth(&phone).send().await.refused(403, "device_id_mismatch");

    assert_eq!(stack.delete(&path).auth(&phone).send().await.status, 204);
    stack.get(&path).auth(&phone).send().await.refused(404, "not_found");
    stack.delete(&path).auth(&phone).send().await.refused(404, "not_found");
    assert!(holder(&stack).await.is_empty(), "the deleted device still holds its push token");
    let refresh = stack.post("/auth/refresh").json(json!({ "refresh_token": other.refresh_token })).send().await;
    assert_eq!(refresh.status, 401, "the deleted device's session lives on");
    // Its access token has minutes to live: it must not bring the device or its push token back.
    for (path, body) in [
        ("/devices".to_owned(), json!({ "token": "other-token" })),
        ("/devices/heartbeat".to_owned(), json!({ "device_id": other.device_id })),
        (format!("{path}/activity"), json!({})),
    ] {
        stack.post(&path).auth(&other).json(body).send().await.refused(401, "session_revoked");
    }
    assert!(holder(&stack).await.is_empty());
    assert_eq!(stack.get("/devices").auth(&phone).send().await.ok()["devices"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_push_token_leaves_the_device_that_had_it() {
    let stack = Stack::start().await;
    let (ada, bob) = (stack.sign_in("ada").await, stack.sign_in("bob").await);
    stack.post("/devices").auth(&ada).json(json!({ "platform": "ios", "token": "resold" })).send().await.ok();
    stack.post("/devices").auth(&bob).json(json!({ "platform": "ios", "token": "resold" })).send().await.ok();
    let held = with_token(&stack).await;
    assert_eq!(held.len(), 1);
    assert_eq!(held[0]["id"], bob.device_id.as_str());
    assert_eq!(holder(&stack).await[0]["device_id"], bob.device_id.as_str());
    // A new token of the same device frees the old one.
    stack.post("/devices").auth(&bob).json(json!({ "token": "fresh" })).send().await.ok();
    assert_eq!(holder(&stack).await.len(), 1);
    // The same text at another platform's service is another token.
    stack.post("/devices").auth(&ada).json(json!({ "platform": "android", "token": "fresh" })).send().await.ok();
    assert_eq!(holder(&stack).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_devices_that_bring_one_token_at_once_exactly_one_has_it() {
    let stack = Stack::start().await;
    let mut people = Vec::new();
    for name in ["ada", "bob", "cleo", "dan"] {
        people.push(stack.sign_in(name).await);
    }
    for round in 0..5 {
        let token = format!("token-{}", round % 2);
        let calls = people
            .iter()
            .map(|who| stack.post("/devices").auth(who).json(json!({ "platform": "ios", "token": token })).send());
        for answer in join_all(calls.collect()).await {
            assert!(matches!(answer.status, 200 | 201), "{} {:?}", answer.status, answer.body);
        }
        let (claims, held) = (holder(&stack).await, with_token(&stack).await);
        let of_token: Vec<_> = held.iter().filter(|row| row["push_token"] == token.as_str()).collect();
        assert_eq!(of_token.len(), 1, "round {round}: {held:?}");
        assert_eq!(claims.len(), held.len(), "round {round}");
        for row in &held {
            let pk = format!("TOK#{}", row["push_hash"].as_str().unwrap());
            let claim = claims.iter().find(|claim| claim["pk"] == pk.as_str()).unwrap();
            assert_eq!(claim["device_id"], row["id"], "round {round}: the holder is not the one that has it");
        }
    }
}

async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    futures_util::future::join_all(futures).await
}

#[tokio::test]
async fn signing_out_silences_the_device() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    stack.post("/devices").auth(&ada).json(json!({ "token": "abc" })).send().await.ok();
    assert_eq!(stack.post("/auth/logout").auth(&ada).json(json!({})).send().await.status / 100, 2);
    stack.drain().await;
    assert!(with_token(&stack).await.is_empty() && holder(&stack).await.is_empty());
    stack.post("/devices").auth(&ada).json(json!({ "token": "abc" })).send().await.refused(401, "session_revoked");
    let again = stack.sign_in_again(&ada).await;
    stack.post("/devices").auth(&again).json(json!({ "token": "abc" })).send().await.ok();
    assert_eq!(with_token(&stack).await.len(), 1);
}

#[tokio::test]
async fn an_old_sessions_end_leaves_the_new_sessions_token() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    stack.post("/devices").auth(&ada).json(json!({ "token": "abc" })).send().await.ok();
    let again = stack.sign_in_again(&ada).await;
    assert_eq!(again.device_id, ada.device_id);
    stack.post("/devices").auth(&again).json(json!({ "token": "abc" })).send().await.ok();
    stack.drain().await;
    assert_eq!(with_token(&stack).await.len(), 1, "the new session's push token is gone");
}

#[tokio::test]
async fn desktops_show_what_they_can_do_and_whether_they_are_there() {
    let stack = Stack::start().await;
    let phone = stack.sign_in("ada").await;
    let mac = stack.sign_in_on("ada", "macos", "Ada's Mac").await;
    let linux = stack.sign_in_on("ada", "linux", "Ada's box").await;
    let can = |who: &Session, models: Value| json!({ "device_id": who.device_id, "can_inference": true, "inference_models": models });
    let done = stack
        .post("/devices/capabilities")
        .auth(&mac)
        .json(can(&mac, json!(["llama", "llama", "mistral"])))
        .send()
        .await;
    assert_eq!((done.status, done.json()), (200, json!({ "status": "ok" })));
    stack.post("/devices/capabilities").auth(&linux).json(can(&linux, json!([]))).send().await.ok();
    stack.advance(50).await;
    stack.post("/devices/heartbeat").auth(&linux).json(json!({ "device_id": linux.device_id })).send().await.ok();
    stack.advance(11).await;
    let capable = stack.get("/devices/capable").auth(&phone).send().await.ok();
    assert_eq!(
        capable["devices"],
        json!([
            { "device_id": linux.device_id, "device_name": "Ada's box", "platform": "linux", "is_online": true,
              "inference_models": [], "last_seen": 1_767_225_650 },
            { "device_id": mac.device_id, "device_name": "Ada's Mac", "platform": "macos", "is_online": false,
              "inference_models": ["llama", "mistral"], "last_seen": 1_767_225_600 },
        ])
    );
    stack
        .post("/devices/capabilities")
        .auth(&mac)
        .json(json!({ "device_id": mac.device_id, "can_inference": false, "inference_models": [] }))
        .send()
        .await
        .ok();
    assert_eq!(stack.get("/devices/capable").auth(&phone).send().await.ok()["devices"].as_array().unwrap().len(), 1);
    let bob = stack.sign_in("bob").await;
    assert_eq!(stack.get("/devices/capable").auth(&bob).send().await.ok(), json!({ "devices": [] }));
}

#[tokio::test]
async fn capabilities_are_measured() {
    let stack = Stack::start().await;
    let mac = stack.sign_in_on("ada", "macos", "Mac").await;
    let send = |models: Value| {
        stack
            .post("/devices/capabilities")
            .auth(&mac)
            .json(json!({ "device_id": mac.device_id, "can_inference": true, "inference_models": models }))
            .send()
    };
    send(json!(vec!["m".repeat(128); 64])).await.ok();
    send(json!(vec!["m"; 65])).await.refused(422, "invalid_input");
    let problem = send(json!(["ok", "m".repeat(129)])).await.refused(422, "invalid_input");
    assert_eq!(problem["errors"][0]["field"], "inference_models[1]");
    send(json!("llama")).await.refused(422, "invalid_input");
    stack.post("/devices/heartbeat").auth(&mac).json(json!({})).send().await.refused(422, "invalid_input");
}

#[tokio::test]
async fn one_key_describes_once() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let send = |name: &str, key: &str| {
        stack.post("/devices").auth(&ada).header("idempotency-key", key).json(json!({ "device_name": name })).send()
    };
    let first = send("one", "k").await;
    let again = send("one", "k").await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.json(), again.json());
    send("two", "k").await.refused(409, "idempotency_key_reused");
    send("two", "bad key").await.refused(422, "invalid_input");
    stack.advance(86_400).await;
    let ada = stack.sign_in_again(&ada).await;
    let later = stack
        .post("/devices")
        .auth(&ada)
        .header("idempotency-key", "k")
        .json(json!({ "device_name": "two" }))
        .send()
        .await;
    assert_eq!(later.status, 200, "a receipt outlived its day");
}
