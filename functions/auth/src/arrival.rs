//! A believed person arrives on a device: find or make the account, begin the session.

use std::collections::BTreeMap;

use satchel_domain::account::{self, State};
use satchel_domain::identity::Identity;
use satchel_domain::ids::{DeviceId, EventId, SessionId, UserId};
use satchel_domain::refresh::Written;
use satchel_domain::session::{EndReason, MAX_LIVE};
use satchel_domain::{Error, Result, Timestamp};
use satchel_store::accounts::{self, Account, Told};
use satchel_store::events::{self, Event};
use satchel_store::sessions::{self, Session};
use satchel_store::{Cancelled, Retry};
use serde_json::json;

use crate::app::App;
use crate::routes::DeviceInput;

/// Who arrives where.
pub(crate) struct Arrival<'a> {
    pub(crate) app: &'a App,
    pub(crate) identity: &'a Identity,
    pub(crate) name: Option<String>,
    pub(crate) device: &'a DeviceInput,
    pub(crate) now: Timestamp,
}

/// What became of it.
pub(crate) struct Arrived {
    pub(crate) account: Account,
    pub(crate) session: Session,
    pub(crate) refresh: Written,
    pub(crate) is_new_user: bool,
}

impl Arrival<'_> {
    /// Reads, decides, writes; and from the start again where somebody else was faster.
    pub(crate) async fn settle(&self) -> Result<Arrived> {
        let subject = self.identity.key();
        let mut retry = Retry::default();
        loop {
            let attempt = match accounts::by_link(&self.app.accounts, self.identity.provider, &subject).await? {
                None => self.make(&subject).await?,
                Some(link) => self.join(&link.user_id).await?,
            };
            match attempt {
                Ok(arrived) => return Ok(arrived),
                Err(cancelled) => retry.after(cancelled).await?,
            }
        }
    }

    /// A first sign-in makes the account.
    async fn make(&self, subject: &str) -> Result<Result<Arrived, Cancelled>> {
        let (app, ids) = (self.app, &self.app.core.ids);
        let user: UserId = ids.next();
        let mut told = self.told();
        told.name = told.name.or_else(|| self.identity.name.as_deref().and_then(|name| account::name(name).ok()));
        let at = self.now.as_second();
        let (email, email_verified) =
            told.email.clone().map_or((None, false), |(email, is_verified)| (Some(email), is_verified));
        let account = Account {
            user_id: user.clone(),
            state: State::Active,
            name: told.name,
            email,
            email_verified,
            avatar_url: self.identity.picture.as_deref().and_then(|url| account::https_url(url).ok()),
            locale: None,
            timezone: None,
            links: BTreeMap::from([(self.identity.provider.as_str().to_owned(), subject.to_owned())]),
            live: 1,
            revision: 0,
            admin: false,
            customer_id: None,
            created_at: at,
            updated_at: at,
            apple_token: None,
            erasing_at: None,
            reported: Vec::new(),
            own_gone: false,
        };
        let (session, refresh) = self.session(user.clone(), ids.next());
        let data = json!({ "user_id": user, "provider": self.identity.provider, "device_id": session.device_id });
        let event = Event::new(ids.next::<EventId>(), events::CREATED, data, self.now);
        let made = accounts::create(&app.accounts, &account, (self.identity.provider, subject), &session, &event).await;
        Ok(made.map(|()| Arrived { account, session, refresh, is_new_user: true }))
    }

    /// A later sign-in joins the account that is there.
    async fn join(&self, user: &UserId) -> Result<Result<Arrived, Cancelled>> {
        let app = self.app;
        let raced = || Ok(Err(Cancelled::Condition(Vec::new())));
        let Some(account) = accounts::get(&app.accounts, user).await?.filter(Account::is_active) else {
            return raced();
        };
        let old = match &self.device.id {
            Some(id) => sessions::get(&app.accounts, user, id).await?,
            None => None,
        };
        let old = old.filter(|old| old.end_reason.is_none_or(EndReason::keeps_device_id));
        let is_one_more = !old.as_ref().is_some_and(Session::is_live);
        if is_one_more && account.live >= MAX_LIVE {
            return if self.end_expired(user).await? { raced() } else { Err(full()) };
        }
        let device = old.as_ref().map_or_else(|| app.core.ids.next(), |old| old.device_id.clone());
        let (session, refresh) = self.session(user.clone(), device);
        let begun = accounts::begin_session(&app.accounts, &session, old.as_ref(), &self.told(), self.now).await;
        Ok(begun.map(|()| Arrived { account, session, refresh, is_new_user: false }))
    }

    /// Ends sessions that are over by their age and only count as live; whether there were any.
    async fn end_expired(&self, user: &UserId) -> Result<bool> {
        let app = self.app;
        let mut any = false;
        for session in sessions::list_live(&app.accounts, user).await? {
            if app.lifetimes.is_over(session.created_at, session.last_used_at, self.now) {
                any |= sessions::end_this(&app.accounts, &session, EndReason::Expired, self.now).await?;
            }
        }
        Ok(any)
    }

    /// A new session with its first refresh token.
    fn session(&self, user: UserId, device: DeviceId) -> (Session, Written) {
        let ids = &self.app.core.ids;
        let id: SessionId = ids.next();
        let refresh = self.app.refresh.first(user.clone(), device.clone(), id.clone(), ids.bytes());
        let at = self.now.as_second();
        let session = Session {
            user_id: user,
            device_id: device,
            session_id: id,
            generation: refresh.token.generation,
            current_hash: Some(refresh.hash()),
            previous_hash: None,
            created_at: at,
            last_used_at: at,
            auth_time: at,
            provider: self.identity.provider,
            platform: self.device.platform,
            name: self.device.name.clone(),
            model: self.device.model.clone(),
            os_version: self.device.os_version.clone(),
            app_version: self.device.app_version.clone(),
            ended_at: None,
            end_reason: None,
        };
        (session, refresh)
    }

    /// What is kept of the sign-in. A name in the token counts at the first one alone: later it is the person's affair.
    fn told(&self) -> Told {
        let email = self.identity.email.clone().map(|email| (email, self.identity.email_verified));
        Told { name: self.name.clone(), email }
    }
}

fn full() -> Error {
    Error::conflict("device_limit", format!("{MAX_LIVE} devices are signed in: sign out on one of them first"))
}
