//! The caller's own account.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use satchel_domain::account::Profile;
use satchel_domain::entitlements::store_account_token;
use satchel_domain::identity::Provider;
use satchel_domain::ids::UserId;
use satchel_domain::time::from_unix;
use satchel_domain::{Error, Timestamp};
use satchel_inbound::http::{ApiResult, Caller, Input, Problem, RecentCaller};
use satchel_store::accounts::{self, Account};
use satchel_store::events::{self, Event};
use satchel_store::{Retry, erasing, sessions};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use super::Authenticated;
use crate::app::App;

/// An account.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Me {
    /// Its id.
    #[schema(example = "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    user_id: UserId,
    /// Name.
    name: Option<String>,
    /// E-mail address, as the last ID token had it.
    email: Option<String>,
    /// Whether the provider says that the address was checked.
    email_verified: bool,
    /// Address of a picture.
    avatar_url: Option<String>,
    /// Language tag (BCP 47).
    #[schema(example = "pt-BR")]
    locale: Option<String>,
    /// Time zone (IANA).
    #[schema(example = "Europe/Vienna")]
    timezone: Option<String>,
    /// The portal's customer whose member the person is; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<String>,
    /// A UUID to give to the stores along with a purchase (`appAccountToken`, `obfuscatedAccountId`).
    #[schema(example = "6b2f0f5e-4c5b-4d0e-9d0b-0c7f3a9b1c2d")]
    store_account_token: Option<String>,
    /// The ways to sign in.
    providers: Vec<Provider>,
    /// When the account was made, RFC 3339.
    #[schema(value_type = String, format = DateTime, example = "2026-01-31T12:00:00Z")]
    created_at: Timestamp,
}

/// What may be changed: a field that is absent stays, one that is null is emptied.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(crate) struct MeInput {
    /// Name.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    name: Option<Option<String>>,
    /// Address of a picture, https.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 2048, example = "https://cdn.example/ada.png")]
    avatar_url: Option<Option<String>>,
    /// Language tag (BCP 47).
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 35, example = "pt-BR")]
    locale: Option<Option<String>>,
    /// Time zone (IANA).
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, example = "Europe/Vienna")]
    timezone: Option<Option<String>>,
}

/// Tells a field that is null from one that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Read the account
#[utoipa::path(
    get, path = "/auth/me", tag = "auth", security(("access_token" = [])),
    responses(
        (status = 200, description = "The account.", body = Me),
        (status = 404, description = "The account is being erased.", body = Problem, content_type = "application/problem+json"),
        Authenticated,
    ),
)]
pub(crate) async fn read(State(app): State<App>, caller: Caller) -> ApiResult<Json<Me>> {
    let account = accounts::get(&app.accounts, &caller.user).await?.filter(Account::is_active);
    Ok(Json(view(account.ok_or(Error::NotFound("account"))?)))
}

/// Change the account
#[utoipa::path(
    patch, path = "/auth/me", tag = "auth", request_body = MeInput, security(("access_token" = [])),
    responses(
        (status = 200, description = "The account as it is now.", body = Me),
        (status = 400, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The account is being erased.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not `application/json`.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is out of range.", body = Problem, content_type = "application/problem+json"),
        Authenticated,
    ),
)]
pub(crate) async fn change(
    State(app): State<App>,
    caller: Caller,
    Input(input): Input<MeInput>,
) -> ApiResult<Json<Me>> {
    let MeInput { name, avatar_url, locale, timezone } = input;
    let profile = Profile { name, avatar_url, locale, timezone }.checked()?;
    let account = accounts::change(&app.accounts, &caller.user, &profile, app.core.clock.now()).await?;
    Ok(Json(view(account.ok_or(Error::NotFound("account"))?)))
}

/// Erase the account
///
/// Ends every session at once and removes the ways to sign in; everything else is erased within the hour. Needs a sign-in
/// of this session that is at most 10 minutes old.
#[utoipa::path(
    delete, path = "/auth/me", tag = "auth", security(("access_token" = [])),
    responses((status = 202, description = "The account is being erased."), Authenticated),
)]
pub(crate) async fn erase(State(app): State<App>, caller: RecentCaller) -> ApiResult<StatusCode> {
    let now = app.core.clock.now();
    let mut retry = Retry::default();
    loop {
        let account = accounts::get(&app.accounts, &caller.user).await?.filter(Account::is_active);
        // Asked for twice: it is under way.
        let Some(account) = account else { return Ok(StatusCode::ACCEPTED) };
        let live = sessions::list_live(&app.accounts, &caller.user).await?;
        // Its end would change the account's revision, on which the transaction depends.
        if !live.iter().any(|session| session.session_id == caller.session) {
            return Err(accounts::ended().into());
        }
        let event = Event::new(app.core.ids.next(), events::ERASING, json!({ "user_id": caller.user }), now);
        match erasing::begin(&app.accounts, &account, &live, &event, now).await {
            Ok(()) => return Ok(StatusCode::ACCEPTED),
            Err(cancelled) => retry.after(cancelled).await?,
        }
    }
}

fn view(account: Account) -> Me {
    let providers = account.providers().into_keys().collect();
    Me {
        store_account_token: store_account_token(&account.user_id),
        user_id: account.user_id,
        name: account.name,
        email: account.email,
        email_verified: account.email_verified,
        avatar_url: account.avatar_url,
        locale: account.locale,
        timezone: account.timezone,
        customer_id: account.customer_id,
        providers,
        created_at: from_unix(account.created_at),
    }
}
