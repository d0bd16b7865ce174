//! Purchases by the Google Play Developer API, what was voided, and the keys of pushes.

use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use http::{Request, header};
use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};
use satchel_domain::playstore::PurchaseToken;
use satchel_inbound::Settings;
use serde_json::{Value, json};

use super::apple_trouble::wait;
use super::given::Given;
use super::heard::Heard;
use super::server::{Answer, Server, html, json, text};
use super::{NOW, later, now};
use crate::stores::StoreError;
use crate::stores::google::{PlayApi, PushKeys};

/// The service account's key: made once, since it takes a while.
pub(super) fn account_key() -> &'static rsa::RsaPrivateKey {
    static KEY: OnceLock<rsa::RsaPrivateKey> = OnceLock::new();
    KEY.get_or_init(|| rsa::RsaPrivateKey::new(&mut rand_core::OsRng, 2048).unwrap())
}

pub(super) fn account_pem() -> String {
    account_key().to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
}

/// Google Play with a token endpoint that gives tokens, each for an hour, and `script` for the rest.
pub(super) async fn api(script: impl Fn(&Request<Bytes>) -> Answer + Send + Sync + 'static) -> (PlayApi, Arc<Server>) {
    let given = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::new(move |request| {
        if request.uri().host() == Some("play.example") {
            return script(request);
        }
        let number = given.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let token = format!("ya29.secret-{number}");
        json(200, json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" }))
    });
    let env = Given::google(&account_pem()).env(server.http());
    (PlayApi::from_env(&env).await.unwrap().unwrap(), server)
}

pub(super) fn token() -> PurchaseToken {
    "abc.AO-J1Oz=+@x".parse().unwrap()
}

pub(super) fn error(status: u16, reason: &str) -> Answer {
    let error =
        json!({ "code": status, "message": format!("about {}", token().expose()), "errors": [{ "reason": reason }] });
    json(status, json!({ "error": error }))
}

/// The calls but those for tokens.
pub(super) fn lines(server: &Server) -> Vec<String> {
    server.lines().into_iter().filter(|line| line.contains("play.example")).collect()
}

fn subscription() -> Value {
    json!({
        "kind": "androidpublisher#subscriptionPurchaseV2", "subscriptionState": "SUBSCRIPTION_STATE_ACTIVE",
        "startTime": "2026-05-01T00:00:00Z", "acknowledgementState": "ACKNOWLEDGEMENT_STATE_PENDING",
        "lineItems": [{ "productId": "app.satchel.sync.monthly", "expiryTime": "2026-07-01T00:00:00.123Z" }],
    })
}

#[tokio::test]
async fn a_purchase_is_asked_for_by_its_token() {
    let script = |request: &Request<Bytes>| {
        let product = json!({ "purchaseStateContext": { "purchaseState": "PURCHASED" }, "orderId": "GPA.1" });
        json(200, if request.uri().path().contains("productsv2") { product } else { subscription() })
    };
    let (api, server) = api(script).await;
    api.subscription(&token(), now()).await.unwrap();
    api.product(&token(), now()).await.unwrap();
    let base = "GET https://play.example/androidpublisher/v3/applications/app.satchel/purchases";
    assert_eq!(
        lines(&server),
        [
            format!("{base}/subscriptionsv2/tokens/abc.AO-J1Oz%3D%2B%40x"),
            format!("{base}/productsv2/tokens/abc.AO-J1Oz%3D%2B%40x"),
        ]
    );
    assert_eq!(super::server::bearer(&server.asked()[1]), "ya29.secret-0");
}

#[tokio::test]
async fn what_google_does_not_know_is_absent_and_what_it_does_not_read_refused() {
    let heard = Heard::begin();
    for (status, reason) in [
        (404, "purchaseTokenNotFound"),
        (410, "purchaseTokenNoLongerValid"),
        (410, "subscriptionPurchaseNoLongerAvailable"),
    ] {
        let (api, _) = api(move |_| error(status, reason)).await;
        assert!(matches!(api.subscription(&token(), now()).await, Err(StoreError::NotFound)), "{reason}");
        assert!(matches!(api.product(&token(), now()).await, Err(StoreError::NotFound)), "{reason}");
    }
    let (api, _) = api(|_| error(400, "invalid")).await;
    let answer = api.product(&token(), now()).await;
    assert!(matches!(answer, Err(StoreError::Refused("purchase_token"))), "{answer:?}");
    assert!(!heard.text().contains("metric="), "{}", heard.text());
}

#[tokio::test]
async fn what_is_missing_is_a_purchase_only_where_google_names_its_token() {
    let of_status = || json(404, json!({ "error": { "code": 404, "message": "x", "status": "NOT_FOUND" } }));
    let answers: [Case; 8] = [
        ("application_not_found", || error(404, "applicationNotFound")),
        ("application_not_found", || error(410, "applicationNotFound")),
        ("status", || error(404, "notFound")),
        ("status", || error(410, "gone")),
        ("status", of_status),
        ("status", || json(404, json!({ "message": "no route" }))),
        ("status", || html(410)),
        ("status", || error(405, "purchaseTokenNotFound")),
    ];
    for (reason, answer) in answers {
        let heard = Heard::begin();
        let (api, _) = api(move |_| answer()).await;
        let outcomes = [
            api.subscription(&token(), now()).await.map(|_| ()),
            api.product(&token(), now()).await.map(|_| ()),
            api.acknowledge_subscription(&token(), now()).await,
            api.acknowledge_product("app.satchel.supporter", &token(), now()).await,
            api.voided_page(1_000, 2_000, None, now()).await.map(|_| ()),
        ];
        for outcome in outcomes {
            assert!(matches!(outcome, Err(StoreError::Unusable(told)) if told == reason), "{reason}: {outcome:?}");
        }
        assert_eq!(heard.count("StoreAnswerUnusable", "google"), 5, "{reason}");
        assert!(!heard.text().contains(token().expose()), "{}", heard.text());
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_for_later() {
    for (status, calls) in [(409, 1), (429, 1), (500, 3), (503, 3)] {
        let heard = Heard::begin();
        let (api, server) = api(move |_| error(status, "backendError").header(header::RETRY_AFTER, "7")).await;
        let seconds = wait(api.subscription(&token(), now()).await);
        assert_eq!(seconds, if status == 429 { 7 } else { 1 });
        assert_eq!(lines(&server).len(), calls, "{status}");
        assert_eq!(heard.count("StoreCallFailed", "google"), 1, "{status}: {}", heard.text());
        assert!(!heard.text().contains(token().expose()), "a purchase token stands in the log: {}", heard.text());
    }
}

/// A reason, and an answer that it is the reason for.
pub(super) type Case = (&'static str, fn() -> Answer);

#[tokio::test]
async fn an_answer_of_another_shape_is_of_no_use() {
    let answers: [Case; 6] = [
        ("answer_shape", || html(200)),
        ("answer_shape", || json(200, json!({ "kind": "x" }))),
        ("answer_shape", || text(200, "application/json", "{")),
        ("status", || html(404)),
        ("status", || error(418, "teapot")),
        ("redirect", || html(307).header(header::LOCATION, "https://elsewhere.example/")),
    ];
    for (reason, answer) in answers {
        let heard = Heard::begin();
        let (api, server) = api(move |_| answer()).await;
        match api.subscription(&token(), now()).await {
            Err(StoreError::Unusable(told)) => assert_eq!(told, reason),
            other => panic!("{reason}: {other:?}"),
        }
        assert_eq!(lines(&server).len(), 1, "{reason}");
        assert_eq!(heard.count("StoreAnswerUnusable", "google"), 1, "{reason}");
        assert!(!heard.text().contains(token().expose()), "{}", heard.text());
    }
}

#[tokio::test]
async fn what_was_voided_comes_by_pages() {
    let script = |request: &Request<Bytes>| {
        let is_second = request.uri().query().unwrap().contains("&token=");
        let first = json!({
            "tokenPagination": { "nextPageToken": "p 2" },
            "voidedPurchases": [
                {
                    "kind": "androidpublisher#voidedPurchase", "purchaseToken": "tok-1", "orderId": "GPA.1..0",
                    "purchaseTimeMillis": "1780000000000", "voidedTimeMillis": (NOW * 1000).to_string(),
                    "voidedSource": 2, "voidedReason": 8,
                },
                { "purchaseToken": "tok/2", "voidedTimeMillis": "1" },
                { "purchaseToken": "tok-3" },
            ],
        });
        json(200, if is_second { json!({}) } else { first })
    };
    let heard = Heard::begin();
    let (api, server) = api(script).await;
    let page = api.voided_page(1_000, 2_000, None, now()).await.unwrap();
    let [voided] = &page.purchases[..] else { panic!("{page:?}") };
    assert_eq!((voided.purchase_token.expose(), voided.order_id.as_deref()), ("tok-1", Some("GPA.1..0")));
    assert_eq!((voided.voided_at, voided.source, voided.reason, voided.quantity), (now(), Some(2), Some(8), None));
    assert_eq!(heard.count("StoreAnswerUnusable", "google"), 1, "what cannot be read is told");
    assert!(heard.text().contains("2 of 3 entries"));
    let last = api.voided_page(1_000, 2_000, page.next.as_deref(), now()).await.unwrap();
    assert!(last.purchases.is_empty() && last.next.is_none());
    let base = "GET https://play.example/androidpublisher/v3/applications/app.satchel/purchases/voidedpurchases";
    let query = "?startTime=1000&endTime=2000&type=1&maxResults=1000";
    assert_eq!(lines(&server), [format!("{base}{query}"), format!("{base}{query}&token=p+2")]);
}

#[tokio::test]
async fn pages_of_what_was_voided_must_get_on() {
    let (stuck, _) = api(|_| json(200, json!({ "tokenPagination": { "nextPageToken": "p" } }))).await;
    let answer = stuck.voided_page(1_000, 2_000, Some("p"), now()).await;
    assert!(matches!(answer, Err(StoreError::Unusable("page"))), "{answer:?}");
    let (refusing, _) = api(|_| error(400, "invalid")).await;
    let answer = refusing.voided_page(1_000, 2_000, None, now()).await;
    assert!(matches!(answer, Err(StoreError::Unusable("status"))), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn the_keys_of_pushes_are_fetched_once_and_missed_when_there_are_none() {
    use base64::Engine as _;
    use rsa::traits::PublicKeyParts as _;
    let n = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(account_key().n().to_bytes_be());
    let jwks = json!({ "keys": [{ "kty": "RSA", "kid": "g1", "use": "sig", "alg": "RS256", "n": n, "e": "AQAB" }] });
    let server = Server::new(move |_| json(200, jwks.clone()).header(header::CACHE_CONTROL, "max-age=600"));
    let settings = Settings::new(|_| Some("https://certs.example/keys".to_owned()));
    let keys = |server: &Arc<Server>| settings.read(|it| PushKeys::from_settings(it, server.http())).unwrap();
    let known = keys(&server);
    assert!(known.keys("g1", now()).await.unwrap().unwrap().get("g1").is_some());
    assert_eq!(server.lines(), ["GET https://certs.example/keys"]);
    assert!(known.keys("g2", later(1)).await.unwrap().is_none(), "Google publishes no such key");
    assert_eq!(server.asked().len(), 2, "which is asked for once");
    assert!(known.keys("g2", later(2)).await.unwrap().is_none());
    assert_eq!(server.asked().len(), 2);

    let heard = Heard::begin();
    let down = keys(&Server::new(|_| html(503)));
    assert!(down.keys("g1", now()).await.unwrap_err().is_transient());
    assert!(heard.text().contains("metric=IssuerKeysUnavailable") && heard.text().contains("provider=google_push"));
}
