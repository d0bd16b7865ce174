//! The real server: routers, SDK, emulator and fault layer of the local stack, in this process.
//!
//! Faults stand only while a request is answered, with a seed of their own, so that a step does not depend on how many
//! calls the steps before it made.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use axum::body::Body;
use futures_util::future::join_all;
use http::{Method, Request, header};
use satchel_inbound::{Entry, Env, Settings};
use satchel_local::services::{FaultKind, FaultRule, Service};
use satchel_local::template;
use satchel_outbound::Http;
use satchel_testkit::{Options, Session, Stack};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::ledger::{Violation, violation};
use super::model::ModelServer;
use super::shadow::Shadow;
use super::wire::{Answer, Ask};
use super::world::Trouble;

/// An access token lives 15 minutes; a new one is taken a little before.
const TOKEN_AGE: i64 = 800;
/// The table and the queue by their ids in the template.
const TABLE: &str = "SyncTable";
const ERASE_QUEUE: &str = "SyncEraseQueue";
/// When a client gives up what hangs.
const PATIENCE: Duration = Duration::from_millis(500);
/// Largest body Lambda returns, in bytes of an escaped text.
const MAX_ANSWER: usize = 4_500_000;

pub(super) struct Real {
    stack: Stack,
    sessions: RefCell<BTreeMap<String, (Session, i64)>>,
    users: RefCell<BTreeMap<String, String>>,
    /// The function as it was deployed with a higher `StoreEpoch`, and that.
    raised: RefCell<Option<(Router, u64)>>,
    /// What the table held.
    backup: RefCell<Vec<Item>>,
    /// Generations that were ordered to be erased: an order may always be delivered once more.
    orders: RefCell<Vec<(String, u64)>>,
    shadow: Option<RefCell<Shadow>>,
}

/// A row as DynamoDB has it.
type Item = HashMap<String, AttributeValue>;

/// A request, ready to be sent.
struct Ready {
    method: Method,
    path: String,
    body: Option<Value>,
    token: String,
}

impl Real {
    pub(super) async fn start(seed: u64, model: Option<ModelServer>) -> Self {
        let stack = Stack::with(Options::default().seed(seed)).await;
        let shadow = model.map(|model| RefCell::new(Shadow::new(model)));
        Self {
            stack,
            sessions: RefCell::default(),
            users: RefCell::default(),
            raised: RefCell::default(),
            backup: RefCell::default(),
            orders: RefCell::default(),
            shadow,
        }
    }

    pub(super) fn now(&self) -> i64 {
        self.stack.now()
    }

    pub(super) async fn advance(&self, seconds: u64) {
        self.stack.advance(seconds).await;
    }

    pub(super) async fn join(&self, user: &str) -> String {
        let session = self.stack.sign_in(user).await;
        let device = session.device_id.clone();
        let is_new = self.users.borrow_mut().insert(user.to_owned(), session.user_id.clone()).is_none();
        if is_new {
            self.stack.grant(&session.user_id, "sync", 3_600).await;
        }
        self.sessions.borrow_mut().insert(device.clone(), (session, self.now()));
        device
    }

    async fn token(&self, device: &str) -> String {
        let found = self.sessions.borrow().get(device).cloned();
        let Some((session, since)) = found else { return String::new() };
        if self.now() - since < TOKEN_AGE {
            return session.access_token;
        }
        let fresh = self.stack.sign_in_again(&session).await;
        assert_eq!(fresh.device_id, device, "a device that signs in again keeps its id");
        let token = fresh.access_token.clone();
        self.sessions.borrow_mut().insert(device.to_owned(), (fresh, self.now()));
        token
    }

    async fn items(&self) -> Result<Vec<Item>, Violation> {
        let scan = self.stack.dynamodb().scan().table_name(self.stack.table(TABLE)).consistent_read(true);
        let items = scan.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await;
        items.map_err(|error| violation("the table can be copied", format!("{error:?}")))
    }

    pub(super) async fn back_up(&self) -> Result<(), Violation> {
        self.stack.settle().await;
        let items = self.items().await?;
        *self.backup.borrow_mut() = items;
        if let Some(shadow) = &self.shadow {
            shadow.borrow_mut().back_up();
        }
        Ok(())
    }

