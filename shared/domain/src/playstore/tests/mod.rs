//! Every attack of the design against a push, and what is valid beside it; what the API answers, and what that gives.

mod anything;
mod bearer;
mod folds;
mod messages;
mod purchases;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;
use crate::identity::keys::KeySet;
use crate::identity::test_keys::OURS_N;
use crate::time::from_unix;

/// 2027-01-15T08:00:00Z.
const NOW: i64 = 1_800_000_000;
const AUDIENCE: &str = "https://satchel.example/payments/webhook/google";
const EMAIL: &str = "play-push@satchel.iam.gserviceaccount.com";
const SUBSCRIPTION: &str = "projects/satchel/subscriptions/play";
const PACKAGE: &str = "app.satchel";
/// As long and of the letters of a real one.
const TOKEN: &str = "lhbmjdpnffakcgodnlbkcaeh.AO-J1OwT9-b3Hk2Qm_RzzqZ5xN6uJ0vE4sYdWcTgPfKiLaBnMoXrCeVhUjSlDpQyGtIw7";

fn push() -> Push {
    Push::new(AUDIENCE, EMAIL, SUBSCRIPTION, PACKAGE).unwrap()
}

fn keys() -> KeySet {
    let jwks =
        json!({ "keys": [{ "kty": "RSA", "kid": "k1", "use": "sig", "alg": "RS256", "n": OURS_N, "e": "AQAB" }] });
    KeySet::parse(jwks.to_string().as_bytes()).unwrap()
}

fn with(mut object: Value, name: &str, member: Value) -> Value {
    object[name] = member;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name);
    object
}

/// A notification with one `kind`.
fn notification(kind: &str, members: Value) -> Value {
    json!({ "version": "1.0", "packageName": PACKAGE, "eventTimeMillis": "1800000000123", kind: members })
}

fn renewed() -> Value {
    notification("subscriptionNotification", json!({ "version": "1.0", "notificationType": 2, "purchaseToken": TOKEN }))
}

/// The push's body around `data`, with both spellings of each name, as Pub/Sub writes it.
fn envelope(data: impl AsRef<[u8]>) -> Value {
    json!({
        "message": {
            "attributes": {}, "data": STANDARD.encode(data),
            "messageId": "13466183214567890", "message_id": "13466183214567890",
            "publishTime": "2027-01-15T08:00:00.345Z", "publish_time": "2027-01-15T08:00:00.345Z",
        },
        "subscription": SUBSCRIPTION,
        "deliveryAttempt": 1,
    })
}

fn body(notification: &Value) -> Vec<u8> {
    envelope(notification.to_string()).to_string().into_bytes()
}

#[test]
fn every_reason_has_a_name_of_its_own_in_snake_case() {
    let mut names: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Reason::ALL.len());
    assert_eq!(Reason::EmailUnverified.to_string(), "email_unverified");
}

#[test]
fn a_push_without_a_part_of_its_configuration_is_none() {
    for [audience, email, subscription, package] in [
        ["", EMAIL, SUBSCRIPTION, PACKAGE],
        [" ", EMAIL, SUBSCRIPTION, PACKAGE],
        [AUDIENCE, "", SUBSCRIPTION, PACKAGE],
        [AUDIENCE, EMAIL, "", PACKAGE],
        [AUDIENCE, EMAIL, "play", PACKAGE],
        [AUDIENCE, EMAIL, "projects//subscriptions/play", PACKAGE],
        [AUDIENCE, EMAIL, "projects/satchel/topics/play", PACKAGE],
        [AUDIENCE, EMAIL, SUBSCRIPTION, ""],
        [AUDIENCE, EMAIL, SUBSCRIPTION, "app/../satchel"],
        [AUDIENCE, SUBSCRIPTION, EMAIL, PACKAGE],
        [AUDIENCE, EMAIL, PACKAGE, SUBSCRIPTION],
    ] {
        assert!(
            Push::new(audience, email, subscription, package).is_err(),
            "{audience} {email} {subscription} {package}"
        );
    }
}

#[test]
fn a_purchase_token_stands_in_a_path_as_itself() {
    for good in [TOKEN, "a", "a..b", "~x", "A-._9", &"t".repeat(MAX_TOKEN_CHARS)] {
        assert_eq!(good.parse::<PurchaseToken>().unwrap().expose(), good);
    }
    for bad in [
        "",
        ".",
        "..",
        "...",
        "a/b",
        "a\\b",
        "a?b",
        "a#b",
        "a%2fb",
        "a b",
        "a\tb",
        "a\n",
        "a\0b",
        "a:cancel",
        "a;b",
        "é",
        "a\"b",
        "<a>",
        &"t".repeat(MAX_TOKEN_CHARS + 1),
    ] {
        assert_eq!(bad.parse::<PurchaseToken>(), Err(NoToken), "{bad:?}");
    }
}

#[test]
fn a_purchase_token_is_told_by_its_hash_and_never_printed() {
    let token: PurchaseToken = TOKEN.parse().unwrap();
    assert_eq!(format!("{token:?}"), "PurchaseToken(..)");
    assert_eq!(
        "abc".parse::<PurchaseToken>().unwrap().hash(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    let refused = serde_json::from_value::<PurchaseToken>(json!(format!("{TOKEN}/x"))).unwrap_err();
    assert_eq!(refused.to_string(), "not a purchase token");
}
