//! The gateway, without sockets and with them.

use crate::support::{call, start};
use axum::http::Method;
use http::{Request, header};
use satchel_inbound::http::ClientAddress;
use satchel_local::Bytes;
use serde_json::{Value, json};

fn message(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap()
}

#[tokio::test]
async fn a_request_reaches_its_function_with_the_callers_address() {
    let local = start().await;
    let answer = call(&local, Method::POST, "/echo/7?x=1", "four").await;
    assert_eq!(answer.body(), "7 127.0.0.1 4");
    let mut request = Request::post("/echo/7").body(Bytes::new()).unwrap();
    request.extensions_mut().insert(ClientAddress("203.0.113.7".to_owned()));
    assert_eq!(local.call(request).await.body(), "7 203.0.113.7 0");
    assert_eq!(call(&local, Method::GET, "/files/a/b/c", "").await.body(), "a/b/c");
}

#[tokio::test]
async fn what_no_route_takes_and_what_is_too_large_is_answered_as_the_gateway_does() {
    let local = start().await;
    for (method, path) in [(Method::GET, "/nowhere"), (Method::GET, "/echo/7"), (Method::GET, "/files")] {
        let answer = call(&local, method, path, "").await;
        assert_eq!(
            (answer.status().as_u16(), message(answer.body())),
            (404, json!({ "message": "Not Found" })),
            "{path}"
        );
    }
    let answer = call(&local, Method::POST, "/echo/7", vec![0; 10 * 1024 * 1024]).await;
    assert_eq!(answer.status(), 200);
    let answer = call(&local, Method::POST, "/echo/7", vec![0; 10 * 1024 * 1024 + 1]).await;
    assert_eq!(
        (answer.status().as_u16(), message(answer.body())),
        (413, json!({ "message": "Request Entity Too Large" }))
    );
}

#[tokio::test]
async fn a_function_that_fails_costs_its_caller_one_answer_and_nobody_else_anything() {
    let local = start().await;
    for (path, status, text) in [
        ("/fail/panic", 500, "Internal Server Error"),
        ("/fail/big", 500, "Internal Server Error"),
        // 4 MiB of it are 8 MiB in the JSON that Lambda carries.
        ("/fail/quotes", 500, "Internal Server Error"),
        ("/fail/slow", 500, "Internal Server Error"),
    ] {
        let answer = call(&local, Method::GET, path, "").await;
        assert_eq!((answer.status().as_u16(), message(answer.body())), (status, json!({ "message": text })), "{path}");
    }
    assert_eq!(call(&local, Method::GET, "/fail/tea", "").await.status(), 418);
    assert_eq!(call(&local, Method::GET, "/fail/large", "").await.status(), 200);
}

#[tokio::test]
async fn a_path_is_decoded_twice_before_its_route_is_looked_for_as_in_an_http_api() {
    let local = start().await;
    let get = async |path: &str| call(&local, Method::GET, path, "").await;
    for (path, seen) in [
        ("/files/a%20b/%CE%BB", "a b/λ"),
        ("/files/a%2Fb", "a/b"),
        ("/files/a%252Fb", "a/b"),
        ("/f%69les/%61", "a"),
        ("/files/a%3Fb", "a"),
        ("/files/a%23b", "a#b"),
        ("/files%2Fa", "a"),
        ("/files/x%2F..%2Fa", "x/../a"),
        ("/files/..%5C..%5Cetc", r"..\..\etc"),
        ("/files/100%25", "100%"),
    ] {
        let answer = get(path).await;
        assert_eq!((answer.status().as_u16(), answer.body()), (200, &Bytes::from(seen)), "{path}");
    }
    // An id with a slash in it is two segments, which no route takes.
    for path in ["/fail/t%2Fea", "/fail/t%252Fea", "/fail%2F"] {
        let answer = get(path).await;
        assert_eq!(
            (answer.status().as_u16(), message(answer.body())),
            (404, json!({ "message": "Not Found" })),
            "{path}"
        );
    }
}

#[tokio::test]
async fn cors_is_the_gateways_own() {
    let local = start().await;
    let ask = |method: Method, origin: &str| {
        let request = Request::builder().method(method).uri("/echo/7").header(header::ORIGIN, origin);
        request.header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST").body(Bytes::new()).unwrap()
    };
    let answer = local.call(ask(Method::OPTIONS, "https://app.example")).await;
    assert_eq!(answer.status(), 204);
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("access-control-allow-origin").as_deref(), Some("https://app.example"));
    assert_eq!(header("access-control-allow-methods").as_deref(), Some("GET,POST"));
    assert_eq!(header("access-control-max-age").as_deref(), Some("60"));
    let answer = local.call(ask(Method::POST, "https://app.example")).await;
    assert_eq!(answer.headers()["access-control-expose-headers"], "x-request-id");
    for method in [Method::OPTIONS, Method::POST] {
        let answer = local.call(ask(method, "https://evil.example")).await;
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
    }
}
