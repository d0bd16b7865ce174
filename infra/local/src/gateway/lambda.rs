//! What becomes of a path and an answer between API Gateway and a router in Lambda.
//!
//! An HTTP API decodes a path twice before it looks for a route, cuts it at a `?` that came out of the first time, and
//! hands the rest on as `rawPath` (live captures in hotsock/voker, `vokerhttp/testdata/ingress-paths.json`;
//! fastify/aws-lambda-fastify#169, honojs/hono#2156). The functions encode that again, so that what was decoded stays within
//! its segment (`satchel_inbound::http::gateway`); the runtime's client alone would make a URL of it, in which `..` climbs.
//!
//! # Limits
//! What was captured is played. API Gateway refuses a path with a `%` that is left over after the first decoding (400);
//! here it reaches the function.

use std::borrow::Cow;
use std::panic::catch_unwind;

use axum::body::{Body, Bytes};
use http::uri::PathAndQuery;
use http::{HeaderMap, Response};
use lambda_http::IntoResponse as _;
use satchel_domain::sync::budget::escaped;
use satchel_inbound::Clock;
use satchel_inbound::http::gateway::of_lambda;
use serde_json::{Map, json};

use crate::services::decode;

/// Most bytes of a function's answer, its envelope included: what Lambda names in its error of a larger one.
pub(super) const MAX_ANSWER: usize = 6_291_556;

/// `rawPath` of a request for the path `sent`.
pub(super) fn raw_path(sent: &str) -> Cow<'_, str> {
    if !sent.contains('%') {
        return Cow::Borrowed(sent);
    }
    let once = decode(sent, false);
    let (path, _) = once.split_once('?').unwrap_or((&once, ""));
    Cow::Owned(decode(path, false))
}

/// Path and query that a function's router sees, by the door it has in Lambda; `None` where the invocation fails there.
pub(super) fn at_the_router(raw_path: &str, query: Option<&str>) -> Option<PathAndQuery> {
    let event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": raw_path, "rawQueryString": query.unwrap_or_default(),
        "headers": { "host": "localhost" },
        "requestContext": { "stage": "$default", "http": { "method": "GET", "path": raw_path } },
        "isBase64Encoded": false,
    });
    // The runtime's client panics at a URL it cannot make, which costs the invocation.
    let request = catch_unwind(|| lambda_http::request::from_str(&event.to_string()).ok()).ok().flatten()?;
    of_lambda(request, &Clock::system()).uri().path_and_query().cloned()
}

/// Whether neither API Gateway nor the runtime's client changes `path`, as it is with nearly all.
pub(super) fn is_plain(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~:".contains(&byte))
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Whether Lambda refuses an answer: its body lies in an envelope of JSON, as an escaped text or, where the runtime's
/// client takes it for binary, in base64.
pub(super) async fn is_too_large(headers: &HeaderMap, body: &Bytes) -> bool {
    // A byte becomes six at most, and headers that could make up for the rest do not exist.
    if body.len() < MAX_ANSWER / 8 {
        return false;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let named: Map<_, _> =
        headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()).into())).collect();
    let envelope = json!({
        "statusCode": 200, "headers": named, "multiValueHeaders": {}, "body": "", "isBase64Encoded": false, "cookies": [],
    });
    let mut answer = Response::new(Body::from(body.clone()));
    *answer.headers_mut() = headers.clone();
    let body = match answer.into_response().await.body() {
        lambda_http::Body::Text(text) => escaped(text),
        lambda_http::Body::Binary(bytes) => bytes.len().div_ceil(3) * 4,
        _ => 0,
    };
    envelope.to_string().len() + body > MAX_ANSWER
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;

    #[test]
    fn a_path_is_handed_on_as_captured_on_aws() {
        for (sent, raw) in [
            ("/capture/plain", "/capture/plain"),
            ("/capture/space%20value", "/capture/space value"),
            ("/capture/question%3Fvalue", "/capture/question"),
            ("/capture/hash%23value", "/capture/hash#value"),
            ("/capture/slash%2Fvalue", "/capture/slash/value"),
            ("/capture/unicode-%CE%BB-%E4%B8%96%E7%95%8C", "/capture/unicode-λ-世界"),
            ("/capture/literal%252Fvalue", "/capture/literal/value"),
            ("/capture/literal%253Fvalue", "/capture/literal?value"),
            ("/capture/literal%2525value", "/capture/literal%value"),
            ("/capture/%zz%", "/capture/%zz%"),
            ("/capture/%+1", "/capture/%+1"),
        ] {
            assert_eq!(raw_path(sent), raw, "{sent}");
        }
    }

    #[test]
    fn a_router_sees_the_path_that_the_gateway_routed() {
        for (raw, query, seen) in [
            ("/a b/λ", Some("x=%20"), "/a%20b/%CE%BB?x=%20"),
            ("/a#b", None, "/a%23b"),
            ("/a/../b", None, "/a/../b"),
            (r"/a/..\b", None, "/a/..%5Cb"),
            ("/a?b", Some("c"), "/a%3Fb"),
            ("/a\0\"<>", None, "/a%00%22%3C%3E"),
            ("/a/%zz%", None, "/a/%zz%"),
        ] {
            assert_eq!(at_the_router(raw, query).unwrap().as_str(), seen, "{raw}");
            assert!(!is_plain(raw), "{raw}");
        }
        for plain in ["/", "/sync/entries/a.b_c:d-e/history", "/docs/swagger-ui.css", "/a//b/...", "/~"] {
            assert!(is_plain(plain), "{plain}");
            assert_eq!((&*raw_path(plain), at_the_router(plain, Some("a=1")).unwrap().path()), (plain, plain));
        }
    }

    #[tokio::test]
    async fn the_size_of_an_answer_is_that_of_its_envelope() {
        let of_type =
            |kind: &'static str| HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
        let (json, image) = (of_type("application/problem+json"), of_type("image/png"));
        let packed = {
            let mut headers = json.clone();
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            headers
        };
        let mib = 1024 * 1024;
        for (headers, byte, length, too_large) in [
            (&json, b'x', 6 * mib - 200, false),
            (&json, b'x', 6 * mib, true),
            (&json, b'"', 3 * mib - 200, false),
            (&json, b'"', 3 * mib, true),
            (&json, 1, mib, true),
            (&image, b'x', 46 * mib / 10, true),
            (&image, b'x', 44 * mib / 10, false),
            (&packed, b'x', 46 * mib / 10, true),
            (&HeaderMap::new(), b'x', 5 * mib, false),
        ] {
            let body = Bytes::from(vec![byte; length]);
            assert_eq!(is_too_large(headers, &body).await, too_large, "{headers:?} {byte} {length}");
        }
        let mut wordy = json.clone();
        wordy.insert("x-words", HeaderValue::from_bytes(&vec![b'x'; 1_000]).unwrap());
        assert!(is_too_large(&wordy, &Bytes::from(vec![b'x'; 6 * mib - 200])).await, "headers count too");
    }
}
