//! Both stores as one value, for the carrier and for calls over the port.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use http::Request;
use satchel_inbound::Ids;

use super::apple::{Revocation, Signing};
use super::book::Book;
use super::delivery;
use super::keys::StoreKeys;
use super::mode::Modes;
use super::reply::{self, Reply};
use super::settings::StoreSettings;
use super::{apple, google};
use crate::clock::LocalClock;
use crate::identity::Issuer;
use crate::keys::KeyError;
use crate::local::Home;

/// The stand-ins of both stores; cheap to clone.
#[derive(Clone)]
pub(crate) struct Shops(Arc<Inner>);

struct Inner {
    settings: StoreSettings,
    keys: Arc<StoreKeys>,
    issuer: Issuer,
    clock: LocalClock,
    ids: Ids,
    book: Book,
    modes: Modes,
    revocation: Revocation,
    signing: OnceLock<Signing>,
    foreign: OnceLock<Signing>,
    home: OnceLock<Home>,
}

impl fmt::Debug for Shops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shops")
    }
}

/// What the stores are made of.
pub(crate) struct Stock {
    pub(crate) settings: StoreSettings,
    pub(crate) keys: Arc<StoreKeys>,
    /// Signs Google's pushes, as it signs Google's ID tokens: at Google it is one set of keys too.
    pub(crate) issuer: Issuer,
    pub(crate) clock: LocalClock,
    pub(crate) ids: Ids,
    /// Where the state is kept.
    pub(crate) file: Option<PathBuf>,
}

impl Shops {
    /// The stores, with what `stock.file` holds.
    ///
    /// # Errors
    /// A sentence, where the file cannot be read.
    pub(crate) fn open(stock: Stock) -> Result<Self, String> {
        let Stock { settings, keys, issuer, clock, ids, file } = stock;
        let book = Book::open(file)?;
        Ok(Self(Arc::new(Inner {
            settings,
            keys,
            issuer,
            clock,
            ids,
            book,
            modes: Modes::default(),
            revocation: Revocation::default(),
            signing: OnceLock::new(),
            foreign: OnceLock::new(),
            home: OnceLock::new(),
        })))
    }

    /// The stack whose routes notifications are sent to.
    pub(crate) fn live_in(&self, home: Home) {
        self.0.home.get_or_init(|| home);
    }

    /// The answer to `request`, whose path [`is_store`]; none where the connection ends without one.
    pub(crate) async fn answer(&self, request: Request<Bytes>) -> Reply {
        let path = request.uri().path().to_owned();
        if let Some(path) = path.strip_prefix(APPLE) {
            return apple::answer(self, path, request).await;
        }
        match path.strip_prefix(GOOGLE) {
            Some(path) => google::answer(self, path, request).await,
            None => Some(reply::empty(404)),
        }
    }

    /// No purchases and no notifications; both stores do well.
    pub(crate) fn reset(&self) {
        self.0.book.clear();
        self.0.modes.clear();
        self.0.revocation.set(apple::OcspIn::default());
    }

    /// Sends notifications to the stack's own routes.
    pub(super) async fn send(&self, ids: &[String]) {
        if let Some(local) = self.0.home.get().and_then(Home::local) {
            delivery::send(&local, self, ids).await;
        }
    }

    pub(super) fn settings(&self) -> &StoreSettings {
        &self.0.settings
    }

    pub(super) fn keys(&self) -> &StoreKeys {
        &self.0.keys
    }

    pub(super) fn issuer(&self) -> &Issuer {
        &self.0.issuer
    }

    pub(super) fn ids(&self) -> &Ids {
        &self.0.ids
    }

    pub(super) fn book(&self) -> &Book {
        &self.0.book
    }

    pub(super) fn modes(&self) -> &Modes {
        &self.0.modes
    }

    pub(super) fn revocation(&self) -> &Revocation {
        &self.0.revocation
    }

    /// The time by the injected clock, Unix milliseconds.
    pub(super) fn now_ms(&self) -> i64 {
        self.0.clock.now_ms()
    }

    /// What signs for the App Store.
    pub(super) fn apple(&self) -> Result<&Signing, KeyError> {
        let ocsp = self.0.settings.addresses.ocsp();
        get_or_make(&self.0.signing, || Signing::new(&self.0.keys, &ocsp))
    }

    /// What signs for somebody who wants to be taken for the App Store.
    pub(super) fn foreign(&self) -> Result<&Signing, KeyError> {
        let ocsp = self.0.settings.addresses.ocsp();
        get_or_make(&self.0.foreign, || Signing::foreign(&ocsp))
    }
}

fn get_or_make(
    cell: &OnceLock<Signing>,
    make: impl FnOnce() -> Result<Signing, KeyError>,
) -> Result<&Signing, KeyError> {
    if let Some(made) = cell.get() {
        return Ok(made);
    }
    let made = make()?;
    Ok(cell.get_or_init(|| made))
}

const APPLE: &str = "/_local/apple/";
const GOOGLE: &str = "/_local/google/";

/// Whether `path` is a store's.
pub(crate) fn is_store(path: &str) -> bool {
    path.starts_with(APPLE) || path.starts_with(GOOGLE)
}
