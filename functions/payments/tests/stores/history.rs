//! The ledger as its owner reads it.

use serde_json::json;

use crate::support::{DAY, SYNC, Shop};

#[tokio::test]
async fn every_change_is_told_newest_first_page_by_page() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.deliver().await;
    for _ in 0..3 {
        shop.advance(30 * DAY).await;
        shop.apple("renew", &bought, json!({})).await;
        shop.deliver().await;
    }
    let ada = shop.stack.sign_in_again(&shop.ada).await;
    let all = shop.stack.get("/payments/history").auth(&ada).send().await.ok();
    let changes = all["changes"].as_array().unwrap();
    let causes: Vec<&str> = changes.iter().map(|it| it["cause"].as_str().unwrap()).collect();
    assert_eq!(causes, ["DID_RENEW", "DID_RENEW", "DID_RENEW", "SUBSCRIBED.INITIAL_BUY"]);
    assert!(changes.iter().all(|it| it["by"] == "apple" && it["changed"] == true && it["add_on_type"] == "sync"));
    assert_eq!((&changes[3]["from"], &changes[3]["to"]), (&json!(null), &json!("active")));
    assert_eq!(all["next_cursor"], json!(null));

    let mut seen = Vec::new();
    let mut path = "/payments/history?limit=3".to_owned();
    loop {
        let page = shop.stack.get(&path).auth(&ada).send().await.ok();
        seen.extend(page["changes"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/payments/history?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(&seen, changes);
    for (query, status, code) in [
        ("limit=0", 422, "invalid_input"),
        ("limit=101", 422, "invalid_input"),
        ("limit=x", 422, "invalid_input"),
        ("cursor=!", 400, "invalid_cursor"),
        ("cursor=QURET04jc3luYw", 400, "invalid_cursor"),
    ] {
        let answer = shop.stack.get(&format!("/payments/history?{query}")).auth(&ada).send().await;
        answer.refused(status, code);
    }
}

#[tokio::test]
async fn the_same_news_again_changes_nothing() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.deliver().await;
    shop.apple("price_increase", &bought, json!({ "accepted": true })).await;
    shop.deliver().await;
    let all = shop.stack.get("/payments/history").auth(&shop.ada).send().await.ok();
    let newest = &all["changes"][0];
    assert_eq!(
        (&newest["changed"], &newest["from"], &newest["to"]),
        (&json!(false), &json!("active"), &json!("active"))
    );
}
