//! Apple's vocabularies (facts 2.2 to 2.4). Each is open: a word that is new to us is kept as it came, so that its event
//! is stored, answered and looked at again.

macro_rules! words {
    ($($doc:literal $name:ident { $($variant:ident = $text:literal)* })*) => {$(
        #[doc = $doc]
        #[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Deserialize)]
        #[serde(from = "String")]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`.")] $variant,)*
            /// A word that is new to us.
            Other(String),
        }

        impl $name {
            /// The word as Apple writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($text => Self::$variant,)*
                    _ => Self::Other(word),
                }
            }
        }
    )*};
}

words! {
    "What a notification is about (`notificationType`)."
    NotificationType {
        Subscribed = "SUBSCRIBED"
        DidRenew = "DID_RENEW"
        DidChangeRenewalPref = "DID_CHANGE_RENEWAL_PREF"
        DidChangeRenewalStatus = "DID_CHANGE_RENEWAL_STATUS"
        OfferRedeemed = "OFFER_REDEEMED"
        DidFailToRenew = "DID_FAIL_TO_RENEW"
        GracePeriodExpired = "GRACE_PERIOD_EXPIRED"
        Expired = "EXPIRED"
        PriceIncrease = "PRICE_INCREASE"
        Refund = "REFUND"
        RefundReversed = "REFUND_REVERSED"
        RefundDeclined = "REFUND_DECLINED"
        ConsumptionRequest = "CONSUMPTION_REQUEST"
        RenewalExtended = "RENEWAL_EXTENDED"
        RenewalExtension = "RENEWAL_EXTENSION"
        Revoke = "REVOKE"
        OneTimeCharge = "ONE_TIME_CHARGE"
        ExternalPurchaseToken = "EXTERNAL_PURCHASE_TOKEN"
        RescindConsent = "RESCIND_CONSENT"
        MetadataUpdate = "METADATA_UPDATE"
        Migration = "MIGRATION"
        PriceChange = "PRICE_CHANGE"
        Test = "TEST"
    }
    "What exactly a notification is about (`subtype`)."
    Subtype {
        InitialBuy = "INITIAL_BUY"
        Resubscribe = "RESUBSCRIBE"
        BillingRecovery = "BILLING_RECOVERY"
        Upgrade = "UPGRADE"
        Downgrade = "DOWNGRADE"
        AutoRenewEnabled = "AUTO_RENEW_ENABLED"
        AutoRenewDisabled = "AUTO_RENEW_DISABLED"
        GracePeriod = "GRACE_PERIOD"
        Voluntary = "VOLUNTARY"
        BillingRetry = "BILLING_RETRY"
        PriceIncrease = "PRICE_INCREASE"
        ProductNotForSale = "PRODUCT_NOT_FOR_SALE"
        Pending = "PENDING"
        Accepted = "ACCEPTED"
        Summary = "SUMMARY"
        Failure = "FAILURE"
        Unreported = "UNREPORTED"
        Created = "CREATED"
        ActiveTokenReminder = "ACTIVE_TOKEN_REMINDER"
    }
    "What was bought (`type` of a transaction)."
    ProductType {
        AutoRenewable = "Auto-Renewable Subscription"
        NonConsumable = "Non-Consumable"
        Consumable = "Consumable"
        NonRenewing = "Non-Renewing Subscription"
    }
    "Whose purchase it is (`inAppOwnershipType`)."
    Ownership {
        Purchased = "PURCHASED"
        FamilyShared = "FAMILY_SHARED"
    }
    "Why there is a transaction (`transactionReason`)."
    TransactionReason {
        Purchase = "PURCHASE"
        Renewal = "RENEWAL"
    }
    "How an offer is paid for (`offerDiscountType`)."
    OfferDiscount {
        FreeTrial = "FREE_TRIAL"
        PayAsYouGo = "PAY_AS_YOU_GO"
        PayUpFront = "PAY_UP_FRONT"
        OneTime = "ONE_TIME"
    }
    "How a purchase was taken back (`revocationType`)."
    RevocationType {
        RefundFull = "REFUND_FULL"
        RefundProrated = "REFUND_PRORATED"
        FamilyRevoke = "FAMILY_REVOKE"
    }
}
