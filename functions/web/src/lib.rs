//! Web: what everybody may see, and the answer to what no route takes.
#![doc = include_str!("../README.md")]

mod document;
mod etag;
mod routes;
mod unknown;

use axum::extract::FromRef;
use axum::routing::any;
use satchel_inbound::http::serve;
use satchel_inbound::{Complaints, Core, Entry, Env, Function};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use document::document;

/// The routes.
pub const HTTP: Function = Function { name: "web", build: |env| Box::pin(async move { http(&env) }) };
/// Every binary of this family.
pub const FUNCTIONS: &[Function] = &[HTTP];

/// What the handlers work with.
#[derive(Clone)]
pub struct App {
    core: Core,
    stage: String,
}

impl FromRef<App> for Core {
    fn from_ref(app: &App) -> Self {
        app.core.clone()
    }
}

/// The routes and their part of the OpenAPI document.
pub fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(routes::health::health))
        .routes(routes!(routes::docs::openapi))
        .routes(routes!(routes::docs::page))
        .routes(routes!(routes::docs::asset))
}

fn http(env: &Env) -> Result<Entry, Complaints> {
    let core = Core::without_tokens(env);
    let stage = env.settings.get("STAGE").unwrap_or_else(|| "unknown".to_owned());
    let (router, _document) = api().split_for_parts();
    // The gateway's `$default` route; a fallback would be the same for every family.
    let router = router.route("/", any(unknown::answer)).route("/{*path}", any(unknown::answer));
    Ok(Entry::Http(serve(router, App { core: core.clone(), stage }, core)))
}
