//! Access tokens for a back office's services: OAuth 2.0 client credentials (RFC 6749, section 4.4). This route alone
//! answers failures in the shape of that RFC (section 5.2).

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use satchel_domain::access::{LIFETIME, Scope};
use satchel_domain::client;
use satchel_domain::ids::is_id;
use satchel_inbound::http::{ApiError, ClientAddress, input};
use satchel_store::clients;
use serde::{Deserialize, Serialize};

use super::Usual;
use crate::app::App;
use crate::{limits, tokens};

/// A request for a token. The client's id and secret may stand in an `Authorization: Basic` header instead.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "the document's picture of the form, which is read by hand: RFC 6749 forbids repeated fields"
)]
pub(crate) struct TokenInput {
    /// Always `client_credentials`.
    #[schema(example = "client_credentials")]
    grant_type: String,
    /// The client's id.
    #[schema(example = "cli_01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    client_id: Option<String>,
    /// One of its secrets.
    client_secret: Option<String>,
    /// Space-separated scopes; all the client has where absent.
    #[schema(example = "portal:write notifications:send")]
    scope: Option<String>,
}

/// A service's token.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ServiceToken {
    /// Access token.
    access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// For how long it is good, in seconds.
    #[schema(example = 900)]
    expires_in: i64,
    /// The scopes it has, space-separated.
    #[schema(example = "portal:write")]
    scope: String,
}

/// A failure in the shape of RFC 6749, section 5.2.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct OauthError {
    /// `invalid_request`, `invalid_client`, `invalid_scope` or `unsupported_grant_type`.
    #[schema(example = "invalid_client")]
    error: &'static str,
    /// What is wrong, for people.
    error_description: &'static str,
}

/// What ends a request early.
enum Refused {
    Oauth(StatusCode, OauthError),
    Other(ApiError),
}

impl<E: Into<satchel_domain::Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Other(ApiError(error.into()))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Oauth(status, body) => {
                let mut response = (status, Json(body)).into_response();
                if status == StatusCode::UNAUTHORIZED {
                    let challenge = HeaderValue::from_static("Basic realm=\"satchel\", charset=\"UTF-8\"");
                    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                }
                response
            }
            Self::Other(error) => error.into_response(),
        }
    }
}

fn wrong(error: &'static str, error_description: &'static str) -> Refused {
    Refused::Oauth(StatusCode::BAD_REQUEST, OauthError { error, error_description })
}

fn stranger() -> Refused {
    let error_description = "no client has this id and secret";
    Refused::Oauth(StatusCode::UNAUTHORIZED, OauthError { error: "invalid_client", error_description })
}

/// Get a service's token
///
/// OAuth 2.0 client credentials. The token is good for 15 minutes and has no refresh token.
#[utoipa::path(
    post, path = "/auth/token", tag = "auth", security(()),
    request_body(content((TokenInput = "application/x-www-form-urlencoded"), (TokenInput = "multipart/form-data"))),
    responses(
        (status = 200, description = "A token.", body = ServiceToken),
        (status = 400, description = "`invalid_request`, `invalid_scope` or `unsupported_grant_type`.", body = OauthError),
        (status = 401, description = "`invalid_client`.", body = OauthError),
        (status = 413, description = "The body is too large.", body = satchel_inbound::http::Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not a form.", body = OauthError),
        (status = 429, description = "Too many requests of this address.", body = satchel_inbound::http::Problem, content_type = "application/problem+json"),
        Usual,
    ),
)]
pub(crate) async fn token(State(app): State<App>, address: ClientAddress, request: Request) -> Response {
    match grant(&app, &address, request).await {
        Ok(answer) => ([(header::PRAGMA, "no-cache")], Json(answer)).into_response(),
        Err(refused) => refused.into_response(),
    }
}

async fn grant(app: &App, address: &ClientAddress, request: Request) -> Result<ServiceToken, Refused> {
    let now = app.core.clock.now();
    limits::count(&app.accounts, &app.limits.token_address, &address.0, now).await?;
    let headers = request.headers().clone();
    let mut form = form(&headers, input::bytes(request).await?).await?;
    match form.remove("grant_type").as_deref() {
        Some("client_credentials") => {}
        Some(_) => return Err(wrong("unsupported_grant_type", "grant_type must be client_credentials")),
        None => return Err(wrong("invalid_request", "grant_type is missing")),
    }
    let (id, secret) = credentials(&headers, &mut form)?;
    let row = if is_id(&id) { clients::get(&app.accounts, &id).await? } else { None };
    let row = row.filter(|row| client::knows(&row.secrets, &id, &secret)).ok_or_else(stranger)?;
    let granted = client::grant(&row.scopes(), form.get("scope").map(String::as_str))
        .ok_or_else(|| wrong("invalid_scope", "the client does not have every scope that was asked for"))?;
    let scope = granted.into_iter().map(Scope::as_str).collect::<Vec<_>>().join(" ");
    let subject = match row.id {
        Some(subject) => subject,
        None => id.parse().map_err(satchel_domain::Error::internal)?,
    };
    let access_token = tokens::for_client(app, &subject, &scope, now)?;
    Ok(ServiceToken { access_token, token_type: "Bearer", expires_in: LIFETIME, scope })
}

