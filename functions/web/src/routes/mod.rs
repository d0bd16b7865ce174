//! The routes, by noun.

pub(crate) mod docs;
pub(crate) mod health;
