//! The App Store Server API (facts 2.6): what a transaction, a subscription and the notifications are, by Apple's word.
//!
//! Each answer is signed like everything of Apple's, and verified as an answer to our own call.

mod chains;
mod history;
mod key;
mod settings;

use std::time::Duration;

use axum::body::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use satchel_domain::appstore::{
    Chain, Environment, ProductType, Reason, Refused, Renewal, Root, Source, Transaction, Verified, Verifier,
};
use satchel_domain::{Error, Timestamp};
use satchel_inbound::{Complaints, Env};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use super::calls::Calls;
use chains::Chains;
use key::ApiKey;
pub(super) use settings::{Legacy, Side};

/// A purchase with all calls it takes, at most: API Gateway gives up after 30 s.
const PURCHASE: Duration = Duration::from_secs(15);

/// Asks the App Store.
pub(crate) struct AppleApi {
    pub(super) calls: Calls,
    pub(super) bundle_id: String,
    pub(super) sides: Vec<Side>,
    pub(super) legacy: Option<Legacy>,
    root: Root,
    key: ApiKey,
    pub(super) chains: Chains,
}

/// A purchase as the App Store has it.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Where it was made.
    pub(crate) environment: Environment,
    /// The transaction that was asked for, and the newest of its line where that is another; each once.
    pub(crate) transactions: Vec<Transaction>,
    /// How it goes on; of subscriptions that renew themselves.
    pub(crate) renewal: Option<Renewal>,
    /// 1 active, 2 expired, 3 billing retry, 4 grace, 5 revoked (facts 2.5); of the same.
    pub(crate) status: Option<i64>,
}

/// A refusal (facts 2.6).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiError {
    error_code: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransactionInfo {
    signed_transaction_info: String,
}

#[derive(Deserialize)]
struct Statuses {
    #[serde(default)]
    data: Vec<Group>,
}

/// A group of subscriptions of which one is active at a time.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    #[serde(default)]
    last_transactions: Vec<Last>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Last {
    original_transaction_id: String,
    status: Option<i64>,
    signed_transaction_info: Option<String>,
    signed_renewal_info: Option<String>,
}

impl AppleApi {
    /// Where `APPLE_BUNDLE_ID` is set.
    ///
    /// # Errors
    /// All complaints about the settings and the secret.
    pub(crate) async fn from_env(env: &Env) -> Result<Option<Self>, Complaints> {
        let Some(configured) = settings::read(env).await? else { return Ok(None) };
        Ok(Some(Self {
            calls: Calls::new(env.http.clone(), "apple"),
            bundle_id: configured.bundle_id,
            sides: configured.sides,
            legacy: configured.legacy,
            root: configured.root,
            key: configured.key,
            chains: Chains::default(),
        }))
    }

    /// Who believes or refuses what is signed: one an environment that counts, production first.
    pub(crate) fn verifiers(&self) -> impl Iterator<Item = &Verifier> {
        self.sides.iter().map(|side| &side.verifier)
    }