/// The client's id and secret, of the header or of the body, not of both (RFC 6749, section 2.3).
fn credentials(headers: &HeaderMap, form: &mut BTreeMap<String, String>) -> Result<(String, String), Refused> {
    let in_body = (form.remove("client_id"), form.remove("client_secret"));
    let Some(header) = headers.get(header::AUTHORIZATION) else {
        return match in_body {
            (Some(id), Some(secret)) => Ok((id, secret)),
            _ => Err(stranger()),
        };
    };
    let (id, secret) = header.to_str().ok().and_then(basic).ok_or_else(stranger)?;
    match in_body {
        (_, Some(_)) => Err(wrong("invalid_request", "the client is named twice: in the header and in the body")),
        (Some(other), None) if other != id => {
            Err(wrong("invalid_request", "client_id is not the client of the header"))
        }
        _ => Ok((id, secret)),
    }
}

/// `Basic base64(id:secret)`, both form-encoded (RFC 6749, section 2.3.1).
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((form_decoded(id), form_decoded(secret)))
}

fn form_decoded(text: &str) -> String {
    // A lone value parses as a name without a value.
    form_urlencoded::parse(text.as_bytes()).next().map_or_else(String::new, |(name, _)| name.into_owned())
}

/// The fields of a form; one that comes twice is refused (RFC 6749, section 3.2).
async fn form(headers: &HeaderMap, body: Bytes) -> Result<BTreeMap<String, String>, Refused> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fields = match kind.parse::<mime::Mime>() {
        Ok(kind) if kind.essence_str() == mime::APPLICATION_WWW_FORM_URLENCODED.essence_str() => {
            form_urlencoded::parse(&body).into_owned().collect()
        }
        Ok(ref form) if form.essence_str() == mime::MULTIPART_FORM_DATA.essence_str() => multipart(kind, body).await?,
        _ => {
            let error_description = "the body must be application/x-www-form-urlencoded or multipart/form-data";
            let body = OauthError { error: "invalid_request", error_description };
            return Err(Refused::Oauth(StatusCode::UNSUPPORTED_MEDIA_TYPE, body));
        }
    };
    let mut form = BTreeMap::new();
    for (name, value) in fields {
        // A field without a value counts as left out (RFC 6749, section 3.2).
        if !value.is_empty() && form.insert(name, value).is_some() {
            return Err(wrong("invalid_request", "a field comes twice"));
        }
    }
    Ok(form)
}

async fn multipart(kind: &str, body: Bytes) -> Result<Vec<(String, String)>, Refused> {
    let unreadable = || wrong("invalid_request", "the multipart body cannot be read");
    let boundary = multer::parse_boundary(kind).map_err(|_| unreadable())?;
    let stream = futures_util::stream::once(async { Ok::<_, std::convert::Infallible>(body) });
    let mut parts = multer::Multipart::new(stream, boundary);
    let mut fields = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(|_| unreadable())? {
        let name = part.name().map(str::to_owned).ok_or_else(unreadable)?;
        fields.push((name, part.text().await.map_err(|_| unreadable())?));
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn basic_credentials_are_form_decoded() {
        assert_eq!(basic(&header("cli_a:s%2Bcret+x")).unwrap(), ("cli_a".into(), "s+cret x".into()));
        assert_eq!(basic(&header("cli_a:")).unwrap(), ("cli_a".into(), String::new()));
        for bad in ["Basic", "Basic !!!", "Bearer abc", &header("no-colon")] {
            assert!(basic(bad).is_none(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_repeated_field_is_refused_and_an_empty_one_is_none() {
        let mut headers = HeaderMap::new();
        headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=UTF-8"));
        let good = form(&headers, Bytes::from_static(b"a=1&scope=")).await;
        assert!(matches!(good, Ok(fields) if fields.len() == 1));
        assert!(matches!(
            form(&headers, Bytes::from_static(b"a=1&a=2")).await,
            Err(Refused::Oauth(StatusCode::BAD_REQUEST, _))
        ));
    }

    #[tokio::test]
    async fn multipart_forms_are_read() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=x"));
        let body = "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--x--\r\n";
        let fields = form(&headers, Bytes::from_static(body.as_bytes())).await;
        assert!(matches!(fields, Ok(fields) if fields["grant_type"] == "client_credentials"));
        assert!(form(&headers, Bytes::from_static(b"--x\r\nbroken")).await.is_err());
    }
}
