//! The histories of the App Store Server API: of a customer's transactions, and of notifications (facts 2.6).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use satchel_domain::time::DAY;
use serde_json::{Value, json};

use super::api::{Answer, ApiError, Asked};
use super::state::{Line, Transaction};
use crate::stores::input::{Environment, Store};
use crate::stores::notice::{Notice, is_taken};
use crate::stores::product::group_number;

/// Entries of one page of either history.
const PAGE: usize = 20;

const REVISION: ApiError = ApiError(400, 4_000_005, "Invalid request revision.");
const SORT: ApiError = ApiError(400, 4_000_021, "Invalid request. The sort parameter is invalid.");
const START: ApiError = ApiError(400, 4_000_015, "Invalid request. The start date is invalid.");
const END: ApiError = ApiError(400, 4_000_016, "Invalid request. The end date is invalid.");
const TOO_OLD: ApiError = ApiError(400, 4_000_012, "Invalid request. The start date is earlier than the earliest.");
const REVERSED: ApiError = ApiError(400, 4_000_013, "Invalid request. The end date precedes the start date.");
const TOKEN: ApiError = ApiError(400, 4_000_014, "Invalid request. The pagination token is invalid.");
const FILTERS: ApiError = ApiError(400, 4_000_019, "Invalid request. Supply either a transaction id or a type.");

/// `GET /inApps/v2/history/{id}`: what the customer of a transaction has, by when it last changed.
pub(super) fn transactions(asked: &Asked<'_>, id: &str) -> Answer {
    let all = |name: &str| -> Vec<&str> {
        asked.query.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    };
    let one = |name: &str| all(name).first().copied();
    let after = one("revision").map(|text| revision(text).ok_or(REVISION)).transpose()?;
    let descending = match one("sort") {
        None | Some("ASCENDING") => false,
        Some("DESCENDING") => true,
        Some(_) => return Err(SORT),
    };
    let date = |name, error| one(name).map(|text| text.parse::<i64>().map_err(|_| error)).transpose();
    let (start, end) = (date("startDate", START)?, date("endDate", END)?);
    let (products, kinds, groups) = (all("productId"), all("productType"), all("subscriptionGroupIdentifier"));
    let (ownership, revoked) = (one("inAppOwnershipType"), one("revoked"));
    let fits = |line: &Line, transaction: &Transaction| {
        let kind = match transaction.kind.apple() {
            "Auto-Renewable Subscription" => "AUTO_RENEWABLE",
            "Non-Consumable" => "NON_CONSUMABLE",
            "Consumable" => "CONSUMABLE",
            _ => "NON_RENEWABLE",
        };
        let owned = if line.family_shared { "FAMILY_SHARED" } else { "PURCHASED" };
        (products.is_empty() || products.contains(&transaction.product_id.as_str()))
            && (kinds.is_empty() || kinds.contains(&kind))
            && (groups.is_empty() || groups.contains(&group_number(&line.group).as_str()))
            && ownership.is_none_or(|wanted| wanted == owned)
            && revoked.is_none_or(|wanted| (wanted == "true") == transaction.revocation.is_some())
            && start.is_none_or(|start| transaction.purchase_ms >= start)
            && end.is_none_or(|end| transaction.purchase_ms < end)
    };
    asked.find(id, |book, line, _, at| {
        let mut found: Vec<(&Line, &Transaction)> = book
            .of_customer(&line.customer, line.environment)
            .flat_map(|line| line.transactions.iter().map(move |transaction| (line, transaction)))
            .filter(|(line, transaction)| fits(line, transaction))
            .collect();
        let place = |transaction: &Transaction| (transaction.revision, transaction.id);
        found.sort_by_key(|(_, transaction)| place(transaction));
        if descending {
            found.reverse();
        }
        found.retain(|(_, transaction)| {
            after.is_none_or(|after| if descending { place(transaction) < after } else { place(transaction) > after })
        });
        let page: Vec<_> = found.iter().take(PAGE).collect();
        // Of an empty page the revision is the one that was asked with.
        let last = page.last().map(|(_, transaction)| place(transaction)).or(after).unwrap_or_default();
        let signed: Vec<String> = page.iter().map(|(line, it)| asked.signed(line, it, at)).collect();
        let settings = asked.shops.settings();
        json!({
            "revision": format!("{}_{}", last.0, last.1), "hasMore": found.len() > PAGE,
            "bundleId": settings.bundle_id, "appAppleId": settings.app_id,
            "environment": asked.environment.as_str(), "signedTransactions": signed,
        })
    })
}

