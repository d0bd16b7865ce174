//! A store is asked how a purchase stands, and a purchase is acknowledged once what it gives is written down.

use satchel_domain::appstore::Verifier;
use satchel_domain::entitlements::Status;
use satchel_domain::playstore::{Kind, PurchaseToken};
use satchel_domain::purchases::Store;
use satchel_domain::purchases::owner::Claim;
use satchel_domain::time::DAY;
use satchel_domain::{Error, Result};
use satchel_store::purchases::{self, Loaded, PurchaseRow};

use crate::app::{Apple, Google, Stores};
use crate::fold::{Asking, Cause, Folded, Line, News, environment_name, must_acknowledge};
use crate::stores::StoreError;
use crate::trouble;

/// Whether more than one transaction of a line gives something at `now`.
fn stand_together(loaded: &Loaded, now: i64) -> bool {
    let standing = loaded
        .transactions
        .values()
        .filter(|it| it.revoked_at.is_none() && !it.upgraded && it.expires_at.is_none_or(|end| end > now));
    standing.count() > 1
}

impl Stores {
    /// Asks `store` about the purchase `id`. One that is not known here, or whose store is not set up any more, is left.
    ///
    /// # Errors
    /// 503 where the store or a table is in the way.
    pub(crate) async fn look(&self, store: Store, id: &str, voided: Option<(String, i64)>) -> Result<()> {
        let Some(loaded) = purchases::load(&self.books.table, store, id).await? else { return Ok(()) };
        let now = self.books.clock.now();
        if voided.is_none() && loaded.row.due_at.is_none_or(|due| due > now.as_millisecond()) {
            // Sent twice, or looked at meanwhile.
            return Ok(());
        }
        let lost = voided.is_some();
        match self.ask(store, loaded, voided).await {
            // It stays due: the next run sends it again, and a store that is down costs nothing but time.
            Err(error) if error.is_transient() && !lost => {
                let error = satchel_inbound::http::error::causes(&error);
                tracing::warn!(%error, metric = "LookLate", "a purchase could not be looked at now");
                Ok(())
            }
            outcome => outcome,
        }
    }

    async fn ask(&self, store: Store, loaded: Loaded, voided: Option<(String, i64)>) -> Result<()> {
        let row = &loaded.row;
        match (store, &self.apple, &self.google) {
            (Store::Ios, Some(_), _) if !self.books.counts(row) => {
                // Its environment counted once: nothing new is known of it, and it gives nothing any more.
                let Some(original) = row.original_transaction_id.clone() else { return Ok(()) };
                let line = Line { environment: "sandbox", original, snapshots: Vec::new(), renewal: None };
                self.books
                    .fold(&News::Line(line), Claim::Nobody, &self.books.cause("reconciled", "reconcile"))
                    .await
                    .map(|_| ())
            }
            (Store::Ios, Some(apple), _) => self.look_at_line(apple, loaded).await,
            (Store::Android, _, Some(google)) => {
                let Some(token) = row.purchase_token.as_ref().and_then(|token| token.parse().ok()) else {
                    return Err(Error::internal("a Google Play purchase without a token"));
                };
                let kind = row.facts.as_ref().map_or(Kind::Subscription, |facts| facts.purchase.kind);
                self.look_at_token(google, &token, kind, voided, &self.books.cause("reconciled", "reconcile")).await
            }
            _ => Ok(()),
        }
    }

