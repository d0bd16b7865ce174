//! The App Store and Google Play, as far as an app's server sees them: their APIs, what they sign, what they send. What a
//! customer does in them is a control call, or a method of [`Stores`].
//!
//! | part | plays |
//! | --- | --- |
//! | `apple` | App Store Server API, `verifyReceipt`, notifications V2, a PKI like Apple's with its OCSP responder |
//! | `google` | token endpoint, Play Developer API, Real-time developer notifications as Pub/Sub pushes them |
//! | `book` | what both know, kept over restarts |
//! | `delivery` | notifications on their way: held, sent, repeated, shuffled, forged |
//! | `mode` | how well a store does |
//!
//! The shapes on the wire are those of the stores' own documents, and nothing here uses the code that reads them. Both
//! answer below the process's own address, `/_local/apple/…` and `/_local/google/…`, over the port and for the functions
//! of this process without a socket.

mod apple;
mod bearer;
mod book;
pub(crate) mod control;
mod delivery;
mod forge;
mod google;
mod input;
pub(crate) mod keys;
mod mode;
mod notice;
mod product;
mod refused;
mod reply;
pub(crate) mod settings;
mod shops;
mod uuid;

pub use apple::{AppleDone, OcspIn, OcspMode};
pub use delivery::{All, DeliverIn, Delivery, Which};
pub use forge::Forge;
pub use google::GoogleDone;
pub use input::{ActIn, BuyIn, Deliver, Environment, Store};
pub use mode::{Mode, ModeIn};
pub use notice::{Attempt, Notification};
pub use product::ProductKind;
pub use refused::Refused;
pub(crate) use settings::StoreSettings;
pub(crate) use shops::{Shops, Stock, is_store};

use input::Action;

use crate::local::Local;

/// What customers do in the stores, and what the stores do then. The methods take and return what the control calls do.
#[derive(Debug, Clone)]
pub struct Stores {
    local: Local,
}

impl Stores {
    pub(crate) fn of(local: Local) -> Self {
        Self { local }
    }

    /// The App Store.
    #[must_use]
    pub fn apple(&self) -> AppStore {
        AppStore { local: self.local.clone() }
    }

    /// Google Play.
    #[must_use]
    pub fn google(&self) -> PlayStore {
        PlayStore { local: self.local.clone() }
    }

    /// All notifications, oldest first.
    #[must_use]
    pub fn notifications(&self) -> Vec<Notification> {
        let shops = self.local.shops();
        shops.book().read(|kept| kept.notices.iter().map(|notice| view(shops, notice)).collect())
    }

    /// Sends notifications.
    ///
    /// # Errors
    /// One that is not there, and a forgery that the store's notifications have no place for.
    pub async fn deliver(&self, wanted: DeliverIn) -> Result<Vec<Delivery>, Refused> {
        delivery::deliver(&self.local, self.local.shops(), &wanted).await
    }

    /// From now on `store` answers so.
    pub fn mode(&self, store: Store, mode: impl Into<ModeIn>) {
        self.local.shops().modes().set(store, mode.into());
    }

    /// From now on Apple's OCSP responder says this.
    pub fn ocsp(&self, wanted: impl Into<OcspIn>) {
        self.local.shops().revocation().set(wanted.into());
    }
}

fn view(shops: &Shops, notice: &notice::Notice) -> Notification {
    match notice.store {
        Store::Apple => apple::view(notice),
        Store::Google => google::view(shops, notice),
    }
}

/// Sends `made` unless it is held, and gives it with what came of it.
async fn post(local: &Local, made: Vec<Notification>, deliver: Deliver) -> Vec<Notification> {
    if deliver == Deliver::Hold || made.is_empty() {
        return made;
    }
    let (shops, ids) = (local.shops(), made.iter().map(|notification| notification.id.clone()).collect::<Vec<_>>());
    delivery::send(local, shops, &ids).await;
    let known = |notice: &&notice::Notice| ids.contains(&notice.id);
    shops.book().read(|kept| kept.notices.iter().filter(known).map(|notice| view(shops, notice)).collect())
}

/// The App Store of a stack.
#[derive(Debug, Clone)]
pub struct AppStore {
    local: Local,
}

