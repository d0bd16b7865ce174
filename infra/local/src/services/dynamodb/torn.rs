//! The `torn` fault: a transaction becomes visible item by item before it is answered, as it may on AWS.
//!
//! DynamoDB isolates transactions from each other, not from plain reads: `GetItem`, `BatchGetItem`, `Query` and `Scan`
//! beside a `TransactWriteItems` may see some of its items old and some new. Here the engine commits at once and a
//! replica, which serves the plain reads while a torn rule stands, follows an item at a time over 1 to 20 ms. An item
//! of a transaction in flight refuses other writes and transactional reads with `TransactionConflict`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dynoxide::actions::{delete_item::DeleteItemRequest, put_item::PutItemRequest, scan::ScanRequest};
use dynoxide::{Database, DynoxideError};

use super::keys::{ItemKey, KeyNames};
use super::operation;
use crate::services::faults::mix;
use crate::template::Table;

/// What plain reads see while transactions are torn.
pub(super) struct Replica {
    db: Database,
    names: KeyNames,
    /// Held by each write while it changes the engine and the replica, so that a copy is never of an older state.
    state: Mutex<InFlight>,
}

/// The transactions that are answered but not yet wholly visible.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    items: HashMap<ItemKey, u32>,
    tokens: HashSet<String>,
    /// By transaction: the newest stream record of each table before it, which consumers may read up to.
    bounds: BTreeMap<u64, HashMap<String, i64>>,
    next: u64,
}

impl InFlight {
    /// Which of `keys` belong to a transaction in flight.
    pub(super) fn holds(&self, keys: &[ItemKey]) -> Vec<bool> {
        keys.iter().map(|key| self.items.contains_key(key)).collect()
    }

    /// Whether nothing is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn has_token(&self, token: Option<&String>) -> bool {
        token.is_some_and(|token| self.tokens.contains(token))
    }
}

impl Replica {
    /// A copy of `main` as it is now; the caller keeps writers away.
    pub(super) fn of(main: &Database, tables: &[Table], names: &KeyNames) -> Result<Self, DynoxideError> {
        let db = Database::memory()?;
        for table in tables {
            super::tables::create(&db, table, false)?;
            let mut start = None;
            loop {
                let request = ScanRequest {
                    table_name: table.name.clone(),
                    exclusive_start_key: start,
                    consistent_read: Some(true),
                    ..Default::default()
                };
                let page = main.scan(request)?;
                for item in page.items.unwrap_or_default() {
                    db.put_item(PutItemRequest { table_name: table.name.clone(), item, ..Default::default() })?;
                }
                start = page.last_evaluated_key;
                if start.is_none() {
                    break;
                }
            }
        }
        Ok(Self { db, names: names.clone(), state: Mutex::default() })
    }

    /// What plain reads are answered from.
    pub(super) fn database(&self) -> &Database {
        &self.db
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, InFlight> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the item `key` visible as `main` holds it.
    pub(super) fn show(&self, main: &Database, key: &ItemKey) {
        let attributes = key.attributes(&self.names);
        let shown = operation::item(main, &key.table, attributes.clone()).and_then(|item| {
            let table_name = key.table.clone();
            match item {
                Some(item) => self.db.put_item(PutItemRequest { table_name, item, ..Default::default() }).map(drop),
                None => {
                    let request = DeleteItemRequest { table_name, key: attributes, ..Default::default() };
                    self.db.delete_item(request).map(drop)
                }
            }
        });
        if let Err(error) = shown {
            tracing::error!(%error, table = key.table, "the replica could not follow");
        }
    }

    /// Notes a committed transaction as in flight and gives its number.
    pub(super) fn begin(
        &self,
        state: &mut InFlight,
        keys: &[ItemKey],
        token: Option<String>,
        bounds: HashMap<String, i64>,
    ) -> u64 {
        for key in keys {
            *state.items.entry(key.clone()).or_default() += 1;
        }
        state.tokens.extend(token);
        state.next += 1;
        let number = state.next;
        state.bounds.insert(number, bounds);
        number
    }

    /// Shows the items of transaction `number` one by one, in an order and at a pace drawn from `coin`.
    pub(super) async fn apply(
        self: Arc<Self>,
        main: Database,
        number: u64,
        mut keys: Vec<ItemKey>,
        token: Option<String>,
        coin: u64,
    ) {
        keys.sort_by_cached_key(|key| mix(coin, key_draw(key)));
        let total = 1 + coin % 20;
        let pause = Duration::from_micros(total * 1000 / (keys.len() as u64 + 1));
        for key in &keys {
            tokio::time::sleep(pause).await;
            let _writers = self.lock();
            self.show(&main, key);
        }
        tokio::time::sleep(pause).await;
        let mut state = self.lock();
        for key in &keys {
            if let Some(count) = state.items.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    state.items.remove(key);
                }
            }
        }
        if let Some(token) = token {
            state.tokens.remove(&token);
        }
        state.bounds.remove(&number);
    }

    /// The newest record of `table` a stream consumer may see, where a transaction in flight holds later ones back.
    pub(super) fn bound(&self, table: &str) -> Option<i64> {
        self.lock().bounds.values().filter_map(|tables| tables.get(table)).min().copied()
    }
}

/// A number a key always has, so that the order of showing follows from the seed alone.
fn key_draw(key: &ItemKey) -> u64 {
    let bytes = key.table.bytes().chain(format!("{key:?}").into_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