    async fn look_at_line(&self, apple: &Apple, loaded: Loaded) -> Result<()> {
        let Some(original) = loaded.row.original_transaction_id.as_deref() else { return Ok(()) };
        let newest = loaded.chain().newest(None, &self.books.catalogue).map(|it| it.transaction_id.clone());
        let asked = newest.unwrap_or_else(|| original.to_owned());
        let mut environments = apple.api.verifiers().map(Verifier::environment);
        let environment = environments.find(|it| environment_name(*it) == loaded.row.environment);
        let found = match apple.api.purchase(&asked, environment, self.books.clock.now()).await {
            Ok(found) => found,
            Err(StoreError::NotFound) => {
                tracing::warn!(
                    metric = "PurchaseUnknownToStore",
                    "the App Store does not know a purchase that it signed"
                );
                let mut row = loaded.row;
                row.due(Some(self.books.clock.unix() + DAY));
                return self.books.write_unless_changed(&row).await;
            }
            Err(error) => return Err(trouble::of_look(error)),
        };
        let mut transactions = found.transactions;
        if stand_together(&loaded, self.books.clock.unix()) {
            // The store's newest state shows one of them: a refund of the other would be missed.
            let history = apple.api.revoked_or_all_transactions(original, found.environment, self.books.clock.now());
            transactions.extend(history.await.map_err(trouble::of_look)?);
        }
        let line = Line::new(found.environment, original, &transactions, found.renewal.as_ref());
        self.books
            .fold(&News::Line(line), Claim::Nobody, &self.books.cause("reconciled", "reconcile"))
            .await
            .map(|_| ())
    }

    /// Asks Google Play about `token` and folds the answer.
    ///
    /// # Errors
    /// 503 where the store or a table is in the way.
    pub(crate) async fn look_at_token(
        &self,
        google: &Google,
        token: &PurchaseToken,
        kind: Kind,
        voided: Option<(String, i64)>,
        cause: &Cause<'_>,
    ) -> Result<()> {
        let asking = Asking { api: &google.api, clock: &self.books.clock, token, kind, check: None, voided };
        let folded = self.books.fold(&News::Token(asking), Claim::Nobody, cause).await?;
        self.acknowledge(google, token, &folded).await
    }

    /// Acknowledges what is given to somebody and was not acknowledged yet: after the grant is written, never before
    /// (facts 2.7), and nothing that gives nothing.
    ///
    /// # Errors
    /// 503 where the store or a table is in the way; the purchase stays due.
    pub(crate) async fn acknowledge(&self, google: &Google, token: &PurchaseToken, folded: &Folded) -> Result<()> {
        let Some(facts) = folded.row.facts.as_ref().filter(|facts| must_acknowledge(facts)) else { return Ok(()) };
        let gives =
            |status| matches!(status, Status::Active | Status::Grace | Status::Owned | Status::Hold | Status::Paused);
        // What another purchase took the place of was given, and Google refunds it too where nobody says so.
        let was_given = facts.replaced_at.is_some() || folded.sources.values().any(|source| gives(source.status));
        let given = folded.row.owner.is_some() && was_given;
        let now = self.books.clock.now();
        if !given {
            self.overdue(&folded.row, "OwnerlessPurchase", "a purchase that nobody claimed nears its deadline");
            return Ok(());
        }
        let outcome = match facts.purchase.kind {
            Kind::Subscription => google.api.acknowledge_subscription(token, now).await,
            Kind::OneTime => match facts.purchase.lines.first() {
                Some(line) => google.api.acknowledge_product(&line.product_id, token, now).await,
                None => return Ok(()),
            },
        };
        match outcome {
            Ok(()) => self.books.acknowledged(folded.row.store, &folded.row.id).await,
            // Gone meanwhile: nothing to acknowledge any more.
            Err(StoreError::NotFound) => Ok(()),
            Err(error) => {
                self.overdue(
                    &folded.row,
                    "AcknowledgementOverdue",
                    "half of the time to acknowledge a purchase is over",
                );
                Err(trouble::of_look(error))
            }
        }
    }

    /// Alarms past half of Google's deadline.
    fn overdue(&self, row: &PurchaseRow, metric: &'static str, message: &'static str) {
        let purchase = row.facts.as_ref().map(|facts| &facts.purchase);
        let begun = purchase.and_then(|purchase| purchase.started).unwrap_or(row.created_at);
        let Some(deadline) = purchase.and_then(|purchase| purchase.acknowledgement_deadline(row.created_at)) else {
            return;
        };
        if self.books.clock.unix() >= begun + (deadline - begun) / 2 {
            tracing::error!(purchase = %row.id, metric, "{message}");
        }
    }
}
