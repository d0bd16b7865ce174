//! What every family does when an account is erased: its rows go, twice over, and auth hears of it.

use satchel_domain::Result;
use satchel_domain::ids::UserId;
use satchel_outbound::Queue;
use satchel_store::Table;
use serde::{Deserialize, Serialize};

use crate::batch;
use crate::env::{Complaints, Env};
use crate::function::Entry;

/// The pass when the last access token of the account is dead: what comes after it is nobody's.
pub const LAST_PASS: u32 = 2;

/// What auth asks.
#[derive(Debug, Deserialize)]
struct Erase {
    user_id: UserId,
    pass: u32,
}

/// What auth waits for.
#[derive(Debug, Serialize)]
struct Erased {
    user_id: UserId,
    family: &'static str,
    pass: u32,
}

/// The consumer of `family`'s erase queue: `erase` is given the table that the setting `table` names, the account, and
/// whether it is the last pass; it must be repeatable. Then the queue that the setting `reports` names is told.
///
/// # Errors
/// Complaints about the two settings.
pub fn consumer<F, Fut>(
    env: &Env,
    family: &'static str,
    (table, reports): (&str, &str),
    erase: F,
) -> Result<Entry, Complaints>
where
    F: Fn(Table, UserId, bool) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let (table, reports) = env.settings.read(|settings| (settings.text(table), settings.text(reports)))?;
    let (table, reports) = (Table::new(env.aws.dynamodb(), table), Queue::new(env.aws.sqs(), reports));
    Ok(Entry::event(move |event| {
        let (table, reports, erase) = (table.clone(), reports.clone(), erase.clone());
        batch::queue(event, move |Erase { user_id, pass }| {
            let (reports, erased) = (reports.clone(), erase(table.clone(), user_id.clone(), pass >= LAST_PASS));
            async move {
                erased.await?;
                reports.send(&Erased { user_id, family, pass }).await
            }
        })
    }))
}