fn revision(text: &str) -> Option<(u64, u64)> {
    let (revision, id) = text.split_once('_')?;
    Some((revision.parse().ok()?, id.parse().ok()?))
}

/// `POST /inApps/v1/notifications/history`: what was sent, or could not be.
pub(super) fn notifications(asked: &Asked<'_>) -> Answer {
    let now_ms = asked.shops.now_ms();
    let start = asked.body["startDate"].as_i64().ok_or(START)?;
    let end = asked.body["endDate"].as_i64().ok_or(END)?;
    let kept_days = if asked.environment == Environment::Production { 180 } else { 30 };
    if start < now_ms - kept_days * DAY * 1_000 {
        return Err(TOO_OLD);
    }
    if end < start {
        return Err(REVERSED);
    }
    let text = |name: &str| asked.body[name].as_str();
    let (id, kind, subtype) = (text("transactionId"), text("notificationType"), text("notificationSubtype"));
    if id.is_some() && kind.is_some() {
        return Err(FILTERS);
    }
    let token = asked.query.iter().find(|(name, _)| name == "paginationToken");
    let skipped = token.map(|(_, token)| place(token).ok_or(TOKEN)).transpose()?.unwrap_or(0);
    let only_failures = asked.body["onlyFailures"].as_bool().unwrap_or(false);
    let customer = id.map(|id| asked.find(id, |_, line, _, _| line.customer.clone())).transpose()?;
    Ok(asked.shops.book().read(|kept| {
        let found: Vec<&Notice> = kept
            .notices
            .iter()
            .filter(|notice| notice.store == Store::Apple && notice.environment == asked.environment)
            .filter(|notice| (start..=end).contains(&notice.at_ms))
            .filter(|notice| kind.is_none_or(|kind| kind == notice.kind))
            .filter(|notice| subtype.is_none() || subtype == notice.subtype.as_deref())
            .filter(|notice| customer.is_none() || customer == notice.customer)
            .filter(|notice| !(only_failures && notice.is_delivered()))
            .collect();
        let page: Vec<Value> = found.iter().skip(skipped).take(PAGE).map(|notice| item(notice)).collect();
        let next = skipped + page.len();
        let mut answer = json!({ "notificationHistory": page, "hasMore": next < found.len() });
        if next < found.len() {
            answer["paginationToken"] = json!(URL_SAFE_NO_PAD.encode(format!("page-{next}")));
        }
        answer
    }))
}

fn place(token: &str) -> Option<usize> {
    let token = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    token.strip_prefix("page-")?.parse().ok()
}

/// A notification in the history. One that is held counts as sent to a server that did not answer.
pub(super) fn item(notice: &Notice) -> Value {
    let attempts: Vec<Value> = notice
        .attempts
        .iter()
        .take(6)
        .map(|attempt| {
            let taken = is_taken(Store::Apple, attempt.status);
            let result = if taken { "SUCCESS" } else { "UNSUCCESSFUL_HTTP_RESPONSE_CODE" };
            json!({ "attemptDate": attempt.at_ms, "sendAttemptResult": result })
        })
        .collect();
    let lost = || vec![json!({ "attemptDate": notice.at_ms, "sendAttemptResult": "NO_RESPONSE" })];
    let attempts = if attempts.is_empty() { lost() } else { attempts };
    json!({ "signedPayload": notice.signed, "sendAttempts": attempts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_a_place_and_a_revision_a_change() {
        let token = URL_SAFE_NO_PAD.encode("page-40");
        assert_eq!((place(&token), place("page-40"), place("!")), (Some(40), None, None));
        assert_eq!((revision("3_2000000000000001"), revision("3")), (Some((3, 2_000_000_000_000_001)), None));
    }
}
