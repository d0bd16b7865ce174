//! What `bench-process` measures cold starts against: an axum router on `lambda_http` with one route and nothing else,
//! built with the same profile as the functions.

use lambda_http::tower::ServiceExt as _;

fn main() -> Result<(), lambda_http::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let router = axum::Router::new().fallback(async || "ok");
        let service = router.map_request(|request: lambda_http::Request| request.map(body));
        lambda_http::run(service).await
    })
}

fn body(body: lambda_http::Body) -> axum::body::Body {
    match body {
        lambda_http::Body::Text(text) => text.into(),
        lambda_http::Body::Binary(bytes) => bytes.into(),
        _ => axum::body::Body::empty(),
    }
}
