//! What the routes, the worker and the reconciling of purchases work with.

use std::sync::Arc;

use axum::extract::FromRef;
use satchel_domain::Timestamp;
use satchel_domain::appstore::Chain;
use satchel_domain::playstore::Push;
use satchel_domain::purchases::Catalogue;
use satchel_domain::purchases::owner::Policy;
use satchel_inbound::env::{Reader, both};
use satchel_inbound::{Complaints, Core, Env};
use satchel_outbound::Queue;
use satchel_store::Table;

use crate::fold::Books;
use crate::limits::Limits;
use crate::stores::apple::AppleApi;
use crate::stores::google::{PlayApi, PushKeys};
use crate::stores::ocsp::{Ocsp, Outcome};

/// What the handlers work with.
#[derive(Clone)]
pub struct App {
    pub(crate) core: Core,
    pub(crate) entitlements: Table,
    pub(crate) limits: Limits,
    pub(crate) stores: Arc<Stores>,
}

/// What is known of the stores, and the books that are kept of what they say.
pub(crate) struct Stores {
    pub(crate) books: Books,
    pub(crate) events: Queue,
    pub(crate) policy: Policy,
    pub(crate) apple: Option<Apple>,
    pub(crate) google: Option<Google>,
}

/// The App Store, where it is set up.
pub(crate) struct Apple {
    pub(crate) api: AppleApi,
    ocsp: Ocsp,
}

/// Google Play, where it is set up.
pub(crate) struct Google {
    pub(crate) api: PlayApi,
    pub(crate) push: Push,
    pub(crate) keys: PushKeys,
    pub(crate) package_name: String,
}

impl Apple {
    /// Whether the certificates of all `chains` stand at `now`; `cache` is the table `entitlements`.
    pub(crate) async fn stands<'a>(
        &self,
        cache: &Table,
        chains: impl IntoIterator<Item = &'a Chain>,
        now: Timestamp,
    ) -> Result<(), Outcome> {
        for chain in chains {
            self.ocsp.check(cache, chain, self.api.root(), now).await?;
        }
        Ok(())
    }
}

impl FromRef<App> for Core {
    fn from_ref(app: &App) -> Self {
        app.core.clone()
    }
}

impl App {
    /// From the settings.
    ///
    /// # Errors
    /// All complaints about them.
    pub(crate) async fn from_env(env: &Env) -> Result<Self, Complaints> {
        let core = both(Core::from_env(env), env.settings.read(Limits::from_settings));
        let ((core, limits), stores) = both(core, Stores::from_env(env).await)?;
        Ok(Self { core, entitlements: stores.books.table.clone(), limits, stores: Arc::new(stores) })
    }
}

struct Settings {
    books: Books,
    queue: String,
    policy: Policy,
    ocsp: Ocsp,
}

fn settings(env: &Env, settings: &mut Reader<'_>) -> Settings {
    let dynamodb = env.aws.dynamodb();
    let catalogue = settings.text("PRODUCT_CATALOGUE");
    let catalogue = Catalogue::parse(&catalogue).unwrap_or_else(|error| {
        settings.complain(format!("PRODUCT_CATALOGUE: {error}"));
        Catalogue::default()
    });
    let slack: i64 = settings.value("RENEWAL_SLACK", satchel_domain::entitlements::RENEWAL_SLACK);
    if !(0..=86_400).contains(&slack) {
        settings.complain("RENEWAL_SLACK: seconds, 0 to 86400");
    }
    let books = Books {
        table: Table::new(dynamodb.clone(), settings.text("TABLE_ENTITLEMENTS")),
        accounts: Table::new(dynamodb, settings.text("TABLE_ACCOUNTS")),
        clock: env.clock.clone(),
        ids: env.ids.clone(),
        catalogue,
        slack,
        allow_sandbox: settings.value("ALLOW_SANDBOX", false)
            || settings.optional("APPLE_ENVIRONMENT").as_deref() == Some("Sandbox"),
    };
    Settings {
        books,
        queue: settings.text("QUEUE_STORE_EVENTS"),
        policy: settings.value("RESTORE_POLICY", Policy::default()),
        ocsp: Ocsp::from_settings(settings, env.http.clone()),
    }
}

impl Stores {
    /// From the settings; a store that is not set up is none.
    ///
    /// # Errors
    /// All complaints about them.
    pub(crate) async fn from_env(env: &Env) -> Result<Self, Complaints> {
        let read = env.settings.read(|reader| settings(env, reader));
        let api = both(AppleApi::from_env(env).await, PlayApi::from_env(env).await);
        let (read, (apple, google)) = both(read, api)?;
        let Settings { books, queue, policy, ocsp } = read;
        let google = match google {
            None => None,
            Some(api) => {
                let (push, keys, package_name) = env.settings.read(|settings| {
                    let package_name = settings.text("GOOGLE_PACKAGE_NAME");
                    let (audience, email, subscription) = (
                        settings.text("GOOGLE_PUSH_AUDIENCE"),
                        settings.text("GOOGLE_PUSH_EMAIL"),
                        settings.text("GOOGLE_PUSH_SUBSCRIPTION"),
                    );
                    let push = Push::new(audience, email, subscription, &package_name)
                        .map_err(|error| settings.complain(format!("GOOGLE_PUSH_AUDIENCE, GOOGLE_PUSH_EMAIL, GOOGLE_PUSH_SUBSCRIPTION, GOOGLE_PACKAGE_NAME: {error}")))
                        .ok();
                    (push, PushKeys::from_settings(settings, env.http.clone()), package_name)
                })?;
                // Without one there was a complaint.
                push.map(|push| Google { api, push, keys, package_name })
            }
        };
        Ok(Self {
            books,
            events: Queue::new(env.aws.sqs(), queue),
            policy,
            apple: apple.map(|api| Apple { api, ocsp }),
            google,
        })
    }
}
