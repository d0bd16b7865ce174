//! Clients: a back office's own services.

use satchel_domain::Result;
use satchel_domain::access::Scope;
use satchel_domain::ids::ClientId;
use serde::{Deserialize, Serialize};

use crate::Table;
use crate::keys::accounts as keys;

/// A client as `make client` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRow {
    /// The id of its tokens (`sub`); absent where the name it authenticates by is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ClientId>,
    /// What the back office calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Hashes of its secrets ([`satchel_domain::client::secret_hash`]), two while one is being rotated.
    pub secrets: Vec<String>,
    /// When it was made, Unix seconds.
    pub created_at: i64,
}

impl ClientRow {
    /// Its scopes, without those that no client may hold.
    pub fn scopes(&self) -> Vec<Scope> {
        self.scopes
            .iter()
            .filter_map(|text| Scope::parse(text))
            .filter(|scope| Scope::OF_CLIENTS.contains(scope))
            .collect()
    }
}

/// The client that authenticates as `client_id`.
pub async fn get(accounts: &Table, client_id: &str) -> Result<Option<ClientRow>> {
    accounts.get(&keys::client(client_id)).await
}
