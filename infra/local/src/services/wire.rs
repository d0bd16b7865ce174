//! How each service words its errors on the wire.

use serde_json::json;

use super::request::{Response, Service};

/// An error in the format of `service`.
pub(super) fn error(service: Service, status: u16, code: &str, message: &str) -> Response {
    match service {
        Service::Sns => {
            let text = escape(message);
            let body = format!(
                "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>\
                 <Code>{code}</Code><Message>{text}</Message></Error><RequestId>local</RequestId></ErrorResponse>"
            );
            Response::xml(status, body)
        }
        Service::S3 => {
            let text = escape(message);
            let body =
                format!("<Error><Code>{code}</Code><Message>{text}</Message><RequestId>local</RequestId></Error>");
            Response::xml(status, body)
        }
        Service::Dynamodb => {
            let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
            Response::json(status, json!({"__type": kind, "message": message}).to_string())
        }
        Service::Sqs => {
            let kind = format!("com.amazonaws.sqs#{code}");
            Response::json(status, json!({"__type": kind, "message": message}).to_string())
        }
        Service::Ses | Service::Secretsmanager | Service::Connections | Service::Http => {
            Response::json(status, json!({"__type": code, "message": message}).to_string())
                .with("x-amzn-errortype", code)
        }
    }
}

/// The service's throttling error.
pub(super) fn throttled(service: Service) -> Response {
    let (status, code) = match service {
        Service::Dynamodb => (400, "ProvisionedThroughputExceededException"),
        Service::Sqs => (400, "RequestThrottled"),
        Service::Sns => (400, "Throttling"),
        Service::Ses | Service::Http => (429, "TooManyRequestsException"),
        Service::Connections => (429, "LimitExceededException"),
        Service::S3 => (503, "SlowDown"),
        Service::Secretsmanager => (400, "ThrottlingException"),
    };
    error(service, status, code, "Rate exceeded")
}

/// The service's internal error.
pub(super) fn internal_error(service: Service) -> Response {
    let code = match service {
        Service::Dynamodb => "InternalServerError",
        Service::S3 => "InternalError",
        Service::Secretsmanager => "InternalServiceError",
        Service::Sqs | Service::Sns | Service::Ses | Service::Connections | Service::Http => "InternalFailure",
    };
    error(service, 500, code, "An internal error occurred")
}

/// The receiver is no more.
pub(super) fn gone(service: Service) -> Response {
    match service {
        Service::Sns => error(service, 400, "EndpointDisabled", "Endpoint is disabled"),
        _ => error(service, 410, "GoneException", "Gone"),
    }
}

/// An operation that has no stand-in here.
pub(super) fn unknown() -> Response {
    error(Service::Http, 501, "NotImplemented", "this operation has no stand-in in the local services")
}

/// Text as XML content.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// `%41+b` as `A b`; what is no percent-encoding stays as it is.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => match after.get(..2).and_then(hex) {
                Some(value) => {
                    bytes.push(value);
                    rest = &after[2..];
                }
                None => bytes.push(byte),
            },
            b'+' if plus_is_space => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digits: &[u8]) -> Option<u8> {
    // `from_str_radix` alone would take a sign too.
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(text, 16).ok()
}

/// The pairs of a query or form, decoded.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name, true), decode(value, true))
    })
}
