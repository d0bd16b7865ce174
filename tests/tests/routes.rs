//! Every route of every family, found in the OpenAPI document: that the document, the template and the routers say the
//! same, and that nobody gets at what is not theirs. A new route is tested here without a line of its own, unless its
//! path names an object: then `attempts` must say which.

#![expect(clippy::unwrap_used, reason = "a helper of a test or a benchmark tells by a panic")]

use std::collections::BTreeSet;

use http::Method;
use satchel_local::template::Event;
use satchel_testkit::{Session, Stack};
use serde_json::{Value, json};

/// An operation of the document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Operation {
    method: String,
    path: String,
    /// Names of the security schemes, any of which will do; none for a public one.
    schemes: Vec<String>,
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if !["get", "put", "post", "delete", "patch", "head"].contains(&method.as_str()) {
                continue;
            }
            let schemes = operation["security"].as_array().into_iter().flatten();
            let schemes = schemes.filter_map(|scheme| scheme.as_object()?.keys().next().cloned()).collect();
            found.push(Operation { method: method.to_uppercase(), path: path.clone(), schemes });
        }
    }
    found
}

fn document() -> Value {
    serde_json::to_value(satchel_local::openapi::document()).unwrap()
}

/// The path with something in the place of its variables.
fn filled(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>().join("/")
}

async fn ask(stack: &Stack, method: &str, path: &str, token: Option<&str>) -> satchel_testkit::Answer {
    let call = stack.request(method.parse::<Method>().unwrap(), path);
    let call = match token {
        Some(token) => call.bearer(token),
        None => call,
    };
    if method == "GET" { call.send().await } else { call.json(json!({})).send().await }
}

// ---------------------------------------------------------------------------------------------------------- drift

#[test]
fn every_operation_is_secured_by_a_scheme_that_is_described() {
    let document = document();
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    for item in document["paths"].as_object().unwrap().values() {
        for (method, operation) in item.as_object().unwrap() {
            for wanted in operation["security"].as_array().into_iter().flatten() {
                for name in wanted.as_object().unwrap().keys() {
                    assert!(schemes.contains_key(name), "{method} {}: no scheme `{name}`", operation["operationId"]);
                }
            }
        }
    }
}

#[test]
fn no_two_families_mean_two_things_by_one_schema() {
    let mut named: std::collections::BTreeMap<String, Value> = std::collections::BTreeMap::new();
    for part in satchel_local::openapi::parts() {
        let part = serde_json::to_value(part).unwrap();
        for (name, schema) in part["components"]["schemas"].as_object().into_iter().flatten() {
            let known = named.entry(name.clone()).or_insert_with(|| schema.clone());
            assert_eq!(
                known, schema,
                "`{name}`: the merged document has the first, and an answer is described by the other"
            );
        }
    }
    assert!(named.len() > 50, "the parts have no schemas");
}

#[test]
fn the_document_in_the_repository_is_what_the_code_says() {
    let kept: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    assert!(kept == document(), "docs/openapi.json is not what the code says: `make openapi`");
}

#[tokio::test]
async fn the_template_routes_what_the_document_describes_and_nothing_else() {
    let stack = Stack::start().await;
    let mut routed = BTreeSet::new();
    for function in stack.template().functions() {
        for event in &function.events {
            if let Event::Http { method, path, .. } = event
                && !(method == "ANY" && path == "/{proxy+}")
            {
                routed.insert(format!("{method} {path}"));
            }
        }
    }
    let described: BTreeSet<String> = operations(&document())
        .into_iter()
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    let missing: Vec<_> = described.difference(&routed).collect();
    let unknown: Vec<_> = routed.difference(&described).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "not in the template: {missing:?}; not in the document: {unknown:?}"
    );
}

#[tokio::test]
async fn every_described_route_is_served_by_its_router() {
    let stack = Stack::start().await;
    for Operation { method, path, .. } in operations(&document()) {
        let answer = ask(&stack, &method, &filled(&path), None).await;
        let nowhere = answer.status == 404 && answer.text().contains("no such route");
        assert!(!nowhere && answer.status != 405, "{method} {path}: {answer}");
    }
}

