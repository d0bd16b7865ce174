//! Notifications on their way: sent, held, lost, repeated, shuffled, forged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use satchel_domain::appstore::{NotificationType, Subtype};
use satchel_domain::identity::keys::KeySet;
use satchel_domain::playstore::Push;
use satchel_local::Local;
use satchel_local::services::FaultRule;
use satchel_local::stores::{All, BuyIn, DeliverIn, Forge, Refused, Store, Which};
use serde_json::{Value, json};

use crate::support::{MONTHLY, NOW, apple_bearer, ask, days, held, hooked, notification, on, start};

/// Google's pushes as they are configured here.
fn push() -> Push {
    let (audience, email) =
        ("https://satchel.local/payments/webhook/google", "play-push@local.iam.gserviceaccount.com");
    Push::new(audience, email, "projects/local/subscriptions/play", "app.satchel").unwrap()
}

/// What is found of a push: of its bearer, else of its message.
async fn judged(local: &Local, hook: &Value) -> Result<(), String> {
    let keys = ask(local, "GET", "google/certs", None, b"").await;
    let keys = KeySet::parse(&keys.bytes).unwrap();
    let bearer = hook["bearer"].as_str().and_then(|it| it.strip_prefix("Bearer ")).ok_or("no bearer")?;
    push().bearer(bearer, &keys, local.clock().now()).map_err(|reason| format!("{reason:?}"))?;
    push().message(hook["body"].to_string().as_bytes()).map(|_| ()).map_err(|reason| format!("{reason:?}"))
}

fn trouble(local: &Local) {
    let rule: FaultRule = serde_json::from_value(json!({ "service": "sns", "kind": "error" })).unwrap();
    local.services().faults().add(rule).unwrap();
}

#[tokio::test]
async fn a_purchase_is_told_at_once_in_a_text_that_is_believed() {
    let local = start().await;
    let bought = local.stores().apple().buy(BuyIn::of(MONTHLY)).await.unwrap();
    let told = &bought.notifications[0];
    assert!(told.delivered);
    assert_eq!(told.attempts[0].status, 204);
    let hooks = hooked(&local);
    assert_eq!(hooks.len(), 1);
    assert_eq!(hooks[0]["body"], told.body);
    let event = notification(&local, &told.body).unwrap().value;
    assert_eq!(event.notification.notification_type, NotificationType::Subscribed);
    assert_eq!(event.notification.subtype, Some(Subtype::InitialBuy));
    assert_eq!(event.notification.uuid, told.id);
    assert_eq!(event.transaction.unwrap().transaction_id, bought.transaction_id);
    assert!(event.renewal.unwrap().will_renew());
}

#[tokio::test]
async fn a_push_comes_with_a_bearer_of_the_service_account_that_is_configured() {
    let local = start().await;
    let bought = local.stores().google().buy(BuyIn::of(MONTHLY)).await.unwrap();
    let hooks = hooked(&local);
    assert_eq!(judged(&local, &hooks[0]).await, Ok(()));
    let data = STANDARD.decode(hooks[0]["body"]["message"]["data"].as_str().unwrap()).unwrap();
    let data: Value = serde_json::from_slice(&data).unwrap();
    assert_eq!(
        data,
        json!({
            "version": "1.0", "packageName": "app.satchel", "eventTimeMillis": (NOW * 1_000).to_string(),
            "subscriptionNotification": {
                "version": "1.0", "notificationType": 4, "purchaseToken": bought.purchase_token,
                "subscriptionId": MONTHLY,
            },
        })
    );
    let receipt: Value = serde_json::from_slice(&STANDARD.decode(bought.receipt_data).unwrap()).unwrap();
    assert_eq!(receipt, json!({ "packageName": "app.satchel", "purchaseToken": bought.purchase_token }));
}

