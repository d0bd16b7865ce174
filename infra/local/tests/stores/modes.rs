//! Stores that do badly, as a client sees it.

use satchel_local::Local;
use satchel_local::stores::{Mode, ModeIn, Store};
use serde_json::{Value, json};

use crate::support::{MONTHLY, NOW, ask, assertion, google, grant, held, start};

async fn apple(local: &Local) -> (u16, Vec<u8>, Option<String>) {
    let answer = ask(local, "POST", "apple/production/verifyReceipt", None, b"{}").await;
    (answer.status, answer.bytes, answer.retry_after)
}

#[tokio::test(start_paused = true)]
async fn each_mode_is_seen_by_a_client() {
    let local = start().await;
    let stores = local.stores();
    for (mode, status) in [
        (Mode::Down, 0),
        (Mode::Slow, 0),
        (Mode::Failing, 0),
        (Mode::NoApp, 404),
        (Mode::Throttled, 429),
        (Mode::Malformed, 200),
        (Mode::Redirect, 302),
        (Mode::Html, 200),
        (Mode::Up, 200),
    ] {
        stores.mode(Store::Apple, mode);
        let (found, body, retry_after) = apple(&local).await;
        assert_eq!(found, status, "{mode:?}");
        let is_json = serde_json::from_slice::<Value>(&body).is_ok();
        assert_eq!(is_json, matches!(mode, Mode::Up | Mode::Throttled | Mode::NoApp), "{mode:?}");
        if mode == Mode::Throttled {
            assert_eq!(retry_after, Some((NOW * 1_000 + 1_000).to_string()), "when, in Unix milliseconds");
        }
    }
}

#[tokio::test]
async fn a_mode_ends_after_so_many_requests_and_is_of_one_store() {
    let local = start().await;
    local.stores().mode(Store::Google, ModeIn { mode: Mode::Throttled, count: Some(1) });
    assert_eq!(apple(&local).await.0, 200);
    let assertion = assertion(&local, |_| ());
    let refused = grant(&local, &assertion).await;
    assert_eq!((refused.status, refused.retry_after.as_deref()), (429, Some("1")));
    assert_eq!(refused.json()["error"]["status"], "RESOURCE_EXHAUSTED");
    assert_eq!(grant(&local, &assertion).await.status, 200);
}

#[tokio::test]
async fn a_store_that_knows_no_such_app_gives_tokens_still() {
    let local = start().await;
    let bought = local.stores().google().buy(held(MONTHLY)).await.unwrap();
    let path = format!("subscriptionsv2/tokens/{}", bought.purchase_token);
    let wanted: ModeIn = serde_json::from_value(json!({ "mode": "404", "count": 1 })).unwrap();
    local.stores().mode(Store::Google, wanted);
    let refused = google(&local, "GET", &path).await;
    assert_eq!((refused.status, &refused.json()["error"]["errors"][0]["reason"]), (404, &json!("applicationNotFound")));
    assert_eq!(google(&local, "GET", &path).await.status, 200, "a request for a token is none for the app");
    local.stores().mode(Store::Google, Mode::NoApp);
    for (method, path) in
        [("GET", path.as_str()), ("GET", "voidedpurchases"), ("POST", "subscriptions/x/tokens/y:acknowledge")]
    {
        let refused = google(&local, method, path).await;
        assert_eq!((refused.status, &refused.json()["error"]["status"]), (404, &json!("NOT_FOUND")), "{path}");
    }
}
