//! Descriptions of devices, who holds which push token, and when each device is looked at again.
//!
//! # What always holds
//! - A push token has at most one row `TOK#`, and the device it names is the one whose row has the token's hash: both
//!   change in one transaction.
//! - A device's row has `due_day`, and the clean-up's list has the device on that day: both change in one transaction.
//! - A device has a row, and so a place on the list, soon after its sign-in ([`arrive`]), whether or not it describes
//!   itself.
//! - After `END#<session>` is written, that session gives no push token any more, although its access token may live a
//!   quarter of an hour longer.

mod due;
mod gone;
mod push;

use aws_sdk_dynamodb::types::AttributeValue;
use satchel_domain::devices::{Description, due_day};
use satchel_domain::ids::{DeviceId, SessionId, UserId};
use satchel_domain::session::Platform;
use satchel_domain::time::from_unix;
use satchel_domain::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::expr::Expr;
use crate::keys::devices as keys;
use crate::retry::Retry;
use crate::sessions::Session;
use crate::table::{Range, Table};
use crate::transaction::{Cancelled, Transaction};

pub use due::{DueRow, due, forget_due, look_again};
pub use gone::{delete, erase};
pub use push::{Claim, has_ended, holder, quiet};
use push::{claim, push_hash};

/// A device's description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRow {
    /// The device.
    pub id: DeviceId,
    /// Whose it is.
    pub user_id: UserId,
    /// What kind it is.
    pub platform: Platform,
    /// What the person calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// Model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_model: Option<String>,
    /// Version of its system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Version of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// Name of its time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Whether the person wants pushes on it.
    pub push_enabled: bool,
    /// Whether it is in use as far as this table knows: the clean-up alone says no. Whether it is signed in, auth knows.
    pub is_active: bool,
    /// Whether it described itself; else the row is what it said at its sign-in.
    #[serde(default)]
    pub described: bool,
    /// Whether it can run inference for the person's other devices.
    #[serde(default)]
    pub can_inference: bool,
    /// The models it offers.
    #[serde(default)]
    pub inference_models: Vec<String>,
    /// Last heartbeat, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heartbeat_at: Option<i64>,
    /// Last activity, milliseconds.
    pub last_active_at: i64,
    /// First described, milliseconds.
    pub created_at: i64,
    /// Last changed, milliseconds.
    pub updated_at: i64,
    /// Where the push service reaches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_token: Option<String>,
    /// Hash of platform and token: the key of the token's row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_hash: Option<String>,
    /// The session that gave the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_session: Option<SessionId>,
    /// The day since 1970 on which the clean-up looks at it.
    pub due_day: i64,
}

impl DeviceRow {
    /// When it was last heard of, Unix seconds.
    pub fn last_seen(&self) -> i64 {
        self.last_heartbeat_at.unwrap_or(0).max(self.last_active_at.div_euclid(1_000))
    }
}

/// The device `device` of `user`.
pub async fn get(table: &Table, user: &UserId, device: &DeviceId) -> Result<Option<DeviceRow>> {
    table.get(&keys::device(user, device)).await
}

/// Every described device of `user`, in the order of their ids, also those out of use.
pub async fn list(table: &Table, user: &UserId) -> Result<Vec<DeviceRow>> {
    table.query_all(Range::of(keys::partition(user)).prefix(keys::DEVICES)).await
}

/// A device of the caller that describes itself in a session.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    /// Whose it is.
    pub user: &'a UserId,
    /// The device.
    pub device: &'a DeviceId,
    /// Its session.
    pub session: &'a SessionId,
}

/// A device's row, and who says what it becomes.
struct Saying<'a> {
    before: Option<&'a DeviceRow>,
    said: &'a Description,
    /// Whether the device describes itself; else it is what it said at its sign-in.
    described: bool,
}

/// Adds to `transaction`: the device says `said`. Where it has no row (`before`), it gets one, and a place on the
/// clean-up's list. A push token moves here from whatever device held it.
///
/// The transaction's conditions fail where somebody changed any of it since `before` was read, and for good where the
/// session has ended ([`has_ended`]).
///
/// # Errors
/// What the store says.
pub async fn describe(
    transaction: &mut Transaction,
    table: &Table,
    own: Own<'_>,
    before: Option<&DeviceRow>,
    said: &Description,
    now: Timestamp,
) -> Result<()> {
    say(transaction, table, own, Saying { before, said, described: true }, now).await
}

