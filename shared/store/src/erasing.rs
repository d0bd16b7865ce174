//! Erasing an account: its first transaction, what is noted of its steps, and the tombstone.

use aws_sdk_dynamodb::types::AttributeValue;
use satchel_domain::account::State;
use satchel_domain::ids::{EventId, UserId};
use satchel_domain::{Result, Timestamp};
use serde::Serialize;

use crate::accounts::Account;
use crate::events::{self, Event};
use crate::keys::Key;
use crate::keys::accounts as keys;
use crate::sessions::{self, EndReason, Session};
use crate::table::Range;
use crate::{Cancelled, Expr, Table, Transaction};

/// The first transaction of an erasing: the ways to sign in go, a new sign-in makes a new account, and all sessions end.
/// On condition that `account` and `live` are still what was read.
pub async fn begin(
    accounts: &Table,
    account: &Account,
    live: &[Session],
    event: &Event,
    now: Timestamp,
) -> Result<(), Cancelled> {
    let build = || {
        let mut writes = Transaction::new();
        writes.token(event.id.as_str());
        let user = &account.user_id;
        let expr = Expr::update(
            "SET #state = :erasing, erasing_at = :now, live = :none, links = :empty \
             REMOVE customer_id, #name, email, email_verified, avatar_url, #locale, #timezone, admin ADD revision :one",
        )
        .when("#state = :active AND revision = :revision")
        .name("#state", "state")
        .name("#name", "name")
        .name("#locale", "locale")
        .name("#timezone", "timezone")
        .value(":active", "active")
        .value(":erasing", "erasing")
        .value(":now", now.as_second())
        .value(":none", 0)
        .value(":one", 1)
        .value(":empty", AttributeValue::M(std::collections::HashMap::new()))
        .value(":revision", account.revision);
        writes.update(accounts, &keys::account(user), expr)?;
        for (provider, subject) in account.providers() {
            writes.delete(accounts, &keys::link(provider, &subject), Expr::always())?;
        }
        if let Some(customer) = &account.customer_id {
            writes.delete(accounts, &keys::member(customer, user), Expr::always())?;
        }
        for session in live {
            sessions::ending(&mut writes, accounts, session, EndReason::AccountErased, now)?;
        }
        events::write(&mut writes, accounts, user, event)?;
        Ok(writes)
    };
    build().map_err(Cancelled::Failed)?.settle(accounts).await
}

/// Notes that `family` has erased its rows in `pass`; `None` where the account is not being erased. Repeatable.
pub async fn report(accounts: &Table, user: &UserId, family: &str, pass: u8) -> Result<Option<Account>> {
    let expr = Expr::update("ADD reported :one")
        .when("#state = :erasing")
        .name("#state", "state")
        .value(":erasing", "erasing")
        .value(":one", AttributeValue::Ss(vec![format!("{family}:{pass}")]));
    accounts.update(&keys::account(user), expr).await
}

/// Notes that auth's own rows of `user` are gone for good. Repeatable.
pub async fn own_gone(accounts: &Table, user: &UserId) -> Result<Option<Account>> {
    let expr = Expr::update("SET own_gone = :true")
        .when("#state = :erasing")
        .name("#state", "state")
        .value(":erasing", "erasing")
        .value(":true", true);
    accounts.update(&keys::account(user), expr).await
}

/// Forgets Apple's token, which was revoked. Repeatable.
pub async fn forget_apple_token(accounts: &Table, user: &UserId, sealed: &str) -> Result<()> {
    let expr = Expr::update("REMOVE apple_token").when("apple_token = :sealed").value(":sealed", sealed);
    accounts.update::<Account>(&keys::account(user), expr).await?;
    Ok(())
}

/// Puts the tombstone in the place of an account whose erasing is complete: only times, and the id of the event that tells
/// of it; no personal data. `false` where something is still missing, or it stands already.
pub async fn bury(
    accounts: &Table,
    account: &Account,
    families: &[&str],
    event: &EventId,
    now: Timestamp,
) -> Result<bool> {
    #[derive(Serialize)]
    struct Tombstone<'a> {
        user_id: &'a UserId,
        event_id: &'a EventId,
        state: State,
        created_at: i64,
        erasing_at: Option<i64>,
        erased_at: i64,
    }
    let tombstone = Tombstone {
        user_id: &account.user_id,
        event_id: event,
        state: State::Erased,
        created_at: account.created_at,
        erasing_at: account.erasing_at,
        erased_at: now.as_second(),
    };
    let mut condition = "#state = :erasing AND own_gone = :true AND attribute_not_exists(apple_token)".to_owned();
    let mut expr = Expr::default().name("#state", "state").value(":erasing", "erasing").value(":true", true);
    for (place, family) in families.iter().enumerate() {
        condition.push_str(&format!(" AND contains(reported, :family{place})"));
        expr = expr.value(&format!(":family{place}"), format!("{family}:2"));
    }
    accounts.put(&keys::account(&account.user_id), &tombstone, expr.when(condition)).await
}

/// Deletes every row of `user` but the account's own and, where `keep_exports`, those of exports, which name what is to be
/// deleted in the bucket. Repeatable.
pub async fn erase_rows(accounts: &Table, user: &UserId, keep_exports: bool) -> Result<()> {
    let is_kept = |sk: &str| sk == keys::ACCOUNT || (keep_exports && sk.starts_with(keys::EXPORTS));
    let mut start = None;
    loop {
        let range = Range::of(keys::partition(user)).only("pk, sk").limit(500).after(start);
        let page: crate::Page<Key> = accounts.query(range).await?;
        let rows: Vec<Key> = page.rows.into_iter().filter(|key| !is_kept(&key.sk)).collect();
        accounts.delete_many(&rows).await?;
        match page.next {
            Some(next) => start = Some(next),
            None => return Ok(()),
        }
    }
}
