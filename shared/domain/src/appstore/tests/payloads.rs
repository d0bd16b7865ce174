//! What is signed: its kind, its shape, whose it is, and what is signed inside it.

use serde_json::{Value, json};

use super::pki::{notification, pki, renewal, transaction, with, without};
use super::*;

fn as_transaction(payload: &Value) -> Result<Transaction, Reason> {
    let pki = pki(|_| {});
    let found = verifier(&pki).transaction(&pki.sign(payload), webhook(), &[]);
    found.map(|it| it.value).map_err(|refused| refused.reason)
}

fn as_renewal(payload: &Value) -> Result<Renewal, Reason> {
    let pki = pki(|_| {});
    let found = verifier(&pki).renewal(&pki.sign(payload), "2000000000000001", webhook(), &[]);
    found.map(|it| it.value).map_err(|refused| refused.reason)
}

fn as_event(payload: &Value) -> Result<Event, Reason> {
    let pki = pki(|_| {});
    let found = verifier(&pki).notification(&pki.sign(payload), webhook(), &[]);
    found.map(|it| it.value).map_err(|refused| refused.reason)
}

/// A notification with `transaction` and `renewal` inside, all signed by one PKI.
fn as_nested(transaction: &Value, renewal: &Value) -> Result<Verified<Event>, Refused> {
    let pki = pki(|_| {});
    let inside = json!({
        "signedTransactionInfo": pki.sign(transaction), "signedRenewalInfo": pki.sign(renewal),
    });
    verifier(&pki).notification(&pki.sign(&notification(&inside)), webhook(), &[])
}

fn test_event() -> Value {
    with(without(notification(&json!({})), "subtype"), "notificationType", json!("TEST"))
}

/// `notification` with another member of its `data`.
fn with_data(name: &str, member: Value) -> Value {
    let mut event = test_event();
    event["data"][name] = member;
    event
}

macro_rules! refuses {
    ($($name:ident: $read:ident($payload:expr) => $reason:ident;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!($read(&$payload).unwrap_err(), Reason::$reason);
        }
    )*};
}

