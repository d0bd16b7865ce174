//! A life of a purchase in the App Store.

use serde_json::json;

use crate::support::{AI, DAY, SYNC, Shop, THANKS, YEARLY, active};

#[tokio::test]
async fn a_signed_transaction_gives_its_add_on_within_the_call() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    let answer = shop.verify(&shop.ada, "ios", &bought["signed_transaction"], SYNC).await.ok();
    assert_eq!(
        answer,
        json!({ "status": "success", "add_on_type": "sync", "expires_at": shop.stack.now() + 30 * DAY,
            "transaction_id": bought["transaction_id"], "original_transaction_id": bought["original_transaction_id"] })
    );
    let sync = shop.add_on(&shop.ada, "sync").await;
    assert_eq!(
        (&sync["platform"], &sync["will_renew"], &sync["product_id"]),
        (&json!("ios"), &json!(true), &json!(SYNC))
    );
    assert_eq!(shop.state("sync").await, active());
    // Again, and by its id now that it is the caller's: the same answer, and nothing new in the ledger.
    let lines = shop.ledger().await.len();
    assert_eq!(shop.verify(&shop.ada, "ios", &bought["signed_transaction"], SYNC).await.ok(), answer);
    assert_eq!(shop.verify(&shop.ada, "ios", &bought["transaction_id"], SYNC).await.ok(), answer);
    assert_eq!(shop.ledger().await.len(), lines);
}

#[tokio::test]
async fn a_legacy_receipt_and_a_bare_id_that_names_the_caller_do_too() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({})).await;
    shop.verify(&shop.ada, "ios", &bought["receipt"], SYNC).await.ok();
    assert_eq!(shop.state("sync").await, active());
    let named = shop.buy("apple", AI, json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "ios", &named["transaction_id"], AI).await.ok();
    assert_eq!(shop.state("ai").await, active());
}

#[tokio::test]
async fn a_purchase_in_the_sandbox_counts_where_it_may() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({ "environment": "sandbox" })).await;
    shop.verify(&shop.ada, "ios", &bought["signed_transaction"], SYNC).await.ok();
    assert_eq!(shop.add_on(&shop.ada, "sync").await["environment"], "sandbox");
    let receipt = shop.buy("apple", AI, json!({ "environment": "sandbox" })).await;
    shop.verify(&shop.ada, "ios", &receipt["receipt"], AI).await.ok();

    let strict = Shop::with(satchel_testkit::Options::default().param("AllowSandbox", "false")).await;
    let bought = strict.buy("apple", SYNC, json!({ "environment": "sandbox", "account_token": strict.token })).await;
    for proof in ["signed_transaction", "receipt"] {
        let answer = strict.verify(&strict.ada, "ios", &bought[proof], SYNC).await;
        answer.refused(400, "sandbox_not_allowed");
    }
    strict.verify(&strict.ada, "ios", &bought["transaction_id"], SYNC).await.refused(403, "proof_required");
    assert_eq!(strict.state("sync").await.0, "none");
}

#[tokio::test]
async fn renewals_grace_hold_and_recovery_arrive_by_webhook() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, active());
    let first = shop.add_on(&shop.ada, "sync").await;

    shop.advance(30 * DAY).await;
    shop.apple("renew", &bought, json!({})).await;
    shop.deliver().await;
    let renewed = shop.add_on(&shop.ada, "sync").await;
    assert_eq!(renewed["expires_at"].as_i64().unwrap(), first["expires_at"].as_i64().unwrap() + 30 * DAY);

    shop.advance(30 * DAY).await;
    shop.apple("fail", &bought, json!({ "seconds": 16 * DAY })).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, ("grace".to_owned(), true));
    shop.advance(16 * DAY).await;
    shop.apple("grace_expire", &bought, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, ("hold".to_owned(), false));
    shop.apple("recover", &bought, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, active());

    shop.apple("cancel", &bought, json!({})).await;
    shop.deliver().await;
    let cancelled = shop.add_on(&shop.ada, "sync").await;
    assert_eq!((&cancelled["is_active"], &cancelled["will_renew"]), (&json!(true), &json!(false)));
    shop.advance(30 * DAY).await;
    shop.apple("expire", &bought, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, ("expired".to_owned(), false));
}

#[tokio::test]
async fn a_refund_takes_back_its_own_transaction_and_no_other() {
    let shop = Shop::open().await;
    let first = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.deliver().await;
    shop.advance(30 * DAY).await;
    let renewed = shop.apple("renew", &first, json!({})).await;
    shop.deliver().await;
    // The old period's refund, after everything else.
    shop.apple("refund", &first, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, active());
    // The current one's.
    let current = json!({ "transaction_id": renewed["transaction_id"] });
    shop.apple("refund", &current, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, ("revoked".to_owned(), false));
    shop.apple("refund_reverse", &current, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, active());
}

#[tokio::test]
async fn an_upgrade_and_a_change_of_add_on_within_one_line() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.deliver().await;
    shop.apple("upgrade", &bought, json!({ "product_id": YEARLY })).await;
    shop.deliver().await;
    let sync = shop.add_on(&shop.ada, "sync").await;
    assert_eq!((&sync["product_id"], &sync["is_active"]), (&json!(YEARLY), &json!(true)));
    // The grant of the seed's 402 follows: one row, one source.
    let rows = shop.rows("U#").await;
    let add_on = rows.iter().find(|row| row["sk"] == "ADDON#sync").unwrap();
    assert_eq!(add_on["sources"].as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_bought_once_is_owned_until_it_is_refunded() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", THANKS, json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "ios", &bought["signed_transaction"], THANKS).await.ok();
    shop.advance(400 * DAY).await;
    assert_eq!(shop.state("supporter").await, ("owned".to_owned(), true));
    shop.apple("refund", &bought, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("supporter").await, ("revoked".to_owned(), false));
}

#[tokio::test]
async fn a_family_members_copy_counts_for_who_brings_it_and_ends_with_the_family() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({ "family_shared": true })).await;
    shop.verify(&shop.ada, "ios", &bought["signed_transaction"], SYNC).await.ok();
    assert_eq!(shop.state("sync").await, active());
    shop.apple("revoke", &bought, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, ("revoked".to_owned(), false));
}

#[tokio::test]
async fn another_valid_purchase_keeps_access_when_one_is_refunded() {
    let shop = Shop::open().await;
    let apple = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    let google = shop.buy("google", SYNC, json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "ios", &apple["signed_transaction"], SYNC).await.ok();
    shop.verify(&shop.ada, "android", &google["receipt_data"], SYNC).await.ok();
    shop.deliver().await;
    shop.apple("refund", &apple, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await, active());
    assert_eq!(shop.add_on(&shop.ada, "sync").await["platform"], "android");
}
