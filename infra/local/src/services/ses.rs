//! SES version 2: `SendEmail`, kept in the outbox.

use serde_json::{Value, json};

use super::outbox::{Mail, Outbox};
use super::request::{Request, Response, Service};
use super::wire;

pub(super) fn call(request: &Request, outbox: &Outbox) -> Response {
    if request.operation != "SendEmail" {
        return wire::unknown();
    }
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return wire::error(Service::Ses, 400, "BadRequestException", "the body is not JSON");
    };
    let destination = &body["Destination"];
    let to: Vec<String> = ["ToAddresses", "CcAddresses", "BccAddresses"]
        .iter()
        .flat_map(|field| destination[*field].as_array().into_iter().flatten())
        .filter_map(|address| address.as_str().map(str::to_owned))
        .collect();
    let content = &body["Content"];
    let simple = &content["Simple"];
    let text = |value: &Value| value["Data"].as_str().map(str::to_owned);
    let from = body["FromEmailAddress"].as_str().unwrap_or_default().to_owned();
    if to.is_empty() && content["Raw"].is_null() {
        return wire::error(Service::Ses, 400, "BadRequestException", "Missing required destination");
    }
    let mail = Mail {
        message_id: String::new(),
        from,
        to,
        subject: text(&simple["Subject"]),
        text: text(&simple["Body"]["Text"]),
        html: text(&simple["Body"]["Html"]),
        request: body,
        at_ms: 0,
    };
    Response::json(200, json!({"MessageId": outbox.send(mail)}).to_string())
}
