//! Where the stores tell what happened. Nothing is asked of anybody here but cached keys: the answer is there at once, the
//! work is the queue's.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use satchel_domain::appstore::Source;
use satchel_domain::playstore::bearer_key_id;
use satchel_domain::purchases::Store;
use satchel_domain::{Error, Timestamp, playstore};
use satchel_inbound::http::{ApiResult, Input};
use satchel_store::purchases::EventRow;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::events::{notification, safe_id, unread};
use crate::App;
use crate::fold::refused;
use crate::trouble::not_set_up;

/// What the App Store posts (App Store Server Notifications, version 2).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppleIn {
    /// The notification as a compact JWS.
    #[schema(
        example = "eyJhbGciOiJFUzI1NiIsIng1YyI6Wy4uLl19.eyJub3RpZmljYXRpb25UeXBlIjoiVEVTVCJ9.c2lnbmF0dXJl",
        max_length = 65_536
    )]
    signed_payload: String,
}

/// The seed's answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TakenOut {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Takes a notification of the App Store.
///
/// It is verified, stored under its id, queued, and answered. A duplicate is answered like the first.
#[utoipa::path(
    post,
    path = "/payments/webhook/apple",
    tag = "payments",
    security(()),
    request_body = AppleIn,
    responses(
        (status = 200, description = "Taken", body = TakenOut),
        (status = 400, description = "`notification_refused`: it can never become valid; `store_not_configured`", body = satchel_inbound::http::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn apple(State(app): State<App>, Input(input): Input<AppleIn>) -> ApiResult<Json<TakenOut>> {
    let apple = app.stores.apple.as_ref().ok_or_else(|| not_set_up("the App Store"))?;
    let now = app.core.clock.now();
    let believed =
        apple.api.believe(now, |it, known| it.notification(&input.signed_payload, Source::Webhook { now }, known));
    let refusal = match believed {
        Ok((verified, environment)) => {
            app.stores.take_in(&notification(&input.signed_payload, &verified.value, environment, now)).await?;
            return Ok(Json(TakenOut { status: "ok" }));
        }
        Err(refusal) => refusal,
    };
    let (part, reason) = (refusal.part.as_str(), refusal.reason.as_str());
    if refusal.is_unread() {
        // The App Store signed it, and we cannot read it or have a wrong setting: it must not be lost by that.
        tracing::error!(part, reason, metric = "StoreEventUnread", "a notification of the App Store cannot be read");
        let text = &input.signed_payload;
        app.stores.take_in(&unread(Store::Ios, text.as_bytes(), text, now)).await?;
        return Ok(Json(TakenOut { status: "ok" }));
    }
    tracing::warn!(part, reason, metric = "StoreVerificationFailed", "a notification of the App Store is refused");
    if refusal.reason.may_pass_later() {
        return Err(Error::unavailable(format!("{part}: {reason}")).into());
    }
    Err(refused("notification_refused", format!("the notification is refused: {part}: {reason}")).into())
}

/// Takes a push of Google Cloud Pub/Sub.
///
/// Its bearer token must be Google's, for our audience, of our push's own service account. What it says is never
/// believed: the purchase is asked for. A message that is of no use now, since it is of another subscription or app than our
/// settings say or cannot be read, is kept, answered 204 and tried again every hour: Pub/Sub would repeat it for days.
#[utoipa::path(
    post,
    path = "/payments/webhook/google",
    tag = "payments",
    security(("google_push" = [])),
    request_body(content = serde_json::Value, content_type = "application/json", description = "A Pub/Sub push: `{message: {data, messageId, …}, subscription}`"),
    responses(
        (status = 204, description = "Taken, or kept to be tried again"),
        (status = 400, description = "`store_not_configured`", body = satchel_inbound::http::Problem, content_type = "application/problem+json"),
        (status = 401, description = "`invalid_push_identity`", body = satchel_inbound::http::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn google(State(app): State<App>, headers: HeaderMap, body: Bytes) -> ApiResult<StatusCode> {
    let google = app.stores.google.as_ref().ok_or_else(|| not_set_up("Google Play"))?;
    let now = app.core.clock.now();
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(|| unknown_push("no_bearer"))?;
    let kid = bearer_key_id(token).map_err(|reason| unknown_push(reason.as_str()))?;
    let keys = google.keys.keys(&kid, now).await?.ok_or_else(|| unknown_push("unknown_key"))?;
    google.push.bearer(token, &keys, now).map_err(|reason| unknown_push(reason.as_str()))?;

    match google.push.message(&body) {
        Ok(message) => {
            let text = String::from_utf8(body.to_vec()).map_err(Error::internal)?;
            let said = message.event_time.as_millisecond();
            // Verified by what is asked for later: a message names no environment.
            let event = EventRow::received(
                Store::Android,
                &safe_id(&message.id),
                &message.body.name(),
                "production",
                &text,
                said,
                now.as_millisecond(),
            );
            app.stores.take_in(&event).await?;
        }
        Err(reason) => keep_useless(&app, &body, reason, now).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}

fn unknown_push(reason: &str) -> Error {
    tracing::warn!(reason, metric = "StoreVerificationFailed", "a push is not from our own subscription");
    Error::Unauthenticated { code: "invalid_push_identity", message: "the push is not from our subscription" }
}

/// An authenticated message that is of no use now: of another subscription or app than our settings say, or one that we
/// cannot read. It is kept and tried again every hour, since Pub/Sub would repeat it for days, and then forget it.
async fn keep_useless(app: &App, body: &[u8], reason: playstore::Reason, now: Timestamp) -> satchel_domain::Result<()> {
    tracing::error!(reason = reason.as_str(), metric = "StoreEventUnread", "a message of Google Play is of no use now");
    let shown = String::from_utf8_lossy(body.get(..body.len().min(playstore::MAX_BODY_BYTES)).unwrap_or_default());
    let event = unread(Store::Android, body, &shown, now);
    satchel_store::purchases::receive(&app.entitlements, &event).await.map(|_| ())
}
