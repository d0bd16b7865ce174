//! The body of a push.

use super::*;

fn message(body: impl AsRef<[u8]>) -> Result<Message, Reason> {
    push().message(body.as_ref())
}

fn said(notification: &Value) -> Result<Body, Reason> {
    message(body(notification)).map(|message| message.body)
}

fn token() -> PurchaseToken {
    TOKEN.parse().unwrap()
}

/// The push's body with another member of its message.
fn enveloped(name: &str, member: Value) -> String {
    let mut envelope = envelope(renewed().to_string());
    envelope["message"][name] = member;
    envelope.to_string()
}

fn about(kind: &str, members: Value) -> Vec<u8> {
    body(&notification(kind, members))
}

macro_rules! refuses {
    ($($name:ident: $reason:ident, $body:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(message($body).unwrap_err(), Reason::$reason);
            assert!(!Reason::$reason.is_authentication());
        }
    )*};
}

refuses! {
    an_empty_body: BodyNotJson, "";
    a_body_that_is_no_json: BodyNotJson, "hello";
    a_body_that_is_an_array: BodyNotJson, "[]";
    a_body_of_a_nul: BodyNotJson, "\0";
    a_body_that_is_no_utf8: BodyNotJson, b"{\"subscription\":\"\xff\"}";
    a_body_with_text_behind: BodyNotJson, format!("{}x", envelope(renewed().to_string()));
    a_body_nested_without_end: BodyNotJson, "{\"a\":".repeat(10_000);
    a_body_of_a_mebibyte: BodyTooLong, " ".repeat(1 << 20);
    a_body_one_byte_too_long: BodyTooLong, " ".repeat(MAX_BODY_BYTES + 1);
    an_empty_object: Envelope, "{}";
    no_message: Envelope, without(envelope("{}"), "message").to_string();
    a_message_that_is_a_text: Envelope, with(envelope("{}"), "message", json!("{}")).to_string();
    a_message_id_that_is_a_number: Envelope, enveloped("messageId", json!(13_466_183));
    data_that_is_an_object: Envelope, enveloped("data", renewed());
    no_subscription: Envelope, without(envelope(renewed().to_string()), "subscription").to_string();
    a_foreign_subscription: Subscription, with(envelope(renewed().to_string()), "subscription", json!("projects/evil/subscriptions/play")).to_string();
    a_subscription_named_alike: Subscription, with(envelope(renewed().to_string()), "subscription", json!(format!("{SUBSCRIPTION}2"))).to_string();
    no_message_id: MessageId, {
        let mut envelope = envelope(renewed().to_string());
        envelope["message"] = without(without(envelope["message"].clone(), "messageId"), "message_id");
        envelope.to_string()
    };
    two_message_ids: MessageId, enveloped("message_id", json!("7"));
    an_empty_message_id: MessageId, enveloped("messageId", json!(""));
    a_message_id_that_is_a_key: MessageId, with_id("1#EVENT");
    a_message_id_that_is_a_path: MessageId, with_id("../1");
    a_message_id_with_a_nul: MessageId, with_id("1\0");
    a_message_id_of_129_digits: MessageId, with_id(&"1".repeat(129));
    no_data: DataMissing, {
        let mut envelope = envelope("");
        envelope["message"] = without(envelope["message"].clone(), "data");
        envelope.to_string()
    };
    empty_data: DataMissing, enveloped("data", json!(""));
    data_that_is_not_encoded: DataEncoding, enveloped("data", json!(renewed().to_string()));
    data_in_base64url: DataEncoding, enveloped("data", json!("-_-_"));
    data_without_its_padding: DataEncoding, enveloped("data", json!("e30"));
    data_with_a_line_break: DataEncoding, enveloped("data", json!("e30=\n"));
    data_with_a_nul: DataEncoding, enveloped("data", json!("e30\0"));
    data_with_stray_bits: DataEncoding, enveloped("data", json!("e31="));
    data_that_is_no_json: DataNotJson, envelope("hello").to_string();
    data_that_is_an_array: DataNotJson, envelope("[]").to_string();
    data_that_is_encoded_twice: DataNotJson, envelope(STANDARD.encode(renewed().to_string())).to_string();
    data_with_a_bare_nul_in_a_text: DataNotJson, envelope("{\"packageName\":\"app.satchel\0\"}").to_string();
    data_nested_without_end: DataNotJson, envelope("[".repeat(20_000)).to_string();
    a_foreign_package: Package, body(&with(renewed(), "packageName", json!("app.other")));
    a_package_named_alike: Package, body(&with(renewed(), "packageName", json!("App.Satchel")));
    a_package_with_a_nul: Package, body(&with(renewed(), "packageName", json!("app.satchel\0")));
    no_package: Package, body(&without(renewed(), "packageName"));
    packages_in_a_list: Package, body(&with(renewed(), "packageName", json!([PACKAGE])));
    a_time_that_is_a_number: EventTime, body(&with(renewed(), "eventTimeMillis", json!(1_800_000_000_123_i64)));
    a_time_with_a_sign: EventTime, body(&with(renewed(), "eventTimeMillis", json!("+1800000000123")));
    a_time_before_all_times: EventTime, body(&with(renewed(), "eventTimeMillis", json!("-1")));
    a_time_with_a_blank: EventTime, body(&with(renewed(), "eventTimeMillis", json!("1800000000123 ")));
    a_time_in_words: EventTime, body(&with(renewed(), "eventTimeMillis", json!("2027-01-15T08:00:00Z")));
    a_time_beyond_the_calendar: EventTime, body(&with(renewed(), "eventTimeMillis", json!("9".repeat(18))));
    a_time_beyond_all_numbers: EventTime, body(&with(renewed(), "eventTimeMillis", json!("9".repeat(40))));
    a_time_of_nothing: EventTime, body(&with(renewed(), "eventTimeMillis", json!("0")));
    no_time: EventTime, body(&without(renewed(), "eventTimeMillis"));
    no_notification: NoNotification, body(&without(renewed(), "subscriptionNotification"));
    a_notification_of_null: NoNotification, body(&with(renewed(), "subscriptionNotification", Value::Null));
    two_notifications: TwoNotifications, body(&with(renewed(), "testNotification", json!({ "version": "1.0" })));
    all_notifications: TwoNotifications, {
        let all = json!({
            "packageName": PACKAGE, "eventTimeMillis": "1", "subscriptionNotification": {}, "oneTimeProductNotification": {},
            "voidedPurchaseNotification": {}, "pendingRefundReviewNotification": {}, "testNotification": {},
        });
        body(&all)
    };
    a_notification_that_is_a_text: NotificationShape, about("subscriptionNotification", json!("RENEWED"));
    a_notification_that_is_an_array: NotificationShape, about("subscriptionNotification", json!([2, TOKEN]));
    no_type: NotificationShape, about("subscriptionNotification", json!({ "purchaseToken": TOKEN }));
    a_type_in_words: NotificationShape, about("subscriptionNotification", json!({ "notificationType": "RENEWED", "purchaseToken": TOKEN }));
    a_type_with_a_fraction: NotificationShape, about("subscriptionNotification", json!({ "notificationType": 2.5, "purchaseToken": TOKEN }));
    no_purchase_token: NotificationShape, about("subscriptionNotification", json!({ "notificationType": 2 }));
    purchase_tokens_in_a_list: NotificationShape, about("oneTimeProductNotification", json!({ "notificationType": 1, "purchaseToken": [TOKEN], "sku": "a" }));
    an_empty_purchase_token: PurchaseToken, about("subscriptionNotification", json!({ "notificationType": 2, "purchaseToken": "" }));
    a_purchase_token_that_climbs: PurchaseToken, about("subscriptionNotification", json!({ "notificationType": 2, "purchaseToken": "../../orders/1" }));
    a_purchase_token_of_dots: PurchaseToken, about("subscriptionNotification", json!({ "notificationType": 2, "purchaseToken": ".." }));
    a_purchase_token_with_a_verb: PurchaseToken, about("subscriptionNotification", json!({ "notificationType": 2, "purchaseToken": "t:revoke" }));
    a_purchase_token_with_a_query: PurchaseToken, about("oneTimeProductNotification", json!({ "notificationType": 1, "purchaseToken": "t?x=1", "sku": "a" }));
    a_purchase_token_with_a_nul: PurchaseToken, about("subscriptionNotification", json!({ "notificationType": 2, "purchaseToken": "t\0" }));
    a_purchase_token_that_is_too_long: PurchaseToken, about("subscriptionNotification", json!({ "notificationType": 2, "purchaseToken": "t".repeat(1_501) }));
    a_voided_purchase_without_an_order: NotificationShape, about("voidedPurchaseNotification", json!({ "purchaseToken": TOKEN, "productType": 1, "refundType": 1 }));
    an_order_that_is_a_path: OrderId, about("voidedPurchaseNotification", json!({ "purchaseToken": TOKEN, "orderId": "GPA/1", "productType": 1, "refundType": 1 }));
    a_refund_review_of_no_order: OrderId, about("pendingRefundReviewNotification", json!({ "orderId": "" }));
}

