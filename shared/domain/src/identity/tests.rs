use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::keys::{Kept, KeySet, PAUSE, Plan, STALE, UNKNOWN_EVERY, max_age};
use super::test_keys::{FOREIGN, OURS, OURS_N};
use super::*;
use crate::time::{DAY, from_unix};

const NOW: i64 = 1_800_000_000;

fn jwks() -> Vec<u8> {
    json!({ "keys": [
        { "kty": "RSA", "kid": "k1", "use": "sig", "alg": "RS256", "n": OURS_N, "e": "AQAB" },
        { "kty": "EC", "kid": "ec", "crv": "P-256", "x": "AA", "y": "AA" },
        { "kty": "RSA", "kid": "short", "n": "AQAB", "e": "AQAB" },
    ] })
    .to_string()
    .into_bytes()
}

fn keys() -> KeySet {
    KeySet::parse(&jwks()).unwrap()
}

fn trust() -> Trust {
    Trust {
        issuers: vec!["https://accounts.google.com".into(), "accounts.google.com".into()],
        audiences: vec!["app-ios".into(), "app-android".into()],
    }
}

fn claims() -> Value {
    json!({
        "iss": "https://accounts.google.com", "aud": "app-ios", "sub": "1234567890", "iat": NOW - 10, "exp": NOW + 3_600,
        "email": "Ada@Example.org", "email_verified": true, "name": "Ada",
    })
}

fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn key(base64: &str) -> EncodingKey {
    EncodingKey::from_rsa_der(&STANDARD.decode(base64).unwrap())
}

fn signed(claims: &Value) -> String {
    signed_with(Algorithm::RS256, Some("k1"), &key(OURS), claims)
}

fn signed_with(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    let mut header = Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn google(token: &str, nonce: Option<&str>) -> Result<Identity> {
    verify(Provider::Google, token, nonce, &keys(), &trust(), from_unix(NOW))
}

fn refused(token: &str) -> &'static str {
    refused_with(token, None)
}

fn refused_with(token: &str, nonce: Option<&str>) -> &'static str {
    match google(token, nonce) {
        Err(Error::Unauthenticated { code: "invalid_id_token", message }) => message.rsplit(": ").next().unwrap(),
        other => panic!("believed or failed otherwise: {other:?}"),
    }
}

#[test]
fn a_good_token_says_who_it_is() {
    let identity = google(&signed(&claims()), None).unwrap();
    assert_eq!((identity.subject.as_str(), identity.audience.as_str()), ("1234567890", "app-ios"));
    assert_eq!((identity.email.as_deref(), identity.email_verified), (Some("Ada@Example.org"), true));
    assert_eq!(identity.key().len(), 64);
    assert!(google(&signed(&with(json!({ "iss": "accounts.google.com", "aud": ["app-android"] }))), None).is_ok());
}

#[test]
fn a_token_that_is_cut_or_foreign_is_refused() {
    let token = signed(&claims());
    let (head, rest) = token.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    for cut in
        [String::new(), head.to_owned(), format!("{head}.{body}"), format!("{head}.{body}."), token[1..].to_owned()]
    {
        refused(&cut);
    }
    refused(&token[..token.len() - 4]);
    let other = URL_SAFE_NO_PAD.encode(with(json!({ "sub": "somebody else" })).to_string());
    refused(&format!("{head}.{other}.{signature}"));
    refused(&signed_with(Algorithm::RS256, Some("k1"), &key(FOREIGN), &claims()));
    refused(&"a".repeat(MAX_TOKEN_BYTES + 1));
}

#[test]
fn only_rs256_is_looked_at() {
    let body = URL_SAFE_NO_PAD.encode(claims().to_string());
    for alg in ["none", "None", "NONE", "nOnE"] {
        let head = URL_SAFE_NO_PAD.encode(json!({ "alg": alg, "kid": "k1", "typ": "JWT" }).to_string());
        refused(&format!("{head}.{body}."));
        refused(&format!("{head}.{body}.AAAA"));
    }
    // The public key as an HMAC secret, in every form in which it could be at hand.
    for secret in [jwks(), OURS_N.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(OURS_N).unwrap()] {
        let forged = signed_with(Algorithm::HS256, Some("k1"), &EncodingKey::from_secret(&secret), &claims());
        assert_eq!(refused(&forged), "it is not signed with RS256");
    }
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256] {
        assert_eq!(refused(&signed_with(algorithm, Some("k1"), &key(OURS), &claims())), "it is not signed with RS256");
    }
}

