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
