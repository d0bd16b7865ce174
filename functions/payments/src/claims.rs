//! A person brings a receipt: whether it proves that the purchase is in their hands, what the store says of it, and whose
//! it becomes.
//!
//! | receipt | proves | truth |
//! | --- | --- | --- |
//! | a signed transaction (StoreKit 2) | by its signature, and OCSP | App Store Server API |
//! | a legacy app receipt | by `verifyReceipt` | App Store Server API |
//! | a transaction id, a number one can guess | nothing: refreshes what is the caller's, or takes what names the caller | App Store Server API |
//! | a Google purchase token | by being known | Google Play Developer API |

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use satchel_domain::appstore::{self, MAX_BYTES};
use satchel_domain::entitlements::{Entitlement, account_of_store_token, best};
use satchel_domain::ids::UserId;
use satchel_domain::playstore::{Kind, Purchase, PurchaseToken};
use satchel_domain::purchases::owner::{Claim, proof_required};
use satchel_domain::purchases::{Chain, ProductKind, Store};
use satchel_domain::{Error, Result};
use satchel_store::purchases::{self, apple_id};
use serde::Deserialize;

use crate::app::{Apple, Google, Stores};
use crate::fold::{Asking, Cause, Folded, Line, News, refused};
use crate::stores::apple::Fetched;
use crate::stores::receipt::LegacyTransaction;
use crate::stores::{StoreError, ocsp};
use crate::trouble::{not_set_up, of_receipt, of_signature};

/// Longest receipt that is looked at, in bytes: a legacy receipt holds every purchase there ever was.
pub(crate) const MAX_RECEIPT: usize = 1024 * 1024;
/// Most purchases of one legacy receipt that a restore brings.
const MAX_LINES: usize = 20;

/// Who brings a receipt, and what for.
#[derive(Clone, Copy)]
pub(crate) struct Bringer<'a> {
    pub(crate) user: &'a UserId,
    /// Whether what is somebody else's may move here.
    pub(crate) restore: bool,
    /// What they say that they bought; a restore says nothing.
    pub(crate) product: Option<&'a str>,
}

enum Receipt<'a> {
    Signed(&'a str),
    Id(&'a str),
    Legacy(&'a str),
}

fn malformed(why: &str) -> Error {
    refused("receipt_malformed", format!("Invalid receipt format: {why}"))
}

fn of_apple(receipt: &str) -> Result<Receipt<'_>> {
    let receipt = receipt.trim();
    if (1..=20).contains(&receipt.len()) && receipt.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Receipt::Id(receipt));
    }
    if receipt.contains('.') {
        return if receipt.len() > MAX_BYTES { Err(malformed("too long")) } else { Ok(Receipt::Signed(receipt)) };
    }
    let is_base64 = STANDARD.decode(receipt).is_ok_and(|bytes| !bytes.is_empty());
    if is_base64 {
        Ok(Receipt::Legacy(receipt))
    } else {
        Err(malformed("neither a signed transaction, an id nor base64"))
    }
}

/// A transaction to ask for, in one environment where that is proven.
struct Asked<'a> {
    id: &'a str,
    environment: Option<appstore::Environment>,
}

/// The product of the transaction `id` that was asked for, and its line.
fn line_of(found: &Fetched, id: &str) -> Result<(String, Line)> {
    // The App Store may answer with another transaction of the same line.
    let asked = found.transactions.iter().find(|it| it.transaction_id == id).or(found.transactions.first());
    let asked = asked.ok_or_else(|| Error::internal("the App Store's answer is of no transaction"))?;
    let line =
        Line::new(found.environment, &asked.original_transaction_id, &found.transactions, found.renewal.as_ref());
    Ok((asked.product_id.clone(), line))
}

/// What an Android app sends.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GoogleReceipt {
    package_name: String,
    purchase_token: String,
}

fn of_google(receipt: &str) -> Result<GoogleReceipt> {
    let receipt = receipt.trim();
    let bytes = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].iter().find_map(|it| it.decode(receipt).ok());
    let bytes = bytes.ok_or_else(|| malformed("not base64"))?;
    serde_json::from_slice(&bytes).map_err(|_| malformed("no JSON of packageName and purchaseToken"))
}

impl Stores {
    /// Takes `receipt`; the add-on as its purchase gives it now.
    ///
    /// # Errors
    /// 400 where it is no purchase that counts here, 403 and 409 where it is not the caller's, 503 where a store is down.
    pub(crate) async fn claim(&self, store: Store, receipt: &str, bringer: Bringer<'_>) -> Result<Entitlement> {
        if receipt.len() > MAX_RECEIPT {
            return Err(malformed("too long"));
        }
        match store {
            Store::Ios => {
                let apple = self.apple.as_ref().ok_or_else(|| not_set_up("the App Store"))?;
                self.claim_line(apple, receipt, bringer).await
            }
            Store::Android => {
                let google = self.google.as_ref().ok_or_else(|| not_set_up("Google Play"))?;
                self.claim_token(google, receipt, bringer).await
            }
        }
    }

