//! The ways to sign in to the caller's account.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use satchel_domain::account::may_unlink;
use satchel_domain::identity::Provider;
use satchel_domain::ids::EventId;
use satchel_domain::{Error, Result};
use satchel_inbound::http::{ApiResult, ClientAddress, Input, PathId, Problem, RecentCaller};
use satchel_store::Retry;
use satchel_store::accounts::{self, Account};
use satchel_store::events::{self, Event};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Authenticated;
use super::sign_in::MAX_NONCE;
use crate::app::App;
use crate::limits;

/// A way to sign in that is to be added.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(crate) struct LinkInput {
    /// Whose ID token it is.
    provider: Provider,
    /// ID token of that provider.
    #[schema(max_length = 16384)]
    id_token: String,
    /// The raw nonce of the app's request to the provider; needed where the ID token carries one.
    #[schema(max_length = 512)]
    nonce: Option<String>,
}

/// The ways to sign in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Linked {
    /// The providers that sign in to the account.
    providers: Vec<Provider>,
}

/// Add a way to sign in
///
/// Needs a sign-in of this session that is at most 10 minutes old. The person is told by a security notification.
#[utoipa::path(
    post, path = "/auth/link", tag = "auth", request_body = LinkInput, security(("access_token" = [])),
    responses(
        (status = 200, description = "Linked.", body = Linked),
        (status = 400, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The account is being erased.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`identity_in_use`: it signs in to another account. `provider_already_linked`: another identity of this provider signs in to this one.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not `application/json`.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is missing or out of range.", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many sign-ins of this address or account.", body = Problem, content_type = "application/problem+json"),
        Authenticated,
    ),
)]
pub(crate) async fn add(
    State(app): State<App>,
    caller: RecentCaller,
    address: ClientAddress,
    Input(input): Input<LinkInput>,
) -> ApiResult<Json<Linked>> {
    let now = app.core.clock.now();
    if input.nonce.as_ref().is_some_and(|nonce| nonce.len() > MAX_NONCE) {
        return Err(Error::invalid("nonce", format!("must have at most {MAX_NONCE} bytes")).into());
    }
    limits::count(&app.accounts, &app.limits.sign_in_address, &address.0, now).await?;
    limits::count(&app.accounts, &app.limits.sign_in_account, caller.user.as_str(), now).await?;
    let identity = app.issuers.verify(input.provider, &input.id_token, input.nonce.as_deref(), now).await?;
    let subject = identity.key();
    let mut retry = Retry::default();
    loop {
        let account = account(&app, &caller).await?;
        if let Some(link) = accounts::by_link(&app.accounts, input.provider, &subject).await? {
            if link.user_id != caller.user {
                return Err(Error::conflict("identity_in_use", "this identity signs in to another account").into());
            }
            return Ok(linked(&account));
        }
        if account.links.contains_key(input.provider.as_str()) {
            let message = "another identity of this provider signs in to this account: take it away first";
            return Err(Error::conflict("provider_already_linked", message).into());
        }
        let data = json!({ "user_id": caller.user, "provider": input.provider, "device_id": caller.device });
        let event = Event::new(app.core.ids.next::<EventId>(), events::LINKED, data, now);
        match accounts::link(&app.accounts, &caller, (input.provider, &subject), &event, now).await {
            Ok(()) => {
                let mut account = account;
                account.links.insert(input.provider.as_str().to_owned(), subject);
                return Ok(linked(&account));
            }
            Err(cancelled) => retry.after(cancelled).await?,
        }
    }
}

/// Take a way to sign in away
///
/// Never the last one. Needs a sign-in of this session that is at most 10 minutes old.
#[utoipa::path(
    delete, path = "/auth/link/{provider}", tag = "auth", security(("access_token" = [])),
    params(("provider" = Provider, Path, description = "Whose identity is to be taken away.")),
    responses(
        (status = 204, description = "Taken away."),
        (status = 404, description = "No identity of this provider is linked.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`last_provider`: nothing would be left to sign in by.", body = Problem, content_type = "application/problem+json"),
        Authenticated,
    ),
)]
pub(crate) async fn take(
    State(app): State<App>,
    caller: RecentCaller,
    PathId(provider): PathId<Provider>,
) -> ApiResult<StatusCode> {
    let now = app.core.clock.now();
    let mut retry = Retry::default();
    loop {
        let account = account(&app, &caller).await?;
        let links = account.providers();
        may_unlink(&links, provider)?;
        let subject = links.get(&provider).map(String::as_str).unwrap_or_default();
        let data = json!({ "user_id": caller.user, "provider": provider, "device_id": caller.device });
        let event = Event::new(app.core.ids.next::<EventId>(), events::UNLINKED, data, now);
        match accounts::unlink(&app.accounts, &account, &caller, (provider, subject), &event).await {
            Ok(()) => return Ok(StatusCode::NO_CONTENT),
            Err(cancelled) => retry.after(cancelled).await?,
        }
    }
}

async fn account(app: &App, caller: &RecentCaller) -> Result<Account> {
    let account = accounts::get(&app.accounts, &caller.user).await?.filter(Account::is_active);
    account.ok_or(Error::NotFound("account"))
}

fn linked(account: &Account) -> Json<Linked> {
    Json(Linked { providers: account.providers().into_keys().collect() })
}