/// [`describe`] for a device without a row, of what it said at its sign-in.
///
/// # Errors
/// What the store says.
pub async fn introduce(
    transaction: &mut Transaction,
    table: &Table,
    own: Own<'_>,
    said: &Description,
    now: Timestamp,
) -> Result<()> {
    say(transaction, table, own, Saying { before: None, said, described: false }, now).await
}

async fn say(
    transaction: &mut Transaction,
    table: &Table,
    own: Own<'_>,
    Saying { before, said, described }: Saying<'_>,
    now: Timestamp,
) -> Result<()> {
    let Own { user, device, session } = own;
    let platform = said.platform.or(before.map(|row| row.platform)).unwrap_or(Platform::Web);
    let mut update = Update::new();
    update.set("platform", name_of(platform)?);
    update.set_some("device_name", said.device_name.as_deref());
    update.set_some("device_model", said.device_model.as_deref());
    update.set_some("os_version", said.os_version.as_deref());
    update.set_some("app_version", said.app_version.as_deref());
    update.set_some("timezone", said.timezone.as_deref());
    match (said.push_enabled, before) {
        (Some(wanted), _) => update.set("push_enabled", wanted),
        (None, None) => update.set("push_enabled", true),
        (None, Some(_)) => {}
    }
    update.set("is_active", true);
    update.set("described", described);
    update.set("last_active_at", now.as_millisecond());
    update.set("updated_at", now.as_millisecond());

    let old_hash = before.and_then(|row| row.push_hash.as_deref());
    let token = said.token.as_deref().or(before.and_then(|row| row.push_token.as_deref()));
    if let Some(token) = token {
        let hash = push_hash(platform, token);
        if let Some(old) = old_hash.filter(|old| *old != hash) {
            let mine = Claim { user_id: user.clone(), device_id: device.clone() };
            transaction.delete(table, &keys::token(old), mine.held())?;
        }
        claim(transaction, table, user, device, &hash, now).await?;
        update.set("push_token", token);
        update.set("push_hash", hash);
        update.set("push_session", session.as_str());
    }
    match before {
        Some(_) => match old_hash {
            Some(old) => update.when("attribute_exists(pk) AND push_hash = :old", Some((":old", old))),
            None => update.when("attribute_exists(pk) AND attribute_not_exists(push_hash)", None),
        },
        None => {
            let day = due_day(now.as_second());
            update.set("id", device.as_str());
            update.set("user_id", user.as_str());
            update.set("created_at", now.as_millisecond());
            update.set("due_day", day);
            update.when("attribute_not_exists(pk)", None);
            let due = DueRow { user_id: user.clone(), device_id: device.clone(), day };
            transaction.put(table, &keys::due(user, device, day), &due, Expr::always())?;
        }
    }
    transaction.update(table, &keys::device(user, device), update.done())?;
    transaction.check(table, &keys::end(user, session), Expr::absent())?;
    Ok(())
}

/// `session` has begun: its device gets a row of what it said at the sign-in, and with it a place on the clean-up's list,
/// where it has none; a row that is there keeps what it says and is in use again. Nothing happens where the session's end
/// is known here. Repeatable.
///
/// Without this a device that never calls this family would never be looked at, and its session never ended.
pub async fn arrive(table: &Table, session: &Session) -> Result<()> {
    let own = Own { user: &session.user_id, device: &session.device_id, session: &session.session_id };
    let mut retry = Retry::default();
    loop {
        match get(table, own.user, own.device).await? {
            Some(row) if row.is_active => return Ok(()),
            Some(_) => {
                let again = Expr::update("SET is_active = :yes").when("attribute_exists(pk)").value(":yes", true);
                table.update::<DeviceRow>(&keys::device(own.user, own.device), again).await?;
                return Ok(());
            }
            None => {
                let mut transaction = Transaction::new();
                introduce(&mut transaction, table, own, &session.said(), from_unix(session.created_at)).await?;
                match transaction.run(table).await {
                    Ok(()) => return Ok(()),
                    Err(Cancelled::Condition(_)) if has_ended(table, own.user, own.session).await? => return Ok(()),
                    Err(cancelled) => retry.after(cancelled).await?,
                }
            }
        }
    }
}

