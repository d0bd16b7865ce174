//! Acknowledging what was given.

use axum::body::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};

use super::apple_trouble::wait;
use super::google::{api, error, lines, token};
use super::heard::Heard;
use super::now;
use super::server::{Answer, json, text};
use crate::stores::StoreError;

const PENDING: &str = "ACKNOWLEDGEMENT_STATE_PENDING";
const DONE: &str = "ACKNOWLEDGEMENT_STATE_ACKNOWLEDGED";
const BASE: &str = "https://play.example/androidpublisher/v3/applications/app.satchel/purchases";
const TOKEN: &str = "abc.AO-J1Oz%3D%2B%40x";

/// A purchase of `products`.
fn purchase(state: &str, products: &[&str]) -> Value {
    let lines: Vec<Value> = products.iter().map(|id| json!({ "productId": id })).collect();
    json!({ "acknowledgementState": state, "lineItems": lines })
}

/// Answers a POST by `refusal`; a GET by a purchase that is to be acknowledged, which is in `state` after the POST.
fn refusing(refusal: u16, state: &'static str) -> impl Fn(&Request<Bytes>) -> Answer {
    let state = std::sync::Mutex::new((PENDING, state));
    move |request| {
        let mut state = state.lock().unwrap();
        if request.method() == Method::POST {
            state.0 = state.1;
            return error(refusal, "invalidPurchaseState");
        }
        json(200, purchase(state.0, &["app.satchel.sync.monthly"]))
    }
}

/// Takes every acknowledgement of a purchase of `products`.
fn taking(products: &'static [&'static str]) -> impl Fn(&Request<Bytes>) -> Answer {
    move |request| match *request.method() {
        Method::POST => text(204, "application/json", ""),
        _ => json(200, purchase(PENDING, products)),
    }
}

#[tokio::test]
async fn a_subscription_is_acknowledged_by_its_product_and_token() {
    let (api, server) = api(taking(&["app.satchel.sync.monthly"])).await;
    api.acknowledge_subscription(&token(), now()).await.unwrap();
    assert_eq!(
        lines(&server),
        [
            format!("GET {BASE}/subscriptionsv2/tokens/{TOKEN}"),
            format!("POST {BASE}/subscriptions/app.satchel.sync.monthly/tokens/{TOKEN}:acknowledge"),
        ]
    );
    let asked = server.asked();
    let last = asked.last().unwrap();
    assert_eq!(
        (last.body().as_ref(), last.headers()["content-type"].as_bytes()),
        (&b"{}"[..], &b"application/json"[..])
    );
}

#[tokio::test]
async fn a_purchase_of_several_products_is_acknowledged_by_its_token_alone() {
    for products in [&["a.one", "a.two"][..], &["a/b"], &[]] {
        let (api, server) = api(taking(products)).await;
        api.acknowledge_subscription(&token(), now()).await.unwrap();
        assert_eq!(lines(&server)[1], format!("POST {BASE}/subscriptions/tokens/{TOKEN}:acknowledge"));
    }
}

#[tokio::test]
async fn a_one_time_purchase_is_acknowledged_by_its_product_and_token() {
    let (api, server) = api(taking(&[])).await;
    api.acknowledge_product("app.satchel.supporter", &token(), now()).await.unwrap();
    assert_eq!(lines(&server), [format!("POST {BASE}/products/app.satchel.supporter/tokens/{TOKEN}:acknowledge")]);
}

#[tokio::test]
async fn a_purchase_that_is_acknowledged_already_is_fine() {
    let (seen, server) = api(|_| json(200, purchase(DONE, &["a.one"]))).await;
    seen.acknowledge_subscription(&token(), now()).await.unwrap();
    assert_eq!(lines(&server).len(), 1, "there is nothing to do");
    for status in [400, 409, 412] {
        let (subscription, _) = api(refusing(status, DONE)).await;
        subscription.acknowledge_subscription(&token(), now()).await.unwrap();
        let (product, server) = api(refusing(status, DONE)).await;
        product.acknowledge_product("app.satchel.supporter", &token(), now()).await.unwrap();
        assert_eq!(lines(&server)[1], format!("GET {BASE}/productsv2/tokens/{TOKEN}"));
    }
}

#[tokio::test]
async fn a_purchase_that_is_not_is_told_or_tried_again() {
    let heard = Heard::begin();
    let (refused, _) = api(refusing(400, PENDING)).await;
    let answer = refused.acknowledge_subscription(&token(), now()).await;
    assert!(matches!(answer, Err(StoreError::Unusable("not_acknowledgeable"))), "{answer:?}");
    assert_eq!(heard.count("StoreAnswerUnusable", "google"), 1);
    assert!(heard.text().contains("400 invalidPurchaseState") && !heard.text().contains(token().expose()));
    let (crossed, _) = api(refusing(409, PENDING)).await;
    wait(crossed.acknowledge_subscription(&token(), now()).await);
}

#[tokio::test]
async fn a_purchase_that_is_gone_is_absent() {
    for (status, reason) in [(404, "purchaseTokenNotFound"), (410, "subscriptionPurchaseNoLongerAvailable")] {
        let (api, server) = api(move |_| error(status, reason)).await;
        let answer = api.acknowledge_subscription(&token(), now()).await;
        assert!(matches!(answer, Err(StoreError::NotFound)), "{answer:?}");
        assert_eq!(lines(&server).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_that_takes_too_long_is_given_up() {
    let heard = Heard::begin();
    // Of three tries the first two are never answered.
    let slow = || {
        let tries = std::sync::atomic::AtomicUsize::new(0);
        move |request: &Request<Bytes>| {
            let number = tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let answer = refusing(409, PENDING)(request);
            answer.after(std::time::Duration::from_secs(if number % 3 == 2 { 2 } else { 60 }))
        }
    };
    let begun = tokio::time::Instant::now();
    let (subscription, _) = api(slow()).await;
    wait(subscription.acknowledge_subscription(&token(), now()).await);
    assert_eq!(begun.elapsed().as_secs(), 12);
    let begun = tokio::time::Instant::now();
    let (product, _) = api(slow()).await;
    wait(product.acknowledge_product("app.satchel.supporter", &token(), now()).await);
    assert_eq!(begun.elapsed().as_secs(), 12);
    assert_eq!(heard.count("StoreCallFailed", "google"), 2, "{}", heard.text());
}

#[tokio::test]
async fn what_is_no_product_is_refused_before_any_call() {
    let (api, server) = api(|_| text(204, "application/json", "")).await;
    for product in ["", "a/b", "..", ".a", "a b", "a%2Fb", "a?b", "ä"] {
        let answer = api.acknowledge_product(product, &token(), now()).await;
        assert!(matches!(answer, Err(StoreError::Refused("product_id"))), "{product}: {answer:?}");
    }
    assert_eq!(server.asked().len(), 0);
}
