//! The routes, by noun.

pub(crate) mod entitlements;
pub(crate) mod grants;
