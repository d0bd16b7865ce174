//! What a sign-in and a refresh are answered with.

use satchel_domain::Result;
use satchel_domain::Timestamp;
use satchel_domain::access::{Claims, LIFETIME, Scope};
use satchel_domain::ids::{ClientId, TokenId};
use satchel_domain::refresh::Written;
use satchel_store::accounts::Account;
use satchel_store::sessions::Session;
use serde::Serialize;

use crate::app::App;

/// A pair of tokens.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Tokens {
    /// Access token: a JWT signed with ES256.
    pub access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// For how long the access token is good, in seconds.
    #[schema(example = 900)]
    pub expires_in: i64,
    /// Refresh token: opaque, used once; the next one comes with the next access token.
    pub refresh_token: String,
}

/// The pair of `session`, whose next refresh token is `refresh`.
pub(crate) fn pair(
    app: &App,
    account: &Account,
    session: &Session,
    refresh: &Written,
    now: Timestamp,
) -> Result<Tokens> {
    let scope = if account.admin {
        format!("{} {}", Scope::User.as_str(), Scope::Admin.as_str())
    } else {
        Scope::User.as_str().to_owned()
    };
    let claims = Claims {
        did: Some(session.device_id.clone()),
        sid: Some(session.session_id.clone()),
        auth_time: Some(session.auth_time),
        cid: account.customer_id.clone(),
        ..claims(app, session.user_id.as_str(), scope, now)
    };
    Ok(Tokens {
        access_token: app.signer.sign(&claims)?,
        token_type: "Bearer",
        expires_in: LIFETIME,
        refresh_token: refresh.expose().to_owned(),
    })
}

/// The access token of a back office's service.
pub(crate) fn for_client(app: &App, client: &ClientId, scope: &str, now: Timestamp) -> Result<String> {
    app.signer.sign(&claims(app, client.as_str(), scope.to_owned(), now))
}

fn claims(app: &App, subject: &str, scope: String, now: Timestamp) -> Claims {
    let now = now.as_second();
    Claims {
        iss: app.issuer.clone(),
        aud: app.audience.clone(),
        sub: subject.to_owned(),
        did: None,
        sid: None,
        auth_time: None,
        cid: None,
        scope,
        iat: now,
        nbf: now,
        exp: now.saturating_add(LIFETIME),
        jti: app.core.ids.next::<TokenId>().to_string(),
    }
}
