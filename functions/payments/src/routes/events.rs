//! An event of a store is taken in: put once, then its key is sent on (design: payments, Routes).

use satchel_domain::appstore::{self, Environment};
use satchel_domain::ids::is_id_within;
use satchel_domain::purchases::Store;
use satchel_domain::refresh::hex;
use satchel_domain::{Result, Timestamp};
use satchel_inbound::http::error::causes;
use satchel_store::purchases::{self, EventRow};
use sha2::{Digest as _, Sha256};

use crate::app::Stores;
use crate::fold::environment_name;
use crate::message::Message;

/// Longest id of an event that stands in a key as it came, in characters.
const MAX_ID: usize = 96;

/// The store's id of an event as it stands in keys: a hash where it holds anything that a key must not.
pub(crate) fn safe_id(id: &str) -> String {
    if is_id_within(id, MAX_ID) { id.to_owned() } else { hex(&Sha256::digest(id)) }
}

/// A notification of the App Store that was believed, as it came in `text`.
pub(crate) fn notification(text: &str, event: &appstore::Event, environment: Environment, now: Timestamp) -> EventRow {
    let notification = &event.notification;
    EventRow::received(
        Store::Ios,
        &safe_id(&notification.uuid),
        &kind_of(notification),
        environment_name(environment),
        text,
        notification.signed_date.as_millisecond(),
        now.as_millisecond(),
    )
}

/// What a store calls an event, for the ledger.
fn kind_of(notification: &appstore::Notification) -> String {
    let subtype = notification.subtype.as_ref().map(|subtype| format!(".{}", subtype.as_str())).unwrap_or_default();
    format!("{}{subtype}", notification.notification_type.as_str())
}

/// What the id of an event begins with that could not be read at the door.
pub(crate) const UNREAD: &str = "unread-";

/// An event that a store sent and that cannot be read, as it is kept: under a hash of the `body`, since its own id is not to
/// be had, with what of it is `shown`.
pub(crate) fn unread(store: Store, body: &[u8], shown: &str, now: Timestamp) -> EventRow {
    let id = format!("{UNREAD}{}", hex(&Sha256::digest(body)));
    let millis = now.as_millisecond();
    EventRow::received(store, &id, "UNREAD", "unread", shown, millis, millis)
}

impl Stores {
    /// Puts `event` and sends its key to the worker. A duplicate that still waits is sent again; one that is settled is
    /// not. What cannot be sent now, the hourly reconciling sends: it lies in the index of what is due.
    ///
    /// # Errors
    /// 503 where it cannot be put.
    pub(crate) async fn take_in(&self, event: &EventRow) -> Result<()> {
        if !purchases::receive(&self.books.table, event).await? {
            let known = purchases::event(&self.books.table, event.store, &event.id).await?;
            if known.is_none_or(|known| known.outcome.is_some()) {
                return Ok(());
            }
        }
        let message = Message::Event { store: event.store, id: event.id.clone() };
        if let Err(error) = self.events.send(&message).await {
            let error = causes(&error);
            tracing::warn!(%error, metric = "StoreEventNotQueued", "an event was stored and not queued; the reconciling sends it");
        }
        Ok(())
    }
}
