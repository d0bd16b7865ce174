//! The registry of devices: a row a device, which holds its session. A signed-out device's row stays for a while, so that
//! its id can be kept at the next sign-in.

use satchel_domain::devices::Description;
use satchel_domain::identity::Provider;
use satchel_domain::ids::{DeviceId, EventId, SessionId, UserId};
use satchel_domain::refresh::Line;
use satchel_domain::session::Platform;
use satchel_domain::time::DAY;
use satchel_domain::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::events::{self, Event};
use crate::keys::accounts as keys;
use crate::table::Range;
use crate::{Cancelled, Expr, Table, Transaction};

pub use satchel_domain::session::EndReason;

/// How long the row of an ended session stays: for so long the device keeps its id.
const ENDED_STAYS: i64 = 400 * DAY;

/// A device with its session, live or ended. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Whose it is.
    pub user_id: UserId,
    /// The device.
    pub device_id: DeviceId,
    /// The device's session: a new one at each sign-in.
    pub session_id: SessionId,
    /// Generation of the refresh token that is to be used next.
    pub generation: u64,
    /// Hash of that token; none after the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_hash: Option<String>,
    /// Hash of the token it followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_hash: Option<String>,
    /// When the session began.
    pub created_at: i64,
    /// When its refresh token was last used.
    pub last_used_at: i64,
    /// When the person last signed in.
    pub auth_time: i64,
    /// By whom.
    pub provider: Provider,
    /// What kind of device it is.
    pub platform: Platform,
    /// What the person calls it.
    pub name: String,
    /// Model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Version of its system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Version of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// When the session ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<EndReason>,
}

impl Session {
    /// Whether nobody and nothing ended it yet; its age is judged by the rules.
    pub fn is_live(&self) -> bool {
        self.ended_at.is_none()
    }

    /// What the device said of itself at the sign-in.
    pub fn said(&self) -> Description {
        Description {
            platform: Some(self.platform),
            device_name: Some(self.name.clone()).filter(|name| !name.is_empty()),
            device_model: self.model.clone(),
            os_version: self.os_version.clone(),
            app_version: self.app_version.clone(),
            ..Description::default()
        }
    }

    /// Where its line of refresh tokens stands.
    pub fn line(&self) -> Line {
        Line {
            session: self.session_id.clone(),
            generation: self.generation,
            current: self.current_hash.clone().unwrap_or_default(),
            previous: self.previous_hash.clone(),
            moved_at: self.last_used_at,
            created_at: self.created_at,
            ended: !self.is_live(),
        }
    }

    /// The event that tells of its end. Its id comes of the session's, so that the end is told once.
    pub fn end_event(&self, reason: EndReason, now: Timestamp) -> Result<Event> {
        let ulid = self.session_id.as_str().trim_start_matches("ses_");
        let id: EventId = format!("evt_{ulid}").parse().map_err(Error::internal)?;
        let data = json!({
            "user_id": self.user_id, "device_id": self.device_id, "session_id": self.session_id,
            "platform": self.platform, "reason": reason.as_str(),
        });
        Ok(Event::new(id, events::SESSION_REVOKED, data, now))
    }
}

/// The device's row, also where its session has ended.
pub async fn get(accounts: &Table, user: &UserId, device: &DeviceId) -> Result<Option<Session>> {
    accounts.get(&keys::device(user, device)).await
}

/// The person's sessions that nobody ended, those too that are over by their age.
pub async fn list_live(accounts: &Table, user: &UserId) -> Result<Vec<Session>> {
    Ok(list(accounts, user).await?.into_iter().filter(Session::is_live).collect())
}

/// Every device of the registry, in the order of their ids.
pub async fn list(accounts: &Table, user: &UserId) -> Result<Vec<Session>> {
    accounts.query_all(Range::of(keys::partition(user)).prefix(keys::DEVICES)).await
}