    pub(super) async fn restore(&self) -> Result<(), Violation> {
        self.stack.settle().await;
        let broken = |error: &dyn std::fmt::Debug| violation("the copy can be put back", format!("{error:?}"));
        let key = |item: &Item| -> Item {
            let named = |name: &str| item.get(name).map(|value| (name.to_owned(), value.clone()));
            ["pk", "sk"].into_iter().filter_map(named).collect()
        };
        let (client, table) = (self.stack.dynamodb(), self.stack.table(TABLE));
        let wanted = self.backup.borrow().clone();
        let there = self.items().await?;
        for item in there.iter().filter(|item| !wanted.iter().any(|wanted| key(wanted) == key(item))) {
            let delete = client.delete_item().table_name(&table).set_key(Some(key(item)));
            delete.send().await.map_err(|error| broken(&error))?;
        }
        for item in wanted.into_iter().filter(|item| !there.contains(item)) {
            let put = client.put_item().table_name(&table).set_item(Some(item));
            put.send().await.map_err(|error| broken(&error))?;
        }
        self.raise_epoch_of_functions().await?;
        if let Some(shadow) = &self.shadow {
            shadow.borrow_mut().restore();
        }
        let orders = self.orders.borrow().clone();
        for (space, generation) in orders {
            self.stack.send(ERASE_QUEUE, &json!({ "space": space, "generation": generation })).await;
        }
        self.stack.settle().await;
        Ok(())
    }

    pub(super) async fn raise_epoch(&self) -> Result<(), Violation> {
        self.raise_epoch_of_functions().await?;
        if let Some(shadow) = &self.shadow {
            shadow.borrow_mut().raise_epoch();
        }
        Ok(())
    }

    async fn raise_epoch_of_functions(&self) -> Result<(), Violation> {
        let store = self.raised.borrow().as_ref().map_or(1, |(_, epoch)| *epoch) + 1;
        let block =
            self.stack.template().functions().iter().find(|function| function.binary == satchel_sync::HTTP.name);
        let mut variables = block.map(|block| block.env.clone()).unwrap_or_default();
        variables.insert("STORE_EPOCH".to_owned(), store.to_string());
        variables.insert("AWS_REGION".to_owned(), template::REGION.to_owned());
        let env = Env {
            settings: Settings::new(move |name| variables.get(name).cloned()),
            clock: self.stack.clock(),
            ids: self.stack.ids(),
            aws: self.stack.aws().clone(),
            http: Http::network(),
        };
        match (satchel_sync::HTTP.build)(env).await {
            Ok(Entry::Http(router)) => {
                *self.raised.borrow_mut() = Some((router, store));
                Ok(())
            }
            Ok(Entry::Event(_)) => Err(violation("the function sync takes requests", "it takes events")),
            Err(complaints) => Err(violation("the function sync starts", complaints.to_string())),
        }
    }

    pub(super) async fn ask(
        &self,
        asked: &[(String, String, Ask)],
        trouble: Trouble,
    ) -> Result<Vec<Answer>, Violation> {
        let mut ready = Vec::new();
        for (_, device, ask) in asked {
            ready.push(prepare(ask, self.token(device).await)?);
        }
        for rule in rules(trouble) {
            self.stack.faults().add(rule).map_err(|text| violation("a fault rule makes sense", text))?;
        }
        let answers = join_all(ready.into_iter().map(|ready| self.send(ready)));
        let answers = match trouble {
            Trouble::Crash(_) => match tokio::time::timeout(PATIENCE, answers).await {
                Ok(answers) => answers,
                Err(_) => asked.iter().map(|_| Ok((0, Vec::new()))).collect(),
            },
            _ => answers.await,
        };
        self.stack.faults().clear();
        let mut heard = Vec::new();
        for ((user, device, ask), answer) in asked.iter().zip(answers) {
            let (status, body) = answer?;
            let answer = read(ask, status, &body)?;
            if let Answer::Erased { epoch } = &answer {
                let now = epoch.split_once('.').and_then(|(_, generation)| generation.parse::<u64>().ok()).unwrap_or(0);
                let space = self.users.borrow().get(user).cloned().unwrap_or_default();
                self.orders.borrow_mut().push((space, now.saturating_sub(1)));
            }
            if let Some(shadow) = &self.shadow {
                shadow.borrow_mut().compare(user, device, ask, &answer, self.now())?;
            }
            heard.push(answer);
        }
        Ok(heard)
    }