refuses! {
    a_transaction_as_renewal_info: as_renewal(transaction()) => Kind;
    a_transaction_as_a_notification: as_event(transaction()) => NoNotification;
    a_notification_with_the_mark_of_a_transaction: as_event(with(test_event(), "transactionId", json!("1"))) => Kind;
    an_empty_object_as_a_notification: as_event(json!({})) => NoNotification;
    an_app_transaction_as_a_notification: as_event(json!({
        "receiptType": "Production", "appTransactionId": "1", "bundleId": "app.other", "receiptCreationDate": NOW * 1000,
    })) => NoNotification;
    renewal_info_as_a_transaction: as_transaction(renewal()) => Kind;
    renewal_info_as_a_notification: as_event(renewal()) => NoNotification;
    a_notification_as_a_transaction: as_transaction(test_event()) => Kind;
    a_notification_as_renewal_info: as_renewal(test_event()) => Kind;
    a_payload_of_two_kinds: as_transaction(with(transaction(), "autoRenewStatus", json!(1))) => Kind;
    an_app_transaction_as_a_transaction: as_transaction(json!({
        "receiptType": "Production", "appTransactionId": "1", "bundleId": BUNDLE, "signedDate": NOW * 1000,
    })) => Kind;
    an_empty_object: as_transaction(json!({ "signedDate": NOW * 1000 })) => Kind;
    a_transaction_without_a_product: as_transaction(without(transaction(), "productId")) => PayloadShape;
    a_transaction_without_its_original: as_transaction(without(transaction(), "originalTransactionId")) => PayloadShape;
    a_transaction_id_that_is_a_path: as_transaction(with(transaction(), "transactionId", json!("../1"))) => PayloadShape;
    a_transaction_id_of_21_digits: as_transaction(with(transaction(), "transactionId", json!("1".repeat(21)))) => PayloadShape;
    a_transaction_id_that_is_a_number: as_transaction(with(transaction(), "transactionId", json!(1))) => PayloadShape;
    a_revocation_at_no_date: as_transaction(with(transaction(), "revocationDate", json!("today"))) => PayloadShape;
    a_transaction_of_another_app: as_transaction(with(transaction(), "bundleId", json!("app.other"))) => Bundle;
    a_transaction_of_an_app_named_alike: as_transaction(with(transaction(), "bundleId", json!("App.Satchel"))) => Bundle;
    a_transaction_of_an_app_that_begins_alike: as_transaction(with(transaction(), "bundleId", json!("app.satchel.x"))) => Bundle;
    a_transaction_of_the_sandbox: as_transaction(with(transaction(), "environment", json!("Sandbox"))) => Environment;
    a_transaction_of_xcode: as_transaction(with(transaction(), "environment", json!("Xcode"))) => Environment;
    a_transaction_of_a_local_test: as_transaction(with(transaction(), "environment", json!("LocalTesting"))) => Environment;
    renewal_info_of_the_sandbox: as_renewal(with(renewal(), "environment", json!("Sandbox"))) => Environment;
    renewal_info_of_another_purchase: as_renewal(with(renewal(), "originalTransactionId", json!("3"))) => OriginalTransaction;
    a_notification_without_a_body: as_event(without(test_event(), "data")) => NotificationBody;
    a_notification_with_two_bodies: as_event(with(test_event(), "appData", test_event()["data"].clone())) => NotificationBody;
    a_notification_whose_id_is_no_id: as_event(with(test_event(), "notificationUUID", json!("a#b"))) => PayloadShape;
    a_notification_without_a_type: as_event(without(test_event(), "notificationType")) => PayloadShape;
    a_notification_of_another_app: as_event(with_data("bundleId", json!("app.other"))) => Bundle;
    a_notification_of_another_apple_id: as_event(with_data("appAppleId", json!(1))) => AppId;
    a_notification_without_an_apple_id: as_event(with_data("appAppleId", Value::Null)) => AppId;
    a_notification_of_the_sandbox: as_event(with_data("environment", json!("Sandbox"))) => Environment;
    an_external_purchase_of_the_sandbox: as_event(with(without(test_event(), "data"), "externalPurchaseToken", json!({
        "externalPurchaseId": "SANDBOX_1", "appAppleId": APP_ID, "bundleId": BUNDLE,
    }))) => Environment;
    an_external_purchase_of_another_app: as_event(with(without(test_event(), "data"), "externalPurchaseToken", json!({
        "externalPurchaseId": "1", "appAppleId": 1, "bundleId": BUNDLE,
    }))) => AppId;
}

macro_rules! refuses_inside {
    ($($name:ident: $transaction:expr, $renewal:expr => $part:ident $reason:ident;)*) => {$(
        #[test]
        fn $name() {
            let refused = as_nested(&$transaction, &$renewal).unwrap_err();
            assert_eq!(refused, Refused { part: Part::$part, reason: Reason::$reason });
        }
    )*};
}

refuses_inside! {
    a_foreign_apps_transaction_inside: with(transaction(), "bundleId", json!("app.other")), renewal() => Transaction Bundle;
    a_sandbox_transaction_inside: with(transaction(), "environment", json!("Sandbox")), renewal() => Transaction Environment;
    renewal_info_in_the_transactions_place: renewal(), renewal() => Transaction Kind;
    a_transaction_in_the_renewals_place: transaction(), transaction() => Renewal Kind;
    a_notification_in_the_transactions_place: test_event(), renewal() => Transaction Kind;
    another_purchases_renewal_inside: transaction(), with(renewal(), "originalTransactionId", json!("3")) => Renewal OriginalTransaction;
    a_sandbox_renewal_inside: transaction(), with(renewal(), "environment", json!("Sandbox")) => Renewal Environment;
}

