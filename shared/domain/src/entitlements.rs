//! Add-ons: whether a person has one *now*, out of everything that ever gave it.
//!
//! A [`Source`] is what one store purchase or the back office's grant says; it changes only when a store or the back
//! office says something new. What it means is computed at read from the source and the time, never by a sweep, and the
//! [`Entitlement`] of an add-on is the best over all sources that feed it, so that ending one never cuts off a person
//! who still has another.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::ids::{Id as _, UserId};
use crate::time::DAY;

/// How long an auto-renewing purchase without known failure stays active past its end, in seconds: the stores' renewal
/// events trail the expiry by minutes.
pub const RENEWAL_SLACK: i64 = 7_200;
/// Longest grace period of a store that names no end, in seconds.
pub const OPEN_GRACE: i64 = 16 * DAY;

/// Longest hold, in seconds after the end of what is paid: Apple tries to bill for 60 days, Google for at most as long.
/// Whether the stores say that they gave up or nobody heard of it, it is over then.
pub const LONGEST_HOLD: i64 = 60 * DAY;

/// What can be bought or granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AddOn {
    /// Synchronisation between devices.
    Sync,
    /// Hosted inference.
    Ai,
    /// A supporter's thanks.
    Supporter,
}

impl AddOn {
    /// Every add-on.
    pub const ALL: [Self; 3] = [Self::Sync, Self::Ai, Self::Supporter];

    /// The add-on as it stands in JSON and in keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Ai => "ai",
            Self::Supporter => "supporter",
        }
    }

    /// The code of the 402 where it is missing.
    pub fn required_code(self) -> &'static str {
        match self {
            Self::Sync => "sync_add_on_required",
            Self::Ai => "ai_add_on_required",
            Self::Supporter => "supporter_add_on_required",
        }
    }

    /// The text of that 402.
    pub fn required_message(self) -> &'static str {
        match self {
            Self::Sync => "Sync add-on subscription required. Purchase in mobile app.",
            Self::Ai => "AI add-on subscription required. Purchase in mobile app.",
            Self::Supporter => "Supporter add-on required. Purchase in mobile app.",
        }
    }
}

/// Who gave an add-on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = EntitlementPlatform)]
pub enum Platform {
    /// The App Store.
    Ios,
    /// Google Play.
    Android,
    /// The back office.
    Grant,
}

/// The state of a purchase; `active`, `grace` and `owned` give access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = EntitlementStatus)]
pub enum Status {
    /// Not paid yet.
    Pending,
    /// Paid.
    Active,
    /// A payment failed; the store gives time.
    Grace,
    /// A payment failed and the time is over.
    Hold,
    /// The person paused it.
    Paused,
    /// Over.
    Expired,
    /// Taken back or refunded.
    Revoked,
    /// Bought once, for good.
    Owned,
}

/// What one purchase or grant says, as its giver last said it. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Who gave it.
    pub platform: Platform,
    /// The state as last told.
    pub status: Status,
    /// End of what is paid; none for what has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// End of the store's grace period, where it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<i64>,
    /// When it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<i64>,
    /// Whether it renews by itself and no failure is known.
    #[serde(default)]
    pub will_renew: bool,
    /// For how long it stays active past its end where it renews by itself, in seconds: the setting at the time, so that
    /// who reads needs none.
    #[serde(default = "renewal_slack")]
    pub slack: i64,
    /// Whether this period is free.
    #[serde(default)]
    pub is_trial: bool,
    /// The store's product; of a grant `grant.<add-on>`.
    pub product_id: String,
    /// `production` or `sandbox`.
    pub environment: String,
    /// Newest transaction.
    pub transaction_id: String,
    /// First transaction of the chain.
    pub original_transaction_id: String,
    /// When it was bought or granted.
    pub purchase_date: i64,
    /// When its giver last said something.
    pub updated_at: i64,
}

fn renewal_slack() -> i64 {
    RENEWAL_SLACK
}

