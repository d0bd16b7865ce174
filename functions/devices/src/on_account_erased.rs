//! An account is erased: its devices go.

use satchel_inbound::{Complaints, Entry, Env, erasure};
use satchel_store::devices;

pub(crate) fn build(env: &Env) -> Result<Entry, Complaints> {
    let settings = ("TABLE_DEVICES", "QUEUE_ACCOUNT_ERASE");
    erasure::consumer(
        env,
        "devices",
        settings,
        |table, user, last| async move { devices::erase(&table, &user, last).await },
    )
}