/// What becomes of a rightly signed notification around `name`: `text`.
fn around(pki: &Pki, name: &str, text: &str) -> Refused {
    let outer = pki.sign(&notification(&json!({ name: text })));
    verifier(pki).notification(&outer, webhook(), &[]).unwrap_err()
}

#[test]
fn a_transaction_inside_that_another_pki_signed() {
    let (ours, theirs) = (pki(|_| {}), pki(|_| {}));
    let refused = around(&ours, "signedTransactionInfo", &theirs.sign(&transaction()));
    assert_eq!(refused, Refused { part: Part::Transaction, reason: Reason::PathSignature });
}

#[test]
fn renewal_info_inside_that_another_pki_signed() {
    let (ours, theirs) = (pki(|_| {}), pki(|_| {}));
    let refused = around(&ours, "signedRenewalInfo", &theirs.sign(&renewal()));
    assert_eq!(refused, Refused { part: Part::Renewal, reason: Reason::PathSignature });
}

#[test]
fn a_transaction_inside_that_is_not_signed_at_all() {
    let refused = around(&pki(|_| {}), "signedTransactionInfo", &transaction().to_string());
    assert_eq!(refused.part, Part::Transaction);
}

#[test]
fn a_transaction_inside_without_a_signature() {
    let ours = pki(|_| {});
    let text = ours.sign(&transaction());
    let refused = around(&ours, "signedTransactionInfo", &text[..=text.rfind('.').unwrap()]);
    assert_eq!(refused, Refused { part: Part::Transaction, reason: Reason::SignatureLength });
}

#[test]
fn a_notification_with_all_inside_is_believed_by_one_chain() {
    let found = as_nested(&transaction(), &renewal()).unwrap();
    assert_eq!(found.chains.len(), 1);
    let Event { notification, transaction, renewal } = found.value;
    assert_eq!(notification.notification_type, NotificationType::Subscribed);
    assert_eq!(notification.subtype, Some(Subtype::InitialBuy));
    assert_eq!(notification.body, Body::Data { status: Some(1), consumption_request_reason: None });
    assert_eq!(transaction.unwrap().offer_discount_type, Some(OfferDiscount::FreeTrial));
    assert!(renewal.unwrap().will_renew());
}

#[test]
fn a_transaction_inside_by_another_leaf_of_the_root_gives_two_chains() {
    let (ours, mut other) = (pki(|_| {}), pki(|_| {}));
    let by_root = rcgen::Issuer::from_params(&ours.spec.root, &ours.root_key);
    let rotated = other.spec.intermediate.signed_by(&other.intermediate_key, &by_root).unwrap();
    other.chain[1] = rotated.der().to_vec();
    let inside = json!({ "signedTransactionInfo": other.sign(&transaction()) });
    let found = verifier(&ours).notification(&ours.sign(&notification(&inside)), webhook(), &[]).unwrap();
    assert_eq!(found.chains.len(), 2);
}

#[test]
fn every_type_of_the_facts_is_known_and_a_new_one_is_kept() {
    let known = [
        "SUBSCRIBED",
        "DID_RENEW",
        "DID_CHANGE_RENEWAL_PREF",
        "DID_CHANGE_RENEWAL_STATUS",
        "OFFER_REDEEMED",
        "DID_FAIL_TO_RENEW",
        "GRACE_PERIOD_EXPIRED",
        "EXPIRED",
        "PRICE_INCREASE",
        "REFUND",
        "REFUND_REVERSED",
        "REFUND_DECLINED",
        "CONSUMPTION_REQUEST",
        "RENEWAL_EXTENDED",
        "RENEWAL_EXTENSION",
        "REVOKE",
        "ONE_TIME_CHARGE",
        "EXTERNAL_PURCHASE_TOKEN",
        "RESCIND_CONSENT",
        "METADATA_UPDATE",
        "MIGRATION",
        "PRICE_CHANGE",
        "TEST",
    ];
    let pki = pki(|_| {});
    let read = |word: &str| {
        let event = with(with(test_event(), "notificationType", json!(word)), "subtype", json!("NEW"));
        verifier(&pki).notification(&pki.sign(&event), webhook(), &[]).unwrap().value.notification
    };
    for word in known {
        let found = read(word);
        assert_eq!(found.notification_type.as_str(), word);
        assert!(!matches!(found.notification_type, NotificationType::Other(_)), "{word}");
        assert_eq!(found.subtype, Some(Subtype::Other("NEW".to_owned())));
    }
    assert_eq!(read("MOON_LANDING").notification_type, NotificationType::Other("MOON_LANDING".to_owned()));
}

