//! `verifyReceipt`, which Apple deprecated, and which alone understands the receipt of an app without StoreKit 2. It says
//! which transactions a receipt is about; what is true of them is what the App Store Server API says.

use std::collections::HashSet;

use http::{Request, header};
use satchel_domain::appstore::Environment;
use satchel_domain::{Error, Timestamp};
use serde::{Deserialize, Serialize};

use super::apple::{AppleApi, Legacy, Side};
use super::{StoreError, number};

/// The name of the call in logs.
const CALL: &str = "verify_receipt";

/// A transaction in a receipt that Apple confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LegacyTransaction {
    /// The product.
    pub(crate) product_id: String,
    /// The transaction.
    pub(crate) transaction_id: String,
    /// The first of its line.
    pub(crate) original_transaction_id: String,
    /// Until when it is paid for, Unix milliseconds; subscriptions only.
    pub(crate) expires_date_ms: Option<i64>,
    /// Where it was bought.
    pub(crate) environment: Environment,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ReceiptIn<'a> {
    receipt_data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    exclude_old_transactions: bool,
}

#[derive(Deserialize)]
struct ReceiptOut {
    status: i64,
    environment: Option<String>,
    receipt: Option<Receipt>,
    #[serde(default)]
    latest_receipt_info: Vec<InApp>,
}

#[derive(Deserialize)]
struct Receipt {
    bundle_id: Option<String>,
    #[serde(default)]
    in_app: Vec<InApp>,
}

#[derive(Deserialize)]
struct InApp {
    product_id: String,
    transaction_id: String,
    original_transaction_id: String,
    #[serde(default, deserialize_with = "number")]
    expires_date_ms: Option<i64>,
}

/// What a status asks for.
#[derive(Clone, Copy)]
enum Next {
    /// To read the receipt.
    Read,
    /// To ask the environment that it is of, with the refusal where that does not count here.
    Ask(&'static str, &'static str),
}

impl AppleApi {
    /// The transactions in a receipt: what is newest of each subscription, and all that the receipt holds, each once.
    /// Asked at the environment that is configured first, and once more where Apple says that it is the other's.
    ///
    /// # Errors
    /// `Refused` with `legacy_receipt` where it is off by configuration, with `receipt…` where it is not valid, with
    /// `bundle` where it is another app's, with `sandbox_receipt` or `production_receipt` where its environment does not
    /// count.
    pub(crate) async fn verify_receipt(
        &self,
        receipt_base64: &str,
        now: Timestamp,
    ) -> Result<Vec<LegacyTransaction>, StoreError> {
        let legacy = self.legacy.as_ref().ok_or(StoreError::Refused("legacy_receipt"))?;
        let mut side = self.sides.first().ok_or(StoreError::Refused("environment"))?;
        let mut answer = self.ask_receipt(legacy, side, receipt_base64, now).await?;
        if let Next::Ask(environment, refusal) = self.next(answer.status)? {
            let is_other = |one: &&Side| one.environment.as_str() == environment;
            side = self.sides.iter().find(is_other).ok_or(StoreError::Refused(refusal))?;
            answer = self.ask_receipt(legacy, side, receipt_base64, now).await?;
            if let Next::Ask(..) = self.next(answer.status)? {
                return Err(self.calls.unusable(CALL, "environment", "each environment names the other"));
            }
        }
        self.read(answer, side.environment)
    }

    async fn ask_receipt(
        &self,
        legacy: &Legacy,
        side: &Side,
        receipt_base64: &str,
        now: Timestamp,
    ) -> Result<ReceiptOut, StoreError> {
        let ours = |error: String| self.calls.later(CALL, Error::internal(error));
        let body = ReceiptIn {
            receipt_data: receipt_base64,
            password: legacy.shared_secret.as_ref().map(|secret| secret.expose().as_str()),
            exclude_old_transactions: true,
        };
        let body = serde_json::to_vec(&body).map_err(|error| ours(error.to_string()))?;
        let request = Request::post(&side.receipts)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(body.into())
            .map_err(|error| ours(error.to_string()))?;
        let answer = self.calls.send(CALL, request, now).await?;
        if !answer.status().is_success() {
            return Err(self.calls.unusable(CALL, "status", answer.status().as_str()));
        }
        self.calls.json(CALL, &answer)
    }

    /// What `status` means (facts 2.6).
    fn next(&self, status: i64) -> Result<Next, StoreError> {
        let refused = |reason| Err(StoreError::Refused(reason));
        match status {
            // 21006: valid, of a subscription that has ended.
            0 | 21_006 => Ok(Next::Read),
            21_007 => Ok(Next::Ask("Sandbox", "sandbox_receipt")),
            21_008 => Ok(Next::Ask("Production", "production_receipt")),
            // It was no POST, or had nothing to read: ours to mend, told as such.
            21_000 => Err(self.calls.refused(CALL, "receipt_request")),
            21_002 => refused("receipt_malformed"),
            21_003 => refused("receipt_not_authentic"),
            21_004 => {
                let _told = self.calls.credentials(CALL, "21004, the shared secret");
                refused("receipt_shared_secret")
            }
            21_005 | 21_009 | 21_100..=21_199 => {
                Err(self.calls.later(CALL, Error::unavailable(format!("{status}, which is retryable"))))
            }
            21_010 => refused("receipt_account"),
            other => Err(self.calls.unusable(CALL, "status", &other.to_string())),
        }
    }

    fn read(&self, answer: ReceiptOut, environment: Environment) -> Result<Vec<LegacyTransaction>, StoreError> {
        let receipt =
            answer.receipt.ok_or_else(|| self.calls.unusable(CALL, "answer_shape", "a valid receipt, but none"))?;
        if receipt.bundle_id.as_deref() != Some(self.bundle_id.as_str()) {
            return Err(StoreError::Refused("bundle"));
        }
        if answer.environment.is_some_and(|named| named != environment.as_str()) {
            return Err(self.calls.unusable(CALL, "environment", "another environment than was asked"));
        }
        let mut seen = HashSet::new();
        let all = answer.latest_receipt_info.into_iter().chain(receipt.in_app);
        Ok(all
            .filter(|one| seen.insert(one.transaction_id.clone()))
            .map(|one| LegacyTransaction {
                product_id: one.product_id,
                transaction_id: one.transaction_id,
                original_transaction_id: one.original_transaction_id,
                expires_date_ms: one.expires_date_ms,
                environment,
            })
            .collect())
    }
}
