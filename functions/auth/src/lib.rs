#![doc = include_str!("../README.md")]

mod app;
mod apple;
mod arrival;
mod cursor;
mod issuers;
mod limits;
mod on_erase;
mod on_export;
mod on_session;
mod routes;
mod tokens;

use satchel_inbound::http::serve;
use satchel_inbound::{Complaints, Entry, Env, Function};

pub use app::App;
pub use on_erase::FAMILIES;
pub use routes::api;

/// The routes.
pub const HTTP: Function = Function { name: "auth", build: |env| Box::pin(http(env)) };
/// The stream of the table `accounts`.
pub const ON_SESSION: Function = Function { name: "auth-on-session", build: |env| Box::pin(on_session::build(env)) };
/// The queue of erasings.
pub const ON_ERASE: Function = Function { name: "auth-on-erase", build: |env| Box::pin(on_erase::build(env)) };
/// The queue of exports.
pub const ON_EXPORT: Function = Function { name: "auth-on-export", build: |env| Box::pin(on_export::build(env)) };
/// Every binary of the family.
pub const FUNCTIONS: &[Function] = &[HTTP, ON_SESSION, ON_ERASE, ON_EXPORT];

async fn http(env: Env) -> Result<Entry, Complaints> {
    let app = App::from_env(&env).await?;
    let core = app.core.clone();
    let (router, _document) = api().split_for_parts();
    Ok(Entry::Http(serve(router, app, core)))
}