#[test]
fn few_routes_are_public_and_each_of_them_is_known() {
    let public: Vec<String> = operations(&document())
        .into_iter()
        .filter(|operation| operation.schemes.is_empty())
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    let known: BTreeSet<&str> = [
        "GET /.well-known/jwks.json",
        "GET /docs",
        "GET /docs/{asset}",
        "GET /health",
        "GET /openapi.json",
        "POST /auth/apple",
        "POST /auth/google",
        "POST /auth/refresh",
        // Asks for a client's own secret.
        "POST /auth/token",
        // Believes what Apple signs.
        "POST /payments/webhook/apple",
    ]
    .into();
    let unknown: Vec<_> = public.iter().filter(|route| !known.contains(route.as_str())).collect();
    assert!(unknown.is_empty(), "public without being known as such: {unknown:?}");
}

// ------------------------------------------------------------------------------------------------------ strangers

#[tokio::test]
async fn without_a_believable_token_every_route_answers_401() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let (signed, _) = ada.access_token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", "A".repeat(86));
    let mut asked = 0;
    for Operation { method, path, schemes } in operations(&document()) {
        if schemes.iter().all(|scheme| scheme != "access_token" && scheme != "client_credentials") {
            continue;
        }
        let path = filled(&path);
        ask(&stack, &method, &path, None).await.refused(401, "missing_token");
        let answer = ask(&stack, &method, &path, Some(&forged)).await;
        answer.refused(401, "invalid_token");
        assert!(
            answer.header("www-authenticate").is_some_and(|it| it.starts_with("Bearer")),
            "{method} {path}: {answer}"
        );
        asked += 1;
    }
    assert!(asked >= 25, "only {asked} routes were asked");
    // 15 minutes and the leeway later the token is dead everywhere.
    stack.advance(15 * 60 + 31).await;
    ask(&stack, "GET", "/auth/me", Some(&ada.access_token)).await.refused(401, "token_expired");
}

#[tokio::test]
async fn a_person_is_no_service_and_a_service_no_person() {
    let stack = Stack::start().await;
    let ada = stack.sign_in("ada").await;
    let service = stack.backoffice(&[]).await;
    for Operation { method, path, schemes } in operations(&document()) {
        let for_people = schemes.iter().any(|scheme| scheme == "access_token");
        let for_services = schemes.iter().any(|scheme| scheme == "client_credentials");
        let path = filled(&path);
        if for_people && !for_services {
            let answer = ask(&stack, &method, &path, Some(&service)).await;
            assert_eq!(answer.status, 403, "{method} {path} takes a service's token: {answer}");
        }
        if for_services && !for_people {
            let answer = ask(&stack, &method, &path, Some(&ada.access_token)).await;
            assert_eq!(answer.status, 403, "{method} {path} takes a person's token: {answer}");
        }
    }
}

/// Something of Ada's on every shelf.
async fn ada(stack: &Stack) -> (Session, String) {
    let ada = stack.sign_in("ada").await;
    stack.grant(&ada.user_id, "sync", 30).await;
    stack
        .post("/devices")
        .auth(&ada)
        .json(json!({ "device_name": "Ada's own", "token": "ada-push-token" }))
        .send()
        .await
        .ok();
    for (count, data) in [(1, "YWRhLW9uZQ=="), (2, "YWRhLXR3bw==")] {
        let entry = json!({
            "id": "ada-entry", "device_id": ada.device_id, "encrypted_data": data, "updated_at": stack.now(),
            "vector_clock": { &ada.device_id: count },
        });
        stack
            .post("/sync/push")
            .auth(&ada)
            .json(json!({ "device_id": ada.device_id, "entries": [entry] }))
            .send()
            .await
            .ok();
    }
    let export = stack.post("/auth/me/export").auth(&ada).json(json!({})).send().await.ok();
    stack.drain().await;
    (ada, export["export_id"].as_str().unwrap().to_owned())
}

