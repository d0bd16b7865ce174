//! Payments: what a person may use, by purchases in the stores and by the back office's grants.
#![doc = include_str!("../README.md")]

mod app;
mod claims;
mod every_hour_reconcile;
mod fold;
mod limits;
mod looks;
mod message;
mod on_account_erased;
mod on_entitlement;
mod on_store_event;
mod on_webhook;
mod routes;
mod stores;
mod trouble;

pub use app::App;
use satchel_inbound::http::serve;
use satchel_inbound::{Complaints, Entry, Env, Function};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes.
pub const HTTP: Function = Function { name: "payments", build: |env| Box::pin(async move { http(&env).await }) };
/// The queue of erased accounts.
pub const ON_ACCOUNT_ERASED: Function = Function {
    name: "payments-on-account-erased",
    build: |env| Box::pin(async move { on_account_erased::build(&env) }),
};
/// The stream of entitlements.
pub const ON_ENTITLEMENT: Function =
    Function { name: "payments-on-entitlement", build: |env| Box::pin(async move { on_entitlement::entry(&env) }) };
/// The queue of outgoing webhooks.
pub const ON_WEBHOOK: Function =
    Function { name: "payments-on-webhook", build: |env| Box::pin(on_webhook::build(env)) };
/// The queue of store events.
pub const ON_STORE_EVENT: Function = Function {
    name: "payments-on-store-event",
    build: |env| Box::pin(async move { on_store_event::build(&env).await }),
};
/// The hourly reconciling.
pub const EVERY_HOUR_RECONCILE: Function = Function {
    name: "payments-every-hour-reconcile",
    build: |env| Box::pin(async move { every_hour_reconcile::build(&env).await }),
};
/// Every binary of this family.
pub const FUNCTIONS: &[Function] =
    &[HTTP, ON_ACCOUNT_ERASED, ON_ENTITLEMENT, ON_STORE_EVENT, ON_WEBHOOK, EVERY_HOUR_RECONCILE];

/// The routes and their part of the OpenAPI document.
pub fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(routes::grants::give))
        .routes(routes!(routes::entitlements::list))
        .routes(routes!(routes::history::list))
        .routes(routes!(routes::verify::verify))
        .routes(routes!(routes::verify::restore))
        .routes(routes!(routes::webhooks::apple))
        .routes(routes!(routes::webhooks::google))
}

async fn http(env: &Env) -> Result<Entry, Complaints> {
    let app = App::from_env(env).await?;
    let core = app.core.clone();
    let (router, _document) = api().split_for_parts();
    Ok(Entry::Http(serve(router, app, core)))
}
