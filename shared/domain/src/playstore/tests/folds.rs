//! What a purchase gives.

use std::collections::BTreeMap;

use super::purchases::{ORDER, lined, one_time, read, read_one_time, subscription};
use super::*;
use crate::entitlements::{Access, AddOn, OPEN_GRACE, Platform, Source, Status, access, best};
use crate::purchases::Catalogue;
use crate::time::DAY;

/// 2027-01-01T00:00:00Z.
const STARTED: i64 = 1_798_761_600;
/// 2027-02-01T00:00:00Z.
const ENDS: i64 = 1_801_440_000;
const SLACK: i64 = 7_200;
const ID: &str = "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9";

fn catalogue() -> Catalogue {
    let products = json!({
        "app.satchel.sync.monthly": { "add_on": "sync", "kind": "subscription" },
        "app.satchel.sync.yearly": { "add_on": "sync", "kind": "subscription" },
        "app.satchel.ai.monthly": { "add_on": "ai", "kind": "subscription" },
        "app.satchel.supporter": { "add_on": "supporter", "kind": "one_time" },
        "app.satchel.sync.pass": { "add_on": "sync", "kind": "one_time", "days": 30 },
    });
    Catalogue::parse(&products.to_string()).unwrap()
}

fn all(facts: &Facts) -> BTreeMap<AddOn, Source> {
    facts.sources(ID, &catalogue(), SLACK)
}

fn sync(facts: &Facts) -> Source {
    all(facts).remove(&AddOn::Sync).unwrap()
}

fn facts(answer: &Value) -> Facts {
    Facts::new(read(answer), NOW)
}

fn in_state(word: &str) -> Value {
    with(subscription(), "subscriptionState", json!(format!("SUBSCRIPTION_STATE_{word}")))
}

fn bought_once(state: &str) -> Facts {
    let answer = with(one_time(), "purchaseStateContext", json!({ "purchaseState": state }));
    Facts::new(read_one_time(&answer), NOW)
}

fn supporter(facts: &Facts) -> Source {
    all(facts).remove(&AddOn::Supporter).unwrap()
}

#[test]
fn an_active_subscription_is_a_source() {
    let expected = Source {
        platform: Platform::Android,
        status: Status::Active,
        expires_at: Some(ENDS),
        grace_until: None,
        revoked_at: None,
        will_renew: true,
        slack: SLACK,
        is_trial: false,
        product_id: "app.satchel.sync.monthly".to_owned(),
        environment: "production".to_owned(),
        transaction_id: format!("{ORDER}..3"),
        original_transaction_id: ORDER.to_owned(),
        purchase_date: STARTED,
        updated_at: NOW,
    };
    assert_eq!(all(&facts(&subscription())), BTreeMap::from([(AddOn::Sync, expected)]));
}

#[test]
fn each_state_gives_what_the_design_says() {
    for (word, status, ends, will_renew) in [
        ("ACTIVE", Status::Active, Some(ENDS), true),
        ("CANCELED", Status::Active, Some(ENDS), false),
        ("IN_GRACE_PERIOD", Status::Grace, Some(ENDS), false),
        ("ON_HOLD", Status::Hold, Some(ENDS), false),
        ("PAUSED", Status::Paused, Some(ENDS), false),
        ("PENDING", Status::Pending, None, false),
        ("EXPIRED", Status::Expired, Some(ENDS), false),
        ("PENDING_PURCHASE_CANCELED", Status::Expired, Some(0), false),
        ("SNOOZED", Status::Active, Some(ENDS), false),
    ] {
        let source = sync(&facts(&in_state(word)));
        assert_eq!((source.status, source.expires_at, source.will_renew), (status, ends, will_renew), "{word}");
        assert_eq!(source.revoked_at, None);
    }
}