/// Ends the device's live session: `true` where this call did, `false` where there was none, or a newer sign-in took its
/// place meanwhile. Repeatable.
pub async fn end(
    accounts: &Table,
    user: &UserId,
    device: &DeviceId,
    reason: EndReason,
    now: Timestamp,
) -> Result<bool> {
    match get(accounts, user, device).await? {
        Some(session) if session.is_live() => end_this(accounts, &session, reason, now).await,
        _ => Ok(false),
    }
}

/// Ends `session`, and never a newer one of its device: the row, the account's count and the event change together.
/// `false` where it had ended before, or, where the reason is disuse, was used since it was read.
pub async fn end_this(accounts: &Table, session: &Session, reason: EndReason, now: Timestamp) -> Result<bool> {
    let mut writes = Transaction::new();
    ending(&mut writes, accounts, session, reason, now)?;
    let count = Expr::update("ADD live :less, revision :one")
        .when("attribute_exists(live)")
        .value(":less", -1)
        .value(":one", 1);
    writes.update(accounts, &keys::account(&session.user_id), count)?;
    events::write(&mut writes, accounts, &session.user_id, &session.end_event(reason, now)?)?;
    match writes.settle(accounts).await {
        Ok(()) => Ok(true),
        Err(Cancelled::Condition(_)) => Ok(false),
        Err(other) => Err(other.into()),
    }
}

/// The device of `ended`, whose session has ended, is deleted: no later sign-in gets its id back. `false` where a newer
/// session took the place of `ended`. Repeatable.
pub async fn bar_id(accounts: &Table, ended: &Session) -> Result<bool> {
    let expr = Expr::update("SET end_reason = :reason")
        .when("session_id = :session AND attribute_exists(ended_at)")
        .value(":reason", EndReason::DeviceDeleted.as_str())
        .value(":session", ended.session_id.as_str());
    Ok(accounts.update::<Session>(&keys::device(&ended.user_id, &ended.device_id), expr).await?.is_some())
}

/// Adds the end of `session` to `writes`, on condition that it is still the device's and live, and, where the reason is
/// disuse, that nobody used it since it was read. Counting it is the caller's affair.
pub fn ending(
    writes: &mut Transaction,
    accounts: &Table,
    session: &Session,
    reason: EndReason,
    now: Timestamp,
) -> Result<()> {
    let mut as_read = "session_id = :session AND attribute_not_exists(ended_at)".to_owned();
    let mut end =
        Expr::update("SET ended_at = :now, end_reason = :reason, #ttl = :ttl REMOVE current_hash, previous_hash");
    if reason.is_disuse() {
        as_read.push_str(" AND last_used_at = :used");
        end = end.value(":used", session.last_used_at);
    }
    let end = end
        .when(as_read)
        .name("#ttl", "ttl")
        .value(":now", now.as_second())
        .value(":reason", reason.as_str())
        .value(":ttl", now.as_second().saturating_add(ENDED_STAYS))
        .value(":session", session.session_id.as_str());
    writes.update(accounts, &keys::device(&session.user_id, &session.device_id), end)?;
    Ok(())
}

/// Moves the session's line of refresh tokens on, from `session` as it was read to the token of generation `generation`
/// whose hash is `hash`; `None` where it does not stand there any more.
pub async fn advance(
    accounts: &Table,
    session: &Session,
    generation: u64,
    hash: &str,
    now: Timestamp,
) -> Result<Option<Session>> {
    let expr = Expr::update(
        "SET generation = :to, previous_hash = current_hash, current_hash = :hash, last_used_at = :now",
    )
    .when("session_id = :session AND attribute_not_exists(ended_at) AND generation = :from AND current_hash = :was")
    .value(":to", generation)
    .value(":hash", hash)
    .value(":now", now.as_second())
    .value(":session", session.session_id.as_str())
    .value(":from", session.generation)
    .value(":was", session.current_hash.clone().unwrap_or_default());
    accounts.update(&keys::device(&session.user_id, &session.device_id), expr).await
}
