//! A new pair of tokens for a refresh token.

use axum::Json;
use axum::extract::State;
use satchel_domain::refresh::{self, Decision, Written, present};
use satchel_domain::session::EndReason;
use satchel_domain::{Error, Result, Timestamp};
use satchel_inbound::http::{ApiResult, ClientAddress, Input, Problem};
use satchel_store::accounts::{self, Account};
use satchel_store::sessions::{self, Session};
use serde::Deserialize;

use super::Usual;
use crate::app::App;
use crate::limits;
use crate::tokens::{self, Tokens};

/// How often a lost race is decided anew. One is enough: who lost it against another refresh repeats its answer.
const TRIES: u32 = 4;

/// A refresh.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(crate) struct RefreshInput {
    /// The refresh token that came last.
    #[schema(max_length = 1024)]
    refresh_token: String,
}

/// Refresh
///
/// Gives a new pair of tokens; the presented refresh token is used up. The same call within 30 seconds, because the answer
/// was lost, gives the same next refresh token. A token that was used earlier ends the session.
#[utoipa::path(
    post, path = "/auth/refresh", tag = "auth", request_body = RefreshInput, security(()),
    responses(
        (status = 200, description = "A new pair.", body = Tokens),
        (status = 400, description = "The body is not JSON.", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`invalid_refresh_token`, `session_revoked` or `session_expired`: sign in again.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not `application/json`.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is missing.", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many refreshes of this address or session.", body = Problem, content_type = "application/problem+json"),
        Usual,
    ),
)]
pub(crate) async fn refresh(
    State(app): State<App>,
    address: ClientAddress,
    Input(input): Input<RefreshInput>,
) -> ApiResult<Json<Tokens>> {
    let now = app.core.clock.now();
    limits::count(&app.accounts, &app.limits.refresh_address, &address.0, now).await?;
    let presented = app.refresh.read(&input.refresh_token)?;
    limits::count(&app.accounts, &app.limits.refresh_session, presented.token.session.as_str(), now).await?;
    let account = accounts::get(&app.accounts, &presented.token.user).await?;
    let account = account.filter(Account::is_active).ok_or_else(refresh::revoked)?;
    let (session, next) = exchange(&app, &presented, now).await?;
    Ok(Json(tokens::pair(&app, &account, &session, &next, now)?))
}

/// The session and the token that follows `presented`.
async fn exchange(app: &App, presented: &Written, now: Timestamp) -> Result<(Session, Written)> {
    let token = &presented.token;
    for _ in 0..TRIES {
        let session = sessions::get(&app.accounts, &token.user, &token.device).await?;
        let line = session.as_ref().map(Session::line);
        let decision = present(line.as_ref(), presented, app.lifetimes, now);
        let Some(session) = session else { return Err(refresh::Refusal::Unknown.into()) };
        match decision {
            Decision::Refused(refusal) => return Err(refusal.into()),
            Decision::Repeat => return Ok((session, app.refresh.successor(presented))),
            Decision::Theft => {
                sessions::end_this(&app.accounts, &session, EndReason::TokenReused, now).await?;
                return Err(refresh::revoked());
            }
            Decision::Expired => {
                sessions::end_this(&app.accounts, &session, EndReason::Expired, now).await?;
                return Err(refresh::expired());
            }
            Decision::Move => {
                let next = app.refresh.successor(presented);
                let moved =
                    sessions::advance(&app.accounts, &session, next.token.generation, &next.hash(), now).await?;
                if let Some(session) = moved {
                    return Ok((session, next));
                }
            }
        }
    }
    Err(Error::unavailable("a session changed under every try of a refresh"))
}
