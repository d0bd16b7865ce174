//! What the family's routes are made of.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use satchel_domain::access::Signer;
use satchel_domain::refresh;
use satchel_domain::seal::Sealer;
use satchel_domain::session::Lifetimes;
use satchel_inbound::{Complaints, Core, Env};
use satchel_outbound::{Links, secret};
use satchel_store::Table;
use serde::Deserialize;

use crate::apple::Apple;
use crate::cursor::Cursors;
use crate::issuers::Issuers;
use crate::limits::Limits;

/// Purpose of the key that seals Apple's refresh tokens.
const APPLE: &str = "apple-refresh-token";

/// The state of the routes; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What [`App`] has.
pub struct Parts {
    /// Clock, ids, verification of access tokens.
    pub core: Core,
    /// Table `accounts`.
    pub accounts: Table,
    /// Where ID tokens come from.
    pub issuers: Issuers,
    /// Apple's token endpoint, where its client secret is configured.
    pub apple: Option<Apple>,
    /// Signs access tokens.
    pub signer: Signer,
    /// `iss` of access tokens.
    pub issuer: String,
    /// `aud` of access tokens.
    pub audience: String,
    /// The public keys, as they are published.
    pub jwks: String,
    /// Reads and writes refresh tokens.
    pub refresh: refresh::Keys,
    /// How long a session lasts.
    pub lifetimes: Lifetimes,
    /// Pages' cursors.
    pub cursors: Cursors,
    /// Limits.
    pub limits: Limits,
    /// Where exports lie.
    pub exports: Links,
}

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRef<App> for Core {
    fn from_ref(app: &App) -> Self {
        app.core.clone()
    }
}

/// The secret of auth alone.
#[derive(Deserialize)]
struct AuthSecret {
    kid: String,
    signing_key: String,
    refresh_key: String,
}

/// What auth's secret gives.
pub(crate) struct Secrets {
    pub(crate) signer: Signer,
    pub(crate) refresh: refresh::Keys,
    pub(crate) sealer: Sealer,
    pub(crate) cursors: Cursors,
}

impl Secrets {
    /// Reads the secret `AUTH_SECRET_ARN`.
    pub(crate) async fn read(env: &Env) -> Result<Self, Complaints> {
        let arn = env.settings.read(|settings| settings.text("AUTH_SECRET_ARN"))?;
        let complain = |error: String| Complaints(vec![format!("AUTH_SECRET_ARN: {error}")]);
        let secret: secret::Secret<AuthSecret> = secret::read(&env.aws.secretsmanager(), &arn)
            .await
            .map_err(|error| complain(satchel_inbound::http::error::causes(&error)))?;
        let AuthSecret { kid, signing_key, refresh_key } = secret.expose();
        let key = STANDARD
            .decode(refresh_key.trim())
            .ok()
            .filter(|key| key.len() >= 32)
            .ok_or_else(|| complain("refresh_key must be 32 bytes in base64".to_owned()))?;
        let signer = Signer::from_pem(kid, signing_key)
            .map_err(|_| complain("signing_key is no P-256 key in PKCS#8 PEM".to_owned()))?;
        Ok(Self {
            signer,
            refresh: refresh::Keys::derive(&key),
            sealer: Sealer::derive(&key, APPLE),
            cursors: Cursors::derive(&key),
        })
    }
}

impl App {
    /// Everything the routes need, from the settings.
    ///
    /// # Errors
    /// All complaints about the settings.
    pub async fn from_env(env: &Env) -> Result<Self, Complaints> {
        let core = Core::from_env(env);
        let read = env.settings.read(|settings| {
            (
                settings.text("TABLE_ACCOUNTS"),
                settings.text("TOKEN_ISSUER"),
                settings.text("TOKEN_AUDIENCE"),
                settings.text("TOKEN_KEYS"),
                Lifetimes::of_days(
                    settings.value("REFRESH_IDLE_DAYS", 90),
                    settings.value("REFRESH_ABSOLUTE_DAYS", 365),
                ),
                Issuers::from_settings(settings, env.http.clone()),
                Limits::from_settings(settings),
                settings.text("BUCKET_EXPORTS"),
            )
        });
        let (core, (table, issuer, audience, jwks, lifetimes, issuers, limits, bucket)) = match (core, read) {
            (Ok(core), Ok(read)) => (core, read),
            (core, read) => return Err(together([core.err(), read.err()])),
        };
        // One after the other they would be three round trips in every cold start.
        let (secrets, ()) = tokio::join!(Secrets::read(env), issuers.warm(env.clock.now()));
        let Secrets { signer, refresh, sealer, cursors } = secrets?;
        let apple = Apple::from_env(env, sealer).await?;
        Ok(Self(Arc::new(Parts {
            core,
            accounts: Table::new(env.aws.dynamodb(), table),
            issuers,
            apple,
            signer,
            issuer,
            audience,
            jwks,
            refresh,
            lifetimes,
            cursors,
            limits,
            exports: env.aws.links(&bucket),
        })))
    }
}

/// All complaints as one.
pub(crate) fn together(complaints: impl IntoIterator<Item = Option<Complaints>>) -> Complaints {
    let mut all: Vec<String> = Vec::new();
    for complaint in complaints.into_iter().flatten().flat_map(|Complaints(list)| list) {
        if !all.contains(&complaint) {
            all.push(complaint);
        }
    }
    Complaints(all)
}
