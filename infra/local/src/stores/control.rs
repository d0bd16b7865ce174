//! The control calls of the stores, below `/_local/stores/` (README), and the stores themselves over the port.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use futures_util::stream;
use serde::Serialize;
use serde_json::{Value, json};

use super::input::Action;
use super::{ActIn, BuyIn, DeliverIn, ModeIn, OcspIn, Refused, Store, Stores};
use crate::control::{Answer, In, Refusal};
use crate::local::Local;

/// The routes of this module.
pub(crate) fn router() -> Router<Local> {
    Router::new()
        .route("/_local/apple/{*rest}", any(store))
        .route("/_local/google/{*rest}", any(store))
        .route("/_local/stores/notifications", get(notifications))
        .route("/_local/stores/deliver", post(deliver))
        .route("/_local/stores/apple/ocsp", post(ocsp))
        .route("/_local/stores/{store}/mode", post(mode))
        .route("/_local/stores/{store}/buy", post(buy))
        .route("/_local/stores/{store}/{action}", post(act))
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::NotFound(_) => StatusCode::NOT_FOUND,
            Refused::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refused::State(_) => StatusCode::CONFLICT,
            Refused::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, refused.to_string())
    }
}

fn ok(value: impl Serialize) -> Answer {
    Ok(Json(value).into_response())
}

async fn store(State(local): State<Local>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, crate::gateway::MAX_REQUEST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    match local.shops().answer(Request::from_parts(head, body)).await {
        Some(answer) => answer.map(Body::from),
        // The connection ends before the answer does.
        None => Response::new(Body::from_stream(stream::once(async { Err::<Bytes, _>("a store that is down") }))),
    }
}

async fn notifications(State(local): State<Local>) -> Answer {
    ok(json!({ "notifications": Stores::of(local).notifications() }))
}

async fn deliver(State(local): State<Local>, In(wanted): In<DeliverIn>) -> Answer {
    ok(json!({ "deliveries": Stores::of(local).deliver(wanted).await? }))
}

async fn ocsp(State(local): State<Local>, In(wanted): In<OcspIn>) -> Answer {
    Stores::of(local).ocsp(wanted);
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The store that a path names.
fn named(store: &str) -> Result<Store, Refusal> {
    serde_json::from_value(Value::from(store))
        .map_err(|_| Refusal(StatusCode::NOT_FOUND, format!("there is no store `{store}`, but: apple, google")))
}

async fn mode(State(local): State<Local>, Path(store): Path<String>, In(wanted): In<ModeIn>) -> Answer {
    Stores::of(local).mode(named(&store)?, wanted);
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn buy(State(local): State<Local>, Path(store): Path<String>, In(what): In<BuyIn>) -> Answer {
    let stores = Stores::of(local);
    match named(&store)? {
        Store::Apple => ok(stores.apple().buy(what).await?),
        Store::Google => ok(stores.google().buy(what).await?),
    }
}

async fn act(State(local): State<Local>, Path((store, action)): Path<(String, String)>, In(what): In<ActIn>) -> Answer {
    let (store, action, stores) = (named(&store)?, Action::find(&action)?, Stores::of(local));
    match (store, action) {
        (Store::Apple, Action::Notify) => ok(json!({ "notifications": stores.apple().notify(what).await? })),
        (Store::Google, Action::Notify) => ok(json!({ "notifications": stores.google().notify(what).await? })),
        (Store::Apple, action) => ok(stores.apple().act(action, what).await?),
        (Store::Google, action) => ok(stores.google().act(action, what).await?),
    }
}
