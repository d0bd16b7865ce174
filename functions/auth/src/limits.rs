//! Limits of this family, by address, account and session.

use satchel_domain::limits::Limit;
use satchel_domain::{Result, Timestamp};
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

/// Counts one of `subject`.
///
/// # Errors
/// 429 with what is left of the window.
pub(crate) async fn count(accounts: &Table, limit: &Limit, subject: &str, now: Timestamp) -> Result<()> {
    limits::enforce(accounts, limit, subject, 1, now).await
}
