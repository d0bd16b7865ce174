//! Limits: a row a window, counted by conditional updates, so that a window that is full costs no write. The rows lie in
//! the table of the family that limits.

use std::time::Duration;

use satchel_domain::error::causes;
use satchel_domain::limits::Limit;
use satchel_domain::time::DAY;
use satchel_domain::{Error, Result, Timestamp};
use serde::Deserialize;

use crate::keys::accounts as keys;
use crate::{Expr, Table};

/// A limit that takes longer to count than this is not counted: two of them stand before a request.
const PATIENCE: Duration = Duration::from_millis(1_000);

/// Counts `many` of `subject`, or none of them; `false` where they do not fit into the window any more. What is more than a
/// whole window holds fits into an empty one, since it would never fit otherwise.
pub async fn count(table: &Table, limit: &Limit, subject: &str, many: u32, now: Timestamp) -> Result<bool> {
    #[derive(Deserialize)]
    struct Window {}
    let (begin, end) = limit.window(now);
    let expr = Expr::update("ADD hits :many SET #ttl = :ttl")
        .when("attribute_not_exists(hits) OR hits <= :room")
        .name("#ttl", "ttl")
        .value(":many", many)
        .value(":room", limit.most.saturating_sub(many))
        .value(":ttl", end.saturating_add(DAY));
    Ok(table.update::<Window>(&keys::window(limit.kind, subject, begin), expr).await?.is_some())
}

/// Counts `many` of `subject` and refuses them where they do not fit. A limiter that cannot count lets everybody through,
/// and says so: a limit protects people from guessing and us from load, and neither is served by locking everybody out.
///
/// # Errors
/// 429 with what is left of the window.
pub async fn enforce(table: &Table, limit: &Limit, subject: &str, many: u32, now: Timestamp) -> Result<()> {
    let counted = tokio::time::timeout(PATIENCE, count(table, limit, subject, many, now)).await;
    match counted.unwrap_or_else(|_| Err(Error::unavailable(format!("not counted in {PATIENCE:?}")))) {
        Ok(true) => Ok(()),
        Ok(false) => Err(limit.refuse(now)),
        Err(error @ Error::Unavailable { .. }) => {
            let error = causes(&error);
            tracing::warn!(limit = limit.kind, %error, metric = "LimiterUnavailable", "a limit could not be counted");
            Ok(())
        }
        Err(error) => Err(error),
    }
}
