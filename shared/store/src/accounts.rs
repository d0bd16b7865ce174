//! Accounts and the ways to sign in to them.

use std::collections::BTreeMap;

use satchel_domain::access::Person;
use satchel_domain::account::{Profile, State};
use satchel_domain::identity::Provider;
use satchel_domain::ids::UserId;
use satchel_domain::session::MAX_LIVE;
use satchel_domain::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::events::{self, Event};
use crate::keys::accounts as keys;
use crate::sessions::{EndReason, Session};
use crate::{Cancelled, Expr, Table, Transaction};

/// A person's account. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub user_id: UserId,
    /// Where it is in its life.
    pub state: State,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// E-mail address, as the last ID token had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the provider says that the address was checked.
    #[serde(default)]
    pub email_verified: bool,
    /// Address of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// Language tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The ways to sign in: provider and the hash of its subject.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
    /// How many sessions are live.
    #[serde(default)]
    pub live: i64,
    /// Counts every change of links and sessions, so that a decision about all of them can be made a condition.
    #[serde(default)]
    pub revision: i64,
    /// Whether the person's tokens have the scope `admin`.
    #[serde(default)]
    pub admin: bool,
    /// The customer of the portal whose member the person is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// When the person last changed it.
    #[serde(default)]
    pub updated_at: i64,
    /// Apple's refresh token, sealed; revoked when the account is erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apple_token: Option<String>,
    /// When its erasing began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erasing_at: Option<i64>,
    /// Who reported which pass of the erasing as done: `family:pass`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reported: Vec<String>,
    /// Whether auth's own rows are gone for good.
    #[serde(default)]
    pub own_gone: bool,
}

impl Account {
    /// Whether it can be used.
    pub fn is_active(&self) -> bool {
        self.state == State::Active
    }

    /// The ways to sign in by their provider.
    pub fn providers(&self) -> BTreeMap<Provider, String> {
        self.links.iter().filter_map(|(provider, subject)| Some((provider.parse().ok()?, subject.clone()))).collect()
    }
}

/// A way to sign in to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The account.
    pub user_id: UserId,
    /// By whom.
    pub provider: Provider,
    /// Since when, Unix seconds.
    pub linked_at: i64,
}

/// What a sign-in tells about the person.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Name, kept where the account has none yet.
    pub name: Option<String>,
    /// E-mail address and whether it was checked.
    pub email: Option<(String, bool)>,
}

/// The account of `user`, in whatever state.
pub async fn get(accounts: &Table, user: &UserId) -> Result<Option<Account>> {
    accounts.get(&keys::account(user)).await
}

/// Whose account the subject with this hash signs in to.
pub async fn by_link(accounts: &Table, provider: Provider, subject: &str) -> Result<Option<Link>> {
    accounts.get(&keys::link(provider, subject)).await
}

/// Makes an account with its first way to sign in and its first session. Place 0 of the conditions is the link: two first
/// sign-ins that race make one account.
pub async fn create(
    accounts: &Table,
    account: &Account,
    (provider, subject): (Provider, &str),
    session: &Session,
    event: &Event,
) -> Result<(), Cancelled> {
    let build = || {
        let mut writes = Transaction::new();
        let link = Link { user_id: account.user_id.clone(), provider, linked_at: account.created_at };
        writes.token(token_of(session));
        writes.put(accounts, &keys::link(provider, subject), &link, Expr::absent())?;
        writes.put(accounts, &keys::account(&account.user_id), account, Expr::absent())?;
        writes.put(accounts, &keys::device(&account.user_id, &session.device_id), session, Expr::absent())?;
        events::write(&mut writes, accounts, &account.user_id, event)?;
        Ok(writes)
    };
    build().map_err(Cancelled::Failed)?.settle(accounts).await
}

