//! Table `entitlements`.
//!
//! | row | pk | sk |
//! | --- | --- | --- |
//! | a person's add-on with everything that feeds it | `U#<user>` | `ADDON#<add-on>` |
//! | a grant | `U#<user>` | `PURCHASE#grant#<grant>` |
//! | a change of access, never updated | `U#<user>` | `LEDGER#<milliseconds>#<event>#<add-on>`, of a purchase then `#<source>` |
//! | the same of an erased person | `L#<pseudonym>` | as before |
//! | a purchase in a store that is the person's | `U#<user>` | `OWNS#<source>` |
//! | a purchase in a store: whose it is, what is known of it | `STORE#<store>#<original transaction \| hash of the token>` | `STATE` |
//! | the newest snapshot of one of its transactions (App Store) | the same | `TX#<transaction>` |
//! | an event of a store, as it came | `EVENT#<store>#<its id>` | `EVENT` |
//! | how far the reconciling has come | `RECONCILE` | `<what>` |
//! | until when a chain of certificates needs no OCSP | `OCSP#<key of the chain>` | `OCSP` |
//! | one window of a limit ([`super::accounts::window`]) | `LIM#<kind>#<SHA-256 of the user>` | `W#<beginning>` |
//! | receipts ([`super::receipts`]) | `RCPT#<who>` | |

use satchel_domain::entitlements::AddOn;
use satchel_domain::ids::{EventId, GrantId, UserId};
use satchel_domain::purchases::Store;
use sha2::{Digest as _, Sha256};

use super::Key;

/// Prefix of a person's add-ons.
pub const ADD_ONS: &str = "ADDON#";
/// Prefix of a person's ledger.
pub const LEDGER: &str = "LEDGER#";

/// The partition of `user`.
pub fn partition(user: &UserId) -> String {
    format!("U#{user}")
}

/// Whose partition `pk` is; none for one that is nobody's.
pub fn user_of(pk: &str) -> Option<UserId> {
    pk.strip_prefix("U#")?.parse().ok()
}

/// The add-on `add_on` of `user`.
pub fn add_on(user: &UserId, add_on: AddOn) -> Key {
    Key::new(partition(user), format!("{ADD_ONS}{}", add_on.as_str()))
}

/// The grant `id` to `user`.
pub fn grant(user: &UserId, id: &GrantId) -> Key {
    Key::new(partition(user), format!("PURCHASE#grant#{id}"))
}

/// A change of `user`'s access; the event's id is in the key, so that a repeat finds itself. One event may change two
/// purchases of one add-on, an upgrade's old one and its new one, so a purchase's name is in it too.
pub fn ledger(user: &UserId, at_millis: i64, event: &EventId, add_on: AddOn, purchase: Option<&str>) -> Key {
    let sk = format!("{LEDGER}{at_millis:015}#{event}#{}", add_on.as_str());
    Key::new(partition(user), purchase.map_or(sk.clone(), |purchase| format!("{sk}#{purchase}")))
}

/// The place in `user`'s own ledger that has the sort key `sk`; none where that is no place in a ledger.
pub fn ledger_place(user: &UserId, sk: &str) -> Option<Key> {
    let fits = sk.starts_with(LEDGER) && sk.len() <= 384 && sk.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| Key::new(partition(user), sk))
}

/// Prefix of a person's purchases in stores.
pub const OWNED: &str = "OWNS#";

/// That the purchase `source` (its name among the sources of an add-on) is `user`'s.
pub fn owned(user: &UserId, source: &str) -> Key {
    Key::new(partition(user), format!("{OWNED}{source}"))
}

/// Sort key of a purchase in a store.
pub const STATE: &str = "STATE";
/// Prefix of a purchase's transactions.
pub const TRANSACTIONS: &str = "TX#";

/// Everything of the purchase `id` in `store`.
pub fn purchase_partition(store: Store, id: &str) -> String {
    format!("STORE#{}#{id}", store.as_str())
}

/// The purchase `id` in `store`.
pub fn purchase(store: Store, id: &str) -> Key {
    Key::new(purchase_partition(store, id), STATE)
}

/// The store and the id in a purchase's partition key.
pub fn purchase_of(pk: &str) -> Option<(Store, &str)> {
    let (store, id) = pk.strip_prefix("STORE#")?.split_once('#')?;
    Some((Store::find(store)?, id))
}

/// The transaction `transaction` of the purchase `id` in `store`.
pub fn transaction(store: Store, id: &str, transaction: &str) -> Key {
    Key::new(purchase_partition(store, id), format!("{TRANSACTIONS}{transaction}"))
}

/// The event `id` of `store`.
pub fn event(store: Store, id: &str) -> Key {
    Key::new(format!("EVENT#{}#{id}", store.as_str()), "EVENT")
}

/// The store and the id in an event's partition key.
pub fn event_of(pk: &str) -> Option<(Store, &str)> {
    let (store, id) = pk.strip_prefix("EVENT#")?.split_once('#')?;
    Some((Store::find(store)?, id))
}

/// How far the reconciling of `what` has come.
pub fn reconcile(what: &str) -> Key {
    Key::new("RECONCILE", what)
}

/// Until when the chain whose key is `chain`, in hexadecimal, needs no OCSP.
pub fn ocsp(chain: &str) -> Key {
    Key::new(format!("OCSP#{chain}"), "OCSP")
}

/// The index of what needs another look.
pub const DUE: &str = "due";
/// Partitions of that index.
pub const DUE_SHARDS: u8 = 8;

/// The partition of the index in which what has the key `pk` lies.
pub fn due_shard(pk: &str) -> u8 {
    Sha256::digest(pk.as_bytes())[0] % DUE_SHARDS
}

/// The name of that partition.
pub fn due_partition(shard: u8) -> String {
    format!("DUE#{shard}")
}

/// Where a ledger row of an erased person lies: by a one-way name, the same at every try.
pub fn pseudonymous(row: &Key) -> Key {
    let digest = Sha256::digest(row.pk.as_bytes());
    let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Key::new(format!("L#{name}"), row.sk.clone())
}