    async fn claim_line(&self, apple: &Apple, receipt: &str, bringer: Bringer<'_>) -> Result<Entitlement> {
        match of_apple(receipt)? {
            Receipt::Id(id) => self.claim_bare(apple, id, bringer).await,
            Receipt::Signed(text) => {
                let (transaction, environment) = self.signed(apple, text).await?;
                let asked = Asked { id: &transaction.transaction_id, environment: Some(environment) };
                self.claim_transaction(apple, asked, bringer).await
            }
            Receipt::Legacy(text) => self.claim_legacy(apple, text, bringer).await,
        }
    }

    /// A bare id proves nothing, so it is told nothing: not whether there is such a purchase, nor of what it is.
    async fn claim_bare(&self, apple: &Apple, id: &str, bringer: Bringer<'_>) -> Result<Entitlement> {
        let found = match apple.api.purchase(id, None, self.books.clock.now()).await {
            Ok(found) => found,
            Err(StoreError::NotFound | StoreError::Refused(_)) => return Err(proof_required()),
            Err(error) => return Err(of_receipt(error)),
        };
        let (asked, line) = line_of(&found, id)?;
        let mut chain = Chain::default();
        for snapshot in &line.snapshots {
            chain.learn(snapshot.clone());
        }
        let names_caller =
            chain.account_token().and_then(account_of_store_token).is_some_and(|named| named == *bringer.user);
        if !names_caller {
            let known =
                purchases::get(&self.books.table, Store::Ios, &apple_id(line.environment, &line.original)).await?;
            if known.and_then(|row| row.owner).as_ref() != Some(bringer.user) {
                return Err(proof_required());
            }
        }
        self.fold_line(&asked, line, Claim::Bare(bringer.user), bringer).await
    }

    async fn claim_transaction(
        &self,
        apple: &Apple,
        Asked { id, environment }: Asked<'_>,
        bringer: Bringer<'_>,
    ) -> Result<Entitlement> {
        let found = apple.api.purchase(id, environment, self.books.clock.now()).await.map_err(of_receipt)?;
        let (asked, line) = line_of(&found, id)?;
        self.fold_line(&asked, line, self.claim_of(bringer), bringer).await
    }

    /// Folds a line, of which `asked` is the product that was asked for.
    async fn fold_line(&self, asked: &str, line: Line, claim: Claim<'_>, bringer: Bringer<'_>) -> Result<Entitlement> {
        let product = self.product(asked, line.snapshots.iter().map(|it| it.product_id.as_str()), bringer.product)?;
        let folded = self.books.fold(&News::Line(line), claim, &self.by_app(bringer)).await?;
        self.given(&folded, &product)
    }

