//! Which add-on a product of a store gives: by its exact id, never by a part of it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::entitlements::AddOn;

/// Longest product id that is looked at, in characters (App Store Connect 255, Play Console 139).
pub const MAX_PRODUCT_ID: usize = 255;

/// The products that are sold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue(BTreeMap<String, Product>);

/// A product of either store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// What it gives.
    pub add_on: AddOn,
    /// How it is sold.
    pub kind: ProductKind,
    /// For how many days a purchase gives it, where the store names no end: Apple's non-renewing subscriptions, passes
    /// sold as one-time products. Without it such a purchase is for good.
    #[serde(default)]
    pub days: Option<u32>,
}

/// How a product is sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductKind {
    /// Renews by itself or is prolonged.
    Subscription,
    /// Bought once.
    OneTime,
}

impl Catalogue {
    /// The catalogue in JSON: `{"<product id>": {"add_on": "sync", "kind": "subscription"}}`.
    ///
    /// # Errors
    /// A sentence: what is wrong with it.
    pub fn parse(json: &str) -> Result<Self, String> {
        let products: BTreeMap<String, Product> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let fits =
            |id: &str| (1..=MAX_PRODUCT_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        if let Some(id) = products.keys().find(|id| !fits(id)) {
            return Err(format!("`{id}` is no product id"));
        }
        // The store says when a subscription ends.
        let ends_twice = |it: &Product| it.kind == ProductKind::Subscription && it.days.is_some();
        match products.iter().find(|(_, product)| ends_twice(product)) {
            Some((id, _)) => Err(format!("`{id}`: `days` is for what is bought once")),
            None => Ok(Self(products)),
        }
    }

    /// The product `id`.
    pub fn get(&self, id: &str) -> Option<&Product> {
        self.0.get(id)
    }

    /// The add-on that the product `id` gives.
    pub fn add_on(&self, id: &str) -> Option<AddOn> {
        self.get(id).map(|product| product.add_on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_found_by_its_exact_id() {
        let catalogue = Catalogue::parse(
            r#"{"app.sync.monthly": {"add_on": "sync", "kind": "subscription"},
                "app.pass": {"add_on": "ai", "kind": "one_time", "days": 30}}"#,
        )
        .unwrap();
        assert_eq!(catalogue.add_on("app.sync.monthly"), Some(AddOn::Sync));
        assert_eq!(catalogue.get("app.pass").unwrap().days, Some(30));
        // The seed took any id with `sync` in it for the add-on, and `email.pro` for `ai`.
        for foreign in ["app.sync.monthly2", "evil.app.sync.monthly", "app.sync", "email.pro", "APP.SYNC.MONTHLY", ""] {
            assert_eq!(catalogue.add_on(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_catalogue_that_is_not_one_is_refused() {
        for bad in [
            "",
            "[]",
            r#"{"a": {"add_on": "gold", "kind": "subscription"}}"#,
            r#"{"a": {"add_on": "sync", "kind": "rent"}}"#,
            r#"{"a": {"add_on": "sync", "kind": "subscription", "day": 3}}"#,
            r#"{"a": {"add_on": "sync", "kind": "subscription", "days": 3}}"#,
            r#"{"a b": {"add_on": "sync", "kind": "subscription"}}"#,
            r#"{"": {"add_on": "sync", "kind": "subscription"}}"#,
        ] {
            assert!(Catalogue::parse(bad).is_err(), "{bad}");
        }
    }
}