    /// What the first environment believes that counts, by `verify`, which is given its verifier and the chains that are
    /// known at `now`; its chains are kept. Of what none believes, the refusal that is not merely of the other environment.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn believe<T>(
        &self,
        now: Timestamp,
        verify: impl Fn(&Verifier, &[Chain]) -> Result<Verified<T>, Refused>,
    ) -> Result<(Verified<T>, Environment), Refused> {
        let known = self.chains.known(now);
        let mut refusal = Refused::from(Reason::Environment);
        for verifier in self.verifiers() {
            match verify(verifier, &known) {
                Ok(verified) => {
                    self.chains.keep(verified.chains.clone(), now);
                    return Ok((verified, verifier.environment()));
                }
                Err(refused) if refused.reason == Reason::Environment => {}
                Err(refused) if refusal.reason == Reason::Environment => refusal = refused,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    /// The root that is pinned.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// The purchase with the transaction `transaction_id`: asked for in each environment that counts, production first,
    /// until one has it, or in `only` one. Of a subscription that renews itself, its newest state besides.
    ///
    /// Production refuses the key of an app that was never released, while App Review buys in the sandbox: so a refused
    /// key does not end the search, but nothing is called absent then.
    ///
    /// # Errors
    /// `Refused` with `transaction_id` before any call where it is no such id; `NotFound`, likewise, where `only` does not
    /// count here.
    pub(crate) async fn purchase(
        &self,
        transaction_id: &str,
        only: Option<Environment>,
        now: Timestamp,
    ) -> Result<Fetched, StoreError> {
        is_id(transaction_id)?;
        let search = async {
            let mut nowhere = StoreError::NotFound;
            let is_asked = |side: &&Side| only.is_none_or(|it| it.as_str() == side.environment.as_str());
            for side in self.sides.iter().filter(is_asked) {
                match self.purchase_at(side, transaction_id, now).await {
                    Err(StoreError::NotFound) => {}
                    Err(error) if error.is_of_credentials() => nowhere = error,
                    found => return found,
                }
            }
            Err(nowhere)
        };
        match tokio::time::timeout(PURCHASE, search).await {
            Ok(answer) => answer,
            Err(_) => Err(self.calls.later("purchase", Error::unavailable("a purchase took too long to fetch"))),
        }
    }

    async fn purchase_at(&self, side: &Side, transaction_id: &str, now: Timestamp) -> Result<Fetched, StoreError> {
        let call = "transaction";
        let path = format!("/inApps/v1/transactions/{transaction_id}");
        let info: TransactionInfo = self.ask(side, call, &path, None, now).await?;
        let asked = self.transaction(side, call, &info.signed_transaction_info, now)?;
        if asked.transaction_id != transaction_id && asked.original_transaction_id != transaction_id {
            return Err(self.calls.unusable(call, "other_transaction", "another transaction than was asked for"));
        }
        let renews_itself = asked.product_type == ProductType::AutoRenewable;
        let original = asked.original_transaction_id.clone();
        let mut fetched =
            Fetched { environment: side.environment, transactions: vec![asked], renewal: None, status: None };
        if renews_itself {
            self.add_status(side, &original, &mut fetched, now).await?;
        }
        Ok(fetched)
    }

    /// Adds the newest state of the subscription `original`. That it has none is no reason to doubt its transaction.
    async fn add_status(
        &self,
        side: &Side,
        original: &str,
        fetched: &mut Fetched,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let call = "statuses";
        let path = format!("/inApps/v1/subscriptions/{original}");
        let statuses: Statuses = match self.ask(side, call, &path, None, now).await {
            Err(StoreError::NotFound) => return Ok(()),
            answer => answer?,
        };
        let items = statuses.data.into_iter().flat_map(|group| group.last_transactions);
        for item in items.filter(|item| item.original_transaction_id == original) {
            if let Some(text) = item.signed_transaction_info {
                let transaction = self.transaction(side, call, &text, now)?;
                if transaction.original_transaction_id != original {
                    return Err(self.calls.unusable(call, "other_transaction", "an item with another's transaction"));
                }
                fetched.add(transaction);
            }
            if let Some(text) = item.signed_renewal_info {
                let known = self.chains.known(now);
                let renewal = side.verifier.renewal(&text, original, Source::Api, &known);
                let renewal = self.believed(call, renewal, now)?;
                if fetched.renewal.as_ref().is_none_or(|other| other.signed_date < renewal.signed_date) {
                    fetched.renewal = Some(renewal);
                    fetched.status = item.status;
                }
            }
            fetched.status = fetched.status.or(item.status);
        }
        Ok(())
    }

    /// The environment, where it counts.
    pub(super) fn side(&self, environment: Environment) -> Option<&Side> {
        self.sides.iter().find(|side| side.environment.as_str() == environment.as_str())
    }

    fn transaction(
        &self,
        side: &Side,
        call: &'static str,
        text: &str,
        now: Timestamp,
    ) -> Result<Transaction, StoreError> {
        let known = self.chains.known(now);
        self.believed(call, side.verifier.transaction(text, Source::Api, &known), now)
    }

    fn believed<T>(
        &self,
        call: &'static str,
        verified: Result<Verified<T>, Refused>,
        now: Timestamp,
    ) -> Result<T, StoreError> {
        match verified {
            Ok(Verified { value, chains }) => {
                self.chains.keep(chains, now);
                Ok(value)
            }
            Err(refused) if refused.reason.may_pass_later() => {
                Err(self.calls.later(call, Error::internal(refused.to_string())))
            }
            Err(refused) => Err(self.calls.refused(call, refused.reason.as_str())),
        }
    }

    /// What the API answers: to a POST of `body`, else to a GET.
    async fn ask<T: DeserializeOwned>(
        &self,
        side: &Side,
        call: &'static str,
        path: &str,
        body: Option<Bytes>,
        now: Timestamp,
    ) -> Result<T, StoreError> {
        let ours = |error| self.calls.later(call, Error::internal(error));
        let token = self.key.token(now).map_err(|error| self.calls.later(call, error))?;
        let mut request = Request::builder()
            .method(if body.is_some() { Method::POST } else { Method::GET })
            .uri(format!("{}{path}", side.api))
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(body.unwrap_or_default()).map_err(|error| ours(error.to_string()))?;
        let answer = self.calls.send(call, request, now).await.inspect_err(|error| {
            if error.is_of_credentials() {
                self.key.forget();
            }
        })?;
        if answer.status().is_success() { self.calls.json(call, &answer) } else { Err(self.refusal(call, &answer)) }
    }

    /// What a 4xx means.
    fn refusal(&self, call: &'static str, answer: &Response<Bytes>) -> StoreError {
        let status = answer.status();
        let code = serde_json::from_slice::<ApiError>(answer.body()).ok().map(|error| error.error_code);
        match code {
            // No such account, original transaction, transaction.
            Some(4_040_001 | 4_040_005 | 4_040_010) => StoreError::NotFound,
            Some(code @ (4_040_002 | 4_040_004 | 4_040_006)) => {
                self.calls.later(call, Error::unavailable(format!("{code}, which is retryable")))
            }
            Some(4_000_006) if status == StatusCode::BAD_REQUEST => StoreError::Refused("transaction_id"),
            Some(code) => self.calls.unusable(call, "status", &format!("{} {code}", status.as_u16())),
            None => self.calls.unusable(call, "status", status.as_str()),
        }
    }
}

impl Fetched {
    /// Of two states of one transaction the one signed later counts.
    fn add(&mut self, transaction: Transaction) {
        match self.transactions.iter_mut().find(|one| one.transaction_id == transaction.transaction_id) {
            Some(one) if one.signed_date <= transaction.signed_date => *one = transaction,
            Some(_) => {}
            None => self.transactions.push(transaction),
        }
    }
}

/// Whether `text` is an id that goes into a path (facts 2.6: `^[0-9]{1,20}$`).
fn is_id(text: &str) -> Result<(), StoreError> {
    let fits = (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { Ok(()) } else { Err(StoreError::Refused("transaction_id")) }
}