/// Begins `session` on its device, in the place of `old` where the device has a row, and keeps what the sign-in told.
/// Place 1 of the conditions is the account: it must be in use and have room.
pub async fn begin_session(
    accounts: &Table,
    session: &Session,
    old: Option<&Session>,
    told: &Told,
    now: Timestamp,
) -> Result<(), Cancelled> {
    let build = || {
        let mut writes = Transaction::new();
        writes.token(token_of(session));
        let user = &session.user_id;
        let as_read = match old {
            None => Expr::absent(),
            Some(old) if old.is_live() => Expr::condition("session_id = :old AND attribute_not_exists(ended_at)"),
            // A device that is deleted meanwhile changes the reason, and loses its id for good.
            Some(old) => Expr::condition("session_id = :old AND attribute_exists(ended_at) AND end_reason = :why")
                .value(":why", old.end_reason.map_or("", EndReason::as_str)),
        };
        let as_read = match old {
            None => as_read,
            Some(old) => as_read.value(":old", old.session_id.as_str()),
        };
        writes.put(accounts, &keys::device(user, &session.device_id), session, as_read)?;
        let replaced = old.filter(|old| old.is_live());
        writes.update(accounts, &keys::account(user), signed_in(told, replaced.is_none()))?;
        if let Some(replaced) = replaced {
            events::write(&mut writes, accounts, user, &replaced.end_event(EndReason::Replaced, now)?)?;
        }
        Ok(writes)
    };
    build().map_err(Cancelled::Failed)?.settle(accounts).await
}

/// A new session's id names its transaction: nobody else ever begins that session.
fn token_of(session: &Session) -> String {
    session.session_id.as_str().chars().take(36).collect()
}

fn signed_in(told: &Told, is_one_more: bool) -> Expr {
    let mut set = Vec::new();
    let (adds, room) =
        if is_one_more { ("live :one, revision :one", " AND live < :most") } else { ("revision :one", "") };
    if told.name.is_some() {
        set.push("#name = if_not_exists(#name, :name)");
    }
    if told.email.is_some() {
        set.push("email = :email, email_verified = :verified");
    }
    let set = if set.is_empty() { String::new() } else { format!("SET {} ", set.join(", ")) };
    let mut expr = Expr::update(format!("{set}ADD {adds}"))
        .when(format!("#state = :active{room}"))
        .name("#state", "state")
        .value(":active", "active")
        .value(":one", 1);
    if is_one_more {
        expr = expr.value(":most", MAX_LIVE);
    }
    if let Some(name) = &told.name {
        expr = expr.name("#name", "name").value(":name", name);
    }
    if let Some((email, is_verified)) = &told.email {
        expr = expr.value(":email", email).value(":verified", *is_verified);
    }
    expr
}

/// Changes what the person says about themselves; `None` where there is no such account in use.
pub async fn change(accounts: &Table, user: &UserId, profile: &Profile, now: Timestamp) -> Result<Option<Account>> {
    let fields = [
        ("name", &profile.name),
        ("avatar_url", &profile.avatar_url),
        ("locale", &profile.locale),
        ("timezone", &profile.timezone),
    ];
    let (mut set, mut remove) = (vec!["updated_at = :now".to_owned()], Vec::new());
    let mut expr = Expr::default();
    for (field, value) in fields {
        match value {
            None => continue,
            Some(Some(text)) => {
                set.push(format!("#{field} = :{field}"));
                expr = expr.value(&format!(":{field}"), text);
            }
            Some(None) => remove.push(format!("#{field}")),
        }
        expr = expr.name(&format!("#{field}"), field);
    }
    let remove = if remove.is_empty() { String::new() } else { format!(" REMOVE {}", remove.join(", ")) };
    expr.update = Some(format!("SET {}{remove}", set.join(", ")));
    let expr =
        expr.when("#state = :active").name("#state", "state").value(":active", "active").value(":now", now.as_second());
    accounts.update(&keys::account(user), expr).await
}

