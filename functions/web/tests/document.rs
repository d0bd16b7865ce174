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
    serde_json::to_value(satchel_web::document(vec![part, satchel_web::api().into_openapi()])).unwrap()
}

fn statuses(operation: &Value) -> Vec<&str> {
    operation["responses"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn every_operation_names_the_failures_it_can_answer() {
    let document = document();
    let mut secured = statuses(&document["paths"]["/things/{id}"]["post"]);
    secured.sort_unstable();
    assert_eq!(secured, ["200", "400", "401", "403", "404", "409", "413", "415", "422", "429", "503"]);
    let mut open = statuses(&document["paths"]["/open"]["get"]);
    open.sort_unstable();
    assert_eq!(open, ["200", "429", "503"]);
    let own = &document["paths"]["/things/{id}"]["post"]["responses"]["404"];
    assert_eq!(own["description"], "no such thing", "an operation's own words were replaced");
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut left = vec![&document];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(to)) = fields.get("$ref") {
                    let pointer = to.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{to} leads nowhere");
                }
                left.extend(fields.values());
            }
            Value::Array(values) => left.extend(values),
            _ => {}
        }
    }
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
