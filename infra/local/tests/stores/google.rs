//! The Play Developer API, and what happens to purchases in it.

use satchel_local::Local;
use satchel_local::stores::{ActIn, BuyIn, GoogleDone, Refused};
use serde_json::{Value, json};

use crate::support::{
    DAY, MONTHLY, NOW, SUPPORTER, YEARLY, ask, assertion, days, google, grant, held, on, seconds, start,
};

const TOKEN: &str = "018f0000-0000-7000-8000-000000000001";

fn said(done: &GoogleDone) -> String {
    done.notifications.iter().map(|it| it.kind.as_str()).collect::<Vec<_>>().join(" ")
}

async fn subscription(local: &Local, token: &str) -> Value {
    google(local, "GET", &format!("subscriptionsv2/tokens/{token}")).await.ok()
}

async fn state(local: &Local, token: &str) -> String {
    let body = subscription(local, token).await;
    body["subscriptionState"].as_str().unwrap().trim_start_matches("SUBSCRIPTION_STATE_").to_owned()
}

#[tokio::test]
async fn a_subscription_is_answered_with_all_that_google_says() {
    let local = start().await;
    let store = local.stores().google();
    let bought = store.buy(BuyIn { account_token: Some(TOKEN.to_owned()), ..held(MONTHLY) }).await.unwrap();
    assert_eq!(said(&bought), "subscription.4");
    let body = subscription(&local, &bought.purchase_token).await;
    assert_eq!(
        body,
        json!({
            "kind": "androidpublisher#subscriptionPurchaseV2", "regionCode": "DE",
            "startTime": "2026-01-01T00:00:00.000Z", "subscriptionState": "SUBSCRIPTION_STATE_ACTIVE",
            "latestOrderId": bought.order_id, "acknowledgementState": "ACKNOWLEDGEMENT_STATE_PENDING",
            "etag": body["etag"],
            "externalAccountIdentifiers": { "obfuscatedExternalAccountId": TOKEN },
            "lineItems": [{
                "productId": MONTHLY, "expiryTime": "2026-01-31T00:00:00.000Z",
                "latestSuccessfulOrderId": bought.order_id,
                "autoRenewingPlan": {
                    "autoRenewEnabled": true,
                    "recurringPrice": { "currencyCode": "EUR", "units": "4", "nanos": 990_000_000 },
                },
                "offerDetails": { "basePlanId": "monthly" }, "offerPhase": { "basePrice": {} },
            }],
        })
    );
    let acknowledge = format!("subscriptions/{MONTHLY}/tokens/{}:acknowledge", bought.purchase_token);
    assert_eq!(google(&local, "POST", &acknowledge).await.status, 204);
    let body = subscription(&local, &bought.purchase_token).await;
    assert_eq!(body["acknowledgementState"], "ACKNOWLEDGEMENT_STATE_ACKNOWLEDGED");
    store.cancel(on(&bought.purchase_token)).await.unwrap();
    let body = subscription(&local, &bought.purchase_token).await;
    assert_eq!(body["lineItems"][0]["autoRenewingPlan"].get("autoRenewEnabled"), None, "absent, not false");
    assert_eq!(
        body["canceledStateContext"],
        json!({ "userInitiatedCancellation": { "cancelTime": "2026-01-01T00:00:00.000Z" } })
    );
}

