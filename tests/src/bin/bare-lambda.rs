//! The floor under a cold start that `bench-process` compares with: the empty binary, and in its one route what every
//! function must pay for its first answer, a TLS handshake and one `GetItem` by the SDK.

use aws_sdk_dynamodb::types::AttributeValue;
use lambda_http::tower::ServiceExt as _;
use satchel_inbound::Settings;
use satchel_outbound::Aws;

fn main() -> Result<(), lambda_http::Error> {
    let settings = Settings::environment();
    let aws = Aws::from_lookup(|name| settings.get(name)).map_err(|missing| missing.join(", "))?;
    let table = settings.get("TABLE_ENTITLEMENTS").ok_or("TABLE_ENTITLEMENTS is not set")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = aws.dynamodb();
        let router = axum::Router::new().fallback(async move || {
            let key = |text: &str| AttributeValue::S(text.to_owned());
            match client.get_item().table_name(table).key("pk", key("nobody")).key("sk", key("nothing")).send().await {
                Ok(_) => http::StatusCode::OK,
                Err(_) => http::StatusCode::SERVICE_UNAVAILABLE,
            }
        });
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
