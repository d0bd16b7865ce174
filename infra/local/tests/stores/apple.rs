//! The App Store Server API, and what happens to purchases in it.

use satchel_domain::appstore::{Environment as Side, Ownership, Source, TransactionReason};
use satchel_local::Local;
use satchel_local::stores::{ActIn, AppleDone, BuyIn, Environment, Refused};
use serde_json::{Value, json};

use crate::support::{
    MONTHLY, NOW, SUPPORTER, YEARLY, apple, apple_bearer, ask, days, held, notification, on, seconds, start,
    transaction, verifier, verifier_of,
};

const TOKEN: &str = "018f0000-0000-7000-8000-000000000001";

/// The status of the purchase of `done`, and its renewal info.
async fn status(local: &Local, done: &AppleDone) -> (i64, Value) {
    let id = &done.original_transaction_id;
    let body = apple(local, &format!("v1/subscriptions/{id}")).await.ok();
    let last = &body["data"][0]["lastTransactions"][0];
    let signed = last["signedRenewalInfo"].as_str().unwrap();
    verifier(local).renewal(signed, id, Source::Api, &[]).unwrap();
    let payload = signed.split('.').nth(1).unwrap();
    let payload = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload).unwrap();
    (last["status"].as_i64().unwrap(), serde_json::from_slice(&payload).unwrap())
}

