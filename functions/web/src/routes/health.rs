//! Whether it answers.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;

/// It answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// Version of the code.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// Which stack answers.
    #[schema(example = "dev")]
    stage: String,
    /// What time it is there, Unix seconds.
    #[schema(example = 1_767_225_600)]
    time: i64,
}

/// Whether it answers.
///
/// It asks nothing that costs anything: the alarms watch the tables and queues.
#[utoipa::path(
    get,
    path = "/health",
    tag = "web",
    security(()),
    responses((status = 200, description = "It answers", body = Health))
)]
pub(crate) async fn health(State(app): State<App>) -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION"), stage: app.stage, time: app.core.clock.unix() })
}
