//! The token by which Google knows us.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
use serde_json::{Value, json};

use super::apple_trouble::wait;
use super::given::Given;
use super::google::{account_key, account_pem, api, error, lines, token};
use super::heard::Heard;
use super::server::{Answer, Server, bearer, html, json, text};
use super::{NOW, later, now};
use crate::stores::StoreError;
use crate::stores::google::PlayApi;

/// Google Play whose token endpoint answers by `script`; purchases are absent.
async fn tokens(script: impl Fn() -> Answer + Send + Sync + 'static) -> (PlayApi, Arc<Server>) {
    let server = Server::new(move |request| match request.uri().host() {
        Some("oauth.example") => script(),
        _ => error(404, "purchaseTokenNotFound"),
    });
    let env = Given::google(&account_pem()).env(server.http());
    (PlayApi::from_env(&env).await.unwrap().unwrap(), server)
}

fn asked_for_tokens(server: &Server) -> usize {
    server.lines().len() - lines(server).len()
}

fn granted(expires_in: i64) -> Answer {
    json(200, json!({ "access_token": "ya29.secret", "expires_in": expires_in, "token_type": "bearer" }))
}

#[tokio::test]
async fn google_knows_us_by_an_assertion_with_these_claims() {
    let (api, server) = tokens(|| granted(3_599)).await;
    assert!(matches!(api.subscription(&token(), now()).await, Err(StoreError::NotFound)));
    let asked = &server.asked()[0];
    assert_eq!((asked.method().as_str(), asked.uri().to_string()), ("POST", "https://oauth.example/token".to_owned()));
    assert_eq!(asked.headers()["content-type"], "application/x-www-form-urlencoded");
    let form: BTreeMap<String, String> = form_urlencoded::parse(asked.body()).into_owned().collect();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let header = jsonwebtoken::decode_header(&form["assertion"]).unwrap();
    assert_eq!(
        (header.alg, header.kid.as_deref(), header.typ.as_deref()),
        (Algorithm::RS256, Some("key-1"), Some("JWT"))
    );
    let public = account_key().to_public_key().to_public_key_pem(LineEnding::LF).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    (validation.validate_exp, validation.validate_aud) = (false, false);
    let key = DecodingKey::from_rsa_pem(public.as_bytes()).unwrap();
    let claims = jsonwebtoken::decode::<Value>(&form["assertion"], &key, &validation).unwrap().claims;
    assert_eq!(
        claims,
        json!({
            "iss": "satchel@project.iam.gserviceaccount.com", "aud": "https://oauth.example/token",
            "scope": "https://www.googleapis.com/auth/androidpublisher", "iat": NOW, "exp": NOW + 3_600,
        })
    );
}

#[tokio::test]
async fn a_token_is_kept_until_five_minutes_before_its_end() {
    let (api, server) = tokens(|| granted(3_599)).await;
    for (at, calls) in [(0, 1), (3_298, 1), (3_299, 2), (3_300, 2), (100, 3)] {
        let _absent = api.subscription(&token(), later(at)).await;
        assert_eq!(asked_for_tokens(&server), calls, "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_calls_at_once_ask_for_one_token() {
    let (api, server) = tokens(|| granted(3_599).after(Duration::from_secs(1))).await;
    let answers = join_all((0..10).map(|_| api.subscription_of_test())).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::NotFound))));
    assert_eq!((asked_for_tokens(&server), lines(&server).len()), (1, 10));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_token_shares_its_failure() {
    let (api, server) = tokens(|| html(503).after(Duration::from_secs(1))).await;
    let answers = join_all((0..10).map(|_| api.subscription_of_test())).await;
    assert!(answers.into_iter().all(|answer| wait(answer) > 0));
    assert_eq!(asked_for_tokens(&server), 3, "one call with its two repetitions");
    wait(api.subscription_of_test().await);
    assert_eq!(asked_for_tokens(&server), 6, "who comes later asks again");
}

impl PlayApi {
    async fn subscription_of_test(&self) -> Result<(), StoreError> {
        self.subscription(&token(), now()).await.map(|_| ())
    }
}

#[tokio::test]
async fn an_account_that_is_refused_is_told() {
    for answer in [
        || json(400, json!({ "error": "invalid_grant", "error_description": "Invalid JWT Signature." })),
        || json(403, json!({ "error": "access_denied" })),
        || json(401, json!({ "error": "invalid_client" })),
    ] {
        let heard = Heard::begin();
        let (api, server) = tokens(answer).await;
        assert_eq!(wait(api.subscription_of_test().await), 60);
        assert_eq!(heard.count("StoreCredentialsRefused", "google"), 1, "{}", heard.text());
        assert!(lines(&server).is_empty(), "no purchase is asked for without a token");
    }
    for answer in [
        || html(200),
        || html(400),
        || text(302, "text/html", ""),
        || json(200, json!({ "access_token": "", "expires_in": 3_599, "token_type": "Bearer" })),
        || json(200, json!({ "access_token": "x", "expires_in": 3_599, "token_type": "mac" })),
    ] {
        let (api, _) = tokens(answer).await;
        assert!(matches!(api.subscription_of_test().await, Err(StoreError::Unusable(_))));
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_forgotten() {
    let heard = Heard::begin();
    let calls = AtomicUsize::new(0);
    let (api, server) = api(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => error(401, "authError"),
        _ => error(404, "purchaseTokenNotFound"),
    })
    .await;
    assert_eq!(wait(api.subscription(&token(), now()).await), 60);
    assert!(matches!(api.subscription(&token(), now()).await, Err(StoreError::NotFound)));
    assert_eq!(heard.count("StoreCredentialsRefused", "google"), 1);
    let bearers: Vec<String> =
        server.asked().iter().filter(|one| one.uri().host() == Some("play.example")).map(bearer).collect();
    assert_eq!(bearers, ["ya29.secret-0", "ya29.secret-1"]);
    assert!(!heard.text().contains("ya29"), "{}", heard.text());
}

#[tokio::test]
async fn a_403_is_a_throttle_or_a_right_that_is_missing() {
    for (reason, metric) in [("permissionDenied", "StoreCredentialsRefused"), ("quotaExceeded", "StoreCallFailed")] {
        let heard = Heard::begin();
        let (api, server) = api(move |_| error(403, reason)).await;
        assert_eq!(wait(api.subscription(&token(), now()).await), 60);
        assert_eq!(heard.count(metric, "google"), 1, "{}", heard.text());
        assert!(heard.text().contains(reason) && !heard.text().contains(token().expose()));
        assert_eq!(lines(&server).len(), 1);
    }
}
