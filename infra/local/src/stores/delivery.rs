//! The post: notifications on their way to the stack's own routes, once, twice, shuffled, or forged.

use axum::body::Bytes;
use futures_util::future::join_all;
use http::{Request, header};
use serde::{Deserialize, Serialize};

use super::forge::Forge;
use super::input::Store;
use super::notice::{Attempt, Notice};
use super::refused::Refused;
use super::shops::Shops;
use super::{apple, google};
use crate::chance;
use crate::local::Local;

const APPLE_ROUTE: &str = "/payments/webhook/apple";
const GOOGLE_ROUTE: &str = "/payments/webhook/google";

/// Which notifications are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Which {
    /// Those that nobody took yet.
    #[default]
    Waiting,
    /// These, or the word `all`.
    Word(All),
    /// These, in this order.
    Ids(Vec<String>),
}

/// The word for every notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum All {
    /// Every one there is.
    All,
}

/// What `POST /_local/stores/deliver` takes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliverIn {
    /// Which.
    pub ids: Which,
    /// Of one store only.
    pub store: Option<Store>,
    /// How often each; once without.
    pub copies: Option<usize>,
    /// In an order that follows from this number; oldest first, or as `ids` has them, without.
    pub shuffle_seed: Option<u64>,
    /// All at once, instead of one after the other.
    pub parallel: bool,
    /// What is false about them.
    pub forge: Option<Forge>,
}

impl DeliverIn {
    /// The notification `id`.
    #[must_use]
    pub fn one(id: &str) -> Self {
        Self { ids: Which::Ids(vec![id.to_owned()]), ..Self::default() }
    }
}

/// One delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// The notification.
    pub id: String,
    /// What the route answered.
    pub status: u16,
}

/// Sends what `wanted` says.
pub(super) async fn deliver(local: &Local, shops: &Shops, wanted: &DeliverIn) -> Result<Vec<Delivery>, Refused> {
    let copies = wanted.copies.unwrap_or(1);
    if !(1..=100).contains(&copies) {
        return Err(Refused::invalid("copies must be between 1 and 100"));
    }
    let chosen = chosen(shops, wanted)?;
    let mut letters: Vec<Notice> = chosen.into_iter().flat_map(|it| vec![it; copies]).collect();
    if let Some(seed) = wanted.shuffle_seed {
        shuffle(&mut letters, local, seed);
    }
    // All are made before any is sent: what cannot be forged so is refused as a whole.
    let requests = letters.iter().map(|letter| request(shops, letter, wanted.forge));
    let requests = requests.collect::<Result<Vec<_>, _>>()?;
    let sent = letters.iter().zip(requests).map(|(letter, request)| hand_over(local, shops, letter, request, wanted));
    if wanted.parallel {
        return Ok(join_all(sent).await);
    }
    let mut deliveries = Vec::new();
    for delivery in sent {
        deliveries.push(delivery.await);
    }
    Ok(deliveries)
}

/// Sends notifications once, as a store does by itself.
pub(super) async fn send(local: &Local, shops: &Shops, ids: &[String]) {
    let wanted = DeliverIn { ids: Which::Ids(ids.to_vec()), ..DeliverIn::default() };
    if let Err(error) = deliver(local, shops, &wanted).await {
        tracing::error!(%error, "notifications of a store cannot be sent");
    }
}

fn chosen(shops: &Shops, wanted: &DeliverIn) -> Result<Vec<Notice>, Refused> {
    shops.book().read(|kept| {
        let of_store = |notice: &&Notice| wanted.store.is_none_or(|store| store == notice.store);
        let all = kept.notices.iter().filter(of_store);
        match &wanted.ids {
            Which::Waiting => Ok(all.filter(|notice| !notice.is_delivered()).cloned().collect()),
            Which::Word(All::All) => Ok(all.cloned().collect()),
            Which::Ids(ids) => ids
                .iter()
                .map(|id| {
                    let found = kept.notices.iter().find(|notice| notice.id == *id);
                    found.cloned().ok_or_else(|| Refused::NotFound(format!("there is no notification {id}")))
                })
                .collect(),
        }
    })
}

/// Fisher and Yates, by a number: the same order each time.
fn shuffle(letters: &mut [Notice], local: &Local, seed: u64) {
    let chance = chance::seeded(local.clock().clock(), seed);
    for last in (1..letters.len()).rev() {
        let drawn = usize::try_from(u32::from_be_bytes(chance.bytes())).unwrap_or(0);
        letters.swap(last, drawn % (last + 1));
    }
}

fn request(shops: &Shops, notice: &Notice, forge: Option<Forge>) -> Result<Request<Bytes>, Refused> {
    let cannot = || Refused::invalid("the forgery is the other store's: nothing of the kind is in this notification");
    let (route, bearer, body) = match notice.store {
        Store::Apple => {
            let signed = match forge {
                Some(forge) => apple::forged(shops, notice, forge)?.ok_or_else(cannot)?,
                None => notice.signed.clone().unwrap_or_default(),
            };
            (APPLE_ROUTE, None, apple::body(&signed))
        }
        Store::Google => {
            if matches!(forge, Some(Forge::Chain | Forge::Inner | Forge::AppId | Forge::Environment)) {
                return Err(cannot());
            }
            (GOOGLE_ROUTE, google::bearer(shops, forge)?, google::body(shops, notice, forge))
        }
    };
    let mut request = Request::post(route).header(header::CONTENT_TYPE, "application/json");
    if let Some(bearer) = bearer {
        request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
    }
    request.body(Bytes::from(body.to_string())).map_err(|error| Refused::Failed(error.to_string()))
}

async fn hand_over(
    local: &Local,
    shops: &Shops,
    notice: &Notice,
    request: Request<Bytes>,
    wanted: &DeliverIn,
) -> Delivery {
    let status = local.call(request).await.status().as_u16();
    // A forged one is nothing that the store has sent.
    if wanted.forge.is_none() {
        let at_ms = shops.now_ms();
        shops.book().change(|kept| {
            if let Some(kept) = kept.notices.iter_mut().find(|kept| kept.id == notice.id) {
                kept.attempts.push(Attempt { at_ms, status });
            }
        });
    }
    Delivery { id: notice.id.clone(), status }
}
