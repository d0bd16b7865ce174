//! The bearer token of a push.

use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::*;
use crate::identity::MAX_TOKEN_BYTES;
use crate::identity::test_keys::{FOREIGN, OURS};

fn claims() -> Value {
    json!({
        "iss": "https://accounts.google.com", "aud": AUDIENCE, "azp": "113774264463038321964", "sub": "113774264463038321964",
        "email": EMAIL, "email_verified": true, "iat": NOW - 10, "exp": NOW + 3_590,
    })
}

fn key(base64: &str) -> EncodingKey {
    EncodingKey::from_rsa_der(&STANDARD.decode(base64).unwrap())
}

fn header() -> Value {
    json!({ "alg": "RS256", "kid": "k1", "typ": "JWT" })
}

/// A token with exactly this header and these claims, truly signed with RS256 by the key `k1`.
fn raw(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key(OURS), Algorithm::RS256).unwrap();
    format!("{signed}.{signature}")
}

fn under(header: &Value) -> String {
    raw(header.to_string(), claims().to_string())
}

fn signed(claims: &Value) -> String {
    raw(header().to_string(), claims.to_string())
}

fn claiming(name: &str, member: Value) -> String {
    signed(&with(claims(), name, member))
}

fn missing(name: &str) -> String {
    signed(&without(claims(), name))
}

fn valid() -> String {
    signed(&claims())
}

fn segments() -> [String; 3] {
    let parts: Vec<String> = valid().split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

fn believed(token: impl AsRef<str>) -> Result<(), Reason> {
    push().bearer(token.as_ref(), &keys(), from_unix(NOW))
}

macro_rules! refuses {
    ($($name:ident: $reason:ident, $token:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(believed($token), Err(Reason::$reason));
            assert!(Reason::$reason.is_authentication());
        }
    )*};
}

