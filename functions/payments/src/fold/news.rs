//! What a store said, and how it is joined with what is known.

use std::collections::BTreeMap;

use satchel_domain::playstore::{Facts, Kind, Purchase, PurchaseToken};
use satchel_domain::purchases::Store;
use satchel_domain::purchases::chain::{RenewalSnapshot, Snapshot};
use satchel_domain::{Result, appstore};
use satchel_inbound::Clock;
use satchel_store::purchases::{Loaded, PurchaseRow, apple_id};

use crate::stores::StoreError;
use crate::stores::google::PlayApi;
use crate::trouble;

/// What was said of one purchase.
pub(crate) enum News<'a> {
    /// Signed by the App Store.
    Line(Line),
    /// To be asked for at Google Play, anew at each try: what the row held when it was asked is what the write depends
    /// on, so that no clock has to be compared.
    Token(Asking<'a>),
}

/// A question to Google Play.
pub(crate) struct Asking<'a> {
    pub(crate) api: &'a PlayApi,
    pub(crate) clock: &'a Clock,
    pub(crate) token: &'a PurchaseToken,
    /// What it probably is; the other is asked for where it is not.
    pub(crate) kind: Kind,
    /// Whether the answer is what a person says they bought.
    pub(crate) check: Option<&'a Check<'a>>,
    /// An order of it that was voided, and when, Unix seconds.
    pub(crate) voided: Option<(String, i64)>,
}

/// Refuses an answer before anything is written of it.
pub(crate) type Check<'a> = dyn Fn(&Purchase) -> Result<()> + Send + Sync + 'a;

impl Asking<'_> {
    async fn ask(&self) -> Result<Fetched> {
        let other = match self.kind {
            Kind::Subscription => Kind::OneTime,
            Kind::OneTime => Kind::Subscription,
        };
        let mut refused = false;
        for kind in [self.kind, other] {
            let now = self.clock.now();
            let answer = match kind {
                Kind::Subscription => self.api.subscription(self.token, now).await.map(Purchase::from),
                Kind::OneTime => self.api.product(self.token, now).await.map(Purchase::from),
            };
            match answer {
                Ok(purchase) => {
                    self.check.map_or(Ok(()), |check| check(&purchase))?;
                    return Ok(Fetched::Purchase(Box::new(purchase)));
                }
                Err(StoreError::NotFound) => {}
                // What Google says of a token of the other kind.
                Err(StoreError::Refused("purchase_token")) => refused = true,
                Err(error) if self.check.is_some() => return Err(trouble::of_receipt(error)),
                Err(error) => return Err(trouble::of_look(error)),
            }
        }
        // Who brings a token hears that it is none; an event of a purchase that ended long ago is only recorded.
        match (&self.check, refused) {
            (Some(_), true) => Err(trouble::of_receipt(StoreError::Refused("purchase_token"))),
            (Some(_), false) => Err(trouble::of_receipt(StoreError::NotFound)),
            (None, _) => Ok(Fetched::Gone),
        }
    }
}

/// What Google Play answered.
enum Fetched {
    /// The purchase.
    Purchase(Box<Purchase>),
    /// It knows of none: it never was, or it ended 60 days ago.
    Gone,
}

/// What the App Store signed about one line of transactions.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) environment: &'static str,
    pub(crate) original: String,
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) renewal: Option<RenewalSnapshot>,
}

impl Line {
    /// Of texts that were verified, all of one line.
    pub(crate) fn new(
        environment: appstore::Environment,
        original: &str,
        transactions: &[appstore::Transaction],
        renewal: Option<&appstore::Renewal>,
    ) -> Self {
        let of_line = transactions.iter().filter(|it| it.original_transaction_id == original);
        Self {
            environment: environment_name(environment),
            original: original.to_owned(),
            snapshots: of_line.map(Snapshot::of).collect(),
            renewal: renewal.filter(|it| it.original_transaction_id == original).map(RenewalSnapshot::of),
        }
    }
}

