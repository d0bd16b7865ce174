//! The routes, by noun.

mod customers;
mod export;
mod jwks;
mod link;
mod me;
mod refresh;
mod sessions;
mod sign_in;
mod token;

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub(crate) use sign_in::DeviceInput;

/// Every route of the family with its document.
pub fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_in::google))
        .routes(routes!(sign_in::apple))
        .routes(routes!(link::add))
        .routes(routes!(link::take))
        .routes(routes!(refresh::refresh))
        .routes(routes!(token::token))
        .routes(routes!(sessions::logout))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(me::read, me::change, me::erase))
        .routes(routes!(export::request))
        .routes(routes!(export::read))
        .routes(routes!(customers::list))
        .routes(routes!(customers::put, customers::delete))
        .routes(routes!(jwks::jwks))
}

/// What every route may answer beside its own answers.
pub(crate) struct Usual;

/// What every route that needs a token may answer beside its own answers.
pub(crate) struct Authenticated;

impl utoipa::IntoResponses for Usual {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            (500, "A fault of ours."),
            (503, "A dependency is unavailable; try again after `Retry-After` seconds."),
        ])
    }
}

impl utoipa::IntoResponses for Authenticated {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut all = problems(&[
            (401, "No access token, or one that is not believed."),
            (403, "The token is not of the kind that this route is for."),
        ]);
        all.extend(Usual::responses());
        all
    }
}

fn problems(list: &[(u16, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let one = |description: &str| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        RefOr::T(ResponseBuilder::new().description(description).content("application/problem+json", content).build())
    };
    list.iter().map(|(status, description)| (status.to_string(), one(description))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(list) => list.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn the_document_has_every_route_and_every_schema_it_refers_to() {
        let document = serde_json::to_value(super::api().into_openapi()).unwrap();
        let routes: Vec<String> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
            })
            .collect();
        assert_eq!(routes.len(), 18, "{routes:?}");
        let mut found = Vec::new();
        references(&document, &mut found);
        for reference in found {
            let name = reference.strip_prefix("#/components/schemas/").unwrap();
            assert!(document["components"]["schemas"].get(name).is_some(), "{name} is nowhere");
        }
    }
}
