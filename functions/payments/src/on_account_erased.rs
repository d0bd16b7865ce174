//! An account is erased: its add-ons go, the ledger loses its name.

use satchel_inbound::{Complaints, Entry, Env, erasure};
use satchel_store::entitlements;

pub(crate) fn build(env: &Env) -> Result<Entry, Complaints> {
    let settings = ("TABLE_ENTITLEMENTS", "QUEUE_ACCOUNT_ERASE");
    erasure::consumer(
        env,
        "payments",
        settings,
        |table, user, _| async move { entitlements::erase(&table, &user).await },
    )
}
