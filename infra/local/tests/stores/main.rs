//! The stand-in stores over the wire: judged by the code that judges the real ones, and asked as a client would.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly too")]

mod apple;
mod control;
mod google;
mod keeping;
mod modes;
mod notifications;
mod ocsp;
mod real;
mod receipts;
mod support;
