//! What the App Store knows: purchases with their transactions, and how each goes on.

use std::collections::BTreeMap;

use satchel_domain::time::DAY;
use serde::{Deserialize, Serialize};

use crate::stores::input::Environment;
use crate::stores::product::{Product, ProductKind};

/// The number before the first transaction's. Apple's have sixteen digits too.
const BEFORE_THE_FIRST: u64 = 2_000_000_000_000_000;
/// For how long Apple tries to bill, in milliseconds (facts 2.2).
const BILLING_RETRY_MS: i64 = 60 * DAY * 1_000;

/// All purchases.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::stores) struct AppleBook {
    /// How many transactions there are.
    count: u64,
    /// By the number of the first transaction.
    pub(super) lines: BTreeMap<u64, Line>,
}

/// A purchase: all transactions with one `originalTransactionId`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) environment: Environment,
    /// Whose Apple Account it is.
    pub(super) customer: String,
    /// The account token of transactions from now on, and of the renewal info.
    pub(super) account_token: Option<String>,
    pub(super) family_shared: bool,
    /// Name of the group, not its number.
    pub(super) group: String,
    pub(super) original: u64,
    pub(super) original_purchase_ms: i64,
    /// Oldest first; never empty.
    pub(super) transactions: Vec<Transaction>,
    /// Of subscriptions that renew.
    pub(super) renewal: Option<Renewal>,
}

/// One transaction.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Transaction {
    pub(super) id: u64,
    /// The account token it was bought with.
    pub(super) account_token: Option<String>,
    pub(super) product_id: String,
    pub(super) kind: ProductKind,
    pub(super) purchase_ms: i64,
    pub(super) expires_ms: Option<i64>,
    pub(super) is_upgraded: bool,
    pub(super) is_renewal: bool,
    pub(super) offer: Option<Offer>,
    pub(super) price: i64,
    pub(super) revocation: Option<Revocation>,
    /// Grows with each change: what the history is ordered and paged by.
    pub(super) revision: u64,
}

/// What a transaction was bought with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Offer {
    /// 1 introductory, 2 promotional.
    pub(super) kind: i64,
    pub(super) id: Option<String>,
    pub(super) discount: String,
    pub(super) period: String,
}

/// How a transaction was taken back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Revocation {
    pub(super) at_ms: i64,
    /// 0 other, 1 a fault of the app.
    pub(super) reason: i64,
    pub(super) kind: String,
    /// Thousandths of a percent, of a part.
    pub(super) percentage: Option<i64>,
}

/// How a subscription goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Renewal {
    pub(super) auto_renew: bool,
    pub(super) next_product: String,
    pub(super) period_s: i64,
    /// Apple tries to bill.
    pub(super) retry: bool,
    pub(super) grace_until_ms: Option<i64>,
    /// Why it ended, once it did.
    pub(super) intent: Option<i64>,
    pub(super) price: i64,
    /// 0 not answered, 1 agreed.
    pub(super) price_increase: Option<i64>,
    pub(super) recent_start_ms: i64,
}

/// Apple's status of a subscription (facts 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Active,
    Expired,
    Retry,
    Grace,
    Revoked,
}

impl Status {
    /// The number Apple gives it.
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Active => 1,
            Self::Expired => 2,
            Self::Retry => 3,
            Self::Grace => 4,
            Self::Revoked => 5,
        }
    }
}

impl Line {
    /// Adds the newest transaction, which bears the token of the time.
    pub(super) fn push(&mut self, transaction: Transaction) {
        self.transactions.push(Transaction { account_token: self.account_token.clone(), ..transaction });
    }

    /// The newest transaction.
    pub(super) fn current(&self) -> Option<&Transaction> {
        self.transactions.last()
    }

    /// How the subscription stands at `now_ms`. One that nobody renews is over with its period.
    pub(super) fn status(&self, now_ms: i64) -> Option<Status> {
        let (renewal, current) = (self.renewal.as_ref()?, self.current()?);
        let expires_ms = current.expires_ms.unwrap_or(i64::MAX);
        Some(if current.revocation.is_some() {
            Status::Revoked
        } else if renewal.retry && renewal.grace_until_ms.is_some_and(|until| now_ms < until) {
            Status::Grace
        } else if renewal.retry && now_ms < expires_ms.saturating_add(BILLING_RETRY_MS) {
            Status::Retry
        } else if now_ms < expires_ms {
            Status::Active
        } else {
            Status::Expired
        })
    }

    /// The transaction `id`.
    pub(super) fn transaction(&self, id: u64) -> Option<&Transaction> {
        self.transactions.iter().find(|transaction| transaction.id == id)
    }
}

impl Transaction {
    /// The transaction of a purchase of `product` for the period that begins at `from_ms`.
    pub(super) fn new(id: u64, product: &Product, at_ms: i64, from_ms: i64, revision: u64) -> Self {
        let has_end = matches!(product.kind, ProductKind::Subscription | ProductKind::NonRenewing);
        Self {
            id,
            account_token: None,
            product_id: product.id.clone(),
            kind: product.kind,
            purchase_ms: at_ms,
            expires_ms: has_end.then(|| from_ms.saturating_add(product.period_s.saturating_mul(1_000))),
            is_upgraded: false,
            is_renewal: false,
            offer: None,
            price: product.price(),
            revocation: None,
            revision,
        }
    }
}

impl AppleBook {
    /// A number no transaction has.
    pub(super) fn next_id(&mut self) -> u64 {
        self.count += 1;
        BEFORE_THE_FIRST + self.count
    }

    /// The purchase that has the transaction `id`.
    pub(super) fn line(&self, id: u64) -> Option<&Line> {
        self.lines.get(&id).or_else(|| self.lines.values().find(|line| line.transaction(id).is_some()))
    }

    /// The same, to change it.
    pub(super) fn line_mut(&mut self, id: u64) -> Option<&mut Line> {
        let original = self.line(id)?.original;
        self.lines.get_mut(&original)
    }

    /// The purchases of `customer` in `environment`.
    pub(super) fn of_customer<'a>(
        &'a self,
        customer: &'a str,
        environment: Environment,
    ) -> impl Iterator<Item = &'a Line> {
        self.lines.values().filter(move |line| line.customer == customer && line.environment == environment)
    }
}
