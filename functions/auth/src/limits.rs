//! Limits of this family, by address, account and session.

use std::time::Duration;

use satchel_domain::limits::Limit;
use satchel_domain::{Error, Result, Timestamp};
use satchel_inbound::env::Reader;
use satchel_store::{Table, limits};

/// The limits as they are set.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Sign-ins and links a minute of one address.
    pub sign_in_address: Limit,
    /// Sign-ins and links a minute of one person at a provider.
    pub sign_in_account: Limit,
    /// Refreshes a minute of one address.
    pub refresh_address: Limit,
    /// Refreshes a minute of one session.
    pub refresh_session: Limit,
    /// Client-credential requests a minute of one address.
    pub token_address: Limit,
    /// Exports a day of one account.
    pub export_account: Limit,
}

impl Limits {
    pub(crate) fn from_settings(settings: &mut Reader<'_>) -> Self {
        let mut limit = |kind, name: &str, most, seconds| Limit { kind, most: settings.value(name, most), seconds };
        Self {
            sign_in_address: limit("sign-in-address", "SIGN_IN_LIMIT_ADDRESS", 30, 60),
            sign_in_account: limit("sign-in-account", "SIGN_IN_LIMIT_ACCOUNT", 10, 60),
            refresh_address: limit("refresh-address", "REFRESH_LIMIT_ADDRESS", 300, 60),
            refresh_session: limit("refresh-session", "REFRESH_LIMIT_SESSION", 60, 60),
            token_address: limit("token-address", "TOKEN_LIMIT_ADDRESS", 60, 60),
            export_account: limit("export-account", "EXPORT_LIMIT_DAY", 5, 86_400),
        }
    }
}

/// A limit that takes longer to count than this is not counted: two of them stand before a sign-in.
const PATIENCE: Duration = Duration::from_millis(1_000);

/// Counts one of `subject`. A limiter that cannot count lets everybody through, and says so: a limit protects people from
/// guessing and us from load, and neither is served by locking everybody out.
///
/// # Errors
/// 429 with what is left of the window.
pub(crate) async fn count(accounts: &Table, limit: &Limit, subject: &str, now: Timestamp) -> Result<()> {
    let counted = tokio::time::timeout(PATIENCE, limits::count(accounts, limit, subject, now)).await;
    match counted.unwrap_or_else(|_| Err(Error::unavailable(format!("not counted in {PATIENCE:?}")))) {
        Ok(true) => Ok(()),
        Ok(false) => Err(limit.refuse(now)),
        Err(error @ Error::Unavailable { .. }) => {
            let error = satchel_inbound::http::error::causes(&error);
            tracing::warn!(limit = limit.kind, %error, metric = "LimiterUnavailable", "a limit could not be counted");
            Ok(())
        }
        Err(error) => Err(error),
    }
}
