//! A purchase, by the App Store Server API.

use std::sync::Arc;

use axum::body::Bytes;
use http::Request;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use p256::pkcs8::{EncodePublicKey as _, LineEnding};
use satchel_domain::appstore::Environment;
use serde_json::{Value, json};

use super::given::Given;
use super::heard::Heard;
use super::pki::{NEWEST, ORIGINAL, Pki, renewal, transaction, with};
use super::server::{Answer, Server, bearer, html, json};
use super::{NOW, later, now};
use crate::stores::StoreError;
use crate::stores::apple::AppleApi;

pub(super) async fn api(
    pki: &Pki,
    change: impl FnOnce(Given) -> Given,
    script: impl Fn(&Request<Bytes>) -> Answer + Send + Sync + 'static,
) -> (AppleApi, Arc<Server>) {
    let server = Server::new(script);
    let api = AppleApi::from_env(&change(Given::apple(pki)).env(server.http())).await.unwrap().unwrap();
    (api, server)
}

pub(super) fn code(status: u16, code: i64) -> Answer {
    json(status, json!({ "errorCode": code, "errorMessage": "As it is." }))
}

/// Answers by host and the beginning of the path; whatever else there is has the code 4040010.
pub(super) fn routes(routes: Vec<(&'static str, Value)>) -> impl Fn(&Request<Bytes>) -> Answer {
    move |request| {
        let address = format!("{}{}", request.uri().host().unwrap(), request.uri().path());
        let found = routes.iter().find(|(start, _)| address.starts_with(start));
        found.map_or_else(|| code(404, 4_040_010), |(_, body)| json(200, body.clone()))
    }
}

const TRANSACTIONS: &str = "apple.example/inApps/v1/transactions/";
const SUBSCRIPTIONS: &str = "apple.example/inApps/v1/subscriptions/";

#[tokio::test]
async fn a_subscription_comes_with_its_newest_state() {
    let pki = Pki::new();
    let first = with(transaction(ORIGINAL, "Production"), "expiresDate", NOW * 1000);
    let newest = transaction(NEWEST, "Production");
    let script = routes(vec![
        (TRANSACTIONS, pki.info(&first)),
        (SUBSCRIPTIONS, pki.statuses(&[pki.item(1, &newest, &renewal("Production"))])),
    ]);
    let (api, server) = api(&pki, |given| given, script).await;
    let found = api.purchase(ORIGINAL, None, now()).await.unwrap();
    assert_eq!(found.environment.as_str(), "Production");
    let ids: Vec<&str> = found.transactions.iter().map(|one| one.transaction_id.as_str()).collect();
    assert_eq!(ids, [ORIGINAL, NEWEST]);
    assert!(found.renewal.unwrap().will_renew());
    assert_eq!(found.status, Some(1));
    assert_eq!(
        server.lines(),
        [
            format!("GET https://apple.example/inApps/v1/transactions/{ORIGINAL}"),
            format!("GET https://apple.example/inApps/v1/subscriptions/{ORIGINAL}"),
        ]
    );
}

#[tokio::test]
async fn of_two_states_of_a_transaction_the_newer_one_counts() {
    let pki = Pki::new();
    let asked = transaction(NEWEST, "Production");
    let refunded = with(asked.clone(), "revocationDate", NOW * 1000);
    for (refund_signed, is_revoked) in [(NOW + 1, true), (NOW - 1, false)] {
        let refunded = with(refunded.clone(), "signedDate", refund_signed * 1000);
        let script = routes(vec![
            (TRANSACTIONS, pki.info(&asked)),
            (SUBSCRIPTIONS, pki.statuses(&[pki.item(5, &refunded, &renewal("Production"))])),
        ]);
        let (api, _) = api(&pki, |given| given, script).await;
        let found = api.purchase(NEWEST, None, now()).await.unwrap();
        assert_eq!(found.transactions.len(), 1);
        assert_eq!(found.transactions[0].revocation_date.is_some(), is_revoked);
    }
}

#[tokio::test]
async fn items_of_other_purchases_are_left_out_and_the_newest_renewal_counts() {
    let pki = Pki::new();
    let asked = transaction(NEWEST, "Production");
    let others = with(with(asked.clone(), "originalTransactionId", "77"), "transactionId", "77");
    let older = with(with(renewal("Production"), "autoRenewStatus", 0), "signedDate", NOW * 1000 - 1);
    let statuses = pki.statuses(&[
        pki.item(2, &others, &with(renewal("Production"), "originalTransactionId", "77")),
        pki.item(1, &asked, &renewal("Production")),
        pki.item(4, &asked, &older),
    ]);
    let script = routes(vec![(TRANSACTIONS, pki.info(&asked)), (SUBSCRIPTIONS, statuses)]);
    let (api, _) = api(&pki, |given| given, script).await;
    let found = api.purchase(NEWEST, None, now()).await.unwrap();
    assert_eq!(found.transactions.len(), 1);
    assert!(found.renewal.unwrap().will_renew());
    assert_eq!(found.status, Some(1));
}

#[tokio::test]
async fn what_does_not_renew_itself_takes_one_call() {
    let pki = Pki::new();
    let asked = with(transaction(NEWEST, "Production"), "type", "Non-Consumable");
    let (api, server) = api(&pki, |given| given, routes(vec![(TRANSACTIONS, pki.info(&asked))])).await;
    let found = api.purchase(NEWEST, None, now()).await.unwrap();
    assert!(found.renewal.is_none() && found.status.is_none());
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_transaction_counts_without_a_state_of_its_subscription() {
    let pki = Pki::new();
    let script = routes(vec![(TRANSACTIONS, pki.info(&transaction(NEWEST, "Production")))]);
    let (api, server) = api(&pki, |given| given, script).await;
    assert!(api.purchase(NEWEST, None, now()).await.unwrap().renewal.is_none());
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn what_production_does_not_know_is_looked_for_in_the_sandbox() {
    let pki = Pki::new();
    let asked = transaction(NEWEST, "Sandbox");
    let answers = vec![
        ("sandbox.example/inApps/v1/transactions/", pki.info(&asked)),
        ("sandbox.example/inApps/v1/subscriptions/", pki.statuses(&[pki.item(1, &asked, &renewal("Sandbox"))])),
    ];
    let (allowed, server) = api(&pki, |given| given, routes(answers.clone())).await;
    let found = allowed.purchase(NEWEST, None, now()).await.unwrap();
    assert_eq!((found.environment.as_str(), found.status), ("Sandbox", Some(1)));
    let hosts: Vec<String> = server.asked().iter().map(|one| one.uri().host().unwrap().to_owned()).collect();
    assert_eq!(hosts, ["apple.example", "sandbox.example", "sandbox.example"]);

    let (forbidden, server) = api(&pki, |given| given.set("ALLOW_SANDBOX", "false"), routes(answers)).await;
    assert!(matches!(forbidden.purchase(NEWEST, None, now()).await, Err(StoreError::NotFound)));
    assert_eq!(server.asked().len(), 1, "the sandbox is not even asked");
}

#[tokio::test]
async fn a_purchase_is_asked_for_in_one_environment_alone_where_that_is_known() {
    const PRODUCTION: Environment = Environment::Production { app_apple_id: super::APP_ID };
    let pki = Pki::new();
    let asked = |environment: &str| with(transaction(NEWEST, environment), "type", "Non-Consumable");
    let answers = || {
        routes(vec![
            ("apple.example/inApps/v1/transactions/", pki.info(&asked("Production"))),
            ("sandbox.example/inApps/v1/transactions/", pki.info(&asked("Sandbox"))),
        ])
    };
    for only in [PRODUCTION, Environment::Sandbox] {
        let (both, server) = api(&pki, |given| given, answers()).await;
        let found = both.purchase(NEWEST, Some(only), now()).await.unwrap();
        assert_eq!(found.environment, only);
        assert_eq!(server.asked().len(), 1);
        let (knowing_nothing, server) = api(&pki, |given| given, routes(vec![])).await;
        assert!(matches!(knowing_nothing.purchase(NEWEST, Some(only), now()).await, Err(StoreError::NotFound)));
        assert_eq!(server.asked().len(), 1, "the other is not asked");
    }
    let (production, server) = api(&pki, |given| given.set("ALLOW_SANDBOX", "false"), answers()).await;
    let answer = production.purchase(NEWEST, Some(Environment::Sandbox), now()).await;
    assert!(matches!(answer, Err(StoreError::NotFound)), "{answer:?}");
    assert!(server.asked().is_empty(), "what does not count here is not asked for");
    let (sandbox, server) = api(&pki, |given| given.set("APPLE_ENVIRONMENT", "Sandbox"), answers()).await;
    let answer = sandbox.purchase(NEWEST, Some(PRODUCTION), now()).await;
    assert!(matches!(answer, Err(StoreError::NotFound)), "{answer:?}");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn what_no_environment_knows_is_absent_and_no_failure() {
    let heard = Heard::begin();
    let pki = Pki::new();
    let (api, server) = api(&pki, |given| given, routes(vec![])).await;
    assert!(matches!(api.purchase(NEWEST, None, now()).await, Err(StoreError::NotFound)));
    assert_eq!(server.asked().len(), 2);
    assert!(!heard.text().contains("metric="), "{}", heard.text());
}

#[tokio::test]
async fn a_stage_of_the_sandbox_never_asks_production() {
    let pki = Pki::new();
    let change = |given: Given| given.set("APPLE_ENVIRONMENT", "Sandbox");
    let (api, server) = api(&pki, change, routes(vec![])).await;
    assert!(matches!(api.purchase(NEWEST, None, now()).await, Err(StoreError::NotFound)));
    assert_eq!(server.lines(), [format!("GET https://sandbox.example/inApps/v1/transactions/{NEWEST}")]);
}

#[tokio::test]
async fn what_is_no_id_is_refused_before_any_call() {
    let pki = Pki::new();
    let (api, server) = api(&pki, |given| given, |_| html(500)).await;
    let environment = api.sides[0].environment;
    for id in ["", "1/../2", "1?x=2", "1%2F2", "..", "12a", "１２", " 1", "123456789012345678901"] {
        assert!(matches!(api.purchase(id, None, now()).await, Err(StoreError::Refused("transaction_id"))), "{id}");
        let history = api.revoked_or_all_transactions(id, environment, now()).await;
        assert!(matches!(history, Err(StoreError::Refused("transaction_id"))), "{id}");
    }
    assert_eq!(server.asked().len(), 0);
}

#[tokio::test]
async fn an_answer_that_apple_did_not_sign_for_us_is_refused_and_told() {
    let (pki, forger) = (Pki::new(), Pki::new());
    let asked = transaction(NEWEST, "Production");
    for (info, reason) in [
        (forger.info(&asked), "path_signature"),
        (pki.info(&with(asked.clone(), "bundleId", "app.other")), "bundle"),
        (pki.info(&with(asked.clone(), "environment", "Sandbox")), "environment"),
        (pki.info(&renewal("Production")), "kind"),
    ] {
        let heard = Heard::begin();
        let (api, _) = api(&pki, |given| given, routes(vec![(TRANSACTIONS, info)])).await;
        match api.purchase(NEWEST, None, now()).await {
            Err(StoreError::Refused(told)) => assert_eq!(told, reason),
            other => panic!("{reason}: {other:?}"),
        }
        assert_eq!(heard.count("StoreAnswerUnusable", "apple"), 1);
        assert!(!heard.text().contains("eyJ"), "a signed text stands in the log: {}", heard.text());
    }
}

#[tokio::test]
async fn a_renewal_of_another_purchase_and_another_transaction_are_not_taken() {
    let pki = Pki::new();
    let asked = transaction(NEWEST, "Production");
    let foreign = with(renewal("Production"), "originalTransactionId", "77");
    let statuses = pki.statuses(&[pki.item(1, &asked, &foreign)]);
    let script = routes(vec![(TRANSACTIONS, pki.info(&asked)), (SUBSCRIPTIONS, statuses)]);
    let (believing, _) = api(&pki, |given| given, script).await;
    let answer = believing.purchase(NEWEST, None, now()).await;
    assert!(matches!(answer, Err(StoreError::Refused("original_transaction"))), "{answer:?}");

    let script = routes(vec![(TRANSACTIONS, pki.info(&asked))]);
    let (asking, _) = api(&pki, |given| given, script).await;
    assert!(matches!(asking.purchase("77", None, now()).await, Err(StoreError::Unusable("other_transaction"))));
}

#[tokio::test]
async fn apple_knows_us_by_a_token_with_these_claims() {
    let (api, server) = api(&Pki::new(), |given| given, routes(vec![])).await;
    assert!(api.purchase(NEWEST, None, now()).await.is_err());
    let token = bearer(&server.asked()[0]);
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!((header.alg, header.kid.as_deref()), (Algorithm::ES256, Some("2X9R4HXF34")));
    assert_eq!(header.typ.as_deref(), Some("JWT"));
    let public = p256::SecretKey::from_slice(&[5; 32]).unwrap().public_key().to_public_key_pem(LineEnding::LF).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    (validation.validate_exp, validation.validate_aud) = (false, false);
    let key = DecodingKey::from_ec_pem(public.as_bytes()).unwrap();
    let claims = jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap().claims;
    assert_eq!(
        claims,
        json!({
            "iss": "57246542-96fe-1a63-e053-0824d011072a", "iat": NOW - 60, "exp": NOW + 300,
            "aud": "appstoreconnect-v1", "bid": "app.satchel",
        })
    );
}

#[tokio::test]
async fn a_token_is_used_again_while_a_minute_of_it_is_left() {
    let (api, server) = api(&Pki::new(), |given| given.set("ALLOW_SANDBOX", "false"), routes(vec![])).await;
    for at in [0, 240, 241, 100] {
        assert!(api.purchase(NEWEST, None, later(at)).await.is_err());
    }
    let tokens: Vec<String> = server.asked().iter().map(bearer).collect();
    assert_eq!(tokens[0], tokens[1]);
    assert_ne!(tokens[1], tokens[2], "59 seconds are too few");
    assert_ne!(tokens[2], tokens[3], "a token of a time to come is of no use where the clock went back");
}

#[tokio::test]
async fn a_chain_is_kept_for_fifteen_minutes_and_its_time_judged_anew() {
    let pki = Pki::new();
    let asked = with(transaction(NEWEST, "Production"), "type", "Non-Consumable");
    let (api, _) = api(&pki, |given| given, routes(vec![(TRANSACTIONS, pki.info(&asked))])).await;
    assert!(api.chains.known(now()).is_empty());
    api.purchase(NEWEST, None, now()).await.unwrap();
    api.purchase(NEWEST, None, later(899)).await.unwrap();
    assert_eq!(api.chains.known(later(899)).len(), 1);
    assert_eq!(api.chains.known(later(-3_600)).len(), 1, "an event is judged at the time of its coming");
    assert!(api.chains.known(later(900)).is_empty(), "another use gives no more time");
}

#[tokio::test]
async fn no_more_than_sixteen_chains_are_kept() {
    let (keeping, _) = api(&Pki::new(), |given| given, routes(vec![])).await;
    let mut chains = Vec::new();
    for _ in 0..18 {
        let pki = Pki::new();
        let (other, _) = api(&pki, |given| given, routes(vec![])).await;
        let text = pki.sign(&transaction(NEWEST, "Production"));
        let source = satchel_domain::appstore::Source::Api;
        chains.extend(other.verifiers().next().unwrap().transaction(&text, source, &[]).unwrap().chains);
    }
    keeping.chains.keep(chains.clone(), now());
    let known: Vec<_> = keeping.chains.known(now()).iter().map(satchel_domain::appstore::Chain::key).collect();
    assert_eq!(known, chains[2..].iter().map(satchel_domain::appstore::Chain::key).collect::<Vec<_>>());
}
