//! The text, its header and its signature.

use p256::ecdsa::Signature;
use serde_json::json;

use super::pki::{pki, transaction, url, with, without};
use super::*;

macro_rules! refuses {
    ($($name:ident: $reason:ident, $forge:expr;)*) => {$(
        #[test]
        fn $name() {
            let pki = pki(|_| {});
            let text = forged(&pki, $forge);
            assert_eq!(refusal(&pki, &text), Reason::$reason);
        }
    )*};
}

fn valid(pki: &Pki) -> String {
    pki.sign(&transaction())
}

/// The three segments of a valid text.
fn segments(pki: &Pki) -> [String; 3] {
    let text = valid(pki);
    let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

fn joined(segments: &[String]) -> String {
    segments.join(".")
}

/// A valid text with another signature.
fn signed_as(pki: &Pki, signature: impl AsRef<[u8]>) -> String {
    let [header, payload, _] = segments(pki);
    joined(&[header, payload, url(signature)])
}

fn signature(pki: &Pki) -> Vec<u8> {
    let [header, payload, _] = segments(pki);
    pki.signature(&format!("{header}.{payload}"))
}

/// The header's text with `more` before its first member.
fn with_text(pki: &Pki, more: &str) -> String {
    let header = pki.header().to_string().replacen('{', &format!("{{{more},"), 1);
    pki.raw(header, transaction().to_string())
}

refuses! {
    an_empty_text: Segments, |_| String::new();
    a_text_without_dots: Segments, |_| "abc".to_owned();
    two_segments: Segments, |pki| { let [header, payload, _] = segments(pki); joined(&[header, payload]) };
    four_segments: Segments, |pki| format!("{}.", valid(pki));
    an_encrypted_text_of_five_segments: Segments, |pki| format!("{}.e.e", valid(pki));
    a_padded_segment: SegmentEncoding, |pki| { let [h, p, s] = segments(pki); joined(&[h, p, s + "=="]) };
    a_segment_in_standard_base64: SegmentEncoding, |pki| { let [h, p, s] = segments(pki); joined(&[h, p + "++++", s]) };
    a_line_break_at_the_end: SegmentEncoding, |pki| valid(pki) + "\n";
    a_space_before_the_header: SegmentEncoding, |pki| format!(" {}", valid(pki));
    stray_bits_behind_the_signature: SegmentEncoding, |pki| {
        let mut text = valid(pki);
        text.pop();
        text + "B"
    };
    a_text_of_a_mebibyte: TooLong, |_| "a".repeat(1 << 20);
    a_text_of_more_than_64_kib: TooLong, |pki| pki.raw(pki.header().to_string(), "a".repeat(MAX_BYTES * 3 / 4));
    a_header_of_6000_members: HeaderTooLong, |_| {
        let letter = |number: u32| char::from_digit(10 + number % 20, 36).unwrap();
        let name = |number: u32| [number / 400, number / 20, number].map(letter).iter().collect::<String>();
        let members: Vec<String> = (0..6_000).map(|number| format!(r#""{}":0"#, name(number))).collect();
        let text = format!("{}.e30.e30", url(format!("{{{}}}", members.join(","))));
        assert!((64_000..=MAX_BYTES).contains(&text.len()), "{}", text.len());
        text
    };
    a_header_of_a_byte_more_than_16_kib: HeaderTooLong, |pki| {
        let header = format!("{}{}", pki.header(), " ".repeat(16_385 - pki.header().to_string().len()));
        pki.raw(header, transaction().to_string())
    };
    a_header_of_17_members: HeaderTooLong, |pki| pki.under(|header| with_members(header, 17));
    a_header_of_2000_members: HeaderTooLong, |pki| {
        let members: Vec<String> = (0..2_000).map(|number| format!(r#""{number:x}":0"#)).collect();
        pki.raw(format!("{{{}}}", members.join(",")), transaction().to_string())
    };
    a_header_of_17_times_the_same_member: HeaderTooLong, |pki| {
        pki.raw(format!("{{{}}}", [r#""alg":"ES256""#; 17].join(",")), transaction().to_string())
    };
    a_header_that_is_no_json: HeaderNotJson, |pki| pki.raw("alg: ES256", transaction().to_string());
    a_header_that_is_an_array: HeaderNotJson, |pki| pki.raw("[\"ES256\"]", transaction().to_string());
    a_header_with_text_behind: HeaderNotJson, |pki| pki.raw(format!("{}{{}}", pki.header()), transaction().to_string());
    an_empty_header: HeaderNotJson, |pki| pki.raw("", transaction().to_string());
    a_second_algorithm: HeaderDuplicate, |pki| with_text(pki, r#""alg":"none""#);
    a_second_algorithm_in_escapes: HeaderDuplicate, |pki| with_text(pki, r#""\u0061lg":"none""#);
    a_second_chain: HeaderDuplicate, |pki| with_text(pki, r#""x5c":[]"#);
    a_critical_extension: HeaderCritical, |pki| pki.under(|header| header["crit"] = json!(["exp"]));
    an_empty_list_of_critical_extensions: HeaderCritical, |pki| pki.under(|header| header["crit"] = json!([]));
    an_unencoded_payload: HeaderUnencoded, |pki| pki.under(|header| header["b64"] = json!(false));
    an_encoded_payload_that_says_so: HeaderUnencoded, |pki| pki.under(|header| header["b64"] = json!(true));
    algorithm_none: Algorithm, |pki| {
        let text = pki.under(|header| header["alg"] = json!("none"));
        text[..=text.rfind('.').unwrap()].to_owned()
    };
    algorithm_none_in_capitals: Algorithm, |pki| pki.under(|header| header["alg"] = json!("NONE"));
    algorithm_hs256: Algorithm, |pki| pki.under(|header| header["alg"] = json!("HS256"));
    algorithm_rs256: Algorithm, |pki| pki.under(|header| header["alg"] = json!("RS256"));
    algorithm_es384: Algorithm, |pki| pki.under(|header| header["alg"] = json!("ES384"));
    algorithm_in_small_letters: Algorithm, |pki| pki.under(|header| header["alg"] = json!("es256"));
    algorithm_with_a_space: Algorithm, |pki| pki.under(|header| header["alg"] = json!("ES256 "));
    algorithm_in_a_list: Algorithm, |pki| pki.under(|header| header["alg"] = json!(["ES256"]));
    algorithm_missing: Algorithm, |pki| pki.under(|header| *header = without(header.clone(), "alg"));
    chain_missing: ChainMissing, |pki| pki.under(|header| *header = without(header.clone(), "x5c"));
    chain_as_a_text: ChainMissing, |pki| pki.under(|header| header["x5c"] = json!(pki.x5c()[0]));
    chain_with_a_number: ChainMissing, |pki| pki.under(|header| header["x5c"][1] = json!(7));
    chain_of_none: ChainLength, |pki| pki.with_chain(&[]);
    chain_of_the_leaf_alone: ChainLength, |pki| pki.with_chain(&[&pki.chain[0]]);
    chain_of_two: ChainLength, |pki| pki.with_chain(&[&pki.chain[0], &pki.chain[1]]);
    chain_of_four: ChainLength, |pki| pki.with_chain(&[&pki.chain[0], &pki.chain[1], &pki.chain[2], &pki.chain[2]]);
    chain_in_base64url: ChainEncoding, |pki| pki.under(|header| header["x5c"][0] = json!(format!("{}-_-_", pki.x5c()[1])));
    chain_with_a_line_break: ChainEncoding, |pki| pki.under(|header| header["x5c"][0] = json!(format!("{}\n", pki.x5c()[0])));
    chain_in_pem: ChainEncoding, |pki| {
        pki.under(|header| header["x5c"][2] = json!("-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----"))
    };
    a_signature_in_der: SignatureLength, |pki| {
        signed_as(pki, Signature::from_slice(&signature(pki)).unwrap().to_der())
    };
    a_signature_of_63_bytes: SignatureLength, |pki| signed_as(pki, &signature(pki)[..63]);
    a_signature_of_65_bytes: SignatureLength, |pki| { let mut it = signature(pki); it.push(0); signed_as(pki, it) };
    no_signature: SignatureLength, |pki| signed_as(pki, "");
    a_signature_of_zeros: Signature, |pki| signed_as(pki, [0; 64]);
    a_signature_with_its_halves_swapped: Signature, |pki| {
        let mut it = signature(pki);
        it.rotate_left(32);
        signed_as(pki, it)
    };
    the_signature_of_another_text: Signature, |pki| {
        let other = pki.sign(&with(transaction(), "transactionId", json!("1")));
        let [header, payload, _] = segments(pki);
        joined(&[header, payload, other.rsplit('.').next().unwrap().to_owned()])
    };
    a_payload_changed_after_signing: Signature, |pki| {
        let [header, _, signature] = segments(pki);
        joined(&[header, url(with(transaction(), "productId", json!("app.satchel.ai")).to_string()), signature])
    };
    a_header_changed_after_signing: Signature, |pki| {
        let [_, payload, signature] = segments(pki);
        joined(&[url(with(pki.header(), "typ", json!("JWT")).to_string()), payload, signature])
    };
    the_signature_of_another_key: Signature, |own| {
        let [header, payload, _] = segments(own);
        let signature = pki(|_| {}).signature(&format!("{header}.{payload}"));
        joined(&[header, payload, url(signature)])
    };
    a_date_put_back_by_hand: Signature, |pki| {
        let [header, _, signature] = segments(pki);
        joined(&[header, url(with(transaction(), "signedDate", json!(NOW * 1000 - 1)).to_string()), signature])
    };
    a_payload_that_is_no_json: PayloadNotJson, |pki| pki.raw(pki.header().to_string(), "hello");
    a_payload_that_is_an_array: PayloadNotJson, |pki| pki.raw(pki.header().to_string(), "[]");
    a_payload_that_is_a_signed_text_itself: PayloadNotJson, |pki| pki.raw(pki.header().to_string(), valid(pki));
    a_payload_nested_without_end: PayloadNotJson, |pki| {
        pki.raw(pki.header().to_string(), format!("{{\"a\":{}", "[".repeat(30_000)))
    };
    no_date_of_signing: SignedDate, |pki| pki.sign(&without(transaction(), "signedDate"));
    a_date_of_signing_in_words: SignedDate, |pki| pki.sign(&with(transaction(), "signedDate", json!("2027-01-15")));
    a_date_of_signing_before_the_epoch: SignedDate, |pki| pki.sign(&with(transaction(), "signedDate", json!(-1)));
    a_date_of_signing_beyond_the_calendar: SignedDate, |pki| pki.sign(&with(transaction(), "signedDate", json!(1e300)));
}

/// Fills `header` up to so many members.
fn with_members(header: &mut Value, count: usize) {
    for number in header.as_object().unwrap().len()..count {
        header[format!("m{number}")] = json!(number);
    }
}

#[test]
fn the_caps_are_far_above_what_apple_sends() {
    let pki = pki(|_| {});
    let wide = pki.under(|header| with_members(header, 16));
    verifier(&pki).transaction(&wide, webhook(), &[]).unwrap();
    let header = pki.header().to_string();
    let long = format!("{header}{}", " ".repeat(16 * 1024 - header.len()));
    verifier(&pki).transaction(&pki.raw(long, transaction().to_string()), webhook(), &[]).unwrap();
}

#[test]
fn a_valid_transaction_is_believed() {
    let pki = pki(|_| {});
    let found = verifier(&pki).transaction(&valid(&pki), webhook(), &[]).unwrap();
    assert_eq!(found.value.transaction_id, "2000000000000002");
    assert_eq!(found.value.product_type, ProductType::AutoRenewable);
    assert_eq!(found.chains.len(), 1);
}

#[test]
fn keys_that_a_header_names_are_ignored() {
    let pki = pki(|_| {});
    let text = pki.under(|header| {
        header["kid"] = json!("../../etc/passwd");
        header["jwk"] = json!({ "kty": "EC" });
        header["jku"] = json!("https://example.com/keys");
        header["x5u"] = json!("https://example.com/chain");
    });
    verifier(&pki).transaction(&text, webhook(), &[]).unwrap();
}

#[test]
fn a_signature_re_encoded_as_its_twin_is_the_same_event() {
    let pki = pki(|_| {});
    let original = valid(&pki);
    let (signed, _) = original.rsplit_once('.').unwrap();
    let signature = Signature::from_slice(&pki.signature(signed)).unwrap();
    let twin = Signature::from_scalars(signature.r().to_bytes(), (-*signature.s()).to_bytes()).unwrap();
    let twin = format!("{signed}.{}", url(twin.to_bytes()));
    assert_ne!(twin, format!("{signed}.{}", url(signature.to_bytes())));
    let verifier = verifier(&pki);
    let [one, other] = [&original, &twin].map(|text| verifier.transaction(text, webhook(), &[]).unwrap().value);
    assert_eq!(one, other);
}

/// Every seventh letter, and both ends of the signature: a text has one spelling, all of it signed.
#[test]
fn no_letter_of_a_text_can_be_changed() {
    let pki = pki(|_| {});
    let (verifier, text) = (verifier(&pki), valid(&pki));
    let signature = text.rfind('.').unwrap() + 1;
    for at in (0..text.len()).step_by(7).chain([signature, text.len() - 1]) {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'Q' { b'R' } else { b'Q' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(verifier.transaction(&changed, webhook(), &[]).is_err(), "letter {at}");
    }
}