/// How a stranger would name Ada's object in the path of a route; `None` where the path names no object of a person's.
fn attempt(method: &str, path: &str, ada: &Session, export: &str) -> Result<Option<String>, String> {
    let with = |id: &str| {
        Ok(Some(
            path.split('/').map(|part| if part.starts_with('{') { id } else { part }).collect::<Vec<_>>().join("/"),
        ))
    };
    match path {
        "/devices/{id}" | "/devices/{id}/activity" | "/auth/sessions/{device_id}" => with(&ada.device_id),
        "/auth/me/export/{id}" => with(export),
        "/sync/entries/{id}/history" => with("ada-entry"),
        // A provider's name, a customer of the back office's, a file of the page.
        "/auth/link/{provider}"
        | "/auth/customers/{id}/members"
        | "/auth/customers/{id}/members/{user_id}"
        | "/docs/{asset}" => Ok(None),
        _ => Err(format!("{method} {path} names an object: say in `attempt` how a stranger would reach for Ada's")),
    }
}

/// Every row that names Ada.
async fn rows_of(stack: &Stack, ada: &Session) -> Vec<String> {
    let mut rows = Vec::new();
    for table in stack.template().tables() {
        rows.extend(stack.rows(&table.logical_id).await.iter().map(ToString::to_string));
    }
    rows.retain(|row| row.contains(&ada.user_id) || row.contains(&ada.device_id));
    rows.sort();
    rows
}

#[tokio::test]
async fn a_stranger_neither_reads_nor_changes_an_object_by_its_path() {
    let stack = Stack::start().await;
    let (ada, export) = ada(&stack).await;
    let eve = stack.sign_in("eve").await;
    stack.grant(&eve.user_id, "sync", 30).await;
    let before = rows_of(&stack, &ada).await;
    assert!(before.len() >= 8, "{before:#?}");
    let mut tried = 0;
    for Operation { method, path, .. } in operations(&document()) {
        if !path.contains('{') {
            continue;
        }
        let Some(target) = attempt(&method, &path, &ada, &export).unwrap() else { continue };
        let answer = ask(&stack, &method, &target, Some(&eve.access_token)).await;
        answer.refused(404, "not_found");
        tried += 1;
    }
    assert!(tried >= 7, "only {tried} routes were tried");
    stack.drain().await;
    assert_eq!(before, rows_of(&stack, &ada).await, "a stranger changed something of Ada's");
}

#[tokio::test]
async fn nothing_of_ada_shows_in_what_a_stranger_reads() {
    let stack = Stack::start().await;
    let (ada, export) = ada(&stack).await;
    let eve = stack.sign_in("eve").await;
    stack.grant(&eve.user_id, "sync", 30).await;
    let secrets =
        [&ada.user_id[..], &ada.device_id, "ada@example.org", "Ada's own", "ada-entry", "ada-push-token", &export];
    let mut answers = Vec::new();
    for Operation { method, path, schemes } in operations(&document()) {
        if method == "GET" && !path.contains('{') && !schemes.is_empty() {
            answers.push((path.clone(), stack.get(&path).auth(&eve).send().await));
        }
    }
    assert!(answers.len() >= 6, "{answers:?}");
    let pull = stack.post("/sync/pull").auth(&eve).json(json!({ "device_id": eve.device_id })).send().await;
    answers.push(("/sync/pull".to_owned(), pull));
    for (path, answer) in answers {
        assert!((200..300).contains(&answer.status) || answer.status == 403, "{path}: {answer}");
        for secret in secrets {
            assert!(!answer.text().contains(secret), "{path} shows `{secret}`: {answer}");
        }
    }
    let status = stack.get("/sync/status").auth(&eve).send().await.ok();
    assert_eq!((&status["entry_count"], &status["bytes"]), (&json!(0), &json!(0)), "counts tell of others");
}
