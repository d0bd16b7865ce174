//! The OpenAPI document of all families, which only something above them can put together.

use utoipa::openapi::OpenApi;

/// Each family's part. A schema's name is the document's, not the family's: two families must not mean two things by one.
#[must_use]
pub fn parts() -> Vec<OpenApi> {
    vec![
        satchel_auth::api().to_openapi(),
        satchel_devices::api().to_openapi(),
        satchel_sync::api().to_openapi(),
        satchel_payments::api().to_openapi(),
        satchel_web::api().to_openapi(),
    ]
}

/// The document as the code says it.
#[must_use]
pub fn document() -> OpenApi {
    satchel_web::document(parts())
}
