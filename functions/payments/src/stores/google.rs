//! The Google Play Developer API (facts 2.7): what a purchase is by Google's word, its acknowledgement, and what was voided.

mod grant;
mod push;
mod voided;

use std::time::Duration;

use axum::body::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use satchel_domain::error::causes;
use satchel_domain::playstore::{ProductPurchaseV2, PurchaseToken, SubscriptionPurchaseV2};
use satchel_domain::{Error, Timestamp};
use satchel_inbound::{Complaints, Env};
use satchel_outbound::secret::{self, Secret};
use serde::Deserialize;

use super::calls::Calls;
use super::{StoreError, address};
use grant::Grant;
pub(crate) use push::PushKeys;
use satchel_inbound::env::both;

/// Longest word of Google's that goes into a log.
const LONGEST_WORD: usize = 48;
/// An acknowledgement with all calls it takes, at most.
const ACKNOWLEDGEMENT: Duration = Duration::from_secs(12);
/// The reasons that say a purchase is not there, or no longer: each names its token. Any other 404 is about something
/// else, such as the app.
const ABSENT: [&str; 3] =
    ["purchaseTokenNotFound", "purchaseTokenNoLongerValid", "subscriptionPurchaseNoLongerAvailable"];

/// Asks Google Play.
pub(crate) struct PlayApi {
    calls: Calls,
    grant: Grant,
    /// What all paths begin with, up to `/purchases`.
    base: String,
}

/// The key file of a service account.
#[derive(Deserialize)]
struct GoogleSecret {
    client_email: String,
    private_key: String,
    private_key_id: String,
}

/// A refusal (Google Cloud APIs, *Errors*), with the reason that older APIs give.
#[derive(Deserialize)]
struct ApiError {
    error: ErrorBody,
}

#[derive(Deserialize)]
struct ErrorBody {
    status: Option<String>,
    #[serde(default)]
    errors: Vec<ErrorItem>,
}

#[derive(Deserialize)]
struct ErrorItem {
    reason: Option<String>,
}

/// What must be known of a purchase to acknowledge it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Open {
    acknowledgement_state: Option<String>,
    /// Of a subscription.
    #[serde(default)]
    line_items: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    product_id: String,
}

impl Open {
    fn is_acknowledged(&self) -> bool {
        self.acknowledgement_state.as_deref() == Some("ACKNOWLEDGEMENT_STATE_ACKNOWLEDGED")
    }
}

impl PlayApi {
    /// Where `GOOGLE_PACKAGE_NAME` is set.
    ///
    /// # Errors
    /// All complaints about the settings and the secret.
    pub(crate) async fn from_env(env: &Env) -> Result<Option<Self>, Complaints> {
        let Some(package) = env.settings.get("GOOGLE_PACKAGE_NAME") else { return Ok(None) };
        let read = env.settings.read(|settings| {
            // It goes into every path.
            let stands = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
            if !package.contains('.') || !package.bytes().all(stands) {
                settings.complain("GOOGLE_PACKAGE_NAME is no name of a package");
            }
            let play = address(settings, "GOOGLE_PLAY_URL", "https://androidpublisher.googleapis.com");
            let token = address(settings, "GOOGLE_TOKEN_URL", "https://oauth2.googleapis.com/token");
            (format!("{play}/androidpublisher/v3/applications/{package}"), token)
        });
        // The address is known only where the settings are right, and the secret is judged in any case.
        let at = read.as_ref().map_or_else(|_| String::new(), |(_, token)| token.clone());
        let ((base, _), grant) = both(read, read_secret(env, at).await)?;
        Ok(Some(Self { calls: Calls::new(env.http.clone(), "google"), grant, base }))
    }

    /// The subscription that `token` names.
    ///
    /// # Errors
    /// `Refused` with `purchase_token` where Google takes the token for none of our app's subscriptions.
    pub(crate) async fn subscription(
        &self,
        token: &PurchaseToken,
        now: Timestamp,
    ) -> Result<SubscriptionPurchaseV2, StoreError> {
        self.get("subscription", &subscription_path(token), now).await
    }