/// A body with both spellings of another message id.
fn with_id(id: &str) -> String {
    let mut envelope = envelope(renewed().to_string());
    envelope["message"]["messageId"] = json!(id);
    envelope["message"]["message_id"] = json!(id);
    envelope.to_string()
}

#[test]
fn a_message_says_what_it_is_about() {
    let message = message(body(&renewed())).unwrap();
    assert_eq!(message.id, "13466183214567890");
    assert_eq!(message.published.unwrap().to_string(), "2027-01-15T08:00:00.345Z");
    assert_eq!(message.event_time.as_millisecond(), 1_800_000_000_123);
    assert_eq!(message.body, Body::Subscription { kind: SubscriptionEvent::Renewed, token: token() });
    assert_eq!((message.body.token(), message.body.name().as_str()), (Some(&token()), "SUBSCRIPTION_RENEWED"));
}

#[test]
fn either_spelling_of_the_envelope_will_do() {
    for (one, other) in [("messageId", "publishTime"), ("message_id", "publish_time")] {
        let mut envelope = envelope(renewed().to_string());
        envelope["message"] = without(without(envelope["message"].clone(), one), other);
        let message = message(envelope.to_string()).unwrap();
        assert_eq!((message.id.as_str(), message.published.is_some()), ("13466183214567890", true), "without {one}");
    }
}

