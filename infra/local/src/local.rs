//! The whole stack as a value: what `make dev` runs and what every test starts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use aws_credential_types::Credentials as AwsCredentials;
use axum::body::Bytes;
use http::{Request, Response};
use satchel_inbound::Ids;
use satchel_outbound::Aws;
use serde_json::Value;

use crate::clock::LocalClock;
use crate::data::DataFolder;
use crate::functions::{self, Built, Failure, Functions, World};
use crate::gateway::Gateway;
use crate::identity::{APPLE_CLIENT, GOOGLE_CLIENT, Issuer, JWKS_PATH};
use crate::keys::Keys;
use crate::options::{LocalOptions, StartError};
use crate::services::{Credentials, Services, ServicesOptions};
use crate::sources::{Pending, Sources};
use crate::stores::keys::StoreKeys;
use crate::stores::settings::{self as stores, Addresses};
use crate::stores::{Shops, Stock, StoreSettings, Stores};
use crate::template::{self, Template};
use crate::{carrier, chance, control, seed, webhook};

/// Logical id of auth's secret.
const AUTH_SECRET: &str = "AuthSecret";
/// Logical id of the table of accounts and clients.
pub(crate) const ACCOUNTS: &str = "AccountsTable";

/// A stack; cheap to clone. Its event sources end with the last clone.
#[derive(Clone)]
pub struct Local(Arc<Inner>);

struct Inner {
    template: Arc<Template>,
    services: Services,
    clock: LocalClock,
    ids: Ids,
    aws: Aws,
    issuer: Issuer,
    shops: Shops,
    functions: Functions,
    gateway: Option<Gateway>,
    sources: Option<Sources>,
    options: LocalOptions,
    _data: Option<DataFolder>,
}

/// A way to a stack that does not keep it alive.
pub(crate) struct Home(Weak<Inner>);

impl Home {
    /// The stack, while there is one.
    pub(crate) fn local(&self) -> Option<Local> {
        self.0.upgrade().map(Local)
    }
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Local")
    }
}

impl Local {
    /// Starts a stack.
    ///
    /// # Errors
    /// All complaints: the data folder's, the template's, the functions'.
    pub async fn start(options: LocalOptions) -> Result<Self, StartError> {
        let data = match &options.data {
            Some(path) => Some(DataFolder::open(path).await?),
            None => None,
        };
        let keys = match (&options.aws_endpoint, &data) {
            (Some(endpoint), _) => Keys::of_auth_secret(&remote_secret(endpoint, &options).await?).map(Arc::new),
            (None, Some(folder)) => Keys::kept_at(&folder.file("keys.json")).map(Arc::new),
            (None, None) => Keys::shared(),
        };
        let keys = keys.map_err(|error| error.to_string())?;
        let store_keys = store_keys(&options, data.as_ref()).await?;
        let template = parse(options.template, &options.params, params(&options, &keys, &store_keys)?)?;
        let clock = options.clock.clone();
        if let Some(folder) = data.as_ref().filter(|_| options.aws_endpoint.is_none()) {
            clock.keep_at(folder.file("clock"))?;
        }
        let now = {
            let clock = clock.clone();
            Arc::new(move || clock.now_ms())
        };
        let folder = options.data.clone().filter(|_| options.aws_endpoint.is_none());
        let services =
            Services::start(&template, ServicesOptions { data: folder, now, credentials: Credentials::default() })
                .map_err(|error| error.to_string())?;
        for secret in template.secrets().iter().filter(|secret| secret.logical_id == AUTH_SECRET) {
            services.secrets().put(&secret.arn, &keys.auth_secret().map_err(|error| error.to_string())?);
        }
        let addresses = Addresses::at(&authority(options.port));
        services.secrets().put(webhook::SECRET, &webhook::secret());
        services.secrets().put(stores::APPLE_SECRET, &store_keys.apple_secret());
        services.secrets().put(stores::GOOGLE_SECRET, &store_keys.google_secret(&addresses.google_token()));
        let ids = match options.seed {
            Some(seed) => chance::seeded(clock.clock(), seed),
            None => Ids::system(clock.clock()),
        };
        let issuer = Issuer::new(keys, clock.clone());
        let shops = Shops::open(Stock {
            settings: StoreSettings::of(template.parameters(), addresses),
            keys: store_keys,
            issuer: issuer.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            file: data.as_ref().map(|data| data.file("stores.json")),
        })?;
        let everybody = Credentials::default().access_key_id;
        let of_functions = (options.clone(), services.clone());
        let aws = aws(&options, &services, &everybody)?;
        let world = World {
            clock: clock.clock(),
            ids: ids.clone(),
            aws: Box::new(move |key_id| self::aws(&of_functions.0, &of_functions.1, key_id)),
            http: carrier::http(services.clone(), issuer.clone(), shops.clone(), authority(options.port)),
            runtime: runtime(&options),
        };
        let mut inner = Inner {
            template,
            services,
            clock,
            ids,
            aws,
            issuer,
            shops,
            functions: Functions::new(),
            gateway: None,
            sources: None,
            options,
            _data: data,
        };
        if !inner.options.services_only {
            inner.add_functions(&world).await?;
        }
        let local = Self(Arc::new(inner));
        local.0.shops.live_in(Home(Arc::downgrade(&local.0)));
        if local.0.options.aws_endpoint.is_none() {
            local.seed().await?;
        }
        local.0.services.counters().reset();
        if let Some(sources) = &local.0.sources {
            sources.start();
        }
        Ok(local)
    }

