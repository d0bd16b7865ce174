//! What the stores say becomes [`Source`](crate::entitlements::Source)s of add-ons: plain functions of what is known of a
//! purchase, whatever order it came in (design: payments, Events).
//!
//! | module | rule |
//! | --- | --- |
//! | [`catalogue`] | which product gives which add-on |
//! | [`chain`] | what is known of one line of App Store transactions, and what that gives |
//! | [`owner`] | whose a purchase is |
//! | [`due`] | when a purchase is looked at again |
//!
//! What Google Play says is in [`crate::playstore`]: there the newest fetch counts, here the newest signature.

pub mod catalogue;
pub mod chain;
pub mod due;
pub mod owner;

use serde::{Deserialize, Serialize};

use crate::entitlements::Platform;

pub use catalogue::{Catalogue, Product, ProductKind};
pub use chain::Chain;

/// A store that sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = StorePlatform)]
pub enum Store {
    /// The App Store.
    Ios,
    /// Google Play.
    Android,
}

impl Store {
    /// The store as it stands in JSON and in keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ios => "ios",
            Self::Android => "android",
        }
    }

    /// The store that `text` names as it stands in keys.
    pub fn find(text: &str) -> Option<Self> {
        [Self::Ios, Self::Android].into_iter().find(|store| store.as_str() == text)
    }

    /// The platform of a source from this store.
    pub fn platform(self) -> Platform {
        match self {
            Self::Ios => Platform::Ios,
            Self::Android => Platform::Android,
        }
    }
}
