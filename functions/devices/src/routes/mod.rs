//! The routes, by noun.

pub(crate) mod devices;
pub(crate) mod inference;
pub(crate) mod wire;
