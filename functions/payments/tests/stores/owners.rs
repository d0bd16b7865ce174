//! Whose a purchase is.

use serde_json::json;

use crate::support::{AI, SYNC, Shop, active};

#[tokio::test]
async fn a_purchase_that_names_another_live_account_stays_there() {
    let shop = Shop::open().await;
    let eve = shop.stack.sign_in("eve").await;
    for (store, platform, proof) in [("apple", "ios", "signed_transaction"), ("google", "android", "receipt_data")] {
        let bought = shop.buy(store, SYNC, json!({ "account_token": shop.token })).await;
        let code = "purchase_belongs_to_another_account";
        shop.verify(&eve, platform, &bought[proof], SYNC).await.refused(409, code);
        let restored = shop.restore(&eve, platform, json!([bought[proof]])).await.ok();
        assert_eq!(
            (&restored["results"][0]["status"], &restored["results"][0]["code"]),
            (&json!("failed"), &json!(code))
        );
        assert_eq!(restored["entitlements"], json!([]));
    }
    assert_eq!(shop.add_on(&eve, "sync").await, json!(null));
}

#[tokio::test]
async fn a_bare_transaction_id_of_somebody_elses_proves_nothing() {
    let shop = Shop::open().await;
    let eve = shop.stack.sign_in("eve").await;
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.verify(&eve, "ios", &bought["transaction_id"], SYNC).await.refused(403, "proof_required");
    let tokenless = shop.buy("apple", AI, json!({})).await;
    shop.verify(&eve, "ios", &tokenless["transaction_id"], AI).await.refused(403, "proof_required");
    shop.verify(&shop.ada, "ios", &tokenless["signed_transaction"], AI).await.ok();
    shop.verify(&eve, "ios", &tokenless["transaction_id"], AI).await.refused(403, "proof_required");
    let restored = shop.restore(&eve, "ios", json!([tokenless["transaction_id"]])).await.ok();
    assert_eq!(restored["results"][0]["code"], "proof_required");
    assert_eq!(shop.add_on(&eve, "ai").await, json!(null));
}

#[tokio::test]
async fn what_names_nobody_is_the_first_claimers_and_moves_by_restore_three_times() {
    let shop = Shop::open().await;
    let eve = shop.stack.sign_in("eve").await;
    let bought = shop.buy("apple", SYNC, json!({})).await;
    let proof = &bought["signed_transaction"];
    shop.verify(&shop.ada, "ios", proof, SYNC).await.ok();
    shop.verify(&eve, "ios", proof, SYNC).await.refused(409, "purchase_belongs_to_another_account");
    for (to, from) in [(&eve, &shop.ada), (&shop.ada, &eve), (&eve, &shop.ada)] {
        let restored = shop.restore(to, "ios", json!([proof])).await.ok();
        assert_eq!(restored["results"][0]["status"], "success", "{restored}");
        assert_eq!(restored["entitlements"][0]["is_active"], true);
        let lost = shop.add_on(from, "sync").await;
        assert_eq!((&lost["status"], &lost["is_active"]), (&json!("revoked"), &json!(false)));
    }
    let restored = shop.restore(&shop.ada, "ios", json!([proof])).await.ok();
    assert_eq!(restored["results"][0]["code"], "transfer_limit");
    shop.advance(31 * 86_400).await;
    shop.apple("renew", &bought, json!({})).await;
    shop.deliver().await;
    let ada = shop.stack.sign_in_again(&shop.ada).await;
    let restored = shop.restore(&ada, "ios", json!([proof])).await.ok();
    assert_eq!(restored["results"][0]["status"], "success", "{restored}");
    // Both ledgers say so.
    let moved = shop.ledger().await.into_iter().filter(|line| line["cause"] == "moved").count();
    assert_eq!(moved, 4);
}

#[tokio::test]
async fn where_the_policy_is_bound_nothing_moves() {
    let shop = Shop::with(satchel_testkit::Options::default().param("RestorePolicy", "bound")).await;
    let eve = shop.stack.sign_in("eve").await;
    let bought = shop.buy("google", SYNC, json!({})).await;
    shop.verify(&shop.ada, "android", &bought["receipt_data"], SYNC).await.ok();
    let restored = shop.restore(&eve, "android", json!([bought["receipt_data"]])).await.ok();
    assert_eq!(restored["results"][0]["code"], "purchase_belongs_to_another_account");
    assert_eq!(shop.state("sync").await, active());
}

#[tokio::test]
async fn a_purchase_of_an_erased_account_is_nobodys() {
    let shop = Shop::open().await;
    let eve = shop.stack.sign_in("eve").await;
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "ios", &bought["signed_transaction"], SYNC).await.ok();
    shop.stack.delete("/auth/me").auth(&shop.ada).send().await.ok();
    shop.stack.drain().await;
    shop.advance(3_600).await;
    shop.stack.drain().await;
    let state = shop.rows("STORE#ios#").await.into_iter().find(|row| row["sk"] == "STATE").unwrap();
    assert_eq!(state["owner"], json!(null), "{state}");
    let eve = shop.stack.sign_in_again(&eve).await;
    shop.verify(&eve, "ios", &bought["signed_transaction"], SYNC).await.ok();
    assert_eq!(shop.add_on(&eve, "sync").await["is_active"], true);
}

#[tokio::test]
async fn an_event_before_any_claim_is_kept_and_folds_when_claimed() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({})).await;
    shop.deliver().await;
    assert_eq!(shop.state("sync").await.0, "none");
    shop.advance(30 * 86_400).await;
    let renewed = shop.apple("renew", &bought, json!({})).await;
    shop.deliver().await;
    let ada = shop.stack.sign_in_again(&shop.ada).await;
    let answer = shop.verify(&ada, "ios", &bought["signed_transaction"], SYNC).await.ok();
    assert_eq!(answer["transaction_id"], renewed["transaction_id"]);
    assert_eq!(shop.state("sync").await, active());
}

#[tokio::test]
async fn a_stranger_sees_nothing_of_it() {
    let shop = Shop::open().await;
    let eve = shop.stack.sign_in("eve").await;
    let bought = shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    shop.verify(&shop.ada, "ios", &bought["signed_transaction"], SYNC).await.ok();
    let seen = shop.stack.get("/payments/history").auth(&eve).send().await.ok();
    assert_eq!(seen["changes"], json!([]));
    assert_eq!(shop.add_on(&eve, "sync").await, json!(null));
    // A cursor of another's leads into one's own ledger.
    let page = shop.stack.get("/payments/history?limit=1").auth(&shop.ada).send().await.ok();
    let cursor = page["next_cursor"].as_str();
    if let Some(cursor) = cursor {
        let path = format!("/payments/history?cursor={cursor}");
        assert_eq!(shop.stack.get(&path).auth(&eve).send().await.ok()["changes"], json!([]));
    }
    for (method, path) in [("POST", "/payments/verify"), ("POST", "/payments/restore"), ("GET", "/payments/history")] {
        let call = shop.stack.request(method.parse().unwrap(), path).json(json!({}));
        call.send().await.refused(401, "missing_token");
    }
}
