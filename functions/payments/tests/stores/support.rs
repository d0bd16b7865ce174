//! What the tests of purchases have in common.

use satchel_testkit::{Answer, Options, Session, Stack};
use serde_json::{Value, json};

pub(crate) const DAY: i64 = 86_400;
pub(crate) const SYNC: &str = "app.satchel.sync.monthly";
pub(crate) const YEARLY: &str = "app.satchel.sync.yearly";
pub(crate) const AI: &str = "app.satchel.ai.monthly";
pub(crate) const THANKS: &str = "app.satchel.supporter";

/// A stack with stores, and a person.
pub(crate) struct Shop {
    pub(crate) stack: Stack,
    pub(crate) ada: Session,
    pub(crate) token: String,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let stack = Stack::with(options).await;
        let ada = stack.sign_in("ada").await;
        let mut shop = Self { stack, ada, token: String::new() };
        shop.token = shop.account_token(&shop.ada).await;
        shop
    }

    pub(crate) async fn account_token(&self, who: &Session) -> String {
        let body = self.stack.get("/payments/entitlements").auth(who).send().await.ok();
        body["store_account_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn control(&self, path: &str, body: Value) -> Value {
        self.stack.post(&format!("/_local/stores/{path}")).json(body).send().await.ok()
    }

    /// Buys in a store; its notifications are held back.
    pub(crate) async fn buy(&self, store: &str, product: &str, more: Value) -> Value {
        let mut body = json!({ "product_id": product, "deliver": "hold" });
        merge(&mut body, more);
        self.control(&format!("{store}/buy"), body).await
    }

    /// Something happens to a purchase of the App Store; its notifications are held back.
    pub(crate) async fn apple(&self, what: &str, bought: &Value, more: Value) -> Value {
        let mut body = json!({ "transaction_id": bought["transaction_id"], "deliver": "hold" });
        merge(&mut body, more);
        self.control(&format!("apple/{what}"), body).await
    }

    /// Something happens to a purchase of Google Play; its notifications are held back.
    pub(crate) async fn google(&self, what: &str, bought: &Value, more: Value) -> Value {
        let mut body = json!({ "purchase_token": bought["purchase_token"], "deliver": "hold" });
        merge(&mut body, more);
        self.control(&format!("google/{what}"), body).await
    }

    /// Delivers what is held back, and waits until it is handled.
    pub(crate) async fn deliver(&self) {
        self.control("deliver", json!({})).await;
        self.stack.drain().await;
    }

    pub(crate) async fn verify(&self, who: &Session, platform: &str, receipt: &Value, product: &str) -> Answer {
        let body = json!({ "platform": platform, "receipt_data": receipt, "product_id": product });
        self.stack.post("/payments/verify").auth(who).json(body).send().await
    }

    pub(crate) async fn restore(&self, who: &Session, platform: &str, receipts: Value) -> Answer {
        let body = json!({ "platform": platform, "receipts": receipts });
        self.stack.post("/payments/restore").auth(who).json(body).send().await
    }

    /// The add-on of `who`, null where there is none. Signs in again: time may have passed.
    pub(crate) async fn add_on(&self, who: &Session, add_on: &str) -> Value {
        let who = self.stack.sign_in_again(who).await;
        let body = self.stack.get("/payments/entitlements").auth(&who).send().await.ok();
        let all = body["entitlements"].as_array().unwrap();
        all.iter().find(|it| it["add_on_type"] == add_on).cloned().unwrap_or(Value::Null)
    }

    /// `status` and `is_active` of an add-on of ada's.
    pub(crate) async fn state(&self, add_on: &str) -> (String, bool) {
        let it = self.add_on(&self.ada, add_on).await;
        (it["status"].as_str().unwrap_or("none").to_owned(), it["is_active"].as_bool().unwrap_or(false))
    }

    pub(crate) async fn advance(&self, seconds: i64) {
        self.stack.advance(seconds.unsigned_abs()).await;
    }

    /// The rows of the table whose partition key begins with `prefix`.
    pub(crate) async fn rows(&self, prefix: &str) -> Vec<Value> {
        let rows = self.stack.rows("EntitlementsTable").await;
        rows.into_iter().filter(|row| row["pk"].as_str().is_some_and(|pk| pk.starts_with(prefix))).collect()
    }

    pub(crate) async fn ledger(&self) -> Vec<Value> {
        let rows = self.stack.rows("EntitlementsTable").await;
        rows.into_iter().filter(|row| row["sk"].as_str().is_some_and(|sk| sk.starts_with("LEDGER#"))).collect()
    }

    /// All notifications of both stores, oldest first.
    pub(crate) async fn notifications(&self) -> Vec<Value> {
        let all = self.stack.get("/_local/stores/notifications").send().await.ok();
        all["notifications"].as_array().unwrap().clone()
    }

    /// The hourly run, and what it leads to.
    pub(crate) async fn reconcile(&self) -> Value {
        let found = self.stack.run("payments-every-hour-reconcile").await;
        self.stack.drain().await;
        found
    }

    /// Sends notifications as `body` says, and waits until they are handled.
    pub(crate) async fn deliver_with(&self, body: Value) -> Value {
        let answer = self.control("deliver", body).await;
        self.stack.drain().await;
        answer
    }
}

pub(crate) fn merge(body: &mut Value, more: Value) {
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
}

pub(crate) fn active() -> (String, bool) {
    ("active".to_owned(), true)
}
