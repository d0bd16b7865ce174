//! What the handlers of sync are given.

use axum::extract::FromRef;
use satchel_domain::time::DAY;
use satchel_inbound::http::Entitlements;
use satchel_inbound::{Complaints, Core, Env};
use satchel_store::Table;

/// State of the HTTP function.
#[derive(Clone)]
pub struct App {
    /// Clock, ids, tokens.
    pub core: Core,
    /// Who has the add-on.
    pub entitlements: Entitlements,
    /// The table `sync`.
    pub sync: Table,
    /// The table `devices`, read for the names of devices.
    pub devices: Table,
    /// Parameters.
    pub limits: Limits,
}

/// Parameters of sync.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Raised by who restores a backup.
    pub store_epoch: u64,
    /// Bytes a space may hold.
    pub quota_bytes: u64,
    /// Entries and tombstones a space may hold.
    pub max_entries: u64,
    /// Stored bytes of ciphertext an entry may have.
    pub entry_bytes: usize,
    /// How long commits are kept, in days.
    pub retention_days: i64,
    /// How long versions are kept in history, in days.
    pub history_days: i64,
}

/// Entries and deletions a push may hold.
pub(crate) const MAX_PUSH: usize = 1_000;
/// Entries and tombstones a page may hold.
pub(crate) const MAX_PAGE: usize = 1_000;

impl Limits {
    /// How long commits are kept, in seconds.
    pub fn retention(&self) -> i64 {
        self.retention_days * DAY
    }
}

impl App {
    /// From the settings.
    ///
    /// # Errors
    /// All complaints at once.
    pub fn from_env(env: &Env) -> Result<Self, Complaints> {
        let client = env.aws.dynamodb();
        let settings = env.settings.read(|settings| {
            (
                Table::new(client.clone(), settings.text("TABLE_SYNC")),
                Table::new(client.clone(), settings.text("TABLE_DEVICES")),
                Limits {
                    store_epoch: settings.value("STORE_EPOCH", 1),
                    quota_bytes: settings.value("SYNC_QUOTA_BYTES", 1 << 30),
                    max_entries: settings.value("SYNC_MAX_ENTRIES", 1_000_000),
                    entry_bytes: settings.value("SYNC_ENTRY_BYTES", 256 * 1024),
                    retention_days: settings.value("SYNC_RETENTION_DAYS", 180),
                    history_days: settings.value("SYNC_HISTORY_DAYS", 30),
                },
            )
        });
        match (settings, Core::from_env(env), Entitlements::from_env(env)) {
            (Ok((sync, devices, limits)), Ok(core), Ok(entitlements)) => {
                Ok(Self { core, entitlements, sync, devices, limits })
            }
            (settings, core, entitlements) => {
                let complaints = [settings.err(), core.err(), entitlements.err()];
                Err(Complaints(complaints.into_iter().flatten().flat_map(|Complaints(list)| list).collect()))
            }
        }
    }
}

impl FromRef<App> for Core {
    fn from_ref(app: &App) -> Self {
        app.core.clone()
    }
}

impl FromRef<App> for Entitlements {
    fn from_ref(app: &App) -> Self {
        app.entitlements.clone()
    }
}
