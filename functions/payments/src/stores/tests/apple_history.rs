//! The notifications that were sent, and the transactions of a purchase.

use http::Method;
use satchel_domain::appstore::Environment;
use serde_json::{Value, json};

use super::apple::{api, code, routes};
use super::given::Given;
use super::heard::Heard;
use super::pki::{NEWEST, ORIGINAL, Pki, transaction, with};
use super::server::json;
use super::{APP_ID, now};
use crate::stores::StoreError;

const PRODUCTION: Environment = Environment::Production { app_apple_id: APP_ID };

#[tokio::test]
async fn the_history_is_read_page_by_page() {
    let script = |request: &http::Request<axum::body::Bytes>| {
        let second = request.uri().query().is_some();
        let page = json!({
            "paginationToken": if second { "t/3" } else { "t 2&x=1" }, "hasMore": !second,
            "notificationHistory": [{ "signedPayload": if second { "b" } else { "a" }, "sendAttempts": [] }],
        });
        json(200, page)
    };
    let (api, server) = api(&Pki::new(), |given| given, script).await;
    let first = api.history_page(1_000, 2_000, None, true, now()).await.unwrap();
    assert_eq!((first.signed_payloads, first.next.as_deref()), (vec!["a".to_owned()], Some("t 2&x=1")));
    let last = api.history_page(1_000, 2_000, first.next.as_deref(), true, now()).await.unwrap();
    assert_eq!((last.signed_payloads, last.next), (vec!["b".to_owned()], None), "there is a token, but no more pages");
    let asked = server.asked();
    assert!(
        asked.iter().all(|one| one.method() == Method::POST && one.headers()["content-type"] == "application/json")
    );
    assert_eq!(
        server.lines(),
        [
            "POST https://apple.example/inApps/v1/notifications/history",
            "POST https://apple.example/inApps/v1/notifications/history?paginationToken=t+2%26x%3D1",
        ]
    );
    let body: Value = serde_json::from_slice(asked[1].body()).unwrap();
    assert_eq!(body, json!({ "startDate": 1_000, "endDate": 2_000, "onlyFailures": true }));
}

#[tokio::test]
async fn the_history_is_that_of_the_configured_environment() {
    let change = |given: Given| given.set("APPLE_ENVIRONMENT", "Sandbox");
    let (api, server) = api(&Pki::new(), change, |_| json(200, json!({ "hasMore": false }))).await;
    let page = api.history_page(1_000, 2_000, None, false, now()).await.unwrap();
    assert!(page.signed_payloads.is_empty() && page.next.is_none());
    assert_eq!(server.lines(), ["POST https://sandbox.example/inApps/v1/notifications/history"]);
}

#[tokio::test]
async fn more_pages_without_a_new_way_to_them_are_of_no_use() {
    for page in [json!({ "hasMore": true }), json!({ "hasMore": true, "paginationToken": "t" })] {
        let (api, _) = api(&Pki::new(), |given| given, move |_| json(200, page.clone())).await;
        let answer = api.history_page(1_000, 2_000, Some("t"), true, now()).await;
        assert!(matches!(answer, Err(StoreError::Unusable("page"))), "{answer:?}");
    }
    let (api, _) = api(&Pki::new(), |given| given, |_| code(400, 4_000_012)).await;
    let answer = api.history_page(1_000, 2_000, None, true, now()).await;
    assert!(matches!(answer, Err(StoreError::Unusable("status"))), "a start that is too old: {answer:?}");
}

#[tokio::test]
async fn all_transactions_of_a_purchase_are_read_and_those_of_others_left_out() {
    let pki = Pki::new();
    let refunded = with(transaction(ORIGINAL, "Production"), "revocationDate", 1_780_000_000_000_i64);
    let others = with(with(transaction("77", "Production"), "originalTransactionId", "77"), "transactionId", "77");
    let pages = [
        json!({ "revision": "r 1", "hasMore": true, "signedTransactions": [pki.sign(&refunded), pki.sign(&others)] }),
        json!({ "revision": "r2", "hasMore": false, "signedTransactions": [pki.sign(&transaction(NEWEST, "Production"))] }),
    ];
    let script = move |request: &http::Request<axum::body::Bytes>| {
        let is_second = request.uri().query().is_some_and(|query| query.contains("revision="));
        json(200, pages[usize::from(is_second)].clone())
    };
    let (api, server) = api(&pki, |given| given, script).await;
    let all = api.revoked_or_all_transactions(ORIGINAL, PRODUCTION, now()).await.unwrap();
    let ids: Vec<&str> = all.iter().map(|one| one.transaction_id.as_str()).collect();
    assert_eq!(ids, [ORIGINAL, NEWEST]);
    assert!(all[0].revocation_date.is_some());
    let start = format!("GET https://apple.example/inApps/v2/history/{ORIGINAL}?sort=ASCENDING");
    assert_eq!(server.lines(), [start.clone(), format!("{start}&revision=r+1")]);
}

#[tokio::test]
async fn a_history_is_bounded_and_must_get_on() {
    let heard = Heard::begin();
    let number = std::sync::atomic::AtomicUsize::new(0);
    let endless = move |_: &http::Request<_>| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        json(200, json!({ "revision": format!("r{number}"), "hasMore": true }))
    };
    let (long, server) = api(&Pki::new(), |given| given, endless).await;
    assert!(long.revoked_or_all_transactions(ORIGINAL, PRODUCTION, now()).await.unwrap().is_empty());
    assert_eq!(server.asked().len(), 50);
    assert!(heard.text().contains("longer than is read"));

    let (stuck, server) =
        api(&Pki::new(), |given| given, |_| json(200, json!({ "revision": "r", "hasMore": true }))).await;
    let answer = stuck.revoked_or_all_transactions(ORIGINAL, PRODUCTION, now()).await;
    assert!(matches!(answer, Err(StoreError::Unusable("page"))), "{answer:?}");
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_history_that_takes_too_long_is_given_up() {
    let heard = Heard::begin();
    let number = std::sync::atomic::AtomicUsize::new(0);
    // Two tries a page, the first of which is never answered.
    let slow = move |_: &http::Request<_>| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let page = json!({ "revision": format!("r{number}"), "hasMore": true });
        json(200, page).after(std::time::Duration::from_secs(if number.is_multiple_of(2) { 60 } else { 2 }))
    };
    let (api, _) = api(&Pki::new(), |given| given, slow).await;
    let begun = tokio::time::Instant::now();
    super::apple_trouble::wait(api.revoked_or_all_transactions(ORIGINAL, PRODUCTION, now()).await);
    assert_eq!(begun.elapsed().as_secs(), 20);
    assert_eq!(heard.count("StoreCallFailed", "apple"), 1, "{}", heard.text());
}

#[tokio::test]
async fn a_history_is_asked_for_where_the_purchase_was_made() {
    let pki = Pki::new();
    let (both, server) = api(&pki, |given| given, routes(vec![])).await;
    let answer = both.revoked_or_all_transactions(ORIGINAL, Environment::Sandbox, now()).await;
    assert!(matches!(answer, Err(StoreError::NotFound)));
    assert!(server.lines()[0].starts_with("GET https://sandbox.example/inApps/v2/history/"));
    let (one, server) = api(&pki, |given| given.set("ALLOW_SANDBOX", "false"), routes(vec![])).await;
    let answer = one.revoked_or_all_transactions(ORIGINAL, Environment::Sandbox, now()).await;
    assert!(matches!(answer, Err(StoreError::Refused("environment"))));
    assert_eq!(server.asked().len(), 0);
}
