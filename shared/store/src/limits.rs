//! Limits: a row a window, counted by conditional updates, so that a window that is full costs no write.

use satchel_domain::limits::Limit;
use satchel_domain::time::DAY;
use satchel_domain::{Result, Timestamp};
use serde::Deserialize;

use crate::keys::accounts as keys;
use crate::{Expr, Table};

/// Counts one of `subject`; `false` where the window is full.
pub async fn count(accounts: &Table, limit: &Limit, subject: &str, now: Timestamp) -> Result<bool> {
    #[derive(Deserialize)]
    struct Window {}
    let (begin, end) = limit.window(now);
    let expr = Expr::update("ADD hits :one SET #ttl = :ttl")
        .when("attribute_not_exists(hits) OR hits < :most")
        .name("#ttl", "ttl")
        .value(":one", 1)
        .value(":most", limit.most)
        .value(":ttl", end.saturating_add(DAY));
    Ok(accounts.update::<Window>(&keys::window(limit.kind, subject, begin), expr).await?.is_some())
}
