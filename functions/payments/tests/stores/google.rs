//! A life of a purchase on Google Play.

use serde_json::{Value, json};

use crate::support::{AI, DAY, SYNC, Shop, THANKS, YEARLY, active};

async fn is_acknowledged(shop: &Shop, bought: &Value) -> bool {
    let rows = shop.rows("STORE#android#").await;
    let row = rows.iter().find(|row| row["purchase_token"] == bought["purchase_token"]);
    row.is_some_and(|row| row["facts"]["purchase"]["acknowledged"] == true)
}

#[tokio::test]
async fn a_purchase_token_gives_its_add_on_and_is_acknowledged() {
    let shop = Shop::open().await;
    let bought = shop.buy("google", SYNC, json!({ "account_token": shop.token })).await;
    let answer = shop.verify(&shop.ada, "android", &bought["receipt_data"], SYNC).await.ok();
    assert_eq!((&answer["status"], &answer["add_on_type"]), (&json!("success"), &json!("sync")));
    assert_eq!(answer["transaction_id"], bought["order_id"]);
    assert_eq!(answer["expires_at"].as_i64().unwrap(), shop.stack.now() + 30 * DAY);
    assert!(is_acknowledged(&shop, &bought).await);
    assert_eq!(shop.state("sync").await, active());
    // The token is nowhere that a person, a log or an event sees it.
    let token = bought["purchase_token"].as_str().unwrap();
    shop.stack.drain().await;
    let seen = format!("{answer} {} {:?}", shop.add_on(&shop.ada, "sync").await, shop.stack.published());
    assert!(!seen.contains(token));
    // Three days later it still stands: Google refunds what nobody acknowledged.
    shop.advance(4 * DAY).await;
    shop.reconcile().await;
    assert_eq!(shop.state("sync").await, active());
}

#[tokio::test]
async fn what_is_not_paid_for_yet_is_pending_and_never_acknowledged() {
    let shop = Shop::open().await;
    let bought = shop.buy("google", THANKS, json!({ "account_token": shop.token, "pending": true })).await;
    let answer = shop.verify(&shop.ada, "android", &bought["receipt_data"], THANKS).await;
    assert_eq!(answer.refused(400, "purchase_pending")["detail"], "Invalid payment state: 0");
    assert_eq!(shop.state("supporter").await, ("pending".to_owned(), false));
    shop.google("complete", &bought, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("supporter").await, ("owned".to_owned(), true));
}

#[tokio::test]
async fn renewals_grace_hold_pause_and_recovery_arrive_by_push() {
    let shop = Shop::open().await;
    let bought = shop.buy("google", SYNC, json!({ "account_token": shop.token })).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, active());
    shop.advance(30 * DAY).await;
    shop.google("renew", &bought, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, active());
    shop.advance(30 * DAY).await;
    shop.google("fail", &bought, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, ("grace".to_owned(), true));
    shop.google("hold", &bought, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, ("hold".to_owned(), false));
    shop.google("recover", &bought, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, active());
    shop.google("pause", &bought, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, ("paused".to_owned(), false));
    shop.google("resume", &bought, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, active());
    shop.google("revoke", &bought, json!({})).await;
    shop.deliver().await;
    assert!(!shop.state("sync").await.1);
}

#[tokio::test]
async fn an_upgrades_new_token_comes_before_the_old_ones_expiry() {
    let shop = Shop::open().await;
    let old = shop.buy("google", SYNC, json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "android", &old["receipt_data"], SYNC).await.ok();
    shop.deliver().await;
    // The new one names nobody: its owner is the old one's.
    shop.google("upgrade", &old, json!({ "product_id": YEARLY })).await;
    shop.deliver().await;
    let sync = shop.add_on(&shop.ada, "sync").await;
    assert_eq!((&sync["product_id"], &sync["is_active"]), (&json!(YEARLY), &json!(true)));
    let rows = shop.rows("U#").await;
    let add_on = rows.iter().find(|row| row["sk"] == "ADDON#sync").unwrap();
    let states: Vec<&str> =
        add_on["sources"].as_object().unwrap().values().map(|it| it["status"].as_str().unwrap()).collect();
    assert_eq!(states.iter().filter(|it| **it == "active").count(), 1, "{states:?}");
}

#[tokio::test]
async fn a_voided_order_is_revoked_and_an_older_one_only_recorded() {
    let shop = Shop::open().await;
    let bought = shop.buy("google", SYNC, json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "android", &bought["receipt_data"], SYNC).await.ok();
    shop.deliver().await;
    shop.advance(30 * DAY).await;
    shop.google("renew", &bought, json!({})).await;
    shop.deliver().await;
    shop.google("void", &bought, json!({ "order_id": bought["order_id"] })).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, active());
    shop.google("void", &bought, json!({})).await;
    shop.deliver().await;
    assert!(!shop.state("sync").await.1);
}

#[tokio::test]
async fn a_licence_testers_purchase_counts_where_it_may() {
    let shop = Shop::open().await;
    let bought = shop.buy("google", AI, json!({ "account_token": shop.token, "test": true })).await;
    shop.verify(&shop.ada, "android", &bought["receipt_data"], AI).await.ok();
    assert_eq!(shop.add_on(&shop.ada, "ai").await["environment"], "sandbox");
    let strict = Shop::with(satchel_testkit::Options::default().param("AllowSandbox", "false")).await;
    let bought = strict.buy("google", AI, json!({ "account_token": strict.token, "test": true })).await;
    strict.verify(&strict.ada, "android", &bought["receipt_data"], AI).await.refused(400, "sandbox_not_allowed");
    strict.deliver().await;
    assert_eq!(strict.state("ai").await.0, "none");
}