#[tokio::test]
async fn what_is_held_or_lost_is_in_apples_history_of_failures_until_it_is_delivered() {
    let local = start().await;
    let stores = local.stores();
    let bought = stores.apple().buy(held(MONTHLY)).await.unwrap();
    trouble(&local);
    let lost = stores.apple().cancel(satchel_local::stores::ActIn::on(&bought.transaction_id)).await.unwrap();
    assert_eq!((lost.notifications[0].delivered, lost.notifications[0].attempts[0].status), (false, 503));
    local.services().faults().clear();
    stores.apple().resume(satchel_local::stores::ActIn::on(&bought.transaction_id)).await.unwrap();
    let local = &local;
    let failures = async || {
        let body = json!({ "startDate": NOW * 1_000 - 1, "endDate": NOW * 1_000 + 60_000, "onlyFailures": true });
        let bearer = apple_bearer(local, |_, _| ());
        let path = "apple/production/inApps/v1/notifications/history";
        ask(local, "POST", path, Some(&bearer), body.to_string().as_bytes()).await.ok()
    };
    let found = failures().await;
    let results = found["notificationHistory"].as_array().unwrap().iter().map(|item| {
        notification(local, item).unwrap();
        item["sendAttempts"][0]["sendAttemptResult"].clone()
    });
    let results: Vec<Value> = results.collect();
    assert_eq!(
        (results, &found["hasMore"]),
        (vec![json!("NO_RESPONSE"), json!("UNSUCCESSFUL_HTTP_RESPONSE_CODE")], &json!(false))
    );
    let sent = stores.deliver(DeliverIn::default()).await.unwrap();
    assert_eq!(sent.iter().map(|it| it.status).collect::<Vec<_>>(), [204, 204]);
    assert_eq!(failures().await["notificationHistory"], json!([]));
    assert_eq!(stores.deliver(DeliverIn::default()).await.unwrap(), []);
}

#[tokio::test]
async fn the_history_comes_in_pages_and_by_customer_and_type() {
    let local = start().await;
    let store = local.stores().apple();
    let bought = store.buy(held(MONTHLY)).await.unwrap();
    let other = store.buy(held(MONTHLY)).await.unwrap();
    for _ in 0..11 {
        store.cancel(on(&bought.transaction_id)).await.unwrap();
        store.resume(on(&bought.transaction_id)).await.unwrap();
    }
    let local = &local;
    let ask_for = async |query: &str, filter: Value| {
        let mut body = json!({ "startDate": NOW * 1_000, "endDate": NOW * 1_000 + 60_000 });
        for (name, value) in filter.as_object().unwrap() {
            body[name] = value.clone();
        }
        let path = format!("apple/production/inApps/v1/notifications/history{query}");
        ask(local, "POST", &path, Some(&apple_bearer(local, |_, _| ())), body.to_string().as_bytes()).await
    };
    let count = |page: &Value| page["notificationHistory"].as_array().unwrap().len();
    let first = ask_for("", json!({})).await.ok();
    assert_eq!((count(&first), &first["hasMore"]), (20, &json!(true)));
    let query = format!("?paginationToken={}", first["paginationToken"].as_str().unwrap());
    let second = ask_for(&query, json!({})).await.ok();
    assert_eq!((count(&second), &second["hasMore"], second.get("paginationToken")), (4, &json!(false), None));
    assert_eq!(count(&ask_for("", json!({ "transactionId": other.transaction_id })).await.ok()), 1);
    let kind = json!({ "notificationType": "DID_CHANGE_RENEWAL_STATUS", "notificationSubtype": "AUTO_RENEW_ENABLED" });
    assert_eq!(count(&ask_for("", kind).await.ok()), 11);
    for (query, filter, code) in [
        ("?paginationToken=x", json!({}), 4_000_014),
        ("", json!({ "startDate": null }), 4_000_015),
        ("", json!({ "endDate": 1 }), 4_000_013),
        ("", json!({ "startDate": 1 }), 4_000_012),
        ("", json!({ "transactionId": bought.transaction_id, "notificationType": "TEST" }), 4_000_019),
    ] {
        assert_eq!(ask_for(query, filter.clone()).await.refusal(), (400, code), "{filter}");
    }
}

#[tokio::test]
async fn copies_come_in_an_order_that_follows_from_the_seed() {
    let local = start().await;
    let stores = local.stores();
    let bought = stores.google().buy(held(MONTHLY)).await.unwrap();
    for _ in 0..2 {
        stores.google().cancel(on(&bought.purchase_token)).await.unwrap();
        stores.google().resume(on(&bought.purchase_token)).await.unwrap();
    }
    let send = async |seed: Option<u64>, parallel: bool| {
        let all = DeliverIn {
            ids: Which::Word(All::All),
            copies: Some(3),
            shuffle_seed: seed,
            parallel,
            ..DeliverIn::default()
        };
        stores.deliver(all).await.unwrap().into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    let plain = send(None, false).await;
    assert_eq!(plain.len(), 15);
    let shuffled = send(Some(7), false).await;
    assert_eq!(shuffled, send(Some(7), true).await);
    assert_ne!(shuffled, plain);
    assert_ne!(shuffled, send(Some(8), false).await);
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(shuffled), sorted(plain));
    assert_eq!(hooked(&local).len(), 60);
}

