//! The OCSP responder, judged by what judges Apple's.

use satchel_domain::appstore::ocsp::{Subject, judge, requests};
use satchel_domain::appstore::{Chain, Source};
use satchel_local::Local;
use satchel_local::stores::{OcspIn, OcspMode};

use crate::support::{MONTHLY, ask, held, root, start, verifier};

async fn chain(local: &Local) -> Chain {
    let bought = local.stores().apple().buy(held(MONTHLY)).await.unwrap();
    verifier(local).transaction(&bought.signed_transaction, Source::Device, &[]).unwrap().chains.remove(0)
}

/// What is found of leaf and intermediate.
async fn asked(local: &Local, chain: &Chain) -> [String; 2] {
    let mut found = Vec::new();
    for request in requests(chain, &root(local)).unwrap() {
        assert_eq!(request.url(), Some("http://127.0.0.1:3000/_local/apple/ocsp"));
        let answer = ask(local, "POST", "apple/ocsp", None, request.der()).await;
        found.push(match answer.status {
            0 => "no answer".to_owned(),
            200 => judge(&request, &answer.bytes, local.clock().now())
                .map_or_else(|error| error.as_str().to_owned(), |_| "good".to_owned()),
            other => other.to_string(),
        });
        assert!(matches!(request.subject(), Subject::Leaf | Subject::Intermediate));
    }
    found.try_into().unwrap()
}

#[tokio::test]
async fn each_mode_is_what_it_says() {
    let local = start().await;
    let chain = chain(&local).await;
    let both = |text: &str| [text.to_owned(), text.to_owned()];
    assert_eq!(asked(&local, &chain).await, both("good"));
    for (mode, wanted) in [
        (OcspMode::Revoked, ["revoked".to_owned(), "good".to_owned()]),
        (OcspMode::Unknown, both("unknown")),
        (OcspMode::Down, both("no answer")),
        (OcspMode::Stale, both("stale")),
        (OcspMode::Forged, both("signature")),
        (OcspMode::Good, both("good")),
    ] {
        local.stores().ocsp(mode);
        assert_eq!(asked(&local, &chain).await, wanted, "{mode:?}");
    }
    local.stores().ocsp(OcspMode::TryLater);
    assert_ne!(asked(&local, &chain).await, both("good"));
}

#[tokio::test]
async fn a_responder_may_have_a_certificate_of_its_own() {
    let local = start().await;
    let chain = chain(&local).await;
    local.stores().ocsp(OcspIn { mode: OcspMode::Good, delegated: true });
    assert_eq!(asked(&local, &chain).await, ["good", "good"]);
    local.stores().ocsp(OcspIn { mode: OcspMode::Revoked, delegated: true });
    assert_eq!(asked(&local, &chain).await, ["revoked", "good"]);
    local.stores().ocsp(OcspIn { mode: OcspMode::Forged, delegated: true });
    assert!(asked(&local, &chain).await.iter().all(|found| found != "good"));
}

#[tokio::test]
async fn what_is_no_request_is_malformed_and_a_foreign_certificate_is_not_judged() {
    let local = start().await;
    let answer = ask(&local, "POST", "apple/ocsp", None, b"hello").await;
    assert_eq!((answer.status, answer.bytes), (200, vec![0x30, 3, 10, 1, 1]));
    assert_eq!(ask(&local, "GET", "apple/ocsp", None, b"").await.status, 405);
}