/// A person's add-on, as clients see it. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Entitlement {
    /// The add-on.
    pub add_on_type: AddOn,
    /// Its state now.
    pub status: Status,
    /// Whether it gives access now: `active`, `grace` or `owned`.
    pub is_active: bool,
    /// End of what is paid, Unix seconds; null for what has no end.
    #[schema(example = 1_767_225_600)]
    pub expires_at: Option<i64>,
    /// End of the grace period, Unix seconds, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<i64>,
    /// Whether it renews by itself.
    pub will_renew: bool,
    /// Whether this period is free.
    pub is_trial: bool,
    /// Who gave it.
    pub platform: Platform,
    /// The store's product; of a grant `grant.<add-on>`.
    #[schema(example = "grant.sync")]
    pub product_id: String,
    /// `production` or `sandbox`.
    #[schema(example = "production")]
    pub environment: String,
    /// Newest transaction; of a grant its id.
    #[schema(example = "grt_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    pub transaction_id: String,
    /// First transaction of the chain.
    #[schema(example = "grt_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    pub original_transaction_id: String,
    /// When it was bought or granted, Unix seconds.
    #[schema(example = 1_764_547_200)]
    pub purchase_date: i64,
    /// When its giver last said something, Unix seconds.
    #[schema(example = 1_764_547_200)]
    pub updated_at: i64,
}

/// Whether a person may use an add-on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Now.
    Active,
    /// Not any more, since this Unix second.
    Lapsed {
        /// When the last access ended.
        since: i64,
    },
    /// Never had it.
    Never,
}

impl Access {
    /// Whether access is there, or ended at most `grace` seconds before `now`.
    pub fn within(self, grace: i64, now: i64) -> bool {
        match self {
            Self::Active => true,
            Self::Lapsed { since } => now.saturating_sub(since) <= grace,
            Self::Never => false,
        }
    }
}

impl Source {
    /// When the access that this source gives ends or ended, Unix seconds (`i64::MAX`: never); none where it gives
    /// none and gave none.
    fn end(&self) -> Option<i64> {
        let paid_until = self.expires_at.unwrap_or(i64::MAX);
        match self.status {
            Status::Owned => Some(i64::MAX),
            Status::Active if self.will_renew => Some(paid_until.saturating_add(self.slack)),
            Status::Active | Status::Expired | Status::Hold | Status::Paused => Some(match self.status {
                Status::Active => paid_until,
                // Not active any more, whatever end it was bought for.
                _ => paid_until.min(self.updated_at),
            }),
            Status::Grace => {
                let open = || self.expires_at.unwrap_or(self.updated_at).saturating_add(OPEN_GRACE);
                Some(self.grace_until.unwrap_or_else(open))
            }
            Status::Revoked => Some(paid_until.min(self.revoked_at.unwrap_or(self.updated_at))),
            Status::Pending => None,
        }
    }

    /// The state at `now`, and whether it gives access.
    fn at(&self, now: i64) -> (Status, bool) {
        let open = self.end().is_some_and(|end| now < end);
        match self.status {
            Status::Owned => (Status::Owned, true),
            Status::Active | Status::Grace if open => (self.status, true),
            Status::Active | Status::Grace => (Status::Expired, false),
            Status::Hold if self.expires_at.is_some_and(|end| now >= end.saturating_add(LONGEST_HOLD)) => {
                (Status::Expired, false)
            }
            other => (other, false),
        }
    }

    /// How good it is at `now`: access, then the later end, with `owned` last of all, then hold, paused, pending,
    /// expired, revoked.
    fn rank(&self, now: i64) -> (bool, i64, u8, i64) {
        let (status, access) = self.at(now);
        let order = match status {
            Status::Owned => 8,
            Status::Active => 7,
            Status::Grace => 6,
            Status::Hold => 5,
            Status::Paused => 4,
            Status::Pending => 3,
            Status::Expired => 2,
            Status::Revoked => 1,
        };
        let end = if access { self.end().unwrap_or(0) } else { 0 };
        (access, end, order, self.updated_at)
    }
}

