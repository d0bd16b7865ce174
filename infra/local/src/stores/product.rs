//! What the stores know of a product. Nobody sets products up here: kind, period, group and price follow from the id, as
//! far as a call does not say otherwise.

use serde::{Deserialize, Serialize};

use super::refused::Refused;
use satchel_domain::time::DAY;

/// What a product is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductKind {
    /// Renews by itself.
    Subscription,
    /// Bought once and kept.
    OneTime,
    /// Bought once and used up.
    Consumable,
    /// Ends and does not renew by itself; Apple's alone.
    NonRenewing,
}

impl ProductKind {
    /// Apple's word for it.
    pub(super) fn apple(self) -> &'static str {
        match self {
            Self::Subscription => "Auto-Renewable Subscription",
            Self::OneTime => "Non-Consumable",
            Self::Consumable => "Consumable",
            Self::NonRenewing => "Non-Renewing Subscription",
        }
    }
}

/// A product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) id: String,
    pub(super) kind: ProductKind,
    /// Length of a period; nothing for what has none.
    pub(super) period_s: i64,
}

impl Product {
    /// The product `id`. A subscription is one whose id ends in `.weekly`, `.monthly` or `.yearly`, or that was given a
    /// period.
    pub(super) fn of(id: &str, kind: Option<ProductKind>, period_s: Option<i64>) -> Result<Self, Refused> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if id.is_empty() || id.len() > 100 || !id.bytes().all(fits) {
            return Err(Refused::invalid(format!("`{id}` is no product_id")));
        }
        if period_s.is_some_and(|period| period <= 0) {
            return Err(Refused::invalid("period_seconds must be more than 0"));
        }
        let period = period_s.or_else(|| period_of(id));
        let kind = kind.unwrap_or(if period.is_some() { ProductKind::Subscription } else { ProductKind::OneTime });
        let has_period = matches!(kind, ProductKind::Subscription | ProductKind::NonRenewing);
        let period_s = if has_period { period.unwrap_or(30 * DAY) } else { 0 };
        Ok(Self { id: id.to_owned(), kind, period_s })
    }

    /// Price in thousandths of the currency.
    pub(super) fn price(&self) -> i64 {
        if self.period_s > 100 * DAY { 39_990 } else { 4_990 }
    }

    /// The group within which one subscription is active at a time: all but the last part of the id.
    pub(super) fn group(&self) -> &str {
        self.id.rsplit_once('.').map_or(&self.id, |(group, _)| group)
    }
}

fn period_of(id: &str) -> Option<i64> {
    match id.rsplit('.').next()? {
        "weekly" => Some(7 * DAY),
        "monthly" => Some(30 * DAY),
        "yearly" => Some(365 * DAY),
        _ => None,
    }
}

/// The number Apple gives the group `name`.
pub(super) fn group_number(name: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(name);
    let number = u32::from_be_bytes([0, digest[0], digest[1], digest[2]]);
    (20_000_000 + number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_product_is_follows_from_its_id_or_from_the_call() {
        let of = |id: &str, kind, period| Product::of(id, kind, period).map(|it| (it.kind, it.period_s));
        assert_eq!(of("app.satchel.sync.monthly", None, None), Ok((ProductKind::Subscription, 30 * DAY)));
        assert_eq!(of("app.satchel.sync.yearly", None, None), Ok((ProductKind::Subscription, 365 * DAY)));
        assert_eq!(of("app.satchel.supporter", None, None), Ok((ProductKind::OneTime, 0)));
        assert_eq!(of("app.satchel.supporter", None, Some(60)), Ok((ProductKind::Subscription, 60)));
        assert_eq!(of("x", Some(ProductKind::NonRenewing), None), Ok((ProductKind::NonRenewing, 30 * DAY)));
        for id in ["", "a b", "a/b"] {
            assert!(of(id, None, None).is_err(), "{id}");
        }
        assert!(of("x", None, Some(0)).is_err());
    }

    #[test]
    fn products_of_one_add_on_are_one_group() {
        let group = |id: &str| group_number(Product::of(id, None, None).unwrap().group());
        assert_eq!(group("app.satchel.sync.monthly"), group("app.satchel.sync.yearly"));
        assert_ne!(group("app.satchel.sync.monthly"), group("app.satchel.ai.monthly"));
    }
}
