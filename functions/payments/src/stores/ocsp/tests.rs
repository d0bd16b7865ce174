//! What is asked, and what is kept of the answers; those were written by OpenSSL (`appstore/tests/openssl.rs`).

use std::sync::{Arc, Mutex};

use axum::http::Response;
use satchel_domain::appstore::{App, Environment, Source, Verifier};
use satchel_domain::time::from_unix;
use satchel_inbound::{Complaints, Settings};
use satchel_outbound::http::{BoxFuture, Carrier};
use satchel_testkit::Stack;

use super::*;

macro_rules! written {
    ($name:literal) => {
        include_bytes!(concat!("../../../../../shared/domain/src/appstore/tests/openssl/", $name))
    };
}

const ROOT: &[u8] = written!("root.crt.der");
const TRANSACTION: &[u8] = written!("transaction.jws");
const LEAF_GOOD: &[u8] = written!("leaf-good.resp.der");
const LEAF_REVOKED: &[u8] = written!("leaf-revoked.resp.der");
const LEAF_UNKNOWN: &[u8] = written!("leaf-unknown.resp.der");
const INTERMEDIATE_GOOD: &[u8] = written!("intermediate-good.resp.der");
/// 2026-11-21T18:00:00Z: the answers are four minutes old.
const NOW: i64 = 1_795_284_000;
/// The addresses in the certificates.
const OF_LEAF: &str = "http://ocsp.test/intermediate";
const OF_INTERMEDIATE: &str = "http://ocsp.test/root";

/// What a responder at an address answers; none at all without an entry.
type Answers = Vec<(&'static str, u16, &'static [u8])>;

/// The responders, and what they were asked.
struct Responders {
    answers: Mutex<Answers>,
    asked: Mutex<Vec<Request<Bytes>>>,
}