/// The entitlement that `sources` make at `now`; none without a source.
pub fn best<'a>(add_on: AddOn, sources: impl IntoIterator<Item = &'a Source>, now: i64) -> Option<Entitlement> {
    let source = sources.into_iter().max_by(|one, other| better(one, other, now))?;
    let (status, is_active) = source.at(now);
    Some(Entitlement {
        add_on_type: add_on,
        status,
        is_active,
        expires_at: source.expires_at,
        grace_until: (status == Status::Grace).then(|| source.end()).flatten(),
        will_renew: source.will_renew,
        is_trial: source.is_trial,
        platform: source.platform,
        product_id: source.product_id.clone(),
        environment: source.environment.clone(),
        transaction_id: source.transaction_id.clone(),
        original_transaction_id: source.original_transaction_id.clone(),
        purchase_date: source.purchase_date,
        updated_at: source.updated_at,
    })
}

// The transaction's id decides where nothing else does: the answer must not depend on the order of the sources.
fn better(one: &Source, other: &Source, now: i64) -> Ordering {
    one.rank(now).cmp(&other.rank(now)).then_with(|| one.transaction_id.cmp(&other.transaction_id))
}

/// Whether `sources` give access at `now`, or when the last access ended.
pub fn access<'a>(sources: impl IntoIterator<Item = &'a Source>, now: i64) -> Access {
    let mut lapsed: Option<i64> = None;
    for source in sources {
        if source.at(now).1 {
            return Access::Active;
        }
        lapsed = lapsed.max(source.end().map(|end| end.min(now)));
    }
    lapsed.map_or(Access::Never, |since| Access::Lapsed { since })
}

/// A back office's complimentary add-on, or that grant taken back.
pub fn granted(add_on: AddOn, id: &str, expires_at: Option<i64>, now: i64) -> Source {
    Source {
        platform: Platform::Grant,
        status: Status::Active,
        expires_at,
        grace_until: None,
        revoked_at: None,
        will_renew: false,
        slack: RENEWAL_SLACK,
        is_trial: false,
        product_id: format!("grant.{}", add_on.as_str()),
        environment: "production".to_owned(),
        transaction_id: id.to_owned(),
        original_transaction_id: id.to_owned(),
        purchase_date: now,
        updated_at: now,
    }
}

/// `source` taken back at `now`; one that was taken back before keeps its moment.
pub fn revoked(source: Source, now: i64) -> Source {
    if source.status == Status::Revoked {
        return source;
    }
    Source { status: Status::Revoked, revoked_at: Some(now), will_renew: false, updated_at: now, ..source }
}

/// The token by which a store purchase names its account (`appAccountToken`, `obfuscatedExternalAccountId`): the user
/// id's 128 bits as a lower-case UUID. None where the id is not a ULID.
pub fn store_account_token(user: &UserId) -> Option<String> {
    let ulid: Ulid = user.as_str().strip_prefix(UserId::PREFIX)?.parse().ok()?;
    let hex = format!("{:032x}", ulid.0);
    let parts: Vec<&str> = [0..8, 8..12, 12..16, 16..20, 20..32].into_iter().filter_map(|at| hex.get(at)).collect();
    Some(parts.join("-"))
}

/// The account that a store's token names: the inverse of [`store_account_token`]. None where the text is no UUID; one of
/// another app's making names an account that does not exist.
pub fn account_of_store_token(token: &str) -> Option<UserId> {
    let groups: Vec<&str> = token.split('-').collect();
    let fits = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let number = u128::from_str_radix(&groups.concat(), 16).ok().filter(|_| fits)?;
    Some(UserId::from_ulid(Ulid(number)))
}

#[cfg(test)]
#[path = "entitlements_tests.rs"]
mod tests;