/// The environment as it stands in rows.
pub(crate) fn environment_name(environment: appstore::Environment) -> &'static str {
    match environment {
        appstore::Environment::Production { .. } => "production",
        appstore::Environment::Sandbox => "sandbox",
    }
}

/// A purchase with the news in it.
pub(super) struct Learned {
    pub(super) row: PurchaseRow,
    pub(super) transactions: BTreeMap<String, Snapshot>,
    /// Snapshots that are new.
    pub(super) new: Vec<Snapshot>,
    /// What is wrong with the store's answer.
    pub(super) complaint: Option<&'static str>,
}

impl News<'_> {
    pub(super) fn store(&self) -> Store {
        match self {
            Self::Line(_) => Store::Ios,
            Self::Token(_) => Store::Android,
        }
    }

    pub(super) fn id(&self) -> String {
        match self {
            Self::Line(line) => apple_id(line.environment, &line.original),
            Self::Token(asking) => asking.token.hash(),
        }
    }

    pub(super) fn environment(&self) -> &'static str {
        match self {
            Self::Line(line) => line.environment,
            // Until the answer says otherwise.
            Self::Token(_) => "production",
        }
    }

    /// `before` with the news in it.
    pub(super) async fn learn(&self, before: &Loaded, now: i64) -> Result<Learned> {
        match self {
            Self::Line(line) => Ok(line.learn(before)),
            Self::Token(asking) => {
                let fetched = asking.ask().await?;
                Ok(learn_token(&before.row, asking.token, fetched, asking.voided.clone(), now))
            }
        }
    }
}

impl Line {
    fn learn(&self, before: &Loaded) -> Learned {
        let mut chain = before.chain();
        let mut new: Vec<Snapshot> = self.snapshots.iter().filter(|it| chain.learn((*it).clone())).cloned().collect();
        // The store may have signed one transaction twice for one question: its newest word is written, once.
        new.retain(|it| chain.transactions.get(&it.transaction_id) == Some(it));
        if let Some(renewal) = &self.renewal {
            chain.learn_renewal(renewal.clone());
        }
        let row = PurchaseRow {
            named: chain.account_token().map(str::to_owned),
            original_transaction_id: Some(self.original.clone()),
            renewal: chain.renewal,
            ..before.row.clone()
        };
        Learned { row, transactions: chain.transactions, new, complaint: None }
    }
}

fn learn_token(
    before: &PurchaseRow,
    token: &PurchaseToken,
    fetched: Fetched,
    voided: Option<(String, i64)>,
    now: i64,
) -> Learned {
    let mut row = before.clone();
    let (facts, mut complaint) = (row.facts.take(), None);
    row.purchase_token = Some(token.expose().to_owned());
    row.facts = match (fetched, facts) {
        (Fetched::Purchase(purchase), Some(facts)) => Some(facts.fetched(*purchase, now)),
        (Fetched::Purchase(purchase), None) => Some(Facts::new(*purchase, now)),
        // Google keeps a token readable for 60 days after the end: what is paid for is not gone, whatever is answered.
        (Fetched::Gone, Some(facts)) if facts.is_live(now) => {
            complaint = Some("live");
            Some(facts)
        }
        (Fetched::Gone, Some(facts)) => Some(Facts { gone: facts.gone.or(Some(now)), ..facts }),
        (Fetched::Gone, None) => None,
    };
    if let Some(Facts { purchase, .. }) = &row.facts {
        row.environment = if purchase.test { "sandbox" } else { "production" }.to_owned();
        row.named = purchase.account_token.clone().or_else(|| purchase.expired_account_token.clone());
    }
    if let (Some((order, at)), Some(facts)) = (voided, &mut row.facts) {
        facts.void(order, at);
    }
    Learned { row, transactions: BTreeMap::new(), new: Vec::new(), complaint }
}
