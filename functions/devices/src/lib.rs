//! Devices: what each is, what it can do, whether it is there.
#![doc = include_str!("../README.md")]

mod app;
mod every_day_cleanup;
mod on_account_erased;
mod routes;

use satchel_inbound::http::serve;
use satchel_inbound::{Complaints, Entry, Env, Function};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use app::App;

/// The routes.
pub const HTTP: Function = Function { name: "devices", build: |env| Box::pin(async move { http(&env) }) };
/// The queue of erased accounts.
pub const ON_ACCOUNT_ERASED: Function = Function {
    name: "devices-on-account-erased",
    build: |env| Box::pin(async move { on_account_erased::build(&env) }),
};
/// The daily clean-up.
pub const EVERY_DAY_CLEANUP: Function = Function {
    name: "devices-every-day-cleanup",
    build: |env| Box::pin(async move { every_day_cleanup::build(&env) }),
};
/// Every binary of this family.
pub const FUNCTIONS: &[Function] = &[HTTP, ON_ACCOUNT_ERASED, EVERY_DAY_CLEANUP];

/// The routes and their part of the OpenAPI document.
pub fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(routes::devices::describe, routes::devices::list))
        .routes(routes!(routes::inference::capable))
        .routes(routes!(routes::inference::capabilities))
        .routes(routes!(routes::inference::heartbeat))
        .routes(routes!(routes::devices::get, routes::devices::change, routes::devices::delete))
        .routes(routes!(routes::devices::activity))
}

fn http(env: &Env) -> Result<Entry, Complaints> {
    let app = App::from_env(env)?;
    let core = app.core.clone();
    let (router, _document) = api().split_for_parts();
    Ok(Entry::Http(serve(router, app, core)))
}