#[test]
fn a_grace_period_ends_where_google_put_the_expiry() {
    let source = sync(&facts(&in_state("IN_GRACE_PERIOD")));
    assert_eq!(source.grace_until, Some(ENDS));
    assert_eq!(access([&source], ENDS - 1), Access::Active);
    assert_eq!(access([&source], ENDS), Access::Lapsed { since: ENDS }, "and not {OPEN_GRACE} s later");
}

#[test]
fn a_cancelled_subscription_lasts_to_its_end_and_no_longer() {
    let source = sync(&facts(&in_state("CANCELED")));
    assert_eq!(access([&source], ENDS - 1), Access::Active);
    assert_eq!(access([&source], ENDS), Access::Lapsed { since: ENDS });
    let renewing = sync(&facts(&subscription()));
    assert_eq!(access([&renewing], ENDS + SLACK - 1), Access::Active);
}

#[test]
fn what_was_never_paid_for_never_gave_access() {
    let mut never = in_state("PENDING");
    never["lineItems"][0] = without(without(never["lineItems"][0].clone(), "expiryTime"), "latestSuccessfulOrderId");
    assert_eq!(access([&sync(&facts(&never))], NOW), Access::Never);
    never["subscriptionState"] = json!("SUBSCRIPTION_STATE_PENDING_PURCHASE_CANCELED");
    let given_up = sync(&facts(&never));
    assert!(!access([&given_up], NOW).within(30 * DAY, NOW), "it looks like an access that has just ended");
    assert!(!access([&supporter(&bought_once("CANCELLED"))], NOW).within(30 * DAY, NOW));
    let mut replaced = facts(&never);
    replaced.replaced_at = Some(NOW);
    assert!(!access([&sync(&replaced)], NOW).within(30 * DAY, NOW));
}

#[test]
fn an_active_line_without_an_end_gives_nothing_yet() {
    for word in ["ACTIVE", "CANCELED", "IN_GRACE_PERIOD", "SNOOZED"] {
        let mut answer = in_state(word);
        answer["lineItems"][0] = without(answer["lineItems"][0].clone(), "expiryTime");
        let source = sync(&facts(&answer));
        assert_eq!((source.status, source.expires_at), (Status::Pending, None), "{word}");
    }
}

#[test]
fn a_one_time_purchase_is_owned_for_good() {
    let source = supporter(&bought_once("PURCHASED"));
    assert_eq!((source.status, source.expires_at, source.will_renew), (Status::Owned, None, false));
    assert_eq!((source.transaction_id.as_str(), source.original_transaction_id.as_str()), (ORDER, ORDER));
    assert_eq!(supporter(&bought_once("PENDING")).status, Status::Pending);
    assert_eq!(supporter(&bought_once("RENTED")).status, Status::Pending);
    assert_eq!(supporter(&bought_once("CANCELLED")).status, Status::Expired);
}

#[test]
fn a_pass_lasts_as_many_days_as_the_catalogue_says() {
    let mut answer = one_time();
    answer["productLineItem"][0]["productId"] = json!("app.satchel.sync.pass");
    let source = sync(&Facts::new(read_one_time(&answer), NOW));
    assert_eq!((source.status, source.expires_at), (Status::Active, Some(STARTED + 30 * DAY)));
    let undated = without(answer, "purchaseCompletionTime");
    assert_eq!(sync(&Facts::new(read_one_time(&undated), NOW)).status, Status::Pending);
}

#[test]
fn a_one_time_purchase_that_is_taken_back_ends_when_that_is_seen_first() {
    let owned = bought_once("PURCHASED");
    let over = bought_once("CANCELLED").purchase;
    let first = owned.fetched(over.clone(), NOW + 10);
    let second = first.clone().fetched(over, NOW + DAY);
    for facts in [&first, &second] {
        assert_eq!((supporter(facts).status, supporter(facts).expires_at), (Status::Expired, Some(NOW + 10)));
    }
    let mut voided = second.clone();
    voided.void(ORDER, NOW + 5);
    voided.void(ORDER, NOW + 50);
    assert_eq!((supporter(&voided).status, supporter(&voided).revoked_at), (Status::Revoked, Some(NOW + 5)));
    let again = second.fetched(bought_once("PURCHASED").purchase, NOW + 2 * DAY);
    assert_eq!((supporter(&again).status, again.lapsed_at), (Status::Owned, None));
}

