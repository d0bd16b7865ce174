//! Authority as an argument: a handler that takes a [`Caller`] cannot run without one.

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use axum::extract::{FromRef, FromRequestParts};
use http::header::AUTHORIZATION;
use http::request::Parts;
use satchel_domain::access::{Client, Person, Principal, Scope};
use satchel_domain::{Error, Result};

use super::Core;
use super::error::ApiError;

/// How old a sign-in may be where a stolen access token could open a lasting way in, in seconds.
pub const RECENT: i64 = 600;

/// Who called, for the request's log line; filled in by the extractors.
#[derive(Debug, Default)]
pub(crate) struct Who {
    pub(crate) name: OnceLock<(String, Option<String>)>,
}

/// A person on one of their devices.
#[derive(Debug, Clone)]
pub struct Caller(pub Person);

impl std::ops::Deref for Caller {
    type Target = Person;
    fn deref(&self) -> &Person {
        &self.0
    }
}

impl Caller {
    /// Whether the `device_id` that a body repeats at its top level is the token's.
    ///
    /// # Errors
    /// 403 `device_id_mismatch`.
    pub fn is_on(&self, device_id: &str) -> Result<()> {
        if device_id == self.device.as_str() {
            return Ok(());
        }
        Err(Error::Forbidden { code: "device_id_mismatch", message: "device_id is not the device of the access token" })
    }
}

/// A [`Caller`] whose sign-in is at most [`RECENT`] seconds old.
#[derive(Debug, Clone)]
pub struct RecentCaller(pub Person);

impl std::ops::Deref for RecentCaller {
    type Target = Person;
    fn deref(&self) -> &Person {
        &self.0
    }
}

/// A scope as a type.
pub trait Needs: Send + Sync {
    /// The scope that is needed.
    const SCOPE: Scope;
}

/// `portal:write`.
#[derive(Debug)]
pub struct PortalWrite;
impl Needs for PortalWrite {
    const SCOPE: Scope = Scope::PortalWrite;
}

/// `entitlements:write`.
#[derive(Debug)]
pub struct EntitlementsWrite;
impl Needs for EntitlementsWrite {
    const SCOPE: Scope = Scope::EntitlementsWrite;
}

/// `notifications:send`.
#[derive(Debug)]
pub struct NotificationsSend;
impl Needs for NotificationsSend {
    const SCOPE: Scope = Scope::NotificationsSend;
}

/// A back office's service that holds the scope `S`.
#[derive(Debug)]
pub struct Backoffice<S>(pub Client, PhantomData<S>);

impl<S> std::ops::Deref for Backoffice<S> {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.0
    }
}

fn principal(parts: &Parts, core: &Core) -> Result<Principal> {
    let missing = Error::Unauthenticated { code: "missing_token", message: "an access token is needed" };
    let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or(missing)?;
    let token = match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => return Err(Error::Unauthenticated { code: "missing_token", message: "a Bearer token is needed" }),
    };
    let principal = Principal::try_from(&*core.claims(token)?)?;
    if let Some(who) = parts.extensions.get::<Arc<Who>>() {
        let name = match &principal {
            Principal::Person(person) => (person.user.to_string(), Some(person.device.to_string())),
            Principal::Client(client) => (client.id.to_string(), None),
        };
        who.name.get_or_init(|| name);
    }
    Ok(principal)
}

fn person(parts: &Parts, core: &Core) -> Result<Person> {
    match principal(parts, core)? {
        Principal::Person(person) => Ok(person),
        Principal::Client(_) => {
            Err(Error::Forbidden { code: "not_for_services", message: "this is for people, not for services" })
        }
    }
}

impl<S> FromRequestParts<S> for Caller
where
    Core: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Ok(Self(person(parts, &Core::from_ref(state))?))
    }
}

impl<S> FromRequestParts<S> for RecentCaller
where
    Core: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let core = Core::from_ref(state);
        let person = person(parts, &core)?;
        if core.clock.unix().saturating_sub(person.auth_time) > RECENT {
            let message = "sign in again first: this needs a sign-in of the last 10 minutes";
            return Err(Error::Forbidden { code: "reauthentication_required", message }.into());
        }
        Ok(Self(person))
    }
}

impl<S, N> FromRequestParts<S> for Backoffice<N>
where
    Core: FromRef<S>,
    S: Send + Sync,
    N: Needs,
{
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match principal(parts, &Core::from_ref(state))? {
            Principal::Client(client) if client.scopes.contains(&N::SCOPE) => Ok(Self(client, PhantomData)),
            _ => Err(Error::Forbidden {
                code: "insufficient_scope",
                message: "a service with the right scope is needed",
            }
            .into()),
        }
    }
}

/// The caller's network address as the gateway saw it, for limits; never from a header that a client could write.
#[derive(Debug, Clone)]
pub struct ClientAddress(pub String);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self("unknown".to_owned())))
    }
}