/// Keeps Apple's refresh token, sealed; `false` where the account is no longer in use.
pub async fn keep_apple_token(accounts: &Table, user: &UserId, sealed: &str) -> Result<bool> {
    let expr = Expr::update("SET apple_token = :apple")
        .when("#state = :active")
        .name("#state", "state")
        .value(":active", "active")
        .value(":apple", sealed);
    Ok(accounts.update::<Account>(&keys::account(user), expr).await?.is_some())
}

/// Adds to `writes` that `person`'s session still lives, and gives the place of that condition. Access tokens outlive their
/// session by minutes; what opens a lasting way in must not be done with such a one.
pub(crate) fn still_live(writes: &mut Transaction, accounts: &Table, person: &Person) -> Result<usize> {
    let place = writes.len();
    let live = Expr::condition("session_id = :session AND attribute_not_exists(ended_at)")
        .value(":session", person.session.as_str());
    writes.check(accounts, &keys::device(&person.user, &person.device), live)?;
    Ok(place)
}

/// What became of a transaction whose condition at `place` was [`still_live`].
pub(crate) fn unless_ended(outcome: Result<(), Cancelled>, place: usize) -> Result<(), Cancelled> {
    match outcome {
        // Where more is wrong, what is read again says it better: that the account is being erased, for one.
        Err(Cancelled::Condition(places)) if places == [place] => Err(Cancelled::Failed(ended())),
        outcome => outcome,
    }
}

/// 401: the session of the access token has ended.
pub fn ended() -> Error {
    Error::Unauthenticated { code: "session_revoked", message: "the session has ended: sign in again" }
}

/// Adds a way to sign in. Place 0 of the conditions is the link, 1 the account; a session that has ended is refused.
pub async fn link(
    accounts: &Table,
    person: &Person,
    (provider, subject): (Provider, &str),
    event: &Event,
    now: Timestamp,
) -> Result<(), Cancelled> {
    let build = || {
        let user = &person.user;
        let mut writes = Transaction::new();
        writes.token(event.id.as_str());
        let row = Link { user_id: user.clone(), provider, linked_at: now.as_second() };
        writes.put(accounts, &keys::link(provider, subject), &row, Expr::absent())?;
        let account = Expr::update("SET links.#provider = :subject ADD revision :one")
            .when("#state = :active AND attribute_not_exists(links.#provider)")
            .name("#provider", provider.as_str())
            .name("#state", "state")
            .value(":active", "active")
            .value(":subject", subject)
            .value(":one", 1);
        writes.update(accounts, &keys::account(user), account)?;
        events::write(&mut writes, accounts, user, event)?;
        let place = still_live(&mut writes, accounts, person)?;
        Ok((writes, place))
    };
    let (writes, place) = build().map_err(Cancelled::Failed)?;
    unless_ended(writes.settle(accounts).await, place)
}

/// Takes a way to sign in away from `account`, on condition that nothing about its links or sessions changed since
/// and that `person`'s session lives.
pub async fn unlink(
    accounts: &Table,
    account: &Account,
    person: &Person,
    (provider, subject): (Provider, &str),
    event: &Event,
) -> Result<(), Cancelled> {
    let build = || {
        let mut writes = Transaction::new();
        writes.token(event.id.as_str());
        let user = &account.user_id;
        let own = Expr::condition("user_id = :user").value(":user", user.as_str());
        writes.delete(accounts, &keys::link(provider, subject), own)?;
        let expr = Expr::update("REMOVE links.#provider ADD revision :one")
            .when("#state = :active AND revision = :revision")
            .name("#provider", provider.as_str())
            .name("#state", "state")
            .value(":active", "active")
            .value(":revision", account.revision)
            .value(":one", 1);
        writes.update(accounts, &keys::account(user), expr)?;
        events::write(&mut writes, accounts, user, event)?;
        let place = still_live(&mut writes, accounts, person)?;
        Ok((writes, place))
    };
    let (writes, place) = build().map_err(Cancelled::Failed)?;
    unless_ended(writes.settle(accounts).await, place)
}
