//! A local stack with sockets, for real function binaries: the emulators on one port, the API (for sign-in, and for the
//! issuer's keys that `auth` fetches) on another, both on loopback.

use std::collections::BTreeMap;
use std::path::Path;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, header};
use satchel_local::gateway::{self, Listener, Served};
use satchel_local::template::Function;
use satchel_local::{Local, LocalClock, LocalOptions, control, seed};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::binaries::Binaries;
use crate::process::Launch;

/// Why a stage or something on it failed.
pub type StageError = Box<dyn std::error::Error + Send + Sync>;

/// A person on a device, signed in.
#[derive(Debug, Clone, Deserialize)]
pub struct Session {
    /// Access token.
    pub access_token: String,
    /// Refresh token.
    pub refresh_token: String,
    /// Whose.
    pub user_id: String,
    /// On which device.
    pub device_id: String,
}

/// The stack. Everything is in memory and by the machine's clock: processes know no other.
pub struct Stage {
    local: Local,
    services_port: u16,
    served: Vec<Served>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stage(services on {})", self.services_port)
    }
}

impl Stage {
    /// Starts a stack with `params` in the place of the template's defaults.
    ///
    /// # Errors
    /// Whatever keeps the stack from starting.
    pub async fn start(params: &[(&str, &str)]) -> Result<Self, StageError> {
        let api = Listener::bind(0, "--port").await?;
        let services = Listener::bind(0, "--aws-port").await?;
        let services_port = services.port();
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let options = LocalOptions { params, clock: LocalClock::real(), port: api.port(), ..LocalOptions::default() };
        let local = Local::start(options).await?;
        let router = Router::new().fallback(through_gateway).with_state(local.clone());
        let served =
            vec![api.serve(router.merge(control::router(local.clone()))), services.serve(local.services().router())];
        Ok(Self { local, services_port, served })
    }

    /// The stack itself.
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// Host and port of the emulators.
    pub fn services_address(&self) -> String {
        format!("127.0.0.1:{}", self.services_port)
    }

    /// The block of the binary `name`.
    ///
    /// # Errors
    /// Where the template has none.
    pub fn block(&self, name: &str) -> Result<&Function, StageError> {
        let block = self.local.template().functions().iter().find(|function| function.binary == name);
        block.ok_or_else(|| format!("template.yaml has no block for `{name}`").into())
    }

    /// How the binary `name` is started against this stack, with the settings that the template gives it.
    ///
    /// # Errors
    /// Where it has no block, was not built, or is older than its sources.
    pub fn launch(&self, name: &str, binaries: &Binaries) -> Result<Launch, StageError> {
        self.launch_file(name, &binaries.find(name)?)
    }

    /// The same with the file it is run from.
    ///
    /// # Errors
    /// Where it has no block.
    pub fn launch_file(&self, name: &str, binary: &Path) -> Result<Launch, StageError> {
        let block = self.block(name)?;
        let settings: BTreeMap<String, String> = block.env.clone();
        let launch = Launch::new(name, binary, block.memory_mb, block.timeout, &settings);
        Ok(launch.with("AWS_ENDPOINT_URL", format!("http://{}", self.services_address())))
    }

    /// The status and JSON of one call to the API, without a socket.
    ///
    /// # Errors
    /// Where the request cannot be made.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        authorization: Option<&str>,
        body: Option<(&str, String)>,
    ) -> Result<(u16, Value), StageError> {
        let mut request = http::Request::builder().method(method).uri(path);
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        let body = match body {
            Some((kind, text)) => {
                request = request.header(header::CONTENT_TYPE, kind);
                Bytes::from(text)
            }
            None => Bytes::new(),
        };
        let answer = self.local.call(request.body(body)?).await;
        Ok((answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap_or_default()))
    }

    async fn post(&self, path: &str, authorization: Option<&str>, body: &Value) -> Result<Value, StageError> {
        let body = ("application/json", body.to_string());
        match self.call(Method::POST, path, authorization, Some(body)).await? {
            (200..=299, answer) => Ok(answer),
            (status, answer) => Err(format!("POST {path} answered {status}: {answer}").into()),
        }
    }

    /// The ID token of the local issuer for `subject`, as a phone's sign-in button would return it.
    ///
    /// # Errors
    /// Where the issuer refuses.
    pub async fn id_token(&self, subject: &str) -> Result<String, StageError> {
        let wanted = json!({ "provider": "google", "subject": subject, "email": format!("{subject}@example.org") });
        let answer = self.post("/_local/identity", None, &wanted).await?;
        Ok(answer["id_token"].as_str().ok_or("no id_token")?.to_owned())
    }

    /// Signs `subject` in on a new device, the way every app does.
    ///
    /// # Errors
    /// Where sign-in is refused.
    pub async fn sign_in(&self, subject: &str) -> Result<Session, StageError> {
        let device = json!({ "name": format!("{subject}'s phone"), "platform": "ios" });
        let body = json!({ "id_token": self.id_token(subject).await?, "device": device });
        Ok(serde_json::from_value(self.post("/auth/google", None, &body).await?)?)
    }

    /// An access token of the local back office with every scope.
    ///
    /// # Errors
    /// Where it is refused.
    pub async fn backoffice(&self) -> Result<String, StageError> {
        let basic = STANDARD.encode(format!("{}:{}", seed::CLIENT_ID, seed::CLIENT_SECRET));
        let form = ("application/x-www-form-urlencoded", "grant_type=client_credentials".to_owned());
        let (status, answer) =
            self.call(Method::POST, "/auth/token", Some(&format!("Basic {basic}")), Some(form)).await?;
        let token = answer["access_token"].as_str();
        Ok(token.ok_or_else(|| format!("POST /auth/token answered {status}: {answer}"))?.to_owned())
    }

    /// Gives `user` the sync add-on for 30 days.
    ///
    /// # Errors
    /// Where the grant is refused.
    pub async fn grant_sync(&self, user: &str) -> Result<(), StageError> {
        let token = format!("Bearer {}", self.backoffice().await?);
        let in_a_month = self.local.clock().now().as_second() + 30 * 86_400;
        let grant = json!({
            "user_id": user, "add_on_type": "sync", "expires_at": in_a_month, "reason": "a test of the real binaries",
        });
        self.post("/payments/grants", Some(&token), &grant).await.map(drop)
    }

    /// Stops the sockets and the event sources.
    pub async fn stop(self) {
        for served in self.served {
            served.stop().await;
        }
        self.local.stop().await;
    }
}

async fn through_gateway(State(local): State<Local>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, gateway::MAX_REQUEST).await else {
        return gateway::too_large().map(Body::from);
    };
    local.call(Request::from_parts(head, body)).await.map(Body::from)
}
