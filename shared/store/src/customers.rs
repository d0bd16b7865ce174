//! Which people are members of which customer of the portal. A person is a member of one customer at most: the account's
//! row names it, and changes in the same transaction.

use satchel_domain::ids::UserId;
use satchel_domain::{Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::events::{self, Event};
use crate::keys::Key;
use crate::keys::accounts as keys;
use crate::table::Range;
use crate::{Cancelled, Expr, Page, Table, Transaction};

/// A member of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The person.
    pub user_id: UserId,
    /// The back office's own id of the customer.
    pub customer_id: String,
    /// Since when, Unix seconds.
    pub linked_at: i64,
}

/// The link of `user` to `customer`.
pub async fn get(accounts: &Table, customer: &str, user: &UserId) -> Result<Option<Member>> {
    accounts.get(&keys::member(customer, user)).await
}

/// A page of `customer`'s members, in the order of their ids, after `after`.
pub async fn list(accounts: &Table, customer: &str, after: Option<&UserId>, limit: i32) -> Result<Page<Member>> {
    let start: Option<Key> = after.map(|user| keys::member(customer, user));
    accounts.query(Range::of(keys::customer(customer)).prefix(keys::MEMBERS).after(start).limit(limit)).await
}

/// Makes the person a member. Place 0 of the conditions is the account: in use, and no other customer's member.
pub async fn add(accounts: &Table, member: &Member, event: &Event) -> Result<(), Cancelled> {
    let build = || {
        let mut writes = Transaction::new();
        writes.token(event.id.as_str());
        let account = Expr::update("SET customer_id = :customer ADD revision :one")
            .when("#state = :active AND (attribute_not_exists(customer_id) OR customer_id = :customer)")
            .name("#state", "state")
            .value(":active", "active")
            .value(":customer", &member.customer_id)
            .value(":one", 1);
        writes.update(accounts, &keys::account(&member.user_id), account)?;
        writes.put(accounts, &keys::member(&member.customer_id, &member.user_id), member, Expr::always())?;
        events::write(&mut writes, accounts, &member.user_id, event)?;
        Ok(writes)
    };
    build().map_err(Cancelled::Failed)?.settle(accounts).await
}

/// Ends the person's membership. Conditions: 0 the account names this customer, 1 the link is there.
pub async fn remove(
    accounts: &Table,
    customer: &str,
    user: &UserId,
    event: &Event,
    now: Timestamp,
) -> Result<(), Cancelled> {
    let build = || {
        let mut writes = Transaction::new();
        writes.token(event.id.as_str());
        let account = Expr::update("SET updated_at = :now REMOVE customer_id ADD revision :one")
            .when("customer_id = :customer")
            .value(":customer", customer)
            .value(":now", now.as_second())
            .value(":one", 1);
        writes.update(accounts, &keys::account(user), account)?;
        writes.delete(accounts, &keys::member(customer, user), Expr::condition("attribute_exists(pk)"))?;
        events::write(&mut writes, accounts, user, event)?;
        Ok(writes)
    };
    build().map_err(Cancelled::Failed)?.settle(accounts).await
}