#[test]
fn a_key_must_be_named_and_known() {
    assert_eq!(refused(&signed_with(Algorithm::RS256, None, &key(OURS), &claims())), "it names no key");
    for unknown in ["k2", "ec", "short", ""] {
        assert_eq!(refused(&signed_with(Algorithm::RS256, Some(unknown), &key(OURS), &claims())), "its key is unknown");
    }
}

#[test]
fn issuer_and_audience_are_exact() {
    for iss in [
        "https://accounts.google.com/",
        "http://accounts.google.com",
        "ACCOUNTS.GOOGLE.COM",
        "https://appleid.apple.com",
        "",
    ] {
        assert_eq!(refused(&signed(&with(json!({ "iss": iss })))), "it is of another issuer");
    }
    for aud in [json!("app"), json!("app-ios2"), json!(""), json!([]), json!(["app-ios", "evil"])] {
        assert_eq!(refused(&signed(&with(json!({ "aud": aud })))), "it is for another audience");
    }
    for missing in ["iss", "aud", "sub", "iat", "exp"] {
        refused(&signed(&with(json!({ missing: null }))));
    }
    assert_eq!(refused(&signed(&with(json!({ "sub": "" })))), "it has no subject");
}

#[test]
fn times_have_a_minute_of_leeway() {
    assert!(google(&signed(&with(json!({ "exp": NOW - 59 }))), None).is_ok());
    assert_eq!(refused(&signed(&with(json!({ "exp": NOW - 60 })))), "it has expired");
    assert!(google(&signed(&with(json!({ "iat": NOW + 60 }))), None).is_ok());
    assert_eq!(refused(&signed(&with(json!({ "iat": NOW + 61 })))), "it is not valid yet");
    assert_eq!(refused(&signed(&with(json!({ "nbf": NOW + 61 })))), "it is not valid yet");
    refused(&signed(&with(json!({ "exp": "2099-01-01" }))));
    refused(&signed(&with(json!({ "exp": i64::MIN }))));
}

#[test]
fn a_nonce_is_on_both_sides_or_on_none() {
    let with_nonce = signed(&with(json!({ "nonce": "n1" })));
    assert!(google(&with_nonce, Some("n1")).is_ok());
    for (token, nonce) in
        [(&with_nonce, None), (&with_nonce, Some("n2")), (&with_nonce, Some("")), (&signed(&claims()), Some("n1"))]
    {
        assert_eq!(refused_with(token, nonce), "its nonce is not the one of the request");
    }
}

#[test]
fn apple_is_given_the_hash_of_the_nonce() {
    let apple = |claimed: &str, nonce| {
        let token = signed(&with(json!({ "nonce": claimed })));
        verify(Provider::Apple, &token, Some(nonce), &keys(), &trust(), from_unix(NOW))
    };
    let hash = hex(&Sha256::digest("raw"));
    assert!(apple(&hash, "raw").is_ok());
    assert!(apple("raw", "raw").is_err());
    assert!(apple(&hash, &hash).is_err());
}

#[test]
fn an_address_is_a_persons_own_only_where_the_provider_answers_for_it_now() {
    let own = |provider, changes| {
        let token = signed(&with(changes));
        verify(provider, &token, None, &keys(), &trust(), from_unix(NOW)).unwrap().own_email()
    };
    let example = Some("ada@example.org".to_owned());
    assert_eq!(own(Provider::Apple, json!({})), example);
    assert_eq!(own(Provider::Apple, json!({ "email_verified": "true" })), example);
    assert_eq!(own(Provider::Apple, json!({ "email_verified": "false" })), None);
    assert_eq!(own(Provider::Apple, json!({ "email_verified": null })), None);
    assert_eq!(own(Provider::Google, json!({})), None);
    assert_eq!(own(Provider::Google, json!({ "hd": "Example.org" })), example);
    assert_eq!(own(Provider::Google, json!({ "hd": "other.org" })), None);
    assert_eq!(own(Provider::Google, json!({ "email": "Ada@GMail.com" })), Some("ada@gmail.com".to_owned()));
    assert_eq!(own(Provider::Google, json!({ "email": "ada@gmail.com", "email_verified": false })), None);
    assert_eq!(own(Provider::Google, json!({ "email": "ada@evil-gmail.com" })), None);
}

