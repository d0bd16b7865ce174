use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_800_000_000;

fn pem(seed: u8) -> String {
    p256::SecretKey::from_slice(&[seed; 32]).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
}

fn jwks() -> String {
    let key = EncodingKey::from_ec_pem(pem(7).as_bytes()).unwrap();
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
    jwk.common.key_id = Some("k1".to_owned());
    json!({ "keys": [jwk] }).to_string()
}

fn verifier() -> Verifier {
    Verifier::from_jwks(&jwks(), "satchel", "satchel-app").unwrap()
}

fn claims() -> Claims {
    let id = |prefix: &str| format!("{prefix}01ARZ3NDEKTSV4RRFFQ69G5FAV");
    Claims {
        iss: "satchel".to_owned(),
        aud: "satchel-app".to_owned(),
        sub: id("usr_"),
        did: id("dev_").parse().ok(),
        sid: id("ses_").parse().ok(),
        auth_time: Some(NOW),
        cid: None,
        scope: "user".to_owned(),
        iat: NOW,
        nbf: NOW,
        exp: NOW + 900,
        jti: id("tok_"),
    }
}

fn signed(kid: &str, seed: u8, claims: &Claims) -> String {
    Signer::from_pem(kid, &pem(seed)).unwrap().sign(claims).unwrap()
}

fn token() -> String {
    signed("k1", 7, &claims())
}

fn code(token: &str, at: i64) -> Option<&'static str> {
    match verifier().claims(token, Timestamp::from_second(at).unwrap()) {
        Ok(_) => None,
        Err(Error::Unauthenticated { code, .. }) => Some(code),
        Err(other) => panic!("{other}"),
    }
}

fn with_header(header: Value, token: &str) -> String {
    let rest = token.split_once('.').unwrap().1;
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

#[test]
fn a_token_of_ours_is_believed() {
    assert_eq!(code(&token(), NOW), None);
}

#[test]
fn another_algorithm_is_never_believed() {
    let token = token();
    for alg in ["none", "None", "NONE", "HS256", "RS256", "ES384", "es256", ""] {
        let forged = with_header(json!({ "alg": alg, "kid": "k1", "typ": "JWT" }), &token);
        assert_eq!(code(&forged, NOW), Some("invalid_token"), "{alg}");
        let (unsigned, _) = forged.rsplit_once('.').unwrap();
        assert_eq!(code(&format!("{unsigned}."), NOW), Some("invalid_token"), "{alg}, unsigned");
        assert_eq!(code(unsigned, NOW), Some("invalid_token"), "{alg}, two parts");
    }
}

#[test]
fn the_public_key_is_no_shared_secret() {
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("k1".to_owned());
    let public: Value = serde_json::from_str(&jwks()).unwrap();
    let coordinates = ["x", "y"].map(|name| URL_SAFE_NO_PAD.decode(public["keys"][0][name].as_str().unwrap()).unwrap());
    let point = [&[4][..], &coordinates[0], &coordinates[1]].concat();
    for secret in [jwks().into_bytes(), point, public["keys"][0].to_string().into_bytes()] {
        let forged = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(&secret)).unwrap();
        assert_eq!(code(&forged, NOW), Some("invalid_token"));
    }
}

#[test]
fn a_token_of_another_issuer_audience_or_key_is_not_believed() {
    for (why, forged) in [
        ("issuer", signed("k1", 7, &Claims { iss: "satchel-dev".to_owned(), ..claims() })),
        ("audience", signed("k1", 7, &Claims { aud: "another-app".to_owned(), ..claims() })),
        ("key of the same name", signed("k1", 8, &claims())),
        ("unknown key", signed("k2", 7, &claims())),
        ("no name of a key", with_header(json!({ "alg": "ES256" }), &token())),
        ("a key brought along", with_header(json!({ "alg": "ES256", "jwk": { "kty": "EC" } }), &token())),
    ] {
        assert_eq!(code(&forged, NOW), Some("invalid_token"), "{why}");
    }
}

#[test]
fn a_cut_altered_or_oversize_token_is_not_believed() {
    let token = token();
    for cut in (0..token.len()).step_by(17) {
        assert_eq!(code(&token[..cut], NOW), Some("invalid_token"), "cut at {cut}");
    }
    let claims = URL_SAFE_NO_PAD.encode(json!({ "sub": "usr_evil" }).to_string());
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(code(&format!("{}.{claims}.{}", parts[0], parts[2]), NOW), Some("invalid_token"));
    assert_eq!(code(&format!("{token}.{}", parts[2]), NOW), Some("invalid_token"));
    assert_eq!(code(&"a".repeat(MAX_TOKEN_BYTES + 1), NOW), Some("invalid_token"));
    assert_eq!(code("\u{0}.\u{0}.\u{0}", NOW), Some("invalid_token"));
}

#[test]
fn times_count_with_a_minute_of_leeway() {
    let token = token();
    assert_eq!(code(&token, NOW + 900 + LEEWAY - 1), None);
    assert_eq!(code(&token, NOW + 900 + LEEWAY), Some("token_expired"));
    assert_eq!(code(&token, NOW - LEEWAY), None);
    assert_eq!(code(&token, NOW - LEEWAY - 1), Some("invalid_token"));
    let later = Claims { nbf: NOW + 600, ..claims() };
    assert_eq!(code(&signed("k1", 7, &later), NOW), Some("invalid_token"));
    let far = Claims { exp: i64::MAX, ..claims() };
    assert_eq!(code(&signed("k1", 7, &far), NOW), None, "no overflow");
}