#[test]
fn a_date_with_a_fraction_is_read() {
    let event = with(transaction(), "purchaseDate", json!(1_697_679_936_049.729_7));
    assert_eq!(as_transaction(&event).unwrap().purchase_date.as_millisecond(), 1_697_679_936_049);
    let signed = with(transaction(), "signedDate", json!(NOW as f64 * 1000.0 + 0.5));
    assert_eq!(as_transaction(&signed).unwrap().signed_date, from_unix(NOW));
}

#[test]
fn a_renewal_signed_ahead_of_its_purchase_is_believed() {
    let event = with(transaction(), "purchaseDate", json!((NOW + 33) * 1000));
    assert_eq!(as_transaction(&event).unwrap().purchase_date, from_unix(NOW + 33));
}

#[test]
fn members_that_are_null_or_new_do_no_harm() {
    let event = with(with(transaction(), "revocationDate", Value::Null), "advancedCommerceInfo", json!({ "a": [1] }));
    assert_eq!(as_transaction(&event).unwrap().revocation_date, None);
    assert_eq!(as_renewal(&with(renewal(), "gracePeriodExpiresDate", Value::Null)).unwrap().expiration_intent, None);
}

#[test]
fn a_refund_says_how_much_was_taken_back() {
    let mut event = with(transaction(), "revocationDate", json!(NOW * 1000));
    event["revocationType"] = json!("REFUND_PRORATED");
    event["revocationPercentage"] = json!(50_000);
    let found = as_transaction(&event).unwrap();
    assert_eq!(found.revocation_type, Some(RevocationType::RefundProrated));
    assert_eq!((found.revocation_percentage, found.revocation_date), (Some(50_000), Some(from_unix(NOW))));
}

#[test]
fn a_summary_and_an_apps_own_event_are_believed() {
    let mut summary = test_event()["data"].clone();
    summary["requestIdentifier"] = json!("r1");
    summary["succeededCount"] = json!(5);
    let event = with(without(test_event(), "data"), "summary", summary);
    assert!(matches!(as_event(&event).unwrap().notification.body, Body::Summary { succeeded: Some(5), .. }));
    let event = with(without(test_event(), "data"), "appData", test_event()["data"].clone());
    assert_eq!(as_event(&event).unwrap().notification.body, Body::App);
}

#[test]
fn an_external_purchase_is_believed() {
    let token = json!({ "externalPurchaseId": "e1", "appAppleId": APP_ID, "bundleId": BUNDLE });
    let event = with(without(test_event(), "data"), "externalPurchaseToken", token);
    assert_eq!(as_event(&event).unwrap().notification.body, Body::ExternalPurchase { id: "e1".to_owned() });
}

#[test]
fn the_sandbox_needs_no_apple_id_and_takes_nothing_of_production() {
    let pki = pki(|_| {});
    let sandbox = Verifier::new(pki.root(), App::new(BUNDLE, Environment::Sandbox));
    let mut event = with_data("environment", json!("Sandbox"));
    event["data"]["appAppleId"] = Value::Null;
    sandbox.notification(&pki.sign(&event), webhook(), &[]).unwrap();
    let refused = sandbox.transaction(&pki.sign(&transaction()), webhook(), &[]).unwrap_err();
    assert_eq!(refused.reason, Reason::Environment);
}