    /// The one-time purchase that `token` names.
    ///
    /// # Errors
    /// `Refused` with `purchase_token` where Google takes the token for none of our app's purchases.
    pub(crate) async fn product(&self, token: &PurchaseToken, now: Timestamp) -> Result<ProductPurchaseV2, StoreError> {
        self.get("product", &product_path(token), now).await
    }

    /// Acknowledges a subscription; one that was acknowledged before is fine.
    ///
    /// The documented path names the product, which Google says is not required, and not recommended where a purchase
    /// has several: so the purchase is looked at first, and its product named where it has one.
    pub(crate) async fn acknowledge_subscription(
        &self,
        token: &PurchaseToken,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let call = "acknowledge_subscription";
        let purchase = subscription_path(token);
        self.in_time(call, async {
            let open: Open = self.get(call, &purchase, now).await?;
            if open.is_acknowledged() {
                return Ok(());
            }
            let product = match &open.line_items[..] {
                [line] if is_product(&line.product_id) => format!("/{}", segment(&line.product_id)),
                _ => String::new(),
            };
            let path = format!("/purchases/subscriptions{product}/tokens/{}:acknowledge", segment(token.expose()));
            self.acknowledge(call, &path, &purchase, now).await
        })
        .await
    }

    /// Acknowledges a one-time purchase of `product_id`; one that was acknowledged before is fine.
    ///
    /// # Errors
    /// `Refused` with `product_id` before any call where that is no product's id.
    pub(crate) async fn acknowledge_product(
        &self,
        product_id: &str,
        token: &PurchaseToken,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if !is_product(product_id) {
            return Err(StoreError::Refused("product_id"));
        }
        let call = "acknowledge_product";
        let token_segment = segment(token.expose());
        let path = format!("/purchases/products/{}/tokens/{token_segment}:acknowledge", segment(product_id));
        self.in_time(call, self.acknowledge(call, &path, &product_path(token), now)).await
    }

    /// What comes of `calls`, which acknowledge, within [`ACKNOWLEDGEMENT`].
    async fn in_time(
        &self,
        call: &'static str,
        calls: impl Future<Output = Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        match tokio::time::timeout(ACKNOWLEDGEMENT, calls).await {
            Ok(answer) => answer,
            Err(_) => Err(self.calls.later(call, Error::unavailable("an acknowledgement took too long"))),
        }
    }

    /// Google answers a second acknowledgement, and one that crosses another, by 400 or 409, as it does one that cannot
    /// be: what the purchase says then tells them apart.
    async fn acknowledge(
        &self,
        call: &'static str,
        path: &str,
        purchase: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let answer = self.send(call, Method::POST, path, now).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        if !matches!(status, StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED) {
            return Err(self.refusal(call, &answer));
        }
        let open: Open = self.get(call, purchase, now).await?;
        if open.is_acknowledged() {
            return Ok(());
        }
        match status {
            StatusCode::BAD_REQUEST => Err(self.calls.unusable(call, "not_acknowledgeable", &reason(&answer))),
            _ => Err(self.calls.later(call, Error::unavailable(reason(&answer)))),
        }
    }

    async fn get<T: serde::de::DeserializeOwned>(
        &self,
        call: &'static str,
        path: &str,
        now: Timestamp,
    ) -> Result<T, StoreError> {
        let answer = self.send(call, Method::GET, path, now).await?;
        match answer.status() {
            status if status.is_success() => self.calls.json(call, &answer),
            StatusCode::BAD_REQUEST => Err(StoreError::Refused("purchase_token")),
            _ => Err(self.refusal(call, &answer)),
        }
    }

    /// The answer: a success, or a 4xx that says something about the purchase.
    async fn send(
        &self,
        call: &'static str,
        method: Method,
        path: &str,
        now: Timestamp,
    ) -> Result<Response<Bytes>, StoreError> {
        let token = self.grant.token(&self.calls, now).await?;
        let body = if method == Method::POST { Bytes::from_static(b"{}") } else { Bytes::new() };
        let mut request = Request::builder()
            .method(&method)
            .uri(format!("{}{path}", self.base))
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        // What is wrong with a request may quote its address.
        let request =
            request.body(body).map_err(|_| self.calls.later(call, Error::internal("a request cannot be made")))?;
        match self.calls.send(call, request, now).await {
            Err(error) if error.is_of_credentials() => {
                self.grant.forget(&token).await;
                Err(error)
            }
            Ok(answer) if answer.status() == StatusCode::FORBIDDEN => Err(self.forbidden(call, &answer)),
            answer => answer,
        }
    }