    async fn seed(&self) -> Result<(), StartError> {
        let Some(accounts) = self.0.template.table(ACCOUNTS) else { return Ok(()) };
        Ok(seed::backoffice(&self.0.aws.dynamodb(), &accounts.name, self.0.clock.now().as_second()).await?)
    }

    /// The gateway's answer to `request`, or the control API's under `/_local/`, without a socket.
    pub async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        if control::is_control(request.uri().path()) {
            return control::call(self, request).await;
        }
        match &self.0.gateway {
            Some(gateway) => gateway.call(request).await,
            None => crate::gateway::message(http::StatusCode::NOT_FOUND, "only the services run here"),
        }
    }

    /// Moves the clock on: hidden messages show, rows past their time-to-live go, schedules that came due begin. With a
    /// data folder it stays moved over a restart.
    ///
    /// # Errors
    /// Where rows cannot be swept, or the clock's offset cannot be kept.
    pub fn advance(&self, by: Duration) -> Result<(), String> {
        self.0.clock.advance(by);
        self.0.clock.write_down()?;
        self.0.services.sweep_ttl().map_err(|error| error.to_string())?;
        if let Some(sources) = &self.0.sources {
            sources.clock_moved();
        }
        self.0.services.clock_moved();
        Ok(())
    }

    /// Waits until queues and streams are empty and handlers idle, at most `limit`; what is left is returned.
    pub async fn drain(&self, limit: Duration) -> Vec<Pending> {
        match &self.0.sources {
            Some(sources) => sources.drain(limit).await,
            None => Vec::new(),
        }
    }

    /// Runs the function of a schedule now; `None` where there is no such schedule.
    ///
    /// # Errors
    /// What the function failed of.
    pub async fn run(&self, schedule: &str) -> Option<Result<Value, Failure>> {
        match self.0.sources.as_ref()?.run(schedule).await {
            Ok(answer) => Some(Ok(answer)),
            Err(failure) => failure.map(Err),
        }
    }

    /// Names of the schedules.
    #[must_use]
    pub fn schedules(&self) -> Vec<String> {
        self.0.sources.as_ref().map(Sources::schedules).unwrap_or_default()
    }

    /// Empty state, the clock where it began, no faults; functions and keys stay.
    ///
    /// # Errors
    /// Where the state cannot be emptied.
    pub async fn reset(&self) -> Result<(), StartError> {
        if let Some(sources) = &self.0.sources {
            sources.stop().await;
        }
        self.0.clock.reset();
        self.0.clock.write_down()?;
        self.0.services.reset().map_err(|error| error.to_string())?;
        self.0.shops.reset();
        self.seed().await?;
        self.0.services.counters().reset();
        if let Some(sources) = &self.0.sources {
            sources.forget();
            sources.start();
        }
        Ok(())
    }

    /// Stops the event sources. What was acknowledged is written down already.
    pub async fn stop(&self) {
        if let Some(sources) = &self.0.sources {
            sources.stop().await;
        }
    }

    /// Starts the event sources again after [`Local::stop`]: what was under way is delivered once more.
    pub fn resume(&self) {
        if let Some(sources) = &self.0.sources {
            sources.start();
        }
    }

    /// The function of the binary `name`.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<&Arc<Built>> {
        self.0.functions.values().find(|function| function.name == name)
    }

    /// Every setting that a function of the template has: each name means the same in all of them.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        let mut all = runtime(&self.0.options);
        for function in self.0.template.functions() {
            all.extend(function.env.clone());
        }
        all
    }

    /// The stand-ins of AWS.
    #[must_use]
    pub fn services(&self) -> &Services {
        &self.0.services
    }

    /// The template as it was read.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.0.template
    }

    /// The clock of everything.
    #[must_use]
    pub fn clock(&self) -> &LocalClock {
        &self.0.clock
    }

    /// The source of ids and random bytes.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.0.ids
    }

    /// AWS as functions have it, faults included, but for somebody who may do everything.
    #[must_use]
    pub fn aws(&self) -> &Aws {
        &self.0.aws
    }

    /// The issuer of ID tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.0.issuer
    }

    /// The App Store and Google Play.
    #[must_use]
    pub fn stores(&self) -> Stores {
        Stores::of(self.clone())
    }

    /// The stores as they answer.
    pub(crate) fn shops(&self) -> &Shops {
        &self.0.shops
    }

    /// Whether the emulators belong to this process.
    #[must_use]
    pub fn owns_services(&self) -> bool {
        self.0.options.aws_endpoint.is_none()
    }
}

