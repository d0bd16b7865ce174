//! What the document says of every operation.

use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[utoipa::path(post, path = "/things/{id}", tag = "things", security(("access_token" = [])), request_body = String,
    responses((status = 200, description = "done"), (status = 409, description = "taken"), (status = 404, description = "no such thing")))]
async fn secured() {}

#[utoipa::path(get, path = "/open", tag = "things", security(()), responses((status = 200, description = "done")))]
async fn open() {}

fn document() -> Value {
    let part = OpenApiRouter::<()>::new().routes(routes!(secured)).routes(routes!(open)).into_openapi();
    json!(satchel_web::document(vec![part, satchel_web::api().into_openapi()]))
}

fn statuses(operation: &Value) -> Vec<&str> {
    operation["responses"].as_object().into_iter().flat_map(|all| all.keys()).map(String::as_str).collect()
}

#[test]
fn every_operation_names_the_failures_it_can_answer() {
    let document = document();
    let mut secured = statuses(&document["paths"]["/things/{id}"]["post"]);
    secured.sort_unstable();
    assert_eq!(secured, ["200", "400", "401", "403", "404", "409", "413", "415", "422", "429", "500", "503"]);
    let mut open = statuses(&document["paths"]["/open"]["get"]);
    open.sort_unstable();
    assert_eq!(open, ["200", "429", "500", "503"]);
    let own = &document["paths"]["/things/{id}"]["post"]["responses"]["404"];
    assert_eq!(own["description"], "no such thing", "an operation's own words were replaced");
}

fn dangling(document: &Value) -> Vec<String> {
    let mut dangling = Vec::new();
    let mut left = vec![document];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(to)) = fields.get("$ref") {
                    let found = to.strip_prefix('#').is_some_and(|pointer| document.pointer(pointer).is_some());
                    if !found {
                        dangling.push(to.clone());
                    }
                }
                left.extend(fields.values());
            }
            Value::Array(values) => left.extend(values),
            _ => {}
        }
    }
    dangling
}

#[test]
fn every_reference_leads_somewhere() {
    assert_eq!(dangling(&document()), Vec::<String>::new());
}

#[test]
fn the_document_says_what_it_is() {
    let document = document();
    assert_eq!(document["info"]["title"], "Satchel");
    assert_eq!(document["info"]["license"]["identifier"], "MIT OR Apache-2.0");
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(schemes["access_token"]["scheme"], "bearer");
    assert_eq!(schemes["client_credentials"]["flows"]["clientCredentials"]["tokenUrl"], "/auth/token");
    assert_eq!(document["paths"]["/health"]["get"]["security"], json!([{}]));
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let document = document();
    assert_eq!(document["paths"]["/things/{id}"]["post"]["operationId"], "postThingsById");
    assert_eq!(document["paths"]["/openapi.json"]["get"]["operationId"], "getOpenapiJson");
    let whole: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    let mut names = std::collections::BTreeSet::new();
    for (path, item) in whole["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{method} {path}: another operation is called {name} too");
        }
    }
}

#[test]
fn every_reference_of_the_written_document_leads_somewhere() {
    let whole: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    assert_eq!(dangling(&whole), Vec::<String>::new());
}