fn said(done: &AppleDone) -> String {
    let said = done.notifications.iter().map(|it| match &it.subtype {
        Some(subtype) => format!("{}/{subtype}", it.kind),
        None => it.kind.clone(),
    });
    said.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn what_is_bought_is_signed_as_apple_does_and_answered_by_the_api() {
    let local = start().await;
    let store = local.stores().apple();
    let bought = store.buy(BuyIn { account_token: Some(TOKEN.to_owned()), ..held(MONTHLY) }).await.unwrap();
    assert_eq!(said(&bought), "SUBSCRIBED/INITIAL_BUY");
    assert_eq!(bought.transaction_id, "2000000000000001");
    let signed = transaction(&local, &bought.signed_transaction);
    assert_eq!(signed.transaction_id, bought.transaction_id);
    assert_eq!(signed.app_account_token.as_deref(), Some(TOKEN));
    assert_eq!(signed.expires_date.unwrap().as_second(), NOW + 30 * 86_400);
    assert_eq!(signed.in_app_ownership_type, Some(Ownership::Purchased));

    let answer = apple(&local, &format!("v1/transactions/{}", bought.transaction_id)).await.ok();
    assert_eq!(transaction(&local, answer["signedTransactionInfo"].as_str().unwrap()), signed);
    let answer = apple(&local, &format!("v1/subscriptions/{}", bought.transaction_id)).await.ok();
    assert_eq!(answer["bundleId"], "app.satchel");
    assert_eq!(answer["environment"], "Production");
    assert_eq!(answer["data"].as_array().unwrap().len(), 1);
    let (number, renewal) = status(&local, &bought).await;
    assert_eq!((number, &renewal["autoRenewStatus"]), (1, &json!(1)));
    assert_eq!(renewal["renewalDate"], (NOW + 30 * 86_400) * 1_000);
}

#[tokio::test]
async fn a_purchase_of_one_environment_is_unknown_in_the_other() {
    let local = start().await;
    let store = local.stores().apple();
    let bought = store.buy(BuyIn { environment: Environment::Sandbox, ..held(MONTHLY) }).await.unwrap();
    let path = format!("v1/transactions/{}", bought.transaction_id);
    assert_eq!(apple(&local, &path).await.refusal(), (404, 4_040_010));
    let bearer = apple_bearer(&local, |_, _| ());
    let sandbox = ask(&local, "GET", &format!("apple/sandbox/inApps/{path}"), Some(&bearer), b"").await.ok();
    let signed = sandbox["signedTransactionInfo"].as_str().unwrap();
    assert!(verifier(&local).transaction(signed, Source::Api, &[]).is_err());
    assert!(verifier_of(&local, Side::Sandbox).transaction(signed, Source::Api, &[]).is_ok());
    for (id, wanted) in [("2000000000009999", (404, 4_040_010)), ("abc", (400, 4_000_006)), ("1e3", (400, 4_000_006))] {
        assert_eq!(apple(&local, &format!("v1/transactions/{id}")).await.refusal(), wanted, "{id}");
    }
}

#[tokio::test]
async fn a_bearer_that_is_not_right_in_every_part_is_401() {
    let local = start().await;
    let bought = local.stores().apple().buy(held(MONTHLY)).await.unwrap();
    let path = format!("apple/production/inApps/v1/transactions/{}", bought.transaction_id);
    let (local, path) = (&local, path.as_str());
    let get = async |bearer: Option<&str>| ask(local, "GET", path, bearer, b"").await.status;
    assert_eq!(get(Some(&apple_bearer(local, |_, _| ()))).await, 200);
    assert_eq!(get(None).await, 401);
    let wrong: [(&str, Value); 7] = [
        ("iss", json!("somebody")),
        ("bid", json!("com.example.other")),
        ("aud", json!("appstoreconnect-v2")),
        ("iat", json!(NOW + 1)),
        ("exp", json!(NOW)),
        ("exp", json!(NOW + 3_700)),
        ("bid", Value::Null),
    ];
    for (name, value) in wrong {
        let bearer = apple_bearer(local, |_, claims| claims[name] = value.clone());
        assert_eq!(get(Some(&bearer)).await, 401, "{name} {value}");
    }
    assert_eq!(get(Some(&apple_bearer(local, |header, _| header.kid = Some("OTHER".to_owned())))).await, 401);
    let mut broken = apple_bearer(local, |_, _| ());
    broken.replace_range(broken.len() - 8.., "AAAAAAAA");
    assert_eq!(get(Some(&broken)).await, 401);
}

#[tokio::test]
async fn a_subscription_goes_its_way_and_apple_tells_of_each_step() {
    let local = start().await;
    let store = local.stores().apple();
    let bought = store.buy(BuyIn { trial: true, ..held(MONTHLY) }).await.unwrap();
    let id = bought.original_transaction_id.as_str();
    assert_eq!(transaction(&local, &bought.signed_transaction).expires_date.unwrap().as_second(), NOW + 7 * 86_400);

    days(&local, 7);
    let renewed = store.renew(on(id)).await.unwrap();
    assert_eq!(said(&renewed), "DID_RENEW");
    let signed = transaction(&local, &renewed.signed_transaction);
    assert_eq!(signed.purchase_date.as_second(), NOW + 7 * 86_400, "where the period before ended");
    assert_eq!(signed.transaction_reason, Some(TransactionReason::Renewal));
    assert_eq!(signed.original_transaction_id, id);

    let cancelled = store.cancel(on(id)).await.unwrap();
    assert_eq!(said(&cancelled), "DID_CHANGE_RENEWAL_STATUS/AUTO_RENEW_DISABLED");
    assert_eq!(status(&local, &bought).await.1["autoRenewStatus"], 0);
    assert!(matches!(store.renew(on(id)).await, Err(Refused::State(_))));
    assert_eq!(said(&store.resume(on(id)).await.unwrap()), "DID_CHANGE_RENEWAL_STATUS/AUTO_RENEW_ENABLED");

    days(&local, 30);
    assert_eq!(said(&store.fail(on(id)).await.unwrap()), "DID_FAIL_TO_RENEW/GRACE_PERIOD");
    let (number, renewal) = status(&local, &bought).await;
    assert_eq!((number, &renewal["isInBillingRetryPeriod"]), (4, &json!(true)));
    assert_eq!(renewal["gracePeriodExpiresDate"], (NOW + 53 * 86_400) * 1_000);
    assert_eq!(said(&store.grace_expire(on(id)).await.unwrap()), "GRACE_PERIOD_EXPIRED");
    assert_eq!(status(&local, &bought).await.0, 3);
    seconds(&local, 3_600);
    let recovered = store.recover(on(id)).await.unwrap();
    assert_eq!(said(&recovered), "DID_RENEW/BILLING_RECOVERY");
    assert_eq!(status(&local, &bought).await.0, 1);

    assert_eq!(said(&store.extend(on(id)).await.unwrap()), "RENEWAL_EXTENDED");
    assert_eq!(said(&store.price_increase(on(id)).await.unwrap()), "PRICE_INCREASE/PENDING");
    assert_eq!(status(&local, &bought).await.1["priceIncreaseStatus"], 0);
    assert_eq!(said(&store.hold(on(id)).await.unwrap()), "DID_FAIL_TO_RENEW");
    assert_eq!(said(&store.expire(on(id)).await.unwrap()), "EXPIRED/BILLING_RETRY");
    let (number, renewal) = status(&local, &bought).await;
    assert_eq!((number, &renewal["expirationIntent"]), (2, &json!(2)));

    let again = BuyIn { original_transaction_id: Some(id.to_owned()), ..held(YEARLY) };
    let again = store.buy(again).await.unwrap();
    assert_eq!(said(&again), "SUBSCRIBED/RESUBSCRIBE");
    assert_eq!(again.original_transaction_id, id);
    assert_ne!(again.transaction_id, id);
    assert_eq!(status(&local, &bought).await.0, 1);
}

#[tokio::test]
async fn an_upgrade_counts_at_once_and_a_downgrade_at_the_next_renewal() {
    let local = start().await;
    let store = local.stores().apple();
    let bought = store.buy(held(MONTHLY)).await.unwrap();
    let id = bought.original_transaction_id.as_str();
    let to = |product: &str| ActIn { product_id: Some(product.to_owned()), ..on(id) };
    let upgraded = store.upgrade(to(YEARLY)).await.unwrap();
    assert_eq!(said(&upgraded), "DID_CHANGE_RENEWAL_PREF/UPGRADE");
    assert_eq!(transaction(&local, &upgraded.signed_transaction).product_id, YEARLY);
    let old = apple(&local, &format!("v1/transactions/{id}")).await.ok();
    assert!(transaction(&local, old["signedTransactionInfo"].as_str().unwrap()).is_upgraded);

    assert_eq!(said(&store.downgrade(to(MONTHLY)).await.unwrap()), "DID_CHANGE_RENEWAL_PREF/DOWNGRADE");
    assert_eq!(status(&local, &bought).await.1["autoRenewProductId"], MONTHLY);
    assert_eq!(said(&store.downgrade(to(YEARLY)).await.unwrap()), "DID_CHANGE_RENEWAL_PREF");
    store.downgrade(to(MONTHLY)).await.unwrap();
    days(&local, 365);
    let renewed = store.renew(on(id)).await.unwrap();
    let signed = transaction(&local, &renewed.signed_transaction);
    assert_eq!(signed.product_id, MONTHLY);
    assert_eq!(signed.expires_date.unwrap().as_second(), NOW + 395 * 86_400);
    assert!(matches!(store.upgrade(to("app.satchel.ai.monthly")).await, Err(Refused::Invalid(_))));
}

#[tokio::test]
async fn a_refund_of_an_old_transaction_leaves_the_subscription_active_and_of_the_newest_revokes_it() {
    let local = start().await;
    let store = local.stores().apple();
    let bought = store.buy(held(MONTHLY)).await.unwrap();
    let id = bought.original_transaction_id.as_str();
    days(&local, 30);
    let renewed = store.renew(on(id)).await.unwrap();
    let refunded = store.refund(ActIn { percent: Some(50), ..on(id) }).await.unwrap();
    assert_eq!(said(&refunded), "REFUND");
    let signed = transaction(&local, &refunded.signed_transaction);
    assert_eq!((signed.transaction_id.as_str(), signed.revocation_percentage), (id, Some(50_000)));
    assert_eq!(status(&local, &bought).await.0, 1);
    store.refund(on(&renewed.transaction_id)).await.unwrap();
    assert_eq!(status(&local, &bought).await.0, 5);
    assert!(matches!(store.refund(on(&renewed.transaction_id)).await, Err(Refused::State(_))));
    assert_eq!(said(&store.refund_reverse(on(&renewed.transaction_id)).await.unwrap()), "REFUND_REVERSED");
    assert_eq!(status(&local, &bought).await.0, 1);
}

#[tokio::test]
async fn what_the_family_shares_has_no_token_and_can_be_revoked() {
    let local = start().await;
    let store = local.stores().apple();
    let shared = BuyIn { family_shared: true, account_token: Some(TOKEN.to_owned()), ..held(SUPPORTER) };
    let bought = store.buy(shared).await.unwrap();
    assert_eq!(said(&bought), "ONE_TIME_CHARGE");
    let signed = transaction(&local, &bought.signed_transaction);
    assert_eq!((signed.in_app_ownership_type, signed.app_account_token), (Some(Ownership::FamilyShared), None));
    assert_eq!((signed.expires_date, bought.signed_renewal.clone()), (None, None));
    assert_eq!(said(&store.revoke(on(&bought.transaction_id)).await.unwrap()), "REVOKE");
    let answer = apple(&local, &format!("v1/subscriptions/{}", bought.transaction_id)).await.ok();
    assert_eq!(answer["data"], json!([]));
}

#[tokio::test]
async fn each_transaction_keeps_the_account_token_it_was_bought_with() {
    const OTHER: &str = "018f0000-0000-7000-8000-000000000002";
    const THIRD: &str = "018f0000-0000-7000-8000-000000000003";
    let local = start().await;
    let store = local.stores().apple();
    let bought = store.buy(BuyIn { account_token: Some(TOKEN.to_owned()), ..held(MONTHLY) }).await.unwrap();
    let id = bought.original_transaction_id.as_str();
    let named = |signed: &str| transaction(&local, signed).app_account_token.unwrap_or_default();
    let of = async |id: &str| {
        let answer = apple(&local, &format!("v1/transactions/{id}")).await.ok();
        named(answer["signedTransactionInfo"].as_str().unwrap())
    };

    let to = |token: &str| ActIn { account_token: Some(token.to_owned()), ..on(id) };
    let transferred = store.transfer(to(OTHER)).await.unwrap();
    assert_eq!((named(&transferred.signed_transaction).as_str(), said(&transferred).as_str()), (TOKEN, ""));
    assert_eq!(status(&local, &bought).await.1["appAccountToken"], OTHER);
    days(&local, 30);
    let renewed = store.renew(on(id)).await.unwrap();
    assert_eq!(named(&renewed.signed_transaction), OTHER);
    assert_eq!(of(id).await, TOKEN);

    store.expire(on(id)).await.unwrap();
    let again =
        BuyIn { original_transaction_id: Some(id.to_owned()), account_token: Some(THIRD.to_owned()), ..held(YEARLY) };
    let again = store.buy(again).await.unwrap();
    assert_eq!((named(&again.signed_transaction).as_str(), said(&again).as_str()), (THIRD, "SUBSCRIBED/RESUBSCRIBE"));
    let refunded = store.refund(on(&renewed.transaction_id)).await.unwrap();
    assert_eq!((named(&refunded.signed_transaction).as_str(), said(&refunded).as_str()), (OTHER, "REFUND"));
    let inside = notification(&local, &refunded.notifications[0].body).unwrap().value;
    assert_eq!(inside.transaction.unwrap().app_account_token.as_deref(), Some(OTHER));
    assert_eq!(inside.renewal.unwrap().app_account_token.as_deref(), Some(THIRD));
    assert_eq!(
        [of(id).await, of(&renewed.transaction_id).await, of(&again.transaction_id).await],
        [TOKEN, OTHER, THIRD]
    );
    store.downgrade(ActIn { product_id: Some(MONTHLY.to_owned()), ..on(id) }).await.unwrap();
    let upgraded =
        store.upgrade(ActIn { product_id: Some("app.satchel.sync.weekly".to_owned()), ..on(id) }).await.unwrap();
    assert_eq!(named(&upgraded.signed_transaction), THIRD);
}

#[tokio::test]
async fn the_history_of_a_customer_comes_in_pages_by_what_changed_last() {
    let local = start().await;
    let store = local.stores().apple();
    let of_ada = |product: &str| BuyIn { customer: Some("ada".to_owned()), ..held(product) };
    let bought = store.buy(of_ada(MONTHLY)).await.unwrap();
    store.buy(held(MONTHLY)).await.unwrap();
    let other = store.buy(of_ada(SUPPORTER)).await.unwrap();
    let id = bought.original_transaction_id.as_str();
    for _ in 0..23 {
        days(&local, 30);
        store.renew(on(id)).await.unwrap();
    }
    let first = apple(&local, &format!("v2/history/{id}")).await.ok();
    assert_eq!((first["signedTransactions"].as_array().unwrap().len(), &first["hasMore"]), (20, &json!(true)));
    let revision = first["revision"].as_str().unwrap();
    let second = apple(&local, &format!("v2/history/{id}?revision={revision}")).await.ok();
    assert_eq!((second["signedTransactions"].as_array().unwrap().len(), &second["hasMore"]), (5, &json!(false)));
    // What changes comes again, behind what was read.
    store.refund(on(id)).await.unwrap();
    let revision = second["revision"].as_str().unwrap();
    let third = apple(&local, &format!("v2/history/{id}?revision={revision}")).await.ok();
    let ids = |page: &Value| -> Vec<String> {
        let all = page["signedTransactions"].as_array().unwrap().iter();
        all.map(|signed| transaction(&local, signed.as_str().unwrap()).transaction_id).collect()
    };
    assert_eq!(ids(&third), [id]);
    let revoked = apple(&local, &format!("v2/history/{id}?revoked=true")).await.ok();
    assert_eq!(ids(&revoked), [id]);
    let one = apple(&local, &format!("v2/history/{id}?productType=NON_CONSUMABLE&sort=DESCENDING")).await.ok();
    assert_eq!(ids(&one), [other.transaction_id]);
    assert_eq!(apple(&local, &format!("v2/history/{id}?revision=x")).await.refusal(), (400, 4_000_005));
}

#[tokio::test]
async fn statuses_are_of_all_subscriptions_of_a_customer_and_can_be_asked_for_by_status() {
    let local = start().await;
    let store = local.stores().apple();
    let of_ada = |product: &str| BuyIn { customer: Some("ada".to_owned()), ..held(product) };
    let sync = store.buy(of_ada(MONTHLY)).await.unwrap();
    let ai = store.buy(of_ada("app.satchel.ai.monthly")).await.unwrap();
    assert!(matches!(store.buy(of_ada(YEARLY)).await, Err(Refused::State(_))), "one a group");
    store.expire(on(&ai.transaction_id)).await.unwrap();
    let id = &sync.transaction_id;
    let count = |body: &Value| body["data"].as_array().unwrap().len();
    assert_eq!(count(&apple(&local, &format!("v1/subscriptions/{id}")).await.ok()), 2);
    assert_eq!(count(&apple(&local, &format!("v1/subscriptions/{id}?status=1&status=4")).await.ok()), 1);
    assert_eq!(apple(&local, &format!("v1/subscriptions/{id}?status=9")).await.refusal(), (400, 4_000_031));
}