impl Responders {
    fn new(answers: Answers) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers), asked: Mutex::default() })
    }

    fn good() -> Arc<Self> {
        Self::new(vec![(OF_LEAF, 200, LEAF_GOOD), (OF_INTERMEDIATE, 200, INTERMEDIATE_GOOD)])
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Carrier for Responders {
    fn carry(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, satchel_domain::error::Cause>> {
        let url = request.uri().to_string();
        self.asked.lock().unwrap().push(request);
        let found = self.answers.lock().unwrap().iter().find(|(at, ..)| *at == url).copied();
        Box::pin(async move {
            let (_, status, body) = found.ok_or("nobody is there")?;
            Ok(Response::builder().status(status).body(Bytes::from_static(body))?)
        })
    }
}

fn read(responders: &Arc<Responders>, settings: &'static [(&str, &str)]) -> Result<Ocsp, Complaints> {
    let find = |name: &str| settings.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
    Settings::new(find).read(|settings| Ocsp::from_settings(settings, Http::new(responders.clone())))
}

/// A function's instance, and what all instances share.
struct Setting {
    stack: Stack,
    table: Table,
    root: Root,
    chain: Chain,
}

impl Setting {
    async fn new() -> Self {
        let stack = Stack::start().await;
        let table = Table::new(stack.dynamodb(), stack.table("EntitlementsTable"));
        let root = Root::from_der(ROOT.to_vec()).unwrap();
        let app = App::new("app.satchel", Environment::Production { app_apple_id: 1 });
        let text = std::str::from_utf8(TRANSACTION).unwrap().trim_end();
        let found = Verifier::new(root.clone(), app).transaction(text, Source::Device, &[]).unwrap();
        let [chain] = found.chains.try_into().unwrap();
        Self { stack, table, root, chain }
    }

    async fn check(&self, ocsp: &Ocsp, at: i64) -> Result<(), Outcome> {
        ocsp.check(&self.table, &self.chain, &self.root, from_unix(at)).await
    }

    async fn rows(&self) -> Vec<serde_json::Value> {
        self.stack.rows("EntitlementsTable").await
    }
}

/// What becomes of a first check with these answers, of which nothing is kept.
async fn first(answers: Answers) -> Outcome {
    let (setting, responders) = (Setting::new().await, Responders::new(answers));
    let ocsp = read(&responders, &[]).unwrap();
    let outcome = setting.check(&ocsp, NOW).await.unwrap_err();
    assert!(setting.rows().await.is_empty() && ocsp.kept().is_empty());
    *responders.answers.lock().unwrap() = vec![(OF_LEAF, 200, LEAF_GOOD), (OF_INTERMEDIATE, 200, INTERMEDIATE_GOOD)];
    setting.check(&ocsp, NOW).await.unwrap();
    outcome
}

#[tokio::test]
async fn leaf_and_intermediate_are_asked_about_where_they_say() {
    let (setting, responders) = (Setting::new().await, Responders::good());
    setting.check(&read(&responders, &[("APPLE_OCSP", "on")]).unwrap(), NOW).await.unwrap();
    let asked = responders.asked.lock().unwrap();
    let asked: Vec<_> = asked.iter().map(|it| (it.uri().to_string(), it.body().as_ref())).collect();
    let leaf = (OF_LEAF.to_owned(), written!("leaf.req.der").as_slice());
    let intermediate = (OF_INTERMEDIATE.to_owned(), written!("intermediate.req.der").as_slice());
    assert_eq!(asked, [leaf, intermediate]);
}

#[tokio::test]
async fn a_question_is_posted_as_the_protocol_says() {
    let (setting, responders) = (Setting::new().await, Responders::good());
    setting.check(&read(&responders, &[]).unwrap(), NOW).await.unwrap();
    for request in responders.asked.lock().unwrap().iter() {
        assert_eq!(request.method(), "POST");
        assert_eq!(request.headers()[header::CONTENT_TYPE], "application/ocsp-request");
    }
}

#[tokio::test]
async fn a_good_answer_is_kept_in_memory_and_in_the_table_until_it_ends() {
    let (setting, responders) = (Setting::new().await, Responders::good());
    let ocsp = read(&responders, &[]).unwrap();
    let end = NOW + 12 * 3600;
    for at in [NOW, NOW + 1, end - 1] {
        setting.check(&ocsp, at).await.unwrap();
        assert_eq!(responders.asked(), 2);
    }
    let rows = setting.rows().await;
    assert_eq!(rows[0]["pk"], format!("OCSP#{}", setting.chain.key().hex()));
    assert_eq!((&rows[0]["sk"], &rows[0]["until"], &rows[0]["ttl"]), (&"OCSP".into(), &end.into(), &end.into()));

    let another = read(&responders, &[]).unwrap();
    setting.check(&another, end - 1).await.unwrap();
    assert_eq!(responders.asked(), 2, "another instance finds the row");
    setting.check(&ocsp, end).await.unwrap();
    setting.check(&another, end).await.unwrap();
    assert_eq!(responders.asked(), 4, "one asks again, the other finds its row");
}

#[tokio::test]
async fn a_certificate_that_was_taken_back_is_the_end_whatever_the_other_is() {
    let revoked = (OF_LEAF, 200, LEAF_REVOKED);
    assert!(matches!(first(vec![revoked, (OF_INTERMEDIATE, 200, INTERMEDIATE_GOOD)]).await, Outcome::Revoked));
    assert!(matches!(first(vec![revoked]).await, Outcome::Revoked));
}

#[tokio::test]
async fn trouble_is_neither_a_permission_nor_a_refusal() {
    let intermediate = (OF_INTERMEDIATE, 200, INTERMEDIATE_GOOD);
    let page: &[u8] = b"<!doctype html>";
    for (answers, cause) in [
        (vec![intermediate], "nobody is there"),
        (vec![(OF_LEAF, 200, LEAF_UNKNOWN), intermediate], "unknown"),
        (vec![(OF_LEAF, 200, INTERMEDIATE_GOOD), intermediate], "other_certificate"),
        (vec![(OF_LEAF, 200, page), intermediate], "malformed"),
        (vec![(OF_LEAF, 404, LEAF_GOOD), intermediate], "the responder answered 404"),
        (vec![(OF_LEAF, 500, LEAF_GOOD), intermediate], "ocsp.test answered 500"),
        (vec![(OF_LEAF, 302, LEAF_GOOD), intermediate], "the responder answered 302"),
    ] {
        let Outcome::Later(error) = first(answers).await else { panic!("{cause}") };
        assert!(error.is_transient(), "{cause}");
        assert!(causes(&error).contains(cause), "{cause}: {}", causes(&error));
    }
}

#[tokio::test]
async fn an_answer_that_ended_is_asked_for_again_at_every_check() {
    let (setting, responders) = (Setting::new().await, Responders::good());
    let ocsp = read(&responders, &[]).unwrap();
    // Within the leeway past its end.
    let at = 1_795_370_142 + 30;
    for asked in [2, 4] {
        setting.check(&ocsp, at).await.unwrap();
        assert_eq!(responders.asked(), asked);
    }
    assert!(setting.rows().await.is_empty());
}

#[tokio::test]
async fn a_table_out_of_reach_spares_no_question_and_prevents_none() {
    let (setting, responders) = (Setting::new().await, Responders::good());
    let nowhere = Table::new(setting.stack.dynamodb(), "nowhere");
    let ocsp = read(&responders, &[]).unwrap();
    for _ in 0..2 {
        ocsp.check(&nowhere, &setting.chain, &setting.root, from_unix(NOW)).await.unwrap();
        assert_eq!(responders.asked(), 2);
    }
}

#[tokio::test]
async fn nobody_is_asked_where_it_is_off() {
    let (setting, responders) = (Setting::new().await, Responders::new(Vec::new()));
    setting.check(&read(&responders, &[("APPLE_OCSP", "off")]).unwrap(), NOW).await.unwrap();
    assert_eq!(responders.asked(), 0);
}

#[tokio::test]
async fn an_address_of_our_own_takes_the_place_of_the_certificates() {
    const OWN: &str = "http://127.0.0.1:3000/_local/apple/ocsp";
    let (setting, responders) = (Setting::new().await, Responders::new(vec![(OWN, 200, LEAF_GOOD)]));
    let ocsp = read(&responders, &[("APPLE_OCSP_URL", OWN)]).unwrap();
    // One responder for both, which knows but one of them.
    let Outcome::Later(error) = setting.check(&ocsp, NOW).await.unwrap_err() else { panic!("revoked") };
    assert!(causes(&error).contains("other_certificate"), "{}", causes(&error));
    assert_eq!(responders.asked(), 2);
}

#[test]
fn settings_that_mean_nothing_are_complained_of() {
    let responders = Responders::new(Vec::new());
    for (settings, complaint) in [
        (&[("APPLE_OCSP", "yes")], "APPLE_OCSP is neither on nor off"),
        (&[("APPLE_OCSP_URL", "ocsp.test")], "APPLE_OCSP_URL is no address of https, nor one of http on this machine"),
    ] {
        assert_eq!(read(&responders, settings).err(), Some(Complaints(vec![complaint.to_owned()])));
    }
}
