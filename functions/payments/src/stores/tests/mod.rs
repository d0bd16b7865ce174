//! The clients against servers that say what a test wants, without a network.

mod apple;
mod apple_history;
mod apple_trouble;
mod given;
mod google;
mod google_acknowledge;
mod google_token;
mod heard;
mod pki;
mod receipt;
mod server;
mod settings;

use satchel_domain::Timestamp;
use satchel_domain::time::from_unix;

/// 2026-06-01T00:00:00Z.
const NOW: i64 = 1_780_272_000;
const BUNDLE: &str = "app.satchel";
const APP_ID: u64 = 1_234_567_890;
const APPLE_ARN: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:apple";
const GOOGLE_ARN: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:google";

fn now() -> Timestamp {
    from_unix(NOW)
}

/// `seconds` after `now`.
fn later(seconds: i64) -> Timestamp {
    from_unix(NOW + seconds)
}