/// Google Play of a stack.
#[derive(Debug, Clone)]
pub struct PlayStore {
    local: Local,
}

macro_rules! happens {
    ($store:ident, $done:ident, $module:ident; $($doc:literal $name:ident = $action:ident)*) => {
        impl $store {
            /// Somebody buys.
            ///
            /// # Errors
            /// What the store does not have, or would not do.
            pub async fn buy(&self, what: BuyIn) -> Result<$done, Refused> {
                let mut done = $module::buy(self.local.shops(), &what)?;
                done.notifications = post(&self.local, done.notifications, what.deliver).await;
                Ok(done)
            }

            async fn act(&self, action: Action, what: ActIn) -> Result<$done, Refused> {
                let mut done = $module::act(self.local.shops(), action, &what)?;
                done.notifications = post(&self.local, done.notifications, what.deliver).await;
                Ok(done)
            }

            $(
                #[doc = $doc]
                ///
                /// # Errors
                /// No such purchase, or one in a state in which the store would not do this.
                pub async fn $name(&self, what: ActIn) -> Result<$done, Refused> {
                    self.act(Action::$action, what).await
                }
            )*
        }
    };
}

happens! { AppStore, AppleDone, apple;
    "The next period is billed." renew = Renew
    "A payment fails; access goes on in a grace period." fail = Fail
    "The grace period is over; Apple goes on trying." grace_expire = GraceExpire
    "A payment fails, and there is no grace period." hold = Hold
    "A failed payment comes through." recover = Recover
    "It is over." expire = Expire
    "It will not renew." cancel = Cancel
    "It will renew after all." resume = Resume
    "A transaction is refunded." refund = Refund
    "A refund is taken back." refund_reverse = RefundReverse
    "The family no longer shares it." revoke = Revoke
    "Another product from now on." upgrade = Upgrade
    "Another product from the next period on." downgrade = Downgrade
    "Its transactions from now on bear another account token." transfer = Transfer
    "Its period is made longer." extend = Extend
    "Its price rises." price_increase = PriceIncrease
}

happens! { PlayStore, GoogleDone, google;
    "The next period is billed." renew = Renew
    "A payment fails; access goes on in a grace period." fail = Fail
    "The grace period is over; the account is on hold." grace_expire = GraceExpire
    "A payment fails; the account is on hold." hold = Hold
    "A failed payment comes through." recover = Recover
    "It is over." expire = Expire
    "It will not renew; a pending purchase is given up." cancel = Cancel
    "It will renew after all; a pause ends." resume = Resume
    "An order is refunded." refund = Refund
    "The newest order is refunded, and access ends." revoke = Revoke
    "Another product from now on, by another token." upgrade = Upgrade
    "Another product from the next period on, by another token." downgrade = Downgrade
    "It pauses." pause = Pause
    "It gets another account's id." transfer = Transfer
    "Its period is made longer." extend = Extend
    "Its price rises." price_increase = PriceIncrease
    "A pending purchase is paid for." complete = Complete
    "An order stands in the list of what was voided, and nothing else happens." void = Void
}

impl AppStore {
    /// Any notification: about a transaction, or about none.
    ///
    /// # Errors
    /// No type, or no such transaction.
    pub async fn notify(&self, what: ActIn) -> Result<Vec<Notification>, Refused> {
        let shops = self.local.shops();
        let made = if what.transaction_id.is_some() || what.original_transaction_id.is_some() {
            apple::act(shops, Action::Notify, &what)?.notifications
        } else {
            let kind = what.kind.as_deref().ok_or_else(|| Refused::invalid("type must be given"))?;
            vec![apple::notify(shops, Environment::Production, kind, what.subtype.as_deref())?]
        };
        Ok(post(&self.local, made, what.deliver).await)
    }
}

impl PlayStore {
    /// Any notification about a purchase, by its number, or the `test`.
    ///
    /// # Errors
    /// No number, or no such purchase.
    pub async fn notify(&self, what: ActIn) -> Result<Vec<Notification>, Refused> {
        let shops = self.local.shops();
        let made = if what.kind.as_deref() == Some("test") {
            vec![google::notify_test(shops)]
        } else {
            google::act(shops, Action::Notify, &what)?.notifications
        };
        Ok(post(&self.local, made, what.deliver).await)
    }
}
