//! What the App Store Server API tells by pages: the notifications that were sent, and the transactions of a purchase.

use std::time::Duration;

use satchel_domain::appstore::{Environment, Transaction};
use satchel_domain::{Error, Timestamp};
use serde::{Deserialize, Serialize};

use super::{AppleApi, Side, is_id};
use crate::stores::StoreError;

/// Most pages of one history, of 20 transactions each.
const MAX_PAGES: usize = 50;
/// A history of transactions with all its pages, at most.
const TRANSACTIONS: Duration = Duration::from_secs(20);
/// Its name in logs.
const CALL: &str = "transaction_history";

/// A page of the notifications that Apple sent.
#[derive(Debug)]
pub(crate) struct HistoryPage {
    /// The notifications as they were signed: to be verified as an answer to our own call.
    pub(crate) signed_payloads: Vec<String>,
    /// What the next page is asked by; none after the last.
    pub(crate) next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transactions {
    revision: Option<String>,
    #[serde(default)]
    has_more: bool,
    #[serde(default)]
    signed_transactions: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HistoryIn {
    start_date: i64,
    end_date: i64,
    only_failures: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notifications {
    pagination_token: Option<String>,
    #[serde(default)]
    has_more: bool,
    #[serde(default)]
    notification_history: Vec<Sent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    signed_payload: String,
}

impl AppleApi {
    /// A page of the notifications that were sent from `from_ms` to `until_ms`, Unix milliseconds, in the environment
    /// that is configured: all, or those that were not delivered.
    pub(crate) async fn history_page(
        &self,
        from_ms: i64,
        until_ms: i64,
        token: Option<&str>,
        only_failures: bool,
        now: Timestamp,
    ) -> Result<HistoryPage, StoreError> {
        let call = "notification_history";
        let side = self.sides.first().ok_or(StoreError::Refused("environment"))?;
        let mut path = "/inApps/v1/notifications/history".to_owned();
        if let Some(token) = token {
            path = format!("{path}?{}", query(&[("paginationToken", token)]));
        }
        let body = HistoryIn { start_date: from_ms, end_date: until_ms, only_failures };
        let body = serde_json::to_vec(&body).map_err(|error| StoreError::Later(Error::internal(error)))?;
        let page: Notifications = self.ask(side, call, &path, Some(body.into()), now).await?;
        let next = page.pagination_token.filter(|_| page.has_more);
        if page.has_more && (next.is_none() || next.as_deref() == token) {
            return Err(self.calls.unusable(call, "page", "more pages, but no way to them"));
        }
        let signed_payloads = page.notification_history.into_iter().map(|sent| sent.signed_payload).collect();
        Ok(HistoryPage { signed_payloads, next })
    }

    /// Every transaction of the purchase `original` that the App Store still tells of, oldest first: also those taken
    /// back, which its newest state does not show. At most 1000: a line that is longer shows its oldest.
    ///
    /// # Errors
    /// `Refused` with `transaction_id` or `environment` before any call.
    pub(crate) async fn revoked_or_all_transactions(
        &self,
        original: &str,
        environment: Environment,
        now: Timestamp,
    ) -> Result<Vec<Transaction>, StoreError> {
        is_id(original)?;
        let side = self.side(environment).ok_or(StoreError::Refused("environment"))?;
        match tokio::time::timeout(TRANSACTIONS, self.all_transactions(side, original, now)).await {
            Ok(all) => all,
            Err(_) => Err(self.calls.later(CALL, Error::unavailable("a history took too long to read"))),
        }
    }

    async fn all_transactions(
        &self,
        side: &Side,
        original: &str,
        now: Timestamp,
    ) -> Result<Vec<Transaction>, StoreError> {
        let mut transactions = Vec::new();
        let mut revision: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut parameters = vec![("sort", "ASCENDING")];
            parameters.extend(revision.as_deref().map(|revision| ("revision", revision)));
            let path = format!("/inApps/v2/history/{original}?{}", query(&parameters));
            let page: Transactions = self.ask(side, CALL, &path, None, now).await?;
            for text in &page.signed_transactions {
                // The history is the customer's in our app: other purchases of theirs stand in it too.
                let transaction = self.transaction(side, CALL, text, now)?;
                if transaction.original_transaction_id == original {
                    transactions.push(transaction);
                }
            }
            if !page.has_more {
                return Ok(transactions);
            }
            if page.revision.is_none() || page.revision == revision {
                return Err(self.calls.unusable(CALL, "page", "more pages, but no way to them"));
            }
            revision = page.revision;
        }
        tracing::warn!(
            store = "apple",
            call = CALL,
            pages = MAX_PAGES,
            "a history of transactions is longer than is read"
        );
        Ok(transactions)
    }
}

fn query(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}