#[test]
fn a_strange_time_of_publishing_does_no_harm() {
    let body = enveloped("publishTime", json!({ "seconds": 7 }));
    assert_eq!(message(body).unwrap().published, None);
}

#[test]
fn every_type_of_subscription_notification_is_named() {
    let numbers = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 17, 18, 19, 20, 22];
    assert_eq!(SubscriptionEvent::KNOWN.iter().map(|kind| kind.number()).collect::<Vec<_>>(), numbers);
    for kind in SubscriptionEvent::KNOWN {
        let members = json!({ "version": "1.0", "notificationType": kind.number(), "purchaseToken": TOKEN, "subscriptionId": "old" });
        let body = said(&notification("subscriptionNotification", members)).unwrap();
        assert_eq!(body, Body::Subscription { kind: *kind, token: token() });
    }
}

#[test]
fn a_type_that_is_new_to_us_is_kept() {
    for number in [0, 14, 15, 16, 21, 23, -1, i64::MAX] {
        let members = json!({ "notificationType": number, "purchaseToken": TOKEN });
        let body = said(&notification("subscriptionNotification", members)).unwrap();
        assert_eq!(body, Body::Subscription { kind: SubscriptionEvent::Other(number), token: token() });
        assert_eq!(body.name(), format!("SUBSCRIPTION_{number}"));
    }
}

#[test]
fn one_time_notifications_are_read() {
    for kind in [OneTimeEvent::Purchased, OneTimeEvent::Canceled, OneTimeEvent::Other(3)] {
        let members = json!({ "version": "1.0", "notificationType": kind.number(), "purchaseToken": TOKEN, "sku": "app.satchel.supporter" });
        let body = said(&notification("oneTimeProductNotification", members)).unwrap();
        assert_eq!(body, Body::OneTime { kind, token: token(), sku: Some("app.satchel.supporter".to_owned()) });
    }
}

#[test]
fn voided_purchases_are_read() {
    let members =
        json!({ "purchaseToken": TOKEN, "orderId": "GPA.3372-4150-8203-17209..4", "productType": 1, "refundType": 1 });
    let body = said(&notification("voidedPurchaseNotification", members.clone())).unwrap();
    let voided = |product_type, refund_type| Body::Voided {
        token: token(),
        order_id: "GPA.3372-4150-8203-17209..4".to_owned(),
        product_type,
        refund_type,
    };
    assert_eq!(body, voided(VoidedProduct::Subscription, RefundType::Full));
    assert_eq!(body.name(), "VOIDED_PURCHASE_FULL");
    let partial = with(with(members, "productType", json!(2)), "refundType", json!(2));
    let body = said(&notification("voidedPurchaseNotification", partial)).unwrap();
    assert_eq!(body, voided(VoidedProduct::OneTime, RefundType::QuantityBasedPartial));
}

#[test]
fn a_refund_under_review_is_read_without_its_token() {
    let members = json!({
        "version": "1.0", "pendingRefundToken": "secret", "orderId": "GPA.1-2", "refundReason": 7, "obfuscatedAccountId": "a",
    });
    let body = said(&notification("pendingRefundReviewNotification", members)).unwrap();
    let review = Body::PendingRefundReview {
        order_id: "GPA.1-2".to_owned(),
        refund_reason: Some(7),
        account_token: Some("a".to_owned()),
    };
    assert_eq!((&body, body.token()), (&review, None));
}

#[test]
fn a_test_is_a_test() {
    assert_eq!(said(&notification("testNotification", json!({ "version": "1.0" }))), Ok(Body::Test));
    assert_eq!(said(&notification("testNotification", json!({}))).unwrap().name(), "TEST");
}

#[test]
fn a_notification_that_is_new_to_us_is_kept() {
    assert_eq!(said(&notification("familyNotification", json!({ "purchaseToken": TOKEN }))), Ok(Body::Other));
    let beside = with(renewed(), "regionNotification", json!({ "region": "DE" }));
    assert!(matches!(said(&beside), Ok(Body::Subscription { .. })), "a known one counts beside it");
}

#[test]
fn no_message_prints_a_token() {
    for kind in ["subscriptionNotification", "oneTimeProductNotification"] {
        let body = about(kind, json!({ "notificationType": 1, "purchaseToken": TOKEN, "sku": "a" }));
        let printed = format!("{:?}", message(body).unwrap());
        assert!(printed.contains("PurchaseToken(..)") && !printed.contains(&TOKEN[..8]), "{printed}");
    }
}
