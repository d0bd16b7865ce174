//! Until when a chain of certificates needs no OCSP, one row a chain: every function instance spares the same call.

use satchel_domain::{Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::expr::Expr;
use crate::keys::entitlements as keys;
use crate::table::Table;

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    until: i64,
    // DynamoDB's own clean-up, which is days late: `until` is what counts.
    ttl: i64,
}

/// Until when the chain `chain` (its key in hexadecimal) is good, in Unix seconds, where that is after `now`.
pub async fn get(entitlements: &Table, chain: &str, now: Timestamp) -> Result<Option<i64>> {
    let row = entitlements.get::<Row>(&keys::ocsp(chain)).await?;
    Ok(row.map(|row| row.until).filter(|until| *until > now.as_second()))
}

/// Keeps that the chain `chain` is good until `until`, in Unix seconds.
pub async fn put(entitlements: &Table, chain: &str, until: i64) -> Result<()> {
    entitlements.put(&keys::ocsp(chain), &Row { until, ttl: until }, Expr::always()).await?;
    Ok(())
}