impl Inner {
    async fn add_functions(&mut self, world: &World) -> Result<(), StartError> {
        self.functions = functions::build(&self.template, &self.options.functions, world).await.map_err(StartError)?;
        let mut complaints = Vec::new();
        match Gateway::new(&self.template, &self.functions, self.ids.clone()) {
            Ok(gateway) => self.gateway = Some(gateway),
            Err(found) => complaints.extend(found),
        }
        if self.options.aws_endpoint.is_none() {
            let positions = self._data.as_ref().map(|data| data.file("streams.json"));
            match Sources::new(&self.template, &self.functions, &self.services, &self.clock, positions) {
                Ok(sources) => self.sources = Some(sources),
                Err(found) => complaints.extend(found),
            }
        }
        if complaints.is_empty() { Ok(()) } else { Err(StartError(complaints)) }
    }
}

/// Host and port as addresses name them.
fn authority(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Variables of the Lambda environment.
fn runtime(options: &LocalOptions) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from([
        ("AWS_REGION".to_owned(), template::REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID".to_owned(), "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), "local".to_owned()),
    ]);
    let endpoint = options.aws_endpoint.clone().unwrap_or_else(|| format!("http://{}", authority(options.aws_port)));
    variables.insert("AWS_ENDPOINT_URL".to_owned(), endpoint);
    variables
}

/// AWS for who has the access key `key_id`.
fn aws(options: &LocalOptions, services: &Services, key_id: &str) -> Result<Aws, String> {
    let mut variables = runtime(options);
    if options.aws_endpoint.is_some() {
        variables.insert("AWS_ACCESS_KEY_ID".to_owned(), key_id.to_owned());
        return Aws::from_lookup(|name| variables.get(name).cloned()).map_err(|missing| missing.join(", "));
    }
    let secret = Credentials::default().secret_access_key;
    let credentials = AwsCredentials::new(key_id, secret, None, None, "local");
    let endpoint = variables.remove("AWS_ENDPOINT_URL");
    Ok(Aws::new(template::REGION.to_owned(), credentials, services.http_client(), endpoint))
}