#[test]
fn a_voided_current_order_is_revoked() {
    let mut facts = facts(&subscription());
    facts.void(format!("{ORDER}..3"), NOW - 60);
    let source = sync(&facts);
    assert_eq!((source.status, source.revoked_at, source.will_renew), (Status::Revoked, Some(NOW - 60), false));
    assert_eq!(source.expires_at, Some(ENDS));
    assert_eq!(access([&source], NOW), Access::Lapsed { since: NOW - 60 });
}

#[test]
fn an_older_voided_order_changes_nothing() {
    let mut voided = facts(&subscription());
    let before = all(&voided);
    voided.void(format!("{ORDER}..2"), NOW - 60);
    voided.void(ORDER, NOW - 60);
    voided.void(format!("{ORDER}..4"), NOW - 60);
    assert_eq!(all(&voided), before);
    let renewed = read(&lined("latestSuccessfulOrderId", json!(format!("{ORDER}..4"))));
    assert_eq!(
        sync(&voided.fetched(renewed, NOW)).status,
        Status::Revoked,
        "the renewal was voided before it was seen"
    );
}

#[test]
fn a_replaced_purchase_ends_when_another_takes_its_place() {
    let mut replaced = facts(&subscription());
    replaced.replaced_at = Some(NOW);
    let source = sync(&replaced);
    assert_eq!((source.status, source.expires_at, source.will_renew), (Status::Expired, Some(NOW), false));
    replaced.replaced_at = Some(ENDS + DAY);
    assert_eq!(sync(&replaced).expires_at, Some(ENDS), "one that had ended before keeps its end");
}

#[test]
fn an_upgrade_never_leaves_a_moment_without_access() {
    // The new token comes 2 to 4 s before the old one's expiry (facts 2.8).
    let mut old = facts(&subscription());
    let new = json!([{
        "productId": "app.satchel.sync.yearly", "expiryTime": "2028-01-15T08:00:00Z", "latestSuccessfulOrderId": "GPA.9",
        "autoRenewingPlan": { "autoRenewEnabled": true },
    }]);
    let new = facts(&with(with(subscription(), "linkedPurchaseToken", json!(TOKEN)), "lineItems", new));
    old.replaced_at = Some(NOW);
    let sources = [sync(&old), sync(&new)];
    assert_eq!(access(&sources, NOW), Access::Active);
    assert_eq!(best(AddOn::Sync, &sources, NOW).unwrap().product_id, "app.satchel.sync.yearly");
    let expired = old.fetched(read(&lined("expiryTime", json!("2027-01-15T08:00:03Z"))), NOW + 4);
    assert_eq!(access([&sync(&expired), &sync(&new)], NOW + 4), Access::Active);
}

#[test]
fn a_purchase_that_the_store_does_not_know_any_more_is_over() {
    let mut gone = facts(&subscription());
    gone.gone = Some(NOW + 5);
    assert_eq!((sync(&gone).status, sync(&gone).expires_at), (Status::Expired, Some(NOW + 5)));
    let back = gone.fetched(read(&subscription()), NOW + 9);
    assert_eq!((sync(&back).status, sync(&back).updated_at), (Status::Active, NOW + 9));
    let mut owned = bought_once("PURCHASED");
    owned.gone = Some(NOW);
    assert_eq!((supporter(&owned).status, supporter(&owned).expires_at), (Status::Expired, Some(NOW)));
}