    /// A 403 is a throttle in the words of older APIs, or the account may not see our app's purchases.
    fn forbidden(&self, call: &'static str, answer: &Response<Bytes>) -> StoreError {
        let reason = reason(answer);
        let is_throttle = ["rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"]
            .iter()
            .any(|word| reason.ends_with(word));
        if is_throttle {
            self.calls.later(call, Error::Unavailable { retry_after: 60, cause: reason.into() })
        } else {
            self.calls.credentials(call, &reason)
        }
    }

    /// What a 4xx means that no call gives a meaning of its own.
    fn refusal(&self, call: &'static str, answer: &Response<Bytes>) -> StoreError {
        match answer.status() {
            // A wrong setting must never look like a purchase that is gone.
            StatusCode::NOT_FOUND | StatusCode::GONE => match item(answer).as_deref() {
                // 410: the purchase ended more than 60 days ago.
                Some(named) if ABSENT.contains(&named) => StoreError::NotFound,
                Some("applicationNotFound") => self.calls.unusable(call, "application_not_found", &reason(answer)),
                _ => self.calls.unusable(call, "status", &reason(answer)),
            },
            StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => {
                self.calls.later(call, Error::unavailable(reason(answer)))
            }
            _ => self.calls.unusable(call, "status", &reason(answer)),
        }
    }
}

async fn read_secret(env: &Env, token_url: String) -> Result<Grant, Complaints> {
    let arn = env.settings.read(|settings| settings.text("GOOGLE_PLAY_SECRET_ARN"))?;
    let complain = |error: String| Complaints(vec![format!("GOOGLE_PLAY_SECRET_ARN: {error}")]);
    let secret: Secret<GoogleSecret> =
        secret::read(&env.aws.secretsmanager(), &arn).await.map_err(|error| complain(causes(&error)))?;
    let GoogleSecret { client_email, private_key, private_key_id } = secret.expose();
    Grant::new(token_url, client_email, private_key_id, private_key)
        .ok_or_else(|| complain("private_key is no RSA key in PKCS#8 PEM".to_owned()))
}

/// Whether `text` is a product's id, which stands in a path as itself.
fn is_product(text: &str) -> bool {
    let stands = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(stands)
}

fn subscription_path(token: &PurchaseToken) -> String {
    format!("/purchases/subscriptionsv2/tokens/{}", segment(token.expose()))
}

fn product_path(token: &PurchaseToken) -> String {
    format!("/purchases/productsv2/tokens/{}", segment(token.expose()))
}

/// `text` as one segment of a path: all but the unreserved characters percent-encoded (RFC 3986, 2.1 and 2.3).
fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}

/// The reason that a refusal gives in the words of older APIs; a page that says 404 for an address of no API at all has
/// none.
fn item(answer: &Response<Bytes>) -> Option<String> {
    let ApiError { error } = serde_json::from_slice(answer.body()).ok()?;
    error.errors.into_iter().find_map(|item| item.reason)
}

/// Status and reason of a refusal, for the log. Its message is left out: it may quote what was asked.
fn reason(answer: &Response<Bytes>) -> String {
    let status = answer.status().as_u16();
    let Ok(ApiError { error }) = serde_json::from_slice(answer.body()) else { return status.to_string() };
    let item = error.errors.into_iter().find_map(|item| item.reason);
    match item.or(error.status) {
        Some(text) => format!("{status} {}", word(&text)),
        None => status.to_string(),
    }
}

/// `text` where it is a word of a vocabulary, for the log; anything else could be what we sent.
fn word(text: &str) -> String {
    let is_word = text.len() <= LONGEST_WORD && text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if is_word { text.to_owned() } else { "another".to_owned() }
}
