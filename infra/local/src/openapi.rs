//! The OpenAPI document of all families.