#[tokio::test]
async fn each_forgery_of_apples_is_refused_for_what_is_false() {
    let local = start().await;
    let stores = local.stores();
    let bought = stores.apple().buy(held(MONTHLY)).await.unwrap();
    for (forge, part, reason) in [
        (Forge::Signature, "outer", "signature"),
        (Forge::Alg, "outer", "algorithm"),
        (Forge::Chain, "outer", "path_signature"),
        (Forge::Inner, "transaction", "path_signature"),
        (Forge::Bundle, "outer", "bundle"),
        (Forge::AppId, "outer", "app_id"),
        (Forge::Environment, "outer", "environment"),
        (Forge::Garbage, "outer", "segments"),
    ] {
        stores.deliver(DeliverIn { forge: Some(forge), ..DeliverIn::one(&bought.notifications[0].id) }).await.unwrap();
        let body = hooked(&local).pop().unwrap()["body"].clone();
        let refused = notification(&local, &body).unwrap_err();
        assert_eq!((refused.part.as_str(), refused.reason.as_str()), (part, reason), "{forge:?}");
    }
    assert!(!stores.notifications()[0].delivered, "a forged one is none of the store's");
    let wrong = DeliverIn { forge: Some(Forge::Email), ..DeliverIn::default() };
    assert!(matches!(stores.deliver(wrong).await, Err(Refused::Invalid(_))));
}

#[tokio::test]
async fn each_forgery_of_googles_is_refused_for_what_is_false() {
    let local = start().await;
    let stores = local.stores();
    let bought = stores.google().buy(held(MONTHLY)).await.unwrap();
    let mut reasons = Vec::new();
    for forge in [
        Forge::Signature,
        Forge::Alg,
        Forge::Missing,
        Forge::Email,
        Forge::Unverified,
        Forge::Audience,
        Forge::Issuer,
        Forge::Expired,
        Forge::Subscription,
        Forge::Bundle,
        Forge::Garbage,
    ] {
        stores.deliver(DeliverIn { forge: Some(forge), ..DeliverIn::one(&bought.notifications[0].id) }).await.unwrap();
        let hook = hooked(&local).pop().unwrap();
        reasons.push(judged(&local, &hook).await.unwrap_err());
    }
    let distinct: std::collections::BTreeSet<_> = reasons.iter().collect();
    assert_eq!(distinct.len(), reasons.len(), "each for its own reason: {reasons:?}");
}

#[tokio::test]
async fn two_states_of_a_purchase_are_never_signed_at_one_moment() {
    let local = start().await;
    let store = local.stores().apple();
    let bought = store.buy(held(MONTHLY)).await.unwrap();
    let off = store.cancel(on(&bought.transaction_id)).await.unwrap();
    let on_again = store.resume(on(&bought.transaction_id)).await.unwrap();
    let signed = |done: &satchel_local::stores::AppleDone| {
        notification(&local, &done.notifications[0].body).unwrap().value.renewal.unwrap().signed_date
    };
    assert!(signed(&bought) < signed(&off) && signed(&off) < signed(&on_again));
    days(&local, 1);
    assert_eq!(local.stores().notifications().len(), 3);
}

#[tokio::test]
async fn a_test_notification_is_sent_when_it_is_asked_for() {
    let local = start().await;
    let bearer = apple_bearer(&local, |_, _| ());
    let path = "apple/production/inApps/v1/notifications/test";
    let asked = ask(&local, "POST", path, Some(&bearer), b"").await.ok();
    let hooks = hooked(&local);
    let event = notification(&local, &hooks[0]["body"]).unwrap().value;
    assert_eq!((event.notification.notification_type, event.transaction), (NotificationType::Test, None));
    let token = asked["testNotificationToken"].as_str().unwrap();
    let found = ask(&local, "GET", &format!("{path}/{token}"), Some(&bearer), b"").await.ok();
    assert_eq!(found["sendAttempts"][0]["sendAttemptResult"], "SUCCESS");
    assert_eq!(ask(&local, "GET", &format!("{path}/x"), Some(&bearer), b"").await.refusal(), (404, 4_040_008));
}

#[tokio::test]
async fn any_type_can_be_sent_also_one_that_is_new() {
    let local = start().await;
    let stores = local.stores();
    let bought = stores.apple().buy(held(MONTHLY)).await.unwrap();
    let about = |kind: &str| satchel_local::stores::ActIn { kind: Some(kind.to_owned()), ..on(&bought.transaction_id) };
    let made = stores.apple().notify(about("SOMETHING_NEW")).await.unwrap();
    let event = notification(&local, &made[0].body).unwrap().value;
    assert_eq!(event.notification.notification_type.as_str(), "SOMETHING_NEW");
    let test = satchel_local::stores::ActIn { kind: Some("test".to_owned()), ..Default::default() };
    let made = stores.google().notify(test).await.unwrap();
    assert_eq!((made[0].store, made[0].kind.as_str(), made[0].delivered), (Store::Google, "test", true));
    assert_eq!(judged(&local, &hooked(&local)[0]).await, Ok(()));
}
