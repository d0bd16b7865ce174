//! The routes, by noun.

pub(crate) mod entitlements;
pub(crate) mod events;
pub(crate) mod grants;
pub(crate) mod history;
pub(crate) mod verify;
pub(crate) mod webhooks;