#[test]
fn a_jwks_without_a_usable_key_is_none() {
    assert!(KeySet::parse(b"").is_err());
    assert!(KeySet::parse(b"{\"keys\":[]}").is_err());
    assert!(KeySet::parse(b"<html>").is_err());
    let encryption = json!({ "keys": [{ "kty": "RSA", "kid": "k", "use": "enc", "n": OURS_N, "e": "AQAB" }] });
    assert!(KeySet::parse(encryption.to_string().as_bytes()).is_err());
    assert!(keys().get("k1").is_some() && keys().get("short").is_none() && keys().get("ec").is_none());
}

#[test]
fn the_issuer_says_how_long_its_keys_are_fresh() {
    for (header, age) in [
        (Some("public, max-age=19800, must-revalidate"), 19_800),
        (Some("Max-Age=\"600\""), 600),
        (Some("max-age=0"), 60),
        (Some("max-age=99999999"), DAY),
        (Some("no-store"), 3_600),
        (Some("max-age=soon"), 3_600),
        (None, 3_600),
    ] {
        assert_eq!(max_age(header), age, "{header:?}");
    }
}

#[test]
fn kept_keys_are_used_asked_for_again_and_at_last_given_up() {
    let at = |seconds| from_unix(NOW + seconds);
    let mut kept = Kept::default();
    assert_eq!(kept.plan("k1", at(0)), Plan::Ask);
    kept.failed(at(0));
    assert_eq!(kept.fallback("k1", at(0)), Plan::Down);
    assert_eq!(kept.plan("k1", at(PAUSE - 1)), Plan::Down, "nobody asks a moment after a failure");
    assert_eq!(kept.plan("k1", at(PAUSE)), Plan::Ask);

    kept.answered(keys(), 600, at(0));
    assert_eq!(kept.plan("k1", at(599)), Plan::Use);
    assert_eq!(kept.plan("k1", at(600)), Plan::Ask);
    kept.failed(at(600));
    assert_eq!(kept.plan("k1", at(601)), Plan::Use, "old keys do while the issuer is down");
    assert_eq!(kept.plan("k1", at(600 + STALE - 1)), Plan::Ask);
    assert_eq!(kept.fallback("k1", at(600 + STALE)), Plan::Use);
    assert_eq!(kept.fallback("k1", at(600 + STALE + 1)), Plan::Down);
}

#[test]
fn an_unknown_key_asks_once_in_five_minutes() {
    let at = |seconds| from_unix(NOW + seconds);
    let mut kept = Kept::default();
    kept.answered(keys(), DAY, at(0));
    assert_eq!(kept.plan("k9", at(1)), Plan::Ask);
    kept.asking("k9", at(1));
    kept.answered(keys(), DAY, at(1));
    assert_eq!(kept.fallback("k9", at(1)), Plan::Unknown);
    assert_eq!(kept.plan("k9", at(UNKNOWN_EVERY)), Plan::Unknown);
    assert_eq!(kept.plan("other", at(UNKNOWN_EVERY)), Plan::Unknown, "a forger has as many names as he likes");
    assert_eq!(kept.plan("k9", at(UNKNOWN_EVERY + 1)), Plan::Ask);
    assert_eq!(kept.plan("k1", at(2)), Plan::Use);
}

#[test]
fn an_unknown_key_is_no_forgery_while_the_issuer_is_down() {
    let at = |seconds| from_unix(NOW + seconds);
    let mut kept = Kept::default();
    kept.answered(keys(), DAY, at(0));
    kept.asking("k9", at(1));
    kept.failed(at(1));
    assert_eq!(kept.fallback("k9", at(1)), Plan::Down);
    assert_eq!(kept.plan("k9", at(2)), Plan::Down);
    assert_eq!(kept.plan("k1", at(2)), Plan::Use);
    assert_eq!(kept.plan("k9", at(1 + UNKNOWN_EVERY)), Plan::Ask);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_altered_token_is_believed(place in 0usize..2_000, byte in 33u8..127) {
        let mut bytes = signed(&claims()).into_bytes();
        let place = place % bytes.len();
        prop_assume!(bytes[place] != byte);
        bytes[place] = byte;
        let altered = String::from_utf8(bytes).unwrap();
        prop_assert!(google(&altered, None).is_err());
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        prop_assert!(google(&text, None).is_err());
    }
}