/// Auth's secret as the emulators at `endpoint` have it.
async fn remote_secret(endpoint: &str, options: &LocalOptions) -> Result<String, StartError> {
    let template = parse(options.template, &options.params, BTreeMap::new())?;
    let secret = template.secrets().iter().find(|secret| secret.logical_id == AUTH_SECRET);
    let arn = secret.ok_or_else(|| format!("the template has no secret {AUTH_SECRET}"))?.arn.clone();
    let secret = remote(options, &arn).await?;
    Ok(secret.map_err(|error| format!("the emulators at {endpoint} cannot be asked: {error}"))?.to_string())
}

/// The secret `arn` as the emulators of another process have it, or why it cannot be read.
async fn remote(options: &LocalOptions, arn: &str) -> Result<Result<Value, String>, StartError> {
    let variables = runtime(options);
    let aws = Aws::from_lookup(|name| variables.get(name).cloned()).map_err(|missing| missing.join(", "))?;
    let read = satchel_outbound::secret::read::<Value>(&aws.secretsmanager(), arn).await;
    Ok(read.map(|secret| secret.expose().clone()).map_err(|error| error.to_string()))
}

/// The keys of the stores; beside another process's services, those that its secrets have.
async fn store_keys(options: &LocalOptions, data: Option<&DataFolder>) -> Result<Arc<StoreKeys>, StartError> {
    if options.aws_endpoint.is_some() {
        let keys = StoreKeys::generate().map_err(|error| error.to_string())?;
        let apple = remote(options, stores::APPLE_SECRET).await?.ok();
        let google = remote(options, stores::GOOGLE_SECRET).await?.ok();
        return Ok(Arc::new(keys.with_secrets(apple.as_ref(), google.as_ref())));
    }
    let keys = match data {
        Some(folder) => StoreKeys::kept_at(&folder.file("store-keys.json")).map(Arc::new),
        None => StoreKeys::shared(),
    };
    Ok(keys.map_err(|error| error.to_string())?)
}

/// The values that make the template's stack a local one.
fn params(options: &LocalOptions, keys: &Keys, store_keys: &StoreKeys) -> Result<BTreeMap<String, String>, StartError> {
    let jwks = format!("http://{}{JWKS_PATH}", authority(options.port));
    let token_keys = keys.token_keys().map_err(|error| error.to_string())?;
    let params = [
        ("Stage", "local"),
        ("TokenKeys", &token_keys),
        ("GoogleClientIds", GOOGLE_CLIENT),
        ("AppleClientIds", APPLE_CLIENT),
        ("GoogleJwksUrl", &jwks),
        ("AppleJwksUrl", &jwks),
        ("EntitlementWebhookSecretArn", webhook::SECRET),
    ]
    .into_iter()
    .map(|(name, value)| (name, value.to_owned()));
    let of_stores = stores::params(&Addresses::at(&authority(options.port)), store_keys, options.apple_root.as_deref());
    Ok(params.chain(of_stores).map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The template under the caller's `params`, or else the `local` ones; read once for all stacks of a process that give the
/// same values.
fn parse(
    text: &'static str,
    params: &BTreeMap<String, String>,
    local: BTreeMap<String, String>,
) -> Result<Arc<Template>, StartError> {
    type Values = BTreeMap<String, String>;
    type Read = BTreeMap<(&'static str, Values, Values), Arc<Template>>;
    static READ: Mutex<Read> = Mutex::new(Read::new());
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (text, params.clone(), local);
    if let Some(template) = read.get(&key) {
        return Ok(Arc::clone(template));
    }
    let template = Arc::new(Template::parse_with(text, &key.1, &key.2).map_err(|error| StartError(error.0))?);
    read.insert(key, Arc::clone(&template));
    Ok(template)
}
