//! The back office gives an add-on, or takes it back.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use satchel_domain::entitlements::{AddOn, Entitlement, Source, best, granted, revoked};
use satchel_domain::ids::{EventId, GrantId, UserId};
use satchel_domain::{Error, FieldError, Result, Timestamp};
use satchel_inbound::http::caller::EntitlementsWrite;
use satchel_inbound::http::{ApiResult, Backoffice, IdempotencyKey, Input};
use satchel_store::entitlements::{self, AddOnRow, GRANT, GrantRow, LedgerRow};
use satchel_store::receipts::{self, Look};
use satchel_store::{Retry, Transaction};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::App;

/// The last second a calendar with four-digit years holds.
const LAST_SECOND: i64 = 253_402_300_799;
/// Longest reason, in characters.
const MAX_REASON: usize = 500;

/// A complimentary add-on.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct GrantIn {
    /// To whom.
    #[schema(value_type = String, example = "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV", pattern = "^usr_[A-Za-z0-9_.:-]+$")]
    user_id: UserId,
    /// What.
    add_on_type: AddOn,
    /// Until when, Unix seconds; without it the grant has no end.
    #[serde(default)]
    #[schema(example = 1_798_761_600, minimum = 0, maximum = 253_402_300_799_i64)]
    expires_at: Option<i64>,
    /// Why, 1 to 500 characters; may be missing where the grant is taken back.
    #[serde(default)]
    #[schema(example = "Thanks for the bug report", max_length = 500)]
    reason: Option<String>,
    /// Takes the grant back instead.
    #[serde(default)]
    revoke: bool,
}

/// A person's add-on after the grant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GrantOut {
    /// Whose add-on.
    #[schema(value_type = String, example = "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    user_id: UserId,
    /// Its state now.
    #[serde(flatten)]
    entitlement: Entitlement,
}

impl GrantIn {
    fn check(&self) -> Result<()> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, message: &str| {
            errors.push(FieldError { field: field.to_owned(), message: message.to_owned() });
        };
        if self.expires_at.is_some_and(|at| !(0..=LAST_SECOND).contains(&at)) {
            wrong("expires_at", "Unix seconds from 0 to 253402300799");
        }
        match self.reason.as_deref().map(|reason| reason.trim().chars().count()) {
            Some(1..=MAX_REASON) => {}
            None if self.revoke => {}
            _ => wrong("reason", "1 to 500 characters"),
        }
        if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
    }
}

/// Gives a person an add-on, or takes it back.
///
/// A person has at most one grant of an add-on: a new one takes its place, with a later end or an earlier one. Purchases
/// in a store are not touched, and the answer shows the best of what the person has then. Taking back what was taken
/// back already changes nothing.
#[utoipa::path(
    post,
    path = "/payments/grants",
    tag = "payments",
    security(("client_credentials" = ["entitlements:write"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body within 24 hours gets the first answer", min_length = 1, max_length = 128)),
    request_body = GrantIn,
    responses(
        (status = 200, description = "The person's add-on as it is now", body = GrantOut),
        (status = 404, description = "`not_found`: there is no grant to take back", body = satchel_inbound::http::Problem, content_type = "application/problem+json"),
        (status = 409, description = "`idempotency_key_reused`: the key came with another body before", body = satchel_inbound::http::Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn give(
    State(app): State<App>,
    client: Backoffice<EntitlementsWrite>,
    IdempotencyKey(key): IdempotencyKey,
    Input(input): Input<GrantIn>,
) -> ApiResult<Response> {
    input.check()?;
    let now = app.core.clock.now();
    let mut retry = Retry::default();
    loop {
        let look = receipts::look(&app.entitlements, client.id.as_str(), "grants", key.as_deref(), &input, now).await?;
        let receipt = match look {
            Look::Seen(answer) => {
                let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
                return Ok((status, Json(answer.body)).into_response());
            }
            Look::New(receipt) => receipt,
        };
        let before = entitlements::get(&app.entitlements, &input.user_id, input.add_on_type).await?;
        let before = before.unwrap_or_else(|| AddOnRow::empty(input.add_on_type));
        let mut transaction = Transaction::new();
        let after = app.apply(&mut transaction, &input, before, client.id.as_str(), now).await?;
        let entitlement =
            best(after.add_on, after.sources.values(), now.as_second()).ok_or(Error::NotFound("grant"))?;
        let answer = GrantOut { user_id: input.user_id.clone(), entitlement };
        receipt.stamp(&mut transaction, &app.entitlements, 200, &answer)?;
        if transaction.is_empty() {
            return Ok(Json(answer).into_response());
        }
        match transaction.run(&app.entitlements).await {
            Ok(()) => return Ok(Json(answer).into_response()),
            Err(cancelled) => retry.after(cancelled).await?,
        }
    }
}

impl App {
    /// Adds to `transaction` what `input` changes of `row`, and returns the row as it is then.
    async fn apply(
        &self,
        transaction: &mut Transaction,
        input: &GrantIn,
        mut row: AddOnRow,
        by: &str,
        now: Timestamp,
    ) -> Result<AddOnRow> {
        let old = row.sources.get(GRANT).cloned();
        let (grant, cause) = match (input.revoke, &old) {
            (true, None) => return Err(Error::NotFound("grant")),
            (true, Some(old)) => match self.taken_back(input, old, now).await? {
                Some(grant) => (grant, "revoked"),
                None => return Ok(row),
            },
            (false, _) => (self.given(input, by, now), "granted"),
        };
        let line = LedgerRow {
            event_id: self.core.ids.next::<EventId>(),
            cause: cause.to_owned(),
            by: by.to_owned(),
            add_on: row.add_on,
            source: GRANT.to_owned(),
            from: old.map(|old| old.status),
            to: grant.source.status,
            changed: true,
            version: 0,
            expires_at: grant.source.expires_at,
            at: now.as_millisecond(),
        };
        entitlements::put_grant(transaction, &self.entitlements, &grant)?;
        row.sources.insert(GRANT.to_owned(), grant.source);
        entitlements::change(transaction, &self.entitlements, &input.user_id, &row, &line)?;
        Ok(row)
    }

    fn given(&self, input: &GrantIn, by: &str, now: Timestamp) -> GrantRow {
        let grant_id = self.core.ids.next::<GrantId>();
        GrantRow {
            source: granted(input.add_on_type, grant_id.as_str(), input.expires_at, now.as_second()),
            grant_id,
            user_id: input.user_id.clone(),
            add_on: input.add_on_type,
            reason: input.reason.as_deref().unwrap_or_default().trim().to_owned(),
            granted_by: by.to_owned(),
            revoke_reason: None,
        }
    }

    /// The grant taken back; none where it was before.
    async fn taken_back(&self, input: &GrantIn, old: &Source, now: Timestamp) -> Result<Option<GrantRow>> {
        let source = revoked(old.clone(), now.as_second());
        if source == *old {
            return Ok(None);
        }
        let grant_id: GrantId = old.transaction_id.parse().map_err(Error::internal)?;
        let row = entitlements::grant(&self.entitlements, &input.user_id, &grant_id).await?;
        let row = row.ok_or_else(|| Error::internal("an add-on names a grant that is not there"))?;
        let revoke_reason = input.reason.as_deref().map(|reason| reason.trim().to_owned());
        Ok(Some(GrantRow { source, revoke_reason, ..row }))
    }
}
