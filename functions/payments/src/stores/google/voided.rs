//! What was cancelled, refunded or charged back (`purchases.voidedpurchases.list`; facts 2.7).

use http::Method;
use satchel_domain::Timestamp;
use satchel_domain::playstore::PurchaseToken;
use serde::Deserialize;

use super::PlayApi;
use crate::stores::{StoreError, number};

/// The name of the call in logs.
const CALL: &str = "voided_purchases";
/// Most purchases of a page: Google gives no more.
const PAGE: &str = "1000";

/// A page of what was voided.
#[derive(Debug)]
pub(crate) struct VoidedPage {
    /// What was voided.
    pub(crate) purchases: Vec<Voided>,
    /// What the next page is asked by; none after the last.
    pub(crate) next: Option<String>,
}

/// A voided order. Refunds of a part of a quantity are not asked for: the purchase stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Voided {
    /// The purchase.
    pub(crate) purchase_token: PurchaseToken,
    /// The order, which need not be the purchase's newest.
    pub(crate) order_id: Option<String>,
    /// When it was voided.
    pub(crate) voided_at: Timestamp,
    /// 0 the user, 1 the developer, 2 Google.
    pub(crate) source: Option<i64>,
    /// 0 other, 1 remorse, 2 not received, 3 defective, 4 accidental, 5 fraud, 6 friendly fraud, 7 chargeback,
    /// 8 not acknowledged.
    pub(crate) reason: Option<i64>,
    /// How many of a quantity, where only a part was voided.
    pub(crate) quantity: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    token_pagination: Option<Pagination>,
    #[serde(default)]
    voided_purchases: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pagination {
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    purchase_token: Option<String>,
    order_id: Option<String>,
    #[serde(default, deserialize_with = "number")]
    voided_time_millis: Option<i64>,
    voided_source: Option<i64>,
    voided_reason: Option<i64>,
    voided_quantity: Option<i64>,
}

impl Item {
    fn read(self) -> Option<Voided> {
        Some(Voided {
            purchase_token: self.purchase_token?.try_into().ok()?,
            order_id: self.order_id,
            voided_at: Timestamp::from_millisecond(self.voided_time_millis?).ok()?,
            source: self.voided_source,
            reason: self.voided_reason,
            quantity: self.voided_quantity,
        })
    }
}

impl PlayApi {
    /// A page of what was voided from `from_ms` to `until_ms`, Unix milliseconds, of subscriptions too. Google tells of
    /// the last 30 days. An entry that cannot be read is left out and told: it must not hide the rest for ever.
    pub(crate) async fn voided_page(
        &self,
        from_ms: i64,
        until_ms: i64,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<VoidedPage, StoreError> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("startTime", &from_ms.to_string())
            .append_pair("endTime", &until_ms.to_string())
            .append_pair("type", "1")
            .append_pair("maxResults", PAGE)
            .extend_pairs(token.map(|token| ("token", token)))
            .finish();
        let path = format!("/purchases/voidedpurchases?{query}");
        let answer = self.send(CALL, Method::GET, &path, now).await?;
        if !answer.status().is_success() {
            return Err(self.refusal(CALL, &answer));
        }
        let page: Page = self.calls.json(CALL, &answer)?;
        let next = page.token_pagination.and_then(|pagination| pagination.next_page_token);
        let next = next.filter(|next| !next.is_empty());
        if next.is_some() && next.as_deref() == token {
            return Err(self.calls.unusable(CALL, "page", "more pages, but no way to them"));
        }
        let all = page.voided_purchases.len();
        let purchases: Vec<Voided> = page.voided_purchases.into_iter().filter_map(Item::read).collect();
        if purchases.len() < all {
            let unread = format!("{} of {all} entries", all - purchases.len());
            // Told with its metric; the rest is of use.
            let _told = self.calls.unusable(CALL, "answer_shape", &unread);
        }
        Ok(VoidedPage { purchases, next })
    }
}
