//! The portal's customers and the people who are their members, as a back office says.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use satchel_domain::ids::{EventId, MAX_ID_CHARS, UserId, is_id};
use satchel_domain::time::from_unix;
use satchel_domain::{Error, Result, Timestamp};
use satchel_inbound::http::caller::PortalWrite;
use satchel_inbound::http::{ApiResult, Backoffice, Params, Problem};
use satchel_store::Retry;
use satchel_store::accounts::{self, Account};
use satchel_store::customers::{self, Member};
use satchel_store::events::{self, Event};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Authenticated;
use crate::app::App;

/// The back office's own id of a customer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct CustomerId(String);

impl TryFrom<String> for CustomerId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        if is_id(&text) { Ok(Self(text)) } else { Err("not a customer id") }
    }
}

impl utoipa::PartialSchema for CustomerId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::schema::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[A-Za-z0-9_.:-]+$"))
            .max_length(Some(MAX_ID_CHARS))
            .into()
    }
}

impl utoipa::ToSchema for CustomerId {}

/// A member.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct MemberView {
    /// The customer.
    #[schema(example = "C-1042")]
    customer_id: String,
    /// The person.
    #[schema(example = "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    user_id: UserId,
    /// Since when, RFC 3339.
    #[schema(value_type = String, format = DateTime, example = "2026-01-31T12:00:00Z")]
    linked_at: Timestamp,
}

/// A page of members.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Members {
    /// In the order of their ids.
    members: Vec<MemberView>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
    /// Whether there is a next page.
    has_more: bool,
}

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageInput {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 100)]
    limit: Option<i32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List members
#[utoipa::path(
    get, path = "/auth/customers/{id}/members", tag = "customers", security(("client_credentials" = ["portal:write"])),
    params(("id" = inline(CustomerId), Path, description = "The customer."), PageInput),
    responses(
        (status = 200, description = "A page.", body = Members),
        (status = 400, description = "`invalid_cursor`.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No customer can have this id.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`limit` is out of range.", body = Problem, content_type = "application/problem+json"),
        Authenticated,
    ),
)]
pub(crate) async fn list(
    State(app): State<App>,
    _service: Backoffice<PortalWrite>,
    path: Result<Path<CustomerId>, axum::extract::rejection::PathRejection>,
    Params(page): Params<PageInput>,
) -> ApiResult<Json<Members>> {
    let CustomerId(customer) = path.map_err(|_| Error::NotFound("customer"))?.0;
    let limit = page.limit.unwrap_or(100);
    if !(1..=100).contains(&limit) {
        return Err(Error::invalid("limit", "must be 1 to 100").into());
    }
    let list = format!("members/{customer}");
    let after: Option<UserId> = match &page.cursor {
        Some(cursor) => app.cursors.read(&list, cursor)?.parse().ok(),
        None => None,
    };
    let found = customers::list(&app.accounts, &customer, after.as_ref(), limit).await?;
    let last = found.rows.last().map(|member| member.user_id.clone());
    let next_cursor = found.next.and(last).map(|user| app.cursors.write(&list, user.as_str()));
    Ok(Json(Members {
        members: found.rows.into_iter().map(view).collect(),
        has_more: next_cursor.is_some(),
        next_cursor,
    }))
}

/// Make a person a member
///
/// The claim `cid` comes with the person's next refresh or sign-in. A person is a member of one customer at most.
#[utoipa::path(
    put, path = "/auth/customers/{id}/members/{user_id}", tag = "customers", security(("client_credentials" = ["portal:write"])),
    params(("id" = inline(CustomerId), Path, description = "The customer."), ("user_id" = UserId, Path, description = "The person.")),
    responses(
        (status = 200, description = "The person is a member.", body = MemberView),
        (status = 404, description = "No such account.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`member_elsewhere`: the person is another customer's member.", body = Problem, content_type = "application/problem+json"),
        Authenticated,
    ),
)]
pub(crate) async fn put(
    State(app): State<App>,
    _service: Backoffice<PortalWrite>,
    path: Result<Path<(CustomerId, UserId)>, axum::extract::rejection::PathRejection>,
) -> ApiResult<Json<MemberView>> {
    let (CustomerId(customer), user) = path.map_err(|_| Error::NotFound("member"))?.0;
    let now = app.core.clock.now();
    let mut retry = Retry::default();
    loop {
        let account = accounts::get(&app.accounts, &user).await?.filter(Account::is_active);
        let account = account.ok_or(Error::NotFound("account"))?;
        match account.customer_id {
            Some(other) if other != customer => {
                let message = "the person is another customer's member: end that first";
                return Err(Error::conflict("member_elsewhere", message).into());
            }
            Some(_) => {
                if let Some(member) = customers::get(&app.accounts, &customer, &user).await? {
                    return Ok(Json(view(member)));
                }
            }
            None => {}
        }
        let member = Member { user_id: user.clone(), customer_id: customer.clone(), linked_at: now.as_second() };
        let event = event(&app, events::CUSTOMER_LINKED, &customer, &user, now);
        match customers::add(&app.accounts, &member, &event).await {
            Ok(()) => return Ok(Json(view(member))),
            Err(cancelled) => retry.after(cancelled).await?,
        }
    }
}

/// End a membership
///
/// Takes effect at once: every read of the portal checks the live link.
#[utoipa::path(
    delete, path = "/auth/customers/{id}/members/{user_id}", tag = "customers", security(("client_credentials" = ["portal:write"])),
    params(("id" = inline(CustomerId), Path, description = "The customer."), ("user_id" = UserId, Path, description = "The person.")),
    responses(
        (status = 204, description = "Ended."),
        (status = 404, description = "The person is not this customer's member.", body = Problem, content_type = "application/problem+json"),
        Authenticated,
    ),
)]
pub(crate) async fn delete(
    State(app): State<App>,
    _service: Backoffice<PortalWrite>,
    path: Result<Path<(CustomerId, UserId)>, axum::extract::rejection::PathRejection>,
) -> ApiResult<StatusCode> {
    let (CustomerId(customer), user) = path.map_err(|_| Error::NotFound("member"))?.0;
    let now = app.core.clock.now();
    let mut retry = Retry::default();
    loop {
        customers::get(&app.accounts, &customer, &user).await?.ok_or(Error::NotFound("member"))?;
        let event = event(&app, events::CUSTOMER_UNLINKED, &customer, &user, now);
        match customers::remove(&app.accounts, &customer, &user, &event, now).await {
            Ok(()) => return Ok(StatusCode::NO_CONTENT),
            Err(cancelled) => retry.after(cancelled).await?,
        }
    }
}

fn event(app: &App, name: &str, customer: &str, user: &UserId, now: Timestamp) -> Event {
    Event::new(app.core.ids.next::<EventId>(), name, json!({ "user_id": user, "customer_id": customer }), now)
}

fn view(member: Member) -> MemberView {
    MemberView { customer_id: member.customer_id, user_id: member.user_id, linked_at: from_unix(member.linked_at) }
}
