//! Google's numbered vocabularies (facts 2.7). Each is open: a number that is new to us is kept as it came, so that its
//! event is stored, answered and looked at again.

use std::fmt;

macro_rules! numbers {
    ($($doc:literal $name:ident { $($variant:ident = $number:literal $text:literal)* })*) => {$(
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
        #[serde(from = "i64")]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`.")] $variant,)*
            /// A number that is new to us.
            Other(i64),
        }

        impl $name {
            /// Every number that we know.
            pub const KNOWN: &[Self] = &[$(Self::$variant,)*];

            /// The number as Google writes it.
            pub fn number(self) -> i64 {
                match self {
                    $(Self::$variant => $number,)*
                    Self::Other(number) => number,
                }
            }
        }

        impl From<i64> for $name {
            fn from(number: i64) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    _ => Self::Other(number),
                }
            }
        }

        /// The name that Google's pages give the number, or the number itself.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($text),)*
                    Self::Other(number) => write!(f, "{number}"),
                }
            }
        }
    )*};
}

numbers! {
    "What happened to a subscription (`subscriptionNotification.notificationType`)."
    SubscriptionEvent {
        Recovered = 1 "RECOVERED"
        Renewed = 2 "RENEWED"
        Canceled = 3 "CANCELED"
        Purchased = 4 "PURCHASED"
        OnHold = 5 "ON_HOLD"
        InGracePeriod = 6 "IN_GRACE_PERIOD"
        Restarted = 7 "RESTARTED"
        PriceChangeConfirmed = 8 "PRICE_CHANGE_CONFIRMED"
        Deferred = 9 "DEFERRED"
        Paused = 10 "PAUSED"
        PauseScheduleChanged = 11 "PAUSE_SCHEDULE_CHANGED"
        Revoked = 12 "REVOKED"
        Expired = 13 "EXPIRED"
        ItemsChanged = 17 "ITEMS_CHANGED"
        CancellationScheduled = 18 "CANCELLATION_SCHEDULED"
        PriceChangeUpdated = 19 "PRICE_CHANGE_UPDATED"
        PendingPurchaseCanceled = 20 "PENDING_PURCHASE_CANCELED"
        PriceStepUpConsentUpdated = 22 "PRICE_STEP_UP_CONSENT_UPDATED"
    }
    "What happened to a one-time purchase (`oneTimeProductNotification.notificationType`)."
    OneTimeEvent {
        Purchased = 1 "PURCHASED"
        Canceled = 2 "CANCELED"
    }
    "What was voided (`voidedPurchaseNotification.productType`)."
    VoidedProduct {
        Subscription = 1 "SUBSCRIPTION"
        OneTime = 2 "ONE_TIME"
    }
    "How it was voided (`voidedPurchaseNotification.refundType`)."
    RefundType {
        Full = 1 "FULL"
        QuantityBasedPartial = 2 "QUANTITY_BASED_PARTIAL"
    }
}
