//! A notification as it stands in the payload: its four bodies, and whose each is (facts 2.1, 8 and 2.2).

use serde::Deserialize;
use serde_json::{Map, Value};

use super::app::App;
use super::payload::{Body, Notification, date};
use super::reason::Reason;
use super::words::{NotificationType, Subtype};
use crate::Timestamp;

/// What an id of an external purchase begins with where it was made in the sandbox.
const SANDBOX_PREFIX: &str = "SANDBOX";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    notification_type: NotificationType,
    subtype: Option<Subtype>,
    #[serde(rename = "notificationUUID")]
    uuid: String,
    #[serde(deserialize_with = "date")]
    signed_date: Timestamp,
    data: Option<Data>,
    summary: Option<Summary>,
    external_purchase_token: Option<External>,
    app_data: Option<Owner>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Owner {
    environment: String,
    app_apple_id: Option<u64>,
    bundle_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    #[serde(flatten)]
    owner: Owner,
    signed_transaction_info: Option<String>,
    signed_renewal_info: Option<String>,
    status: Option<i64>,
    consumption_request_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    #[serde(flatten)]
    owner: Owner,
    product_id: Option<String>,
    request_identifier: Option<String>,
    succeeded_count: Option<i64>,
    failed_count: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct External {
    external_purchase_id: String,
    app_apple_id: Option<u64>,
    bundle_id: String,
}

/// A notification that is ours, with the signed texts inside it, which are not verified yet.
pub(super) struct Opened {
    pub(super) notification: Notification,
    pub(super) transaction: Option<String>,
    pub(super) renewal: Option<String>,
}

/// Reads a notification and holds it to `app`.
pub(super) fn open(payload: Map<String, Value>, app: &App) -> Result<Opened, Reason> {
    let envelope: Envelope = serde_json::from_value(Value::Object(payload)).map_err(|_| Reason::PayloadShape)?;
    // It becomes part of a key.
    let fits = |uuid: &str| {
        (1..=64).contains(&uuid.len()) && uuid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if !fits(&envelope.uuid) {
        return Err(Reason::PayloadShape);
    }
    let bodies = (envelope.data, envelope.summary, envelope.external_purchase_token, envelope.app_data);
    let (owner, body, transaction, renewal) = match bodies {
        (Some(data), None, None, None) => {
            let body = Body::Data { status: data.status, consumption_request_reason: data.consumption_request_reason };
            (data.owner, body, data.signed_transaction_info, data.signed_renewal_info)
        }
        (None, Some(summary), None, None) => {
            let body = Body::Summary {
                request_identifier: summary.request_identifier,
                product_id: summary.product_id,
                succeeded: summary.succeeded_count,
                failed: summary.failed_count,
            };
            (summary.owner, body, None, None)
        }
        (None, None, Some(token), None) => {
            let sandbox = token.external_purchase_id.starts_with(SANDBOX_PREFIX);
            let environment = if sandbox { "Sandbox" } else { "Production" }.to_owned();
            let owner = Owner { environment, app_apple_id: token.app_apple_id, bundle_id: token.bundle_id };
            (owner, Body::ExternalPurchase { id: token.external_purchase_id }, None, None)
        }
        (None, None, None, Some(owner)) => (owner, Body::App, None, None),
        _ => return Err(Reason::NotificationBody),
    };
    app.is_of_bundle(&owner.bundle_id)?;
    app.is_of_environment(&owner.environment)?;
    app.is_of_app_id(owner.app_apple_id)?;
    let notification = Notification {
        notification_type: envelope.notification_type,
        subtype: envelope.subtype,
        uuid: envelope.uuid,
        signed_date: envelope.signed_date,
        body,
    };
    Ok(Opened { notification, transaction, renewal })
}
