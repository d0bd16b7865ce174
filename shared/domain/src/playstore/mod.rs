//! What Google Play says is believed or refused here, and becomes what it gives: plain functions of a push, of the issuer's
//! keys, of what the API answered, of what is configured, and of a time that comes in as a value (design: payments,
//! Verification and Events; facts: store payments, 2.7).
//!
//! | step | by |
//! | --- | --- |
//! | a push's bearer token: its signature, and that it is our own push that sends it | [`Push::bearer`] |
//! | a push's body: our subscription, our app, exactly one kind of notification | [`Push::message`] |
//! | what the API answers about a purchase, put into one form | [`Purchase`] |
//! | what the purchase gives, with what else is known of it | [`Facts::sources`] |
//!
//! A push only says that something happened: what is true of a purchase is always what the API answered.
//!
//! # Limits
//! A purchase token is whoever's who holds it, and opens the purchase to who has our access to the API: it is a
//! [`PurchaseToken`], which no `Debug` prints. What is kept and compared is its hash.

mod fold;
mod message;
mod purchase;
mod push;
mod reason;
mod token;
mod wire;
mod words;

pub use fold::Facts;
pub use message::{Body, MAX_BODY_BYTES, Message};
pub use purchase::{Kind, Line, Purchase, State};
pub use push::{Push, bearer_key_id};
pub use reason::Reason;
pub use token::{MAX_TOKEN_CHARS, NoToken, PurchaseToken};
pub use wire::{ProductPurchaseV2, SubscriptionPurchaseV2};
pub use words::{OneTimeEvent, RefundType, SubscriptionEvent, VoidedProduct};

#[cfg(test)]
mod tests;
