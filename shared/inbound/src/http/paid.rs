//! Paying as an argument: a handler that takes [`Paid`] cannot run for who has not the add-on.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;
use satchel_domain::access::Person;
use satchel_domain::entitlements::{self, Access, AddOn};
use satchel_domain::ids::UserId;
use satchel_domain::time::DAY;
use satchel_domain::{Error, Result, Timestamp};
use satchel_store::Table;

use super::error::ApiError;
use super::{Caller, Core};
use crate::env::{Complaints, Env};

/// Where add-ons are looked up, and which one is needed; cheap to clone. A family's state implements `FromRef` for it.
#[derive(Clone, Debug)]
pub struct Entitlements(Arc<Needed>);

#[derive(Debug)]
struct Needed {
    table: Table,
    add_on: AddOn,
    product_id: String,
    grace: i64,
}

impl Entitlements {
    /// The add-on `add_on` in `table`; `product_id` is what a 402 names, `grace_days` how long [`PaidOrGrace`] passes
    /// after a lapse.
    pub fn new(table: Table, add_on: AddOn, product_id: String, grace_days: i64) -> Self {
        Self(Arc::new(Needed { table, add_on, product_id, grace: grace_days.saturating_mul(DAY) }))
    }

    /// The add-on `sync`, from the settings `TABLE_ENTITLEMENTS`, `SYNC_PRODUCT_ID`, `SYNC_GRACE_DAYS`.
    ///
    /// # Errors
    /// All complaints about them.
    pub fn from_env(env: &Env) -> Result<Self, Complaints> {
        let (table, product, days) = env.settings.read(|settings| {
            let days = settings.value("SYNC_GRACE_DAYS", 30i64);
            if days < 0 {
                settings.complain("SYNC_GRACE_DAYS is negative");
            }
            let product = settings.optional("SYNC_PRODUCT_ID").unwrap_or_else(|| "echolia.sync.monthly".to_owned());
            (settings.text("TABLE_ENTITLEMENTS"), product, days)
        })?;
        Ok(Self::new(Table::new(env.aws.dynamodb(), table), AddOn::Sync, product, days))
    }

    /// Whether `user` has the add-on at `now`: one consistent `GetItem`.
    ///
    /// # Errors
    /// What the store says.
    pub async fn access(&self, user: &UserId, now: Timestamp) -> Result<Access> {
        let Needed { table, add_on, .. } = &*self.0;
        let row = satchel_store::entitlements::get(table, user, *add_on).await?;
        Ok(row.map_or(Access::Never, |row| entitlements::access(row.sources.values(), now.as_second())))
    }

    fn required(&self) -> Error {
        let Needed { add_on, product_id, .. } = &*self.0;
        Error::PaymentRequired {
            code: add_on.required_code(),
            message: add_on.required_message(),
            product_id: product_id.clone(),
        }
    }
}

/// A person who has the add-on now; 402 without.
#[derive(Debug, Clone)]
pub struct Paid(pub Person);

/// A person who has the add-on now, or had it until a short while ago; 402 without.
#[derive(Debug, Clone)]
pub struct PaidOrGrace(pub Person);

async fn person<S>(parts: &mut Parts, state: &S, grace: bool) -> Result<Person, ApiError>
where
    Core: FromRef<S>,
    Entitlements: FromRef<S>,
    S: Send + Sync,
{
    let Caller(person) = Caller::from_request_parts(parts, state).await?;
    let now = Core::from_ref(state).clock.now();
    let entitlements = Entitlements::from_ref(state);
    let access = entitlements.access(&person.user, now).await?;
    let passes = match access {
        Access::Active => true,
        access => grace && access.within(entitlements.0.grace, now.as_second()),
    };
    if passes { Ok(person) } else { Err(entitlements.required().into()) }
}

macro_rules! paid {
    ($name:ident, $grace:literal) => {
        impl std::ops::Deref for $name {
            type Target = Person;
            fn deref(&self) -> &Person {
                &self.0
            }
        }

        impl $name {
            /// Whether the `device_id` that a body repeats at its top level is the token's.
            ///
            /// # Errors
            /// 403 `device_id_mismatch`.
            pub fn is_on(&self, device_id: &str) -> Result<()> {
                Caller(self.0.clone()).is_on(device_id)
            }
        }

        impl<S> FromRequestParts<S> for $name
        where
            Core: FromRef<S>,
            Entitlements: FromRef<S>,
            S: Send + Sync,
        {
            type Rejection = ApiError;
            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
                Ok(Self(person(parts, state, $grace).await?))
            }
        }
    };
}

paid!(Paid, false);
paid!(PaidOrGrace, true);
