//! Why a push is refused: a closed list, so that nothing of a push comes back to who sent it.

use std::fmt;

use crate::closed::closed_list;

closed_list! {
    /// Why a push is refused; one variant a refusal.
    Reason {
        TokenTooLong = "token_too_long" "A bearer token longer than [`crate::identity::MAX_TOKEN_BYTES`]."
        TokenSegments = "token_segments" "Not exactly three segments (RFC 7515, 7.1)."
        TokenEncoding = "token_encoding" "A segment that is not base64url without padding (RFC 7515, 2)."
        TokenHeader = "token_header" "The header is no JSON object, or a member of it stands twice (RFC 7515, 4)."
        TokenCritical = "token_critical" "The header has `crit` or `b64`: no extension is understood (RFC 7515, 4.1.11)."
        Algorithm = "algorithm" "`alg` is not exactly `RS256`."
        KeyMissing = "key_missing" "The header names no key."
        KeyUnknown = "key_unknown" "The issuer publishes no key of that name."
        Signature = "signature" "The signature is not the key's over this header and these claims."
        Claims = "claims" "A required claim is absent, or one is not of its type."
        Issuer = "issuer" "Of another issuer than Google."
        Audience = "audience" "For another audience, or for another one besides."
        Expired = "expired" "It has expired."
        IssuedAhead = "issued_ahead" "Made, or valid from, a time to come."
        Email = "email" "Of another service account than the one our push acts as."
        EmailUnverified = "email_unverified" "Google does not answer for the address: `email_verified` is not the boolean `true`."
        BodyTooLong = "body_too_long" "A body longer than [`super::MAX_BODY_BYTES`]."
        BodyNotJson = "body_not_json" "The body is no JSON object."
        Envelope = "envelope" "A member of Pub/Sub's envelope is absent, or not of its type."
        MessageId = "message_id" "No message id, two that differ, or one that cannot be part of a key."
        Subscription = "subscription" "From another Pub/Sub subscription."
        DataMissing = "data_missing" "A message without data."
        DataEncoding = "data_encoding" "The data is not standard base64."
        DataNotJson = "data_not_json" "The data is no JSON object."
        Package = "package" "About another app."
        EventTime = "event_time" "`eventTimeMillis` is no text of digits, or no time."
        NoNotification = "no_notification" "None of the kinds of notification."
        TwoNotifications = "two_notifications" "More than one kind of notification."
        NotificationShape = "notification_shape" "A member of the notification is absent, or not of its type."
        PurchaseToken = "purchase_token" "A purchase token that cannot be one."
        OrderId = "order_id" "An order id that cannot be one."
    }
}

impl Reason {
    /// Whether it is unknown who sent it (401). Otherwise Google did, and what it sent can never be used: recorded,
    /// alarmed and answered 204, since any failure would make Pub/Sub repeat it for days.
    pub fn is_authentication(self) -> bool {
        match self {
            Self::TokenTooLong
            | Self::TokenSegments
            | Self::TokenEncoding
            | Self::TokenHeader
            | Self::TokenCritical
            | Self::Algorithm
            | Self::KeyMissing
            | Self::KeyUnknown
            | Self::Signature
            | Self::Claims
            | Self::Issuer
            | Self::Audience
            | Self::Expired
            | Self::IssuedAhead
            | Self::Email
            | Self::EmailUnverified => true,
            Self::BodyTooLong
            | Self::BodyNotJson
            | Self::Envelope
            | Self::MessageId
            | Self::Subscription
            | Self::DataMissing
            | Self::DataEncoding
            | Self::DataNotJson
            | Self::Package
            | Self::EventTime
            | Self::NoNotification
            | Self::TwoNotifications
            | Self::NotificationShape
            | Self::PurchaseToken
            | Self::OrderId => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Reason {}