    /// What who proves that a purchase is in their hands may claim.
    fn claim_of<'a>(&self, bringer: Bringer<'a>) -> Claim<'a> {
        if bringer.restore { Claim::Restore(bringer.user, self.policy) } else { Claim::Verify(bringer.user) }
    }

    /// A legacy receipt holds everything that was ever bought: a verify takes what it is for, a restore all of it.
    async fn claim_legacy(&self, apple: &Apple, receipt: &str, bringer: Bringer<'_>) -> Result<Entitlement> {
        let bought = apple.api.verify_receipt(receipt, self.books.clock.now()).await.map_err(of_receipt)?;
        let wanted = |id: &str| bringer.product.map_or(self.books.catalogue.get(id).is_some(), |product| product == id);
        let mut newest: BTreeMap<String, LegacyTransaction> = BTreeMap::new();
        let place = |it: &LegacyTransaction| {
            (it.expires_date_ms.unwrap_or(i64::MAX), it.transaction_id.len(), it.transaction_id.clone())
        };
        for it in bought.into_iter().filter(|it| wanted(&it.product_id)) {
            match newest.get(&it.original_transaction_id) {
                Some(known) if place(known) >= place(&it) => {}
                _ => {
                    newest.insert(it.original_transaction_id.clone(), it);
                }
            }
        }
        let mut lines: Vec<LegacyTransaction> = newest.into_values().collect();
        lines.sort_by_key(|it| std::cmp::Reverse(place(it)));
        lines.truncate(if bringer.restore { MAX_LINES } else { 1 });
        let mut outcome = Err(refused("purchase_not_found", "No receipt info found"));
        for it in lines {
            let asked = Asked { id: &it.transaction_id, environment: Some(it.environment) };
            match self.claim_transaction(apple, asked, bringer).await {
                // The one that gives access is the one to tell of.
                Ok(given) => {
                    let better = |known: &Entitlement| !known.is_active && given.is_active;
                    if outcome.as_ref().map_or(true, better) {
                        outcome = Ok(given);
                    }
                }
                Err(error) if error.is_transient() => return Err(error),
                Err(error) if outcome.is_err() => outcome = Err(error),
                Err(_) => {}
            }
        }
        outcome
    }

    /// The transaction that a device signed for, where it is believed.
    async fn signed(&self, apple: &Apple, text: &str) -> Result<(appstore::Transaction, appstore::Environment)> {
        let now = self.books.clock.now();
        let believed = apple.api.believe(now, |it, known| it.transaction(text, appstore::Source::Device, known));
        let (verified, environment) = believed.map_err(|refused| of_signature(refused.reason))?;
        // A responder need not know a leaf that has ended; the store's own word follows in any case.
        let lives = |chain: &&appstore::Chain| chain.window().until >= now.as_second();
        match apple.stands(&self.books.table, verified.chains.iter().filter(lives), now).await {
            Ok(()) => Ok((verified.value, environment)),
            Err(ocsp::Outcome::Revoked) => Err(refused("receipt_refused", "Verification failed: certificate_revoked")),
            Err(ocsp::Outcome::Later(error)) => Err(error),
        }
    }

    /// The product that counts: the store's own. `asked` is what was bought, `others` what else the purchase was.
    fn product<'a>(
        &self,
        asked: &str,
        mut others: impl Iterator<Item = &'a str>,
        said: Option<&str>,
    ) -> Result<String> {
        let known = |id: &str| self.books.catalogue.get(id).is_some();
        match said {
            Some(said) if !known(said) => Err(unknown_product(said)),
            Some(said) if said == asked || others.any(|other| other == said) => Ok(said.to_owned()),
            Some(_) if known(asked) => {
                Err(refused("product_mismatch", "the receipt is of another product than product_id"))
            }
            None if known(asked) => Ok(asked.to_owned()),
            _ => Err(unknown_product(asked)),
        }
    }

    async fn claim_token(&self, google: &Google, receipt: &str, bringer: Bringer<'_>) -> Result<Entitlement> {
        let receipt = of_google(receipt)?;
        if receipt.package_name != google.package_name {
            return Err(refused("package_mismatch", "the receipt is of another app"));
        }
        let token: PurchaseToken = receipt.purchase_token.parse().map_err(|_| malformed("no purchase token"))?;
        let kind = match bringer.product {
            Some(id) => match self.books.catalogue.get(id).ok_or_else(|| unknown_product(id))?.kind {
                ProductKind::OneTime => Kind::OneTime,
                ProductKind::Subscription => Kind::Subscription,
            },
            None => Kind::Subscription,
        };
        let check = |purchase: &Purchase| {
            if purchase.test && !self.books.allow_sandbox {
                return Err(refused("sandbox_not_allowed", "Sandbox receipt in production environment"));
            }
            self.product_of(purchase, bringer.product).map(|_| ())
        };
        let asking = Asking {
            api: &google.api,
            clock: &self.books.clock,
            token: &token,
            kind,
            check: Some(&check),
            voided: None,
        };
        let folded = self.books.fold(&News::Token(asking), self.claim_of(bringer), &self.by_app(bringer)).await?;
        // What is not acknowledged now stays due: the person has what they bought, and the next run does the rest.
        if let Err(error) = self.acknowledge(google, &token, &folded).await {
            let error = satchel_inbound::http::error::causes(&error);
            tracing::warn!(%error, metric = "AcknowledgementLate", "a purchase could not be acknowledged at once");
        }
        let purchase = folded.row.facts.as_ref().map(|facts| &facts.purchase);
        let product = purchase.map(|purchase| self.product_of(purchase, bringer.product)).transpose()?;
        self.given(&folded, &product.unwrap_or_default())
    }

    fn product_of(&self, purchase: &Purchase, said: Option<&str>) -> Result<String> {
        let mut lines = purchase.lines.iter().map(|line| line.product_id.as_str());
        let known = lines.clone().find(|id| self.books.catalogue.get(id).is_some());
        let asked = known.or_else(|| lines.next()).unwrap_or_default();
        self.product(asked, purchase.lines.iter().map(|line| line.product_id.as_str()), said)
    }

    fn by_app(&self, bringer: Bringer<'_>) -> Cause<'static> {
        self.books.cause(if bringer.restore { "restored" } else { "verified" }, "app")
    }

    /// The add-on that `product` gives by what was folded.
    fn given(&self, folded: &Folded, product: &str) -> Result<Entitlement> {
        let add_on = self.books.catalogue.add_on(product).ok_or_else(|| unknown_product(product))?;
        let source = folded.sources.get(&add_on);
        let entitlement = source.and_then(|source| best(add_on, [source], self.books.clock.unix()));
        entitlement.ok_or_else(|| refused("purchase_not_found", "No receipt info found"))
    }
}

fn unknown_product(id: &str) -> Error {
    let shown: String = id.chars().filter(|it| !it.is_control()).take(255).collect();
    refused("unknown_product", format!("Unknown product ID: {shown}"))
}
