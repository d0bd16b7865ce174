//! Signing in with an ID token of Apple or Google.

use axum::Json;
use axum::extract::State;
use satchel_domain::account;
use satchel_domain::identity::{Identity, Provider};
use satchel_domain::ids::{DeviceId, UserId};
use satchel_domain::session::Platform;
use satchel_domain::{Error, FieldError, Result, Timestamp};
use satchel_inbound::http::{ApiResult, ClientAddress, Input, Problem};
use satchel_store::accounts;
use serde::{Deserialize, Serialize};

use super::Usual;
use crate::app::App;
use crate::arrival::{Arrival, Arrived};
use crate::limits;
use crate::tokens::{self, Tokens};

/// Longest nonce, in bytes.
pub(super) const MAX_NONCE: usize = 512;
/// Longest authorization code, in bytes.
const MAX_CODE: usize = 2_048;

/// A sign-in.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(crate) struct SignInInput {
    /// ID token of the provider.
    #[schema(max_length = 16384)]
    id_token: String,
    /// The raw nonce of the app's request to the provider; needed where the ID token carries one. Apple is given its
    /// SHA-256 in hexadecimal digits.
    #[schema(max_length = 512)]
    nonce: Option<String>,
    /// The person's name, which Apple tells the app only at the first sign-in.
    #[schema(max_length = 200, example = "Ada Lovelace")]
    name: Option<String>,
    /// Apple's authorization code: exchanged for a token that is revoked when the account is erased.
    #[schema(max_length = 2048)]
    authorization_code: Option<String>,
    /// The device that signs in.
    device: DeviceInput,
}

/// A device that signs in.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(crate) struct DeviceInput {
    /// The id of an earlier sign-in on this device; kept where it is one of this person's.
    pub(crate) id: Option<DeviceId>,
    /// What the person calls it.
    #[schema(min_length = 1, max_length = 200, example = "Ada's phone")]
    pub(crate) name: String,
    /// What kind of device it is.
    pub(crate) platform: Platform,
    /// Model.
    #[schema(max_length = 200, example = "iPhone17,1")]
    pub(crate) model: Option<String>,
    /// Version of its system.
    #[schema(max_length = 200, example = "19.1")]
    pub(crate) os_version: Option<String>,
    /// Version of the app.
    #[schema(max_length = 200, example = "1.4.0")]
    pub(crate) app_version: Option<String>,
}

/// A sign-in's answer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct SignedIn {
    /// The tokens.
    #[serde(flatten)]
    tokens: Tokens,
    /// The account.
    #[schema(example = "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    user_id: UserId,
    /// The device: send it along with the next sign-in on it.
    #[schema(example = "dev_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    device_id: DeviceId,
    /// Whether this sign-in made the account.
    is_new_user: bool,
}

/// Sign in with Google
///
/// Makes the account at a person's first sign-in, and ends the device's older session.
#[utoipa::path(
    post, path = "/auth/google", tag = "auth", request_body = SignInInput, security(()),
    responses(
        (status = 200, description = "Signed in.", body = SignedIn),
        (status = 400, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`invalid_id_token`: the ID token is not believed.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`device_limit`: 50 devices are signed in.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not `application/json`.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is missing or out of range.", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many sign-ins of this address or account.", body = Problem, content_type = "application/problem+json"),
        Usual,
    ),
)]
pub(crate) async fn google(
    State(app): State<App>,
    address: ClientAddress,
    Input(input): Input<SignInInput>,
) -> ApiResult<Json<SignedIn>> {
    Ok(Json(sign_in(&app, Provider::Google, &address, input).await?))
}

/// Sign in with Apple
///
/// Makes the account at a person's first sign-in, and ends the device's older session.
#[utoipa::path(
    post, path = "/auth/apple", tag = "auth", request_body = SignInInput, security(()),
    responses(
        (status = 200, description = "Signed in.", body = SignedIn),
        (status = 400, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`invalid_id_token`: the ID token is not believed.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`device_limit`: 50 devices are signed in.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not `application/json`.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is missing or out of range.", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many sign-ins of this address or account.", body = Problem, content_type = "application/problem+json"),
        Usual,
    ),
)]
pub(crate) async fn apple(
    State(app): State<App>,
    address: ClientAddress,
    Input(input): Input<SignInInput>,
) -> ApiResult<Json<SignedIn>> {
    Ok(Json(sign_in(&app, Provider::Apple, &address, input).await?))
}

async fn sign_in(app: &App, provider: Provider, address: &ClientAddress, input: SignInInput) -> Result<SignedIn> {
    let now = app.core.clock.now();
    let input = input.checked()?;
    limits::count(&app.accounts, &app.limits.sign_in_address, &address.0, now).await?;
    let identity = app.issuers.verify(provider, &input.id_token, input.nonce.as_deref(), now).await?;
    limits::count(
        &app.accounts,
        &app.limits.sign_in_account,
        &format!("{}#{}", provider.as_str(), identity.key()),
        now,
    )
    .await?;

    let arrival = Arrival { app, identity: &identity, name: input.name, device: &input.device, now };
    let Arrived { account, session, refresh, is_new_user } = arrival.settle().await?;
    // Only now: a code is good for one exchange, and a sign-in that failed comes again with the same one.
    if let Some(code) = &input.authorization_code
        && let Err(error) = exchange(app, &identity, &session.user_id, code, now).await
    {
        let error = satchel_inbound::http::error::causes(&error);
        tracing::warn!(%error, metric = "AppleCodeLost", "an authorization code of Apple could not be exchanged");
    }
    Ok(SignedIn {
        tokens: tokens::pair(app, &account, &session, &refresh, now)?,
        user_id: session.user_id,
        device_id: session.device_id,
        is_new_user,
    })
}

/// Keeps Apple's token for its authorization code. It is a help for a later day, so nothing of it fails the sign-in.
async fn exchange(app: &App, identity: &Identity, user: &UserId, code: &str, now: Timestamp) -> Result<()> {
    let (Provider::Apple, Some(apple)) = (identity.provider, &app.apple) else { return Ok(()) };
    let granted = apple.exchange(identity, code, now).await?;
    let sealed = apple.seal(user, &granted, app.core.ids.bytes())?;
    if !accounts::keep_apple_token(&app.accounts, user, &sealed).await? {
        apple.revoke(user, &sealed, now).await?;
    }
    Ok(())
}

impl SignInInput {
    /// The same, read; every wrong field is named at once.
    fn checked(mut self) -> Result<Self> {
        let mut wrong = Vec::new();
        let mut complain = |field: &str, message: String| wrong.push(FieldError { field: field.to_owned(), message });
        let mut text = |field: &str, value: &mut String| match account::plain(value, account::MAX_NAME) {
            Ok(good) => *value = good,
            Err(message) => complain(field, message),
        };
        text("device.name", &mut self.device.name);
        let device = &mut self.device;
        for (field, value) in [
            ("device.model", &mut device.model),
            ("device.os_version", &mut device.os_version),
            ("device.app_version", &mut device.app_version),
            ("name", &mut self.name),
        ] {
            // An empty text says as much as none.
            *value = value.take().filter(|text| !text.trim().is_empty());
            if let Some(value) = value {
                text(field, value);
            }
        }
        for (field, value, most) in
            [("nonce", &self.nonce, MAX_NONCE), ("authorization_code", &self.authorization_code, MAX_CODE)]
        {
            if value.as_ref().is_some_and(|value| value.len() > most) {
                complain(field, format!("must have at most {most} bytes"));
            }
        }
        if wrong.is_empty() { Ok(self) } else { Err(Error::Invalid(wrong)) }
    }
}