/// What changes of a device that has a row.
#[derive(Debug, Clone)]
pub enum Change {
    /// A heartbeat.
    Heartbeat,
    /// The person uses it.
    Active,
    /// What it can do, which is a heartbeat too.
    Capable {
        /// Whether it runs inference.
        can_inference: bool,
        /// The models it offers.
        models: Vec<String>,
    },
    /// What the person wants of it.
    Wanted {
        /// Its name.
        name: Option<String>,
        /// Whether pushes reach it.
        push_enabled: Option<bool>,
    },
}

/// Makes `change` by one conditional write; `None` where the device has no row.
pub async fn change(
    table: &Table,
    user: &UserId,
    device: &DeviceId,
    change: &Change,
    now: Timestamp,
) -> Result<Option<DeviceRow>> {
    let mut update = Update::new();
    match change {
        Change::Heartbeat | Change::Capable { .. } => {
            update.set("last_heartbeat_at", now.as_second());
            update.set("is_active", true);
        }
        Change::Active => {
            update.set("last_active_at", now.as_millisecond());
            update.set("is_active", true);
        }
        Change::Wanted { .. } => {}
    }
    match change {
        Change::Capable { can_inference, models } => {
            update.set("can_inference", *can_inference);
            update.set("inference_models", AttributeValue::L(models.iter().cloned().map(AttributeValue::S).collect()));
            update.set("updated_at", now.as_millisecond());
        }
        Change::Wanted { name, push_enabled } => {
            update.set_some("device_name", name.as_deref());
            if let Some(wanted) = *push_enabled {
                update.set("push_enabled", wanted);
            }
            update.set("updated_at", now.as_millisecond());
        }
        Change::Heartbeat | Change::Active => {}
    }
    update.when("attribute_exists(pk)", None);
    table.update(&keys::device(user, device), update.done()).await
}

fn name_of(platform: Platform) -> Result<String> {
    match serde_json::to_value(platform) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        _ => Err(Error::internal("a platform without name")),
    }
}

/// An update of fields whose number depends on what was said.
struct Update {
    sets: Vec<String>,
    expr: Expr,
}

impl Update {
    fn new() -> Self {
        Self { sets: Vec::new(), expr: Expr::default() }
    }

    fn set(&mut self, field: &str, value: impl Into<crate::expr::Value>) {
        self.sets.push(format!("#{field} = :{field}"));
        let expr = std::mem::take(&mut self.expr);
        self.expr = expr.name(&format!("#{field}"), field).value(&format!(":{field}"), value);
    }

    fn set_some(&mut self, field: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.set(field, value);
        }
    }

    fn when(&mut self, condition: &str, value: Option<(&str, &str)>) {
        let expr = std::mem::take(&mut self.expr).when(condition);
        self.expr = match value {
            Some((placeholder, value)) => expr.value(placeholder, value),
            None => expr,
        };
    }

    fn done(mut self) -> Expr {
        self.expr.update = Some(format!("SET {}", self.sets.join(", ")));
        self.expr
    }
}

/// The row as it is after `own` said `said`, where it was `before`.
pub fn described(before: Option<DeviceRow>, own: Own<'_>, said: &Description, now: Timestamp) -> DeviceRow {
    let millis = now.as_millisecond();
    let before = before.unwrap_or_else(|| DeviceRow {
        id: own.device.clone(),
        user_id: own.user.clone(),
        platform: Platform::Web,
        device_name: None,
        device_model: None,
        os_version: None,
        app_version: None,
        timezone: None,
        push_enabled: true,
        is_active: true,
        described: true,
        can_inference: false,
        inference_models: Vec::new(),
        last_heartbeat_at: None,
        last_active_at: millis,
        created_at: millis,
        updated_at: millis,
        push_token: None,
        push_hash: None,
        push_session: None,
        due_day: due_day(now.as_second()),
    });
    let or = |new: &Option<String>, old: Option<String>| new.clone().or(old);
    DeviceRow {
        platform: said.platform.unwrap_or(before.platform),
        device_name: or(&said.device_name, before.device_name),
        device_model: or(&said.device_model, before.device_model),
        os_version: or(&said.os_version, before.os_version),
        app_version: or(&said.app_version, before.app_version),
        timezone: or(&said.timezone, before.timezone),
        push_enabled: said.push_enabled.unwrap_or(before.push_enabled),
        is_active: true,
        described: true,
        last_active_at: millis,
        updated_at: millis,
        ..before
    }
}