#[test]
fn a_deferred_change_keeps_the_old_product_until_it_is_due() {
    let mut answer = subscription();
    answer["lineItems"][0]["deferredItemReplacement"] = json!({ "productId": "app.satchel.sync.yearly" });
    answer["lineItems"].as_array_mut().unwrap().push(json!({
        "productId": "app.satchel.sync.yearly", "expiryTime": "2028-02-01T00:00:00Z",
        "autoRenewingPlan": { "autoRenewEnabled": true },
    }));
    let source = sync(&facts(&answer));
    assert_eq!((source.product_id.as_str(), source.expires_at), ("app.satchel.sync.monthly", Some(ENDS)));
    assert!(source.will_renew, "it goes on as another product of the same add-on");
    for other in ["app.satchel.ai.monthly", "app.unknown"] {
        let leaving = lined("deferredItemReplacement", json!({ "productId": other }));
        assert!(!sync(&facts(&leaving)).will_renew, "{other}");
    }
}

#[test]
fn each_line_gives_its_own_add_on() {
    let mut answer = subscription();
    let ai = with(answer["lineItems"][0].clone(), "productId", json!("app.satchel.ai.monthly"));
    let ai = with(ai, "offerPhase", json!({ "freeTrial": {} }));
    answer["lineItems"].as_array_mut().unwrap().push(ai);
    let sources = all(&facts(&answer));
    assert_eq!(sources.keys().copied().collect::<Vec<_>>(), [AddOn::Sync, AddOn::Ai]);
    assert!(sources[&AddOn::Ai].is_trial && !sources[&AddOn::Sync].is_trial);
}

#[test]
fn of_several_lines_of_an_add_on_the_later_end_counts_in_any_order() {
    let mut answer = subscription();
    let yearly = with(answer["lineItems"][0].clone(), "productId", json!("app.satchel.sync.yearly"));
    let yearly = with(yearly, "expiryTime", json!("2027-06-01T00:00:00Z"));
    answer["lineItems"].as_array_mut().unwrap().push(yearly);
    let forward = facts(&answer);
    answer["lineItems"].as_array_mut().unwrap().reverse();
    assert_eq!(all(&forward), all(&facts(&answer)));
    assert_eq!(sync(&forward).product_id, "app.satchel.sync.yearly");
}

#[test]
fn a_product_that_is_not_sold_gives_nothing() {
    for product in ["app.satchel.sync", "app.satchel.sync.monthly2", "APP.SATCHEL.SYNC.MONTHLY", "sync", ""] {
        assert!(all(&facts(&lined("productId", json!(product)))).is_empty(), "{product}");
    }
    assert!(all(&facts(&with(subscription(), "lineItems", json!([])))).is_empty());
}

#[test]
fn a_testers_purchase_is_of_the_sandbox() {
    assert_eq!(sync(&facts(&with(subscription(), "testPurchase", json!({})))).environment, "sandbox");
}

#[test]
fn a_purchase_without_an_order_goes_by_its_name_in_keys() {
    let promoted = Facts::new(read_one_time(&without(one_time(), "orderId")), NOW);
    let source = supporter(&promoted);
    assert_eq!((source.transaction_id.as_str(), source.original_transaction_id.as_str()), (ID, ID));
}

#[test]
fn what_is_said_once_stays_known() {
    let out_of_app = json!({
        "expiredPurchaseToken": TOKEN,
        "expiredExternalAccountIdentifiers": { "obfuscatedExternalAccountId": "old" },
    });
    let before = facts(&with(subscription(), "outOfAppPurchaseContext", out_of_app));
    let topped_up = lined("latestSuccessfulOrderId", json!("GPA.7-7..0"));
    let after = before.clone().fetched(read(&topped_up), NOW + 1);
    assert_eq!(after.purchase.expired_token, before.purchase.expired_token);
    assert_eq!(after.purchase.expired_account_token.as_deref(), Some("old"));
    let source = sync(&after);
    assert_eq!((source.transaction_id.as_str(), source.original_transaction_id.as_str()), ("GPA.7-7..0", ORDER));
}

#[test]
fn facts_read_back_from_their_row() {
    let mut facts = facts(&subscription());
    facts.void("GPA.1", 7);
    facts.replaced_at = Some(8);
    let kept = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&kept).unwrap(), facts);
}