    async fn send(&self, ready: Ready) -> Result<(u16, Vec<u8>), Violation> {
        let raised = self.raised.borrow().as_ref().map(|(router, _)| router.clone());
        let Some(router) = raised else {
            let mut call = self.stack.request(ready.method, &ready.path).bearer(&ready.token);
            if let Some(body) = &ready.body {
                call = call.json(body);
            }
            let answer = call.send().await;
            return Ok((answer.status, answer.body.to_vec()));
        };
        let request = Request::builder()
            .method(ready.method)
            .uri(&ready.path)
            .header(header::AUTHORIZATION, format!("Bearer {}", ready.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(ready.body.map_or_else(String::new, |body| body.to_string())));
        let broken = |error: &dyn std::fmt::Display| violation("the function sync answers", error.to_string());
        let response =
            router.oneshot(request.map_err(|error| broken(&error))?).await.unwrap_or_else(|never| match never {});
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.map_err(|error| broken(&error))?;
        Ok((status, body.to_vec()))
    }
}

fn prepare(ask: &Ask, token: String) -> Result<Ready, Violation> {
    let json =
        |value: serde_json::Result<Value>| value.map_err(|error| violation("a request is JSON", error.to_string()));
    let (method, path, body) = match ask {
        Ask::Push(push) => (Method::POST, "/sync/push".to_owned(), Some(json(serde_json::to_value(push))?)),
        Ask::Pull(pull) => (Method::POST, "/sync/pull".to_owned(), Some(json(serde_json::to_value(pull))?)),
        Ask::Status => (Method::GET, "/sync/status".to_owned(), None),
        Ask::History(id) => (Method::GET, format!("/sync/entries/{id}/history?limit=100"), None),
        Ask::Erase => (Method::DELETE, "/sync/data".to_owned(), None),
    };
    Ok(Ready { method, path, body, token })
}

fn rules(trouble: Trouble) -> Vec<FaultRule> {
    let rule = |kind, probability, seed| FaultRule { probability, seed, ..FaultRule::always(Service::Dynamodb, kind) };
    match trouble {
        Trouble::None => Vec::new(),
        Trouble::Flaky(seed) => vec![
            rule(FaultKind::Throttle, 0.04, seed),
            rule(FaultKind::Timeout, 0.03, seed ^ 1),
            rule(FaultKind::Error, 0.03, seed ^ 2),
        ],
        Trouble::Torn(seed) => vec![rule(FaultKind::Torn, 1.0, seed), rule(FaultKind::Throttle, 0.03, seed ^ 1)],
        Trouble::Crash(seed) => {
            let operations = ["TransactWriteItems", "TransactWriteItems", "PutItem", "BatchGetItem"];
            let operation = operations[usize::try_from(seed % 4).unwrap_or(0)];
            let hang = FaultRule::always(Service::Dynamodb, FaultKind::Hang);
            vec![FaultRule { operation: Some(operation.to_owned()), skip: (seed >> 2) % 3, ..hang }]
        }
    }
}

#[derive(Deserialize)]
struct Problem {
    code: String,
}

#[derive(Deserialize)]
struct Erased {
    epoch: String,
}

#[derive(Deserialize)]
struct History {
    versions: Vec<super::wire::Version>,
}

fn read(ask: &Ask, status: u16, body: &[u8]) -> Result<Answer, Violation> {
    if status == 0 {
        return Ok(Answer::Lost);
    }
    let text = String::from_utf8_lossy(body);
    let escaped = satchel_domain::sync::budget::escaped(&text);
    if escaped > MAX_ANSWER {
        return Err(violation("no answer is larger than Lambda returns", format!("{escaped} bytes")));
    }
    if status == 404 && matches!(ask, Ask::History(_)) {
        return Ok(Answer::History(Vec::new()));
    }
    if status != 200 {
        // The gateway's own answers have no code.
        let code = serde_json::from_str::<Problem>(&text).map_or_else(|_| "gateway".to_owned(), |problem| problem.code);
        return Ok(Answer::Refused { status, code });
    }
    Ok(match ask {
        Ask::Push(_) => Answer::Pushed(parse(&text)?),
        Ask::Pull(_) => Answer::Pulled(parse(&text)?),
        Ask::Status => Answer::Status(parse(&text)?),
        Ask::History(_) => Answer::History(parse::<History>(&text)?.versions),
        Ask::Erase => Answer::Erased { epoch: parse::<Erased>(&text)?.epoch },
    })
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Violation> {
    serde_json::from_str(text).map_err(|error| {
        let shown: String = text.chars().take(400).collect();
        violation("an answer has its shape", format!("{error}: {shown}"))
    })
}
