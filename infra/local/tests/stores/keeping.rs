//! What stays over a restart, and what a reset takes away.

use satchel_local::LocalOptions;
use satchel_local::stores::{DeliverIn, Mode, OcspMode, Store};

use crate::support::{MONTHLY, apple, google, held, on, options, start, start_at, transaction};

#[tokio::test]
async fn purchases_notifications_and_the_root_stay_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let local = start_at(folder.path().to_owned()).await;
    let bought = local.stores().apple().buy(held(MONTHLY)).await.unwrap();
    let played = local.stores().google().buy(held(MONTHLY)).await.unwrap();
    let root = local.template().parameters()["AppleRootCa"].clone();
    local.stop().await;
    drop(local);

    let local = start_at(folder.path().to_owned()).await;
    assert_eq!(local.template().parameters()["AppleRootCa"], root);
    transaction(&local, &bought.signed_transaction);
    apple(&local, &format!("v1/transactions/{}", bought.transaction_id)).await.ok();
    google(&local, "GET", &format!("subscriptionsv2/tokens/{}", played.purchase_token)).await.ok();
    assert_eq!(local.stores().deliver(DeliverIn::default()).await.unwrap().len(), 2);
    let next = local.stores().apple().buy(held(MONTHLY)).await.unwrap();
    assert_ne!(next.transaction_id, bought.transaction_id);
    local.reset().await.unwrap();
    assert_eq!(apple(&local, &format!("v1/transactions/{}", bought.transaction_id)).await.status, 404);
    local.stop().await;
    drop(local);
    let local = start_at(folder.path().to_owned()).await;
    assert_eq!(local.stores().notifications(), []);
}

#[tokio::test]
async fn a_reset_forgets_purchases_and_modes() {
    let local = start().await;
    let stores = local.stores();
    let bought = stores.apple().buy(held(MONTHLY)).await.unwrap();
    stores.mode(Store::Apple, Mode::Down);
    stores.ocsp(OcspMode::Down);
    local.reset().await.unwrap();
    assert_eq!(apple(&local, &format!("v1/transactions/{}", bought.transaction_id)).await.status, 404);
    assert_eq!(stores.notifications(), []);
    assert!(stores.apple().renew(on(&bought.transaction_id)).await.is_err());
}

#[tokio::test]
async fn another_root_is_trusted_where_one_is_given() {
    let local =
        satchel_local::Local::start(LocalOptions { apple_root: Some(vec![1, 2, 3]), ..options() }).await.unwrap();
    assert_eq!(local.template().parameters()["AppleRootCa"], "AQID");
}
