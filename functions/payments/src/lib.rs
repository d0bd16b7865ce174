//! Payments: what a person may use. For now the back office's grants; store purchases will feed the same rows.
#![doc = include_str!("../README.md")]

mod on_account_erased;
mod routes;

use axum::extract::FromRef;
use satchel_inbound::http::serve;
use satchel_inbound::{Complaints, Core, Entry, Env, Function};
use satchel_store::Table;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes.
pub const HTTP: Function = Function { name: "payments", build: |env| Box::pin(async move { http(&env) }) };
/// The queue of erased accounts.
pub const ON_ACCOUNT_ERASED: Function = Function {
    name: "payments-on-account-erased",
    build: |env| Box::pin(async move { on_account_erased::build(&env) }),
};
/// Every binary of this family.
pub const FUNCTIONS: &[Function] = &[HTTP, ON_ACCOUNT_ERASED];

/// What the handlers work with.
#[derive(Clone)]
pub struct App {
    core: Core,
    entitlements: Table,
}

impl FromRef<App> for Core {
    fn from_ref(app: &App) -> Self {
        app.core.clone()
    }
}

/// The routes and their part of the OpenAPI document.
pub fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(routes::grants::give)).routes(routes!(routes::entitlements::list))
}

fn table(env: &Env) -> Result<Table, Complaints> {
    let name = env.settings.read(|settings| settings.text("TABLE_ENTITLEMENTS"))?;
    Ok(Table::new(env.aws.dynamodb(), name))
}

fn http(env: &Env) -> Result<Entry, Complaints> {
    let (core, entitlements) = both(Core::from_env(env), table(env))?;
    let app = App { core: core.clone(), entitlements };
    let (router, _document) = api().split_for_parts();
    Ok(Entry::Http(serve(router, app, core)))
}

/// Both, or the complaints of both.
fn both<A, B>(one: Result<A, Complaints>, other: Result<B, Complaints>) -> Result<(A, B), Complaints> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(Complaints(mut complaints)), Err(Complaints(more))) => {
            complaints.extend(more);
            Err(Complaints(complaints))
        }
        (Err(complaints), _) | (_, Err(complaints)) => Err(complaints),
    }
}