#[tokio::test]
async fn a_one_time_purchase_is_answered_in_its_own_shape() {
    let local = start().await;
    let store = local.stores().google();
    let bought = store.buy(BuyIn { test: true, ..held(SUPPORTER) }).await.unwrap();
    assert_eq!(said(&bought), "one_time.1");
    let path = format!("productsv2/tokens/{}", bought.purchase_token);
    assert_eq!(
        google(&local, "GET", &path).await.ok(),
        json!({
            "kind": "androidpublisher#productPurchaseV2", "regionCode": "DE", "orderId": bought.order_id,
            "productLineItem": [{
                "productId": SUPPORTER,
                "productOfferDetails": {
                    "quantity": 1, "refundableQuantity": 1,
                    "consumptionState": "CONSUMPTION_STATE_YET_TO_BE_CONSUMED",
                },
            }],
            "purchaseStateContext": { "purchaseState": "PURCHASED" },
            "purchaseCompletionTime": "2026-01-01T00:00:00.000Z",
            "acknowledgementState": "ACKNOWLEDGEMENT_STATE_PENDING", "testPurchaseContext": { "fopType": "TEST" },
        })
    );
    let call = |product: &str| format!("products/{product}/tokens/{}:acknowledge", bought.purchase_token);
    assert_eq!(google(&local, "POST", &call("other")).await.status, 400);
    assert_eq!(google(&local, "POST", &call(SUPPORTER)).await.status, 204);
    assert_eq!(said(&store.refund(on(&bought.purchase_token)).await.unwrap()), "voided");
    let body = google(&local, "GET", &path).await.ok();
    assert_eq!(body["purchaseStateContext"]["purchaseState"], "CANCELLED");
}