refuses! {
    an_empty_token: TokenSegments, "";
    a_token_of_one_segment: TokenSegments, "abc";
    a_token_of_two_segments: TokenSegments, valid().rsplit_once('.').unwrap().0;
    a_token_of_four_segments: TokenSegments, format!("{}.", valid());
    an_encrypted_token_of_five_segments: TokenSegments, format!("{}.e.e", valid());
    a_token_of_a_mebibyte: TokenTooLong, "a".repeat(1 << 20);
    a_token_one_byte_too_long: TokenTooLong, "a".repeat(MAX_TOKEN_BYTES + 1);
    a_padded_signature: TokenEncoding, valid() + "==";
    a_line_break_behind_the_token: TokenEncoding, valid() + "\n";
    a_blank_before_the_token: TokenEncoding, format!(" {}", valid());
    claims_in_standard_base64: TokenEncoding, { let [h, c, s] = segments(); format!("{h}.{c}+/+/.{s}") };
    a_nul_in_the_header: TokenEncoding, { let [h, c, s] = segments(); format!("{h}\0.{c}.{s}") };
    a_header_that_is_no_json: TokenHeader, raw("alg: RS256", claims().to_string());
    a_header_that_is_an_array: TokenHeader, raw(r#"["RS256","k1"]"#, claims().to_string());
    an_empty_header: TokenHeader, raw("", claims().to_string());
    a_second_algorithm: TokenHeader, raw(r#"{"alg":"none","alg":"RS256","kid":"k1"}"#, claims().to_string());
    a_second_algorithm_in_escapes: TokenHeader, raw(r#"{"alg":"RS256","kid":"k1","\u0061lg":"none"}"#, claims().to_string());
    a_second_key: TokenHeader, raw(r#"{"alg":"RS256","kid":"k2","kid":"k1"}"#, claims().to_string());
    a_critical_extension: TokenCritical, under(&with(header(), "crit", json!(["exp"])));
    no_critical_extension_in_a_list: TokenCritical, under(&with(header(), "crit", Value::Null));
    unencoded_claims: TokenCritical, under(&with(header(), "b64", json!(false)));
    algorithm_none: Algorithm, {
        let token = under(&with(header(), "alg", json!("none")));
        token[..=token.rfind('.').unwrap()].to_owned()
    };
    algorithm_none_in_capitals: Algorithm, under(&with(header(), "alg", json!("NONE")));
    algorithm_none_with_an_rs256_signature: Algorithm, under(&with(header(), "alg", json!("none")));
    algorithm_in_small_letters: Algorithm, under(&with(header(), "alg", json!("rs256")));
    algorithm_with_a_blank: Algorithm, under(&with(header(), "alg", json!("RS256 ")));
    algorithm_in_a_list: Algorithm, under(&with(header(), "alg", json!(["RS256"])));
    algorithm_missing: Algorithm, under(&without(header(), "alg"));
    algorithm_hs256_with_the_public_key: Algorithm, {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("k1".to_owned());
        jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(OURS_N.as_bytes())).unwrap()
    };
    algorithm_rs512_truly_signed: Algorithm, {
        let mut header = Header::new(Algorithm::RS512);
        header.kid = Some("k1".to_owned());
        jsonwebtoken::encode(&header, &claims(), &key(OURS)).unwrap()
    };
    algorithm_ps256_truly_signed: Algorithm, {
        let mut header = Header::new(Algorithm::PS256);
        header.kid = Some("k1".to_owned());
        jsonwebtoken::encode(&header, &claims(), &key(OURS)).unwrap()
    };
    no_key: KeyMissing, under(&without(header(), "kid"));
    an_empty_key: KeyMissing, under(&with(header(), "kid", json!("")));
    a_key_that_is_a_number: KeyMissing, under(&with(header(), "kid", json!(1)));
    another_key: KeyUnknown, under(&with(header(), "kid", json!("k2")));
    a_key_that_is_a_path: KeyUnknown, under(&with(header(), "kid", json!("../../dev/null")));
    a_foreign_key_under_our_name: Signature, {
        let [header, claims, _] = segments();
        let signed = format!("{header}.{claims}");
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key(FOREIGN), Algorithm::RS256).unwrap();
        format!("{signed}.{signature}")
    };
    a_key_that_the_header_brings_along: Signature, {
        let jwk = json!({ "kty": "RSA", "n": OURS_N, "e": "AQAB" });
        let header = with(with(header(), "jwk", jwk), "jku", json!("https://evil.example/keys"));
        let mut token = under(&header);
        token.replace_range(token.len() - 4.., "AAAA");
        token
    };
    no_signature: Signature, { let [h, c, _] = segments(); format!("{h}.{c}.") };
    a_signature_cut_short: Signature, {
        let [header, claims, signature] = segments();
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(&bytes[..bytes.len() - 1]))
    };
    a_signature_of_zeros: Signature, { let [h, c, _] = segments(); format!("{h}.{c}.{}", URL_SAFE_NO_PAD.encode([0; 256])) };
    the_signature_of_another_token: Signature, {
        let other = claiming("sub", json!("1"));
        let [header, claims, _] = segments();
        format!("{header}.{claims}.{}", other.rsplit('.').next().unwrap())
    };
    claims_changed_after_signing: Signature, {
        let [header, _, signature] = segments();
        format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(with(claims(), "exp", json!(NOW + 9_999)).to_string()))
    };
    a_header_changed_after_signing: Signature, {
        let [_, claims, signature] = segments();
        format!("{}.{claims}.{signature}", URL_SAFE_NO_PAD.encode(with(header(), "typ", json!("jwt")).to_string()))
    };
    claims_that_are_no_json: Claims, raw(header().to_string(), "hello");
    claims_nested_without_end: Claims, raw(header().to_string(), "[".repeat(9_000));
    a_claim_that_stands_twice: Claims, raw(header().to_string(), claims().to_string().replacen('{', r#"{"aud":"x","#, 1));
    no_end: Claims, missing("exp");
    no_beginning: Claims, missing("iat");
    no_issuer: Claims, missing("iss");
    no_audience: Claims, missing("aud");
    an_end_as_a_text: Claims, claiming("exp", json!("2099-01-01"));
    an_end_beyond_all_numbers: Claims, claiming("exp", json!(1e300));
    an_address_that_is_a_list: Claims, claiming("email", json!([EMAIL]));
    another_issuer: Issuer, claiming("iss", json!("https://accounts.example"));
    an_issuer_with_a_slash_behind: Issuer, claiming("iss", json!("https://accounts.google.com/"));
    an_issuer_over_plain_http: Issuer, claiming("iss", json!("http://accounts.google.com"));
    a_google_service_account_that_signs_for_itself: Issuer, claiming("iss", json!(EMAIL));
    another_audience: Audience, claiming("aud", json!("https://satchel.example/payments/webhook/apple"));
    our_audience_with_more_behind: Audience, claiming("aud", json!(format!("{AUDIENCE}/")));
    our_audience_in_capitals: Audience, claiming("aud", json!(AUDIENCE.to_uppercase()));
    our_audience_beside_another: Audience, claiming("aud", json!([AUDIENCE, "https://evil.example"]));
    an_empty_list_of_audiences: Audience, claiming("aud", json!([]));
    an_empty_audience: Audience, claiming("aud", json!(""));
    expired_at_the_edge_of_the_leeway: Expired, claiming("exp", json!(NOW - 60));
    expired_long_ago: Expired, claiming("exp", json!(i64::MIN));
    issued_ahead_past_the_leeway: IssuedAhead, claiming("iat", json!(NOW + 61));
    valid_from_a_time_to_come: IssuedAhead, claiming("nbf", json!(NOW + 61));
    another_service_account: Email, claiming("email", json!("play-push@evil.iam.gserviceaccount.com"));
    our_service_account_in_capitals: Email, claiming("email", json!(EMAIL.to_uppercase()));
    our_service_account_with_a_nul: Email, claiming("email", json!(format!("{EMAIL}\0")));
    no_address: Email, missing("email");
    an_empty_address: Email, claiming("email", json!(""));
    an_address_that_is_not_verified: EmailUnverified, claiming("email_verified", json!(false));
    an_address_that_nobody_answers_for: EmailUnverified, missing("email_verified");
    an_address_that_is_verified_by_a_text: EmailUnverified, claiming("email_verified", json!("true"));
    an_address_that_is_verified_by_a_number: EmailUnverified, claiming("email_verified", json!(1));
    an_address_that_is_verified_by_null: EmailUnverified, claiming("email_verified", Value::Null);
}

#[test]
fn our_own_push_is_believed() {
    assert_eq!(believed(valid()), Ok(()));
    assert_eq!(bearer_key_id(&valid()), Ok("k1".to_owned()));
}

#[test]
fn both_spellings_of_google_and_a_list_of_our_audience_alone_are_believed() {
    assert_eq!(believed(claiming("iss", json!("accounts.google.com"))), Ok(()));
    assert_eq!(believed(claiming("aud", json!([AUDIENCE]))), Ok(()));
    assert_eq!(believed(claiming("aud", json!([AUDIENCE, AUDIENCE]))), Ok(()));
}

#[test]
fn a_minute_of_leeway_is_given_on_both_sides() {
    assert_eq!(believed(claiming("exp", json!(NOW - 59))), Ok(()));
    assert_eq!(believed(claiming("iat", json!(NOW + 60))), Ok(()));
    assert_eq!(believed(claiming("nbf", json!(NOW + 60))), Ok(()));
}

#[test]
fn a_place_of_keys_in_the_header_is_ignored() {
    assert_eq!(believed(under(&with(header(), "jku", json!("https://evil.example/keys")))), Ok(()));
}

#[test]
fn the_algorithm_is_pinned_before_a_key_is_looked_for() {
    for algorithm in ["none", "HS256", "rs256", "RS384", "ES256"] {
        assert_eq!(
            bearer_key_id(&under(&with(header(), "alg", json!(algorithm)))),
            Err(Reason::Algorithm),
            "{algorithm}"
        );
    }
    assert_eq!(bearer_key_id(&"a".repeat(MAX_TOKEN_BYTES + 1)), Err(Reason::TokenTooLong));
}

#[test]
fn no_altered_token_is_believed() {
    let token = valid();
    for place in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        let refused = believed(&altered).unwrap_err();
        assert!(refused.is_authentication(), "{place}: {refused}");
    }
}
