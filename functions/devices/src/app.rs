//! What the handlers work with, and the one thing most of them need: the device's row.

use std::collections::BTreeMap;

use axum::extract::FromRef;
use satchel_domain::access::Person;
use satchel_domain::devices::is_unseen;
use satchel_domain::ids::{DeviceId, UserId};
use satchel_domain::session::EndReason;
use satchel_domain::{Error, Result, Timestamp};
use satchel_inbound::env::both;
use satchel_inbound::{Complaints, Core, Env};
use satchel_store::devices::{self, Change, DeviceRow, Own};
use satchel_store::sessions::{self, Session};
use satchel_store::{Cancelled, Retry, Table, Transaction};

/// What the handlers work with.
#[derive(Clone)]
pub struct App {
    pub(crate) core: Core,
    pub(crate) devices: Table,
    pub(crate) accounts: Table,
}

impl FromRef<App> for Core {
    fn from_ref(app: &App) -> Self {
        app.core.clone()
    }
}

/// 401 for an access token that outlives its session.
pub(crate) fn session_over() -> Error {
    Error::Unauthenticated { code: "session_revoked", message: "the session has ended: sign in again" }
}

impl App {
    /// From the settings `TABLE_DEVICES`, `TABLE_ACCOUNTS` and those of [`Core`].
    ///
    /// # Errors
    /// All complaints about them.
    pub fn from_env(env: &Env) -> Result<Self, Complaints> {
        let tables = env.settings.read(|settings| (settings.text("TABLE_DEVICES"), settings.text("TABLE_ACCOUNTS")));
        let (core, (devices, accounts)) = both(Core::from_env(env), tables)?;
        let client = env.aws.dynamodb();
        Ok(Self { core, devices: Table::new(client.clone(), devices), accounts: Table::new(client, accounts) })
    }

    /// The device as it is now: its row, or what it said at its sign-in; `None` also for a deleted one.
    pub(crate) async fn find(&self, user: &UserId, device: &DeviceId) -> Result<Option<DeviceRow>> {
        let (row, session) = futures_util::future::try_join(
            devices::get(&self.devices, user, device),
            sessions::get(&self.accounts, user, device),
        )
        .await?;
        let session = session.as_ref();
        let kept = session.filter(|session| session.end_reason.is_none_or(EndReason::keeps_device_id));
        let row = row.or_else(|| kept.map(of_session));
        Ok(row.map(|row| as_of(row, session, self.core.clock.unix())))
    }

    /// The person's devices as they are now, in use or not.
    pub(crate) async fn find_all(&self, user: &UserId) -> Result<Vec<DeviceRow>> {
        let (rows, live) = futures_util::future::try_join(
            devices::list(&self.devices, user),
            sessions::list_live(&self.accounts, user),
        )
        .await?;
        let now = self.core.clock.unix();
        let mut live: BTreeMap<DeviceId, Session> =
            live.into_iter().map(|session| (session.device_id.clone(), session)).collect();
        let mut found: Vec<DeviceRow> = rows
            .into_iter()
            .map(|row| {
                let session = live.remove(&row.id);
                as_of(row, session.as_ref(), now)
            })
            .collect();
        found.extend(live.values().map(|session| as_of(of_session(session), Some(session), now)));
        Ok(found)
    }

    /// Makes `change`. A device without a row gets one of what it said at its sign-in: the seed's desktops never describe
    /// themselves before their first heartbeat. `None` where there is no such device, or its session is over.
    pub(crate) async fn change(
        &self,
        user: &UserId,
        device: &DeviceId,
        change: &Change,
        now: Timestamp,
    ) -> Result<Option<DeviceRow>> {
        if let Some(row) = devices::change(&self.devices, user, device, change, now).await? {
            return Ok(Some(row));
        }
        let session = sessions::get(&self.accounts, user, device).await?;
        let Some(session) = session.filter(Session::is_live) else { return Ok(None) };
        let own = Own { user, device, session: &session.session_id };
        let mut transaction = Transaction::new();
        devices::introduce(&mut transaction, &self.devices, own, &session.said(), now).await?;
        match transaction.run(&self.devices).await {
            // Where it was not this call, somebody described it meanwhile or its session ended: the change finds out.
            Ok(()) | Err(Cancelled::Condition(_)) => {}
            Err(cancelled) => Retry::default().after(cancelled).await?,
        }
        devices::change(&self.devices, user, device, change, now).await
    }

    /// [`App::change`] for the caller's own device, whose absence means that its session is over.
    pub(crate) async fn change_own(&self, person: &Person, change: &Change) -> Result<DeviceRow> {
        let now = self.core.clock.now();
        self.change(&person.user, &person.device, change, now).await?.ok_or_else(session_over)
    }
}

/// `row` as it is at `now` by what auth's registry says of the device. A device is in use while it is signed in and
/// somebody saw it within 90 days; what the clean-up does later changes nothing about that.
fn as_of(mut row: DeviceRow, session: Option<&Session>, now: i64) -> DeviceRow {
    // A device that only syncs says nothing here, but it refreshes its token.
    let used = session.map_or(0, |session| session.last_used_at);
    row.last_active_at = row.last_active_at.max(used.saturating_mul(1_000));
    row.is_active = session.is_some_and(Session::is_live) && !is_unseen(row.last_seen(), now);
    row
}

/// A device that has no row: its sign-in was a moment ago.
fn of_session(session: &Session) -> DeviceRow {
    let said = session.said();
    DeviceRow {
        id: session.device_id.clone(),
        user_id: session.user_id.clone(),
        platform: session.platform,
        device_name: said.device_name,
        device_model: said.device_model,
        os_version: said.os_version,
        app_version: said.app_version,
        timezone: None,
        push_enabled: true,
        is_active: true,
        described: false,
        can_inference: false,
        inference_models: Vec::new(),
        last_heartbeat_at: None,
        last_active_at: session.last_used_at.saturating_mul(1_000),
        created_at: session.created_at.saturating_mul(1_000),
        updated_at: session.created_at.saturating_mul(1_000),
        push_token: None,
        push_hash: None,
        push_session: None,
        due_day: 0,
    }
}
