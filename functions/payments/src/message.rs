//! What stands in the queue of store events: a key, never what a store said.

use satchel_domain::purchases::Store;
use serde::{Deserialize, Serialize};

/// Something to be done about a purchase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// The event is folded.
    Event {
        /// Of which store.
        store: Store,
        /// Its id.
        id: String,
    },
    /// The store is asked how the purchase stands.
    Look {
        /// Which store.
        store: Store,
        /// The purchase.
        id: String,
        /// An order of it that Google voided, and when, Unix seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        voided: Option<(String, i64)>,
    },
}