#[tokio::test]
async fn nobody_is_answered_without_a_token_for_a_right_assertion() {
    let local = start().await;
    let local = &local;
    let bought = local.stores().google().buy(held(MONTHLY)).await.unwrap();
    let path = format!(
        "google/androidpublisher/v3/applications/app.satchel/purchases/subscriptionsv2/tokens/{}",
        bought.purchase_token
    );
    let path = path.as_str();
    let get = async |bearer: Option<&str>| ask(local, "GET", path, bearer, b"").await.status;
    assert_eq!(get(None).await, 401);
    assert_eq!(get(Some("ya29.made-up")).await, 401);
    let granted = grant(local, &assertion(local, |_| ())).await.ok();
    assert_eq!((&granted["token_type"], &granted["expires_in"]), (&json!("Bearer"), &json!(3_599)));
    let token = granted["access_token"].as_str().unwrap();
    assert_eq!(get(Some(token)).await, 200);
    seconds(local, 3_600);
    assert_eq!(get(Some(token)).await, 401);
    let now = NOW + 3_600;
    for (name, value) in [
        ("iss", json!("somebody@local.iam.gserviceaccount.com")),
        ("aud", json!("https://other.example")),
        ("scope", json!("https://www.googleapis.com/auth/drive")),
        ("exp", json!(now)),
        ("exp", json!(now + 7_200)),
        ("iat", json!(now + 600)),
    ] {
        let wrong = assertion(local, |claims| claims[name] = value.clone());
        assert_eq!(grant(local, &wrong).await.status, 400, "{name} {value}");
    }
    let google_itself = assertion(local, |claims| claims["aud"] = json!("https://oauth2.googleapis.com/token"));
    assert_eq!(grant(local, &google_itself).await.status, 200);
    let mut broken = assertion(local, |_| ());
    broken.replace_range(broken.len() - 8.., "AAAAAAAA");
    assert_eq!(grant(local, &broken).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn tokens_that_nobody_has_are_404_and_those_of_long_ago_410() {
    let local = start().await;
    let store = local.stores().google();
    let bought = store.buy(held(MONTHLY)).await.unwrap();
    let token = &bought.purchase_token;
    assert_eq!(google(&local, "GET", "subscriptionsv2/tokens/nobody").await.status, 404);
    assert_eq!(google(&local, "POST", "subscriptions/x/tokens/nobody:acknowledge").await.status, 404);
    google(&local, "POST", &format!("subscriptions/x/tokens/{token}:acknowledge")).await;
    days(&local, 90);
    assert_eq!(state(&local, token).await, "EXPIRED");
    seconds(&local, 1);
    let gone = google(&local, "GET", &format!("subscriptionsv2/tokens/{token}")).await;
    assert_eq!(gone.status, 410);
    assert_eq!(gone.json()["error"]["errors"][0]["reason"], "subscriptionPurchaseNoLongerAvailable");
    let granted = grant(&local, &assertion(&local, |_| ())).await.ok();
    let other = format!("google/androidpublisher/v3/applications/com.other/purchases/subscriptionsv2/tokens/{token}");
    assert_eq!(ask(&local, "GET", &other, granted["access_token"].as_str(), b"").await.status, 404);
}

#[tokio::test]
async fn a_subscription_goes_its_way_and_google_tells_of_each_step() {
    let local = start().await;
    let store = local.stores().google();
    let bought = store.buy(BuyIn { trial: true, ..held(MONTHLY) }).await.unwrap();
    let token = bought.purchase_token.as_str();
    google(&local, "POST", &format!("subscriptions/x/tokens/{token}:acknowledge")).await;
    assert_eq!(subscription(&local, token).await["lineItems"][0]["offerPhase"], json!({ "freeTrial": {} }));
    days(&local, 7);
    let renewed = store.renew(on(token)).await.unwrap();
    assert_eq!(said(&renewed), "subscription.2");
    assert_eq!(renewed.order_id, Some(format!("{}..0", bought.order_id.clone().unwrap())));
    let line = subscription(&local, token).await["lineItems"][0].clone();
    assert_eq!(
        (&line["expiryTime"], &line["offerPhase"]),
        (&json!("2026-02-07T00:00:00.000Z"), &json!({ "basePrice": {} }))
    );

    assert_eq!(said(&store.cancel(on(token)).await.unwrap()), "subscription.3");
    assert_eq!(state(&local, token).await, "CANCELED");
    assert_eq!(said(&store.resume(on(token)).await.unwrap()), "subscription.7");
    days(&local, 30);
    assert_eq!(said(&store.fail(on(token)).await.unwrap()), "subscription.6");
    let body = subscription(&local, token).await;
    assert_eq!(body["subscriptionState"], "SUBSCRIPTION_STATE_IN_GRACE_PERIOD");
    assert_eq!(body["lineItems"][0]["expiryTime"], "2026-02-14T00:00:00.000Z", "the grace period's end");
    assert_eq!(said(&store.recover(on(token)).await.unwrap()), "subscription.2");
    let line = subscription(&local, token).await["lineItems"][0].clone();
    assert_eq!(line["expiryTime"], "2026-03-09T00:00:00.000Z", "from where the paid period ended");

    assert_eq!(said(&store.hold(on(token)).await.unwrap()), "subscription.5");
    assert_eq!(state(&local, token).await, "ON_HOLD");
    assert_eq!(said(&store.recover(on(token)).await.unwrap()), "subscription.1");
    let pause = ActIn { schedule: true, ..on(token) };
    assert_eq!(said(&store.pause(pause).await.unwrap()), "subscription.11");
    assert_eq!(state(&local, token).await, "ACTIVE");
    assert_eq!(said(&store.pause(on(token)).await.unwrap()), "subscription.10");
    let body = subscription(&local, token).await;
    assert_eq!(body["subscriptionState"], "SUBSCRIPTION_STATE_PAUSED");
    assert!(body["pausedStateContext"]["autoResumeTime"].is_string());
    assert_eq!(said(&store.resume(on(token)).await.unwrap()), "subscription.1");
    assert_eq!(said(&store.extend(on(token)).await.unwrap()), "subscription.9");
    assert_eq!(said(&store.price_increase(on(token)).await.unwrap()), "subscription.19");
    store.hold(on(token)).await.unwrap();
    assert_eq!(said(&store.cancel(on(token)).await.unwrap()), "subscription.3 subscription.13");
    assert_eq!(state(&local, token).await, "EXPIRED");
    assert!(matches!(store.renew(on(token)).await, Err(Refused::State(_))));
}

#[tokio::test]
async fn an_upgrade_is_heard_of_before_the_old_purchase_ends() {
    let local = start().await;
    let store = local.stores().google();
    let old = store.buy(BuyIn { account_token: Some(TOKEN.to_owned()), ..held(MONTHLY) }).await.unwrap();
    let to = ActIn { product_id: Some(YEARLY.to_owned()), ..on(&old.purchase_token) };
    let new = store.upgrade(to).await.unwrap();
    let tokens: Vec<_> = new.notifications.iter().map(|it| it.purchase_token.clone().unwrap()).collect();
    assert_eq!(
        (said(&new).as_str(), tokens),
        ("subscription.4 subscription.13", vec![new.purchase_token.clone(), old.purchase_token.clone()])
    );
    let body = subscription(&local, &new.purchase_token).await;
    assert_eq!(
        (&body["linkedPurchaseToken"], &body["lineItems"][0]["productId"]),
        (&json!(old.purchase_token), &json!(YEARLY))
    );
    assert_eq!(body["externalAccountIdentifiers"]["obfuscatedExternalAccountId"], TOKEN);
    let body = subscription(&local, &old.purchase_token).await;
    assert_eq!(body["canceledStateContext"], json!({ "replacementCancellation": {} }));
    assert_eq!(body["subscriptionState"], "SUBSCRIPTION_STATE_EXPIRED");

    let to = ActIn { product_id: Some(MONTHLY.to_owned()), ..on(&new.purchase_token) };
    let down = store.downgrade(to).await.unwrap();
    let line = subscription(&local, &down.purchase_token).await["lineItems"][0].clone();
    assert_eq!((&line["productId"], &line["deferredItemReplacement"]["productId"]), (&json!(YEARLY), &json!(MONTHLY)));
    google(&local, "POST", &format!("subscriptions/x/tokens/{}:acknowledge", down.purchase_token)).await;
    days(&local, 365);
    store.renew(on(&down.purchase_token)).await.unwrap();
    let line = subscription(&local, &down.purchase_token).await["lineItems"][0].clone();
    assert_eq!((&line["productId"], line.get("deferredItemReplacement")), (&json!(MONTHLY), None));
}

#[tokio::test]
async fn a_pending_purchase_is_paid_for_or_given_up() {
    let local = start().await;
    let store = local.stores().google();
    let pending = |product: &str| BuyIn { pending: true, ..held(product) };
    let bought = store.buy(pending(MONTHLY)).await.unwrap();
    let token = bought.purchase_token.as_str();
    assert_eq!((bought.order_id.clone(), said(&bought).as_str()), (None, "subscription.4"));
    assert_eq!(state(&local, token).await, "PENDING");
    let line = subscription(&local, token).await["lineItems"][0].clone();
    assert_eq!(line.get("expiryTime"), None);
    let acknowledge = format!("subscriptions/x/tokens/{token}:acknowledge");
    assert_eq!(google(&local, "POST", &acknowledge).await.status, 400);
    days(&local, 2);
    assert_eq!(said(&store.complete(on(token)).await.unwrap()), "subscription.4");
    assert_eq!(state(&local, token).await, "ACTIVE");
    assert_eq!(google(&local, "POST", &acknowledge).await.status, 204);

    let other = store.buy(pending(MONTHLY)).await.unwrap();
    assert_eq!(said(&store.cancel(on(&other.purchase_token)).await.unwrap()), "subscription.20");
    assert_eq!(state(&local, &other.purchase_token).await, "PENDING_PURCHASE_CANCELED");
    let one = store.buy(pending(SUPPORTER)).await.unwrap();
    assert_eq!(said(&store.cancel(on(&one.purchase_token)).await.unwrap()), "one_time.2");
    let body = google(&local, "GET", &format!("productsv2/tokens/{}", one.purchase_token)).await.ok();
    assert_eq!(body["purchaseStateContext"]["purchaseState"], "CANCELLED");
}

#[tokio::test]
async fn what_nobody_acknowledges_is_refunded_and_stands_among_what_was_voided() {
    let local = start().await;
    let store = local.stores().google();
    let real = store.buy(held(MONTHLY)).await.unwrap();
    let test = store.buy(BuyIn { test: true, ..held(SUPPORTER) }).await.unwrap();
    let kept = store.buy(held(MONTHLY)).await.unwrap();
    google(&local, "POST", &format!("subscriptions/x/tokens/{}:acknowledge", kept.purchase_token)).await;
    seconds(&local, 300);
    let list = google(&local, "GET", "voidedpurchases").await.ok();
    assert_eq!(list["voidedPurchases"][0]["purchaseToken"], test.purchase_token);
    assert_eq!(list["voidedPurchases"].as_array().unwrap().len(), 1, "subscriptions only where they are asked for");
    seconds(&local, 3 * DAY - 301);
    assert_eq!(state(&local, &real.purchase_token).await, "ACTIVE");
    seconds(&local, 1);
    assert_eq!(state(&local, &real.purchase_token).await, "EXPIRED");
    assert_eq!(state(&local, &kept.purchase_token).await, "ACTIVE");
    let list = google(&local, "GET", "voidedpurchases?type=1&maxResults=1").await.ok();
    let token = list["tokenPagination"]["nextPageToken"].as_str().unwrap();
    let list = google(&local, "GET", &format!("voidedpurchases?type=1&maxResults=1&token={token}")).await.ok();
    assert_eq!(
        list,
        json!({ "voidedPurchases": [{
            "kind": "androidpublisher#voidedPurchase", "purchaseToken": real.purchase_token,
            "purchaseTimeMillis": (NOW * 1_000).to_string(), "voidedTimeMillis": ((NOW + 3 * 86_400) * 1_000).to_string(),
            "orderId": real.order_id, "voidedSource": 2, "voidedReason": 8,
        }] })
    );
    let waiting: Vec<_> = local.stores().notifications().into_iter().map(|it| it.kind).collect();
    assert_eq!(waiting[3..], ["voided", "voided", "subscription.12", "subscription.13"]);
    let late = google(&local, "POST", &format!("subscriptions/x/tokens/{}:acknowledge", real.purchase_token)).await;
    assert_eq!(late.status, 400);
    days(&local, 31);
    assert_eq!(google(&local, "GET", "voidedpurchases?type=1").await.ok(), json!({}));
    assert_eq!(google(&local, "GET", &format!("voidedpurchases?startTime={}", NOW * 1_000)).await.status, 400);
}

#[tokio::test]
async fn a_refund_revokes_the_newest_order_and_a_chargeback_only_stands_in_the_list() {
    let local = start().await;
    let store = local.stores().google();
    let bought = store.buy(held(MONTHLY)).await.unwrap();
    let token = bought.purchase_token.as_str();
    google(&local, "POST", &format!("subscriptions/x/tokens/{token}:acknowledge")).await;
    days(&local, 30);
    store.renew(on(token)).await.unwrap();
    let old = ActIn { order_id: bought.order_id.clone(), ..on(token) };
    assert_eq!(said(&store.refund(old).await.unwrap()), "voided");
    assert_eq!(state(&local, token).await, "ACTIVE");
    assert_eq!(said(&store.void(on(token)).await.unwrap()), "voided");
    assert_eq!(state(&local, token).await, "ACTIVE");
    let list = google(&local, "GET", "voidedpurchases?type=1").await.ok();
    let reasons: Vec<_> =
        list["voidedPurchases"].as_array().unwrap().iter().map(|it| it["voidedReason"].clone()).collect();
    assert_eq!(reasons, [0, 7]);
    store.renew(on(token)).await.unwrap();
    assert_eq!(said(&store.revoke(on(token)).await.unwrap()), "voided subscription.12 subscription.13");
    assert_eq!(state(&local, token).await, "EXPIRED");
}

#[tokio::test]
async fn a_purchase_outside_of_the_app_names_the_expired_one_until_it_is_acknowledged() {
    let local = start().await;
    let store = local.stores().google();
    let old = store.buy(BuyIn { account_token: Some(TOKEN.to_owned()), ..held(MONTHLY) }).await.unwrap();
    store.expire(on(&old.purchase_token)).await.unwrap();
    let new = store.buy(BuyIn { continues: Some(old.purchase_token.clone()), ..held(MONTHLY) }).await.unwrap();
    let body = subscription(&local, &new.purchase_token).await;
    assert_eq!(
        body["outOfAppPurchaseContext"],
        json!({
            "expiredPurchaseToken": old.purchase_token,
            "expiredExternalAccountIdentifiers": { "obfuscatedExternalAccountId": TOKEN },
        })
    );
    google(&local, "POST", &format!("subscriptions/x/tokens/{}:acknowledge", new.purchase_token)).await;
    assert_eq!(subscription(&local, &new.purchase_token).await.get("outOfAppPurchaseContext"), None);
}
