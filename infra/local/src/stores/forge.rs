//! How a delivery may be false.

use serde::{Deserialize, Serialize};

/// What is false about a delivery. What the notification says is otherwise as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forge {
    /// The signature is not over this text.
    Signature,
    /// Apple: the header says that nothing is signed. Google: the same of the bearer.
    Alg,
    /// Apple: signed by a chain with the same names to another root.
    Chain,
    /// Apple: the transaction inside is signed so.
    Inner,
    /// Apple: of another app. Google: of another package.
    Bundle,
    /// Apple: another number of the app.
    AppId,
    /// Apple: another environment than there is.
    Environment,
    /// No text that can be read.
    Garbage,
    /// Google: no bearer.
    Missing,
    /// Google: somebody else's service account.
    Email,
    /// Google: an e-mail that nobody verified.
    Unverified,
    /// Google: a bearer for another audience.
    Audience,
    /// Google: from another issuer.
    Issuer,
    /// Google: a bearer of yesterday.
    Expired,
    /// Google: another subscription than ours.
    Subscription,
}
