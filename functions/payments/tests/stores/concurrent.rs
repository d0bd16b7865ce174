//! What happens at one moment.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{SYNC, Shop};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_claim_one_purchase_exactly_one_gets_it() {
    let shop = Shop::open().await;
    let mut people = Vec::new();
    for name in ["bob", "cem", "dee", "eve"] {
        people.push(shop.stack.sign_in(name).await);
    }
    for (store, platform, proof) in [("apple", "ios", "signed_transaction"), ("google", "android", "receipt_data")] {
        let bought = shop.buy(store, SYNC, json!({})).await;
        let claims = people.iter().map(|who| shop.verify(who, platform, &bought[proof], SYNC));
        let answers = join_all(claims).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(
            statuses,
            [200, 409, 409, 409],
            "{store}: {:?}",
            answers.iter().map(ToString::to_string).collect::<Vec<_>>()
        );
        for lost in answers.iter().filter(|answer| answer.status == 409) {
            lost.refused(409, "purchase_belongs_to_another_account");
        }
    }
    let owners: Vec<Value> = shop
        .rows("STORE#")
        .await
        .into_iter()
        .filter(|row| row["sk"] == "STATE")
        .map(|row| row["owner"].clone())
        .collect();
    assert_eq!(owners.len(), 2);
    assert!(owners.iter().all(Value::is_string), "{owners:?}");
    // Nobody but the owners has it.
    let mut active = 0;
    for who in &people {
        let sources = shop.add_on(who, "sync").await;
        active += usize::from(sources["is_active"] == true);
    }
    assert!((1..=2).contains(&active));
    assert_eq!(shop.ledger().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restores_at_one_moment_leave_one_owner() {
    let shop = Shop::open().await;
    let bought = shop.buy("apple", SYNC, json!({})).await;
    shop.verify(&shop.ada, "ios", &bought["signed_transaction"], SYNC).await.ok();
    let (bob, eve) = (shop.stack.sign_in("bob").await, shop.stack.sign_in("eve").await);
    let proof = json!([bought["signed_transaction"]]);
    let answers = join_all([&bob, &eve].map(|who| shop.restore(who, "ios", proof.clone()))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let mut active = 0;
    for who in [&shop.ada, &bob, &eve] {
        active += usize::from(shop.add_on(who, "sync").await["is_active"] == true);
    }
    assert_eq!(active, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_notification_sent_many_times_at_once_is_one_event() {
    let shop = Shop::open().await;
    shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
    let all = shop.notifications().await;
    let body = all[0]["body"].clone();
    let posts = (0..8).map(|_| shop.stack.post("/payments/webhook/apple").json(body.clone()).send());
    assert!(join_all(posts).await.iter().all(|answer| answer.status == 200));
    shop.stack.drain().await;
    assert_eq!((shop.rows("EVENT#").await.len(), shop.ledger().await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_one_person_at_one_moment_never_overwrite_each_other() {
    let shop = Shop::open().await;
    for _ in 0..4 {
        shop.buy("apple", SYNC, json!({ "account_token": shop.token })).await;
        shop.buy("google", SYNC, json!({ "account_token": shop.token })).await;
    }
    // The worker takes a batch side by side with claims from the app.
    shop.control("deliver", json!({})).await;
    shop.stack.drain().await;
    let rows = shop.rows("U#").await;
    let add_on = rows.iter().find(|row| row["sk"] == "ADDON#sync").unwrap();
    assert_eq!(add_on["sources"].as_object().unwrap().len(), 8);
    assert_eq!(add_on["version"], 8);
}
