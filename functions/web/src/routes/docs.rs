//! The OpenAPI document, and a page to read it in.

use axum::extract::Path;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use satchel_inbound::http::error::problem;

use crate::document::TEXT;
use crate::etag::fixed;

/// Only what we serve ourselves, no inline script, no inline style; `data:` for the icons in the viewer's style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Changes with a release, and is asked for again after five minutes.
const SHORT: &str = "public, max-age=300";
/// Changes with the viewer's version, which is rare, and has no version in its name.
const DAY: &str = "public, max-age=86400";

struct Asset {
    name: &'static str,
    kind: &'static str,
    cache: &'static str,
    bytes: &'static [u8],
}

const INDEX: &[u8] = include_bytes!("../../assets/docs/index.html");
const ASSETS: [Asset; 4] = [
    Asset {
        name: "swagger-ui-bundle.js",
        kind: "text/javascript; charset=utf-8",
        cache: DAY,
        bytes: include_bytes!("../../assets/docs/swagger-ui-bundle.js"),
    },
    Asset {
        name: "swagger-ui.css",
        kind: "text/css; charset=utf-8",
        cache: DAY,
        bytes: include_bytes!("../../assets/docs/swagger-ui.css"),
    },
    Asset {
        name: "start.js",
        kind: "text/javascript; charset=utf-8",
        cache: SHORT,
        bytes: include_bytes!("../../assets/docs/start.js"),
    },
    Asset {
        name: "favicon-32x32.png",
        kind: "image/png",
        cache: DAY,
        bytes: include_bytes!("../../assets/docs/favicon-32x32.png"),
    },
];

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "web",
    security(()),
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of what the caller has")),
    responses(
        (status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json",
         headers(("ETag" = String, description = "Changes with the document"))),
        (status = 304, description = "The caller has it"),
    )
)]
pub(crate) async fn openapi(headers: HeaderMap) -> Response {
    fixed(TEXT.as_bytes(), "application/json", SHORT, &headers)
}

/// A page to read this document in, and to try it out.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "web",
    security(()),
    responses((status = 200, description = "The page; everything it needs is served here", body = String, content_type = "text/html"))
)]
pub(crate) async fn page() -> Response {
    let mut response = fixed(INDEX, "text/html; charset=utf-8", SHORT, &HeaderMap::new());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// What the page is made of.
#[utoipa::path(
    get,
    path = "/docs/{asset}",
    tag = "web",
    security(()),
    params(
        ("asset" = String, Path, description = "The file", example = "swagger-ui.css"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of what the caller has"),
    ),
    responses(
        (status = 200, description = "The file", content(
            (String = "text/javascript"), (String = "text/css"), (String = "image/png"),
        ), headers(("ETag" = String, description = "Changes with the file"))),
        (status = 304, description = "The caller has it"),
    )
)]
pub(crate) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => fixed(asset.bytes, asset.kind, asset.cache, &headers),
        None => problem(StatusCode::NOT_FOUND, "not_found", "no such file".into(), None),
    }
}
