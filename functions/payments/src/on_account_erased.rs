//! An account is erased: its add-ons go, the ledger loses its name.

use std::sync::Arc;

use satchel_domain::ids::UserId;
use satchel_inbound::{Complaints, Entry, Env, batch};
use satchel_outbound::Queue;
use satchel_store::{Table, entitlements};
use serde::{Deserialize, Serialize};

/// What auth asks: twice, the second time when the last access token is dead.
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

struct App {
    entitlements: Table,
    report: Queue,
}

pub(crate) fn build(env: &Env) -> Result<Entry, Complaints> {
    let (table, queue) =
        env.settings.read(|settings| (settings.text("TABLE_ENTITLEMENTS"), settings.text("QUEUE_ACCOUNT_ERASE")))?;
    let app =
        Arc::new(App { entitlements: Table::new(env.aws.dynamodb(), table), report: Queue::new(env.aws.sqs(), queue) });
    Ok(Entry::event(move |event| {
        let app = Arc::clone(&app);
        batch::queue(event, move |message: Erase| Arc::clone(&app).erase(message))
    }))
}

impl App {
    async fn erase(self: Arc<Self>, Erase { user_id, pass }: Erase) -> satchel_domain::Result<()> {
        entitlements::erase(&self.entitlements, &user_id).await?;
        self.report.send(&Erased { user_id, family: "payments", pass }).await
    }
}
