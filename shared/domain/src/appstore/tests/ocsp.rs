//! Answers of OCSP responders: what is accepted, what is a verdict, and what is neither.

use rcgen::CustomExtension;

use super::super::ocsp::{Good, KEPT, MAX_BYTES, OcspError, Request, Subject, judge, requests};
use super::pki::{Pki, pki};
use super::responder::{BASIC, Reply, extensions, revoked, sequence, tlv, unknown};
use super::*;

pub(super) fn asked(pki: &Pki) -> [Request; 2] {
    let root = pki.root();
    let chain = Chain::verify(&root, pki.chain.clone()).unwrap();
    requests(&chain, &root).unwrap()
}

/// What `response` says of the leaf.
pub(super) fn judged(pki: &Pki, response: &[u8]) -> Result<Good, OcspError> {
    let [leaf, _] = asked(pki);
    judge(&leaf, response, from_unix(NOW))
}

pub(super) fn good_until(until: i64) -> Result<Good, OcspError> {
    Ok(Good { until })
}

/// Signed by the issuer itself, but for what the test changes.
macro_rules! answers {
    ($($name:ident: $change:expr => $expected:expr;)*) => {$(
        #[test]
        fn $name() {
            let pki = pki(|_| {});
            let mut reply = Reply::about_leaf(&pki);
            let change: fn(&mut Reply) = $change;
            change(&mut reply);
            assert_eq!(judged(&pki, &reply.signed_by(&pki.intermediate_key)), $expected);
        }
    )*};
}

answers! {
    good_by_the_issuer: |_| {} => good_until(NOW + KEPT);
    good_until_the_next_update_where_that_is_near: |it| it.single().next_update = Some(NOW + 600)
        => good_until(NOW + 600);
    revoked_by_the_issuer: |it| it.single().status = revoked() => Err(OcspError::Revoked);
    unknown_by_the_issuer: |it| it.single().status = unknown() => Err(OcspError::Unknown);
    a_status_there_is_none: |it| it.single().status = tlv(0x83, &[]) => Err(OcspError::Malformed);
    a_good_with_something_in_it: |it| it.single().status = tlv(0x80, &[0]) => Err(OcspError::Malformed);
    another_serial: |it| it.single().serial.push(1) => Err(OcspError::OtherCertificate);
    the_key_of_another_issuer: |it| it.single().issuer_key[0] ^= 1 => Err(OcspError::OtherCertificate);
    the_name_of_another_issuer: |it| it.single().issuer_name[0] ^= 1 => Err(OcspError::OtherCertificate);
    a_certificate_named_by_another_hash: |it| {
        it.single().algorithm = vec![0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
    } => Err(OcspError::OtherCertificate);
    a_certificate_named_by_sha1_without_parameters: |it| it.single().algorithm.truncate(7) => good_until(NOW + KEPT);
    nothing_about_anybody: |it| it.singles.clear() => Err(OcspError::OtherCertificate);
    the_same_said_twice: |it| it.singles.push(it.singles[0].clone()) => Err(OcspError::Ambiguous);
    good_and_revoked_at_once: |it| {
        it.singles.push(it.singles[0].clone());
        it.single().status = revoked();
    } => Err(OcspError::Ambiguous);
    another_certificate_beside_ours: |it| {
        it.singles.push(it.singles[0].clone());
        it.single().serial.push(1);
        it.single().status = revoked();
    } => good_until(NOW + KEPT);
    from_the_last_second_of_the_leeway: |it| it.single().this_update = NOW + 60 => good_until(NOW + KEPT);
    from_the_future: |it| it.single().this_update = NOW + 61 => Err(OcspError::Early);
    ended_within_the_leeway: |it| it.single().next_update = Some(NOW - 60) => good_until(NOW - 60);
    stale: |it| it.single().next_update = Some(NOW - 61) => Err(OcspError::Stale);
    ended_before_it_began: |it| it.single().next_update = Some(NOW - 3601) => Err(OcspError::Stale);
    without_a_next_update_it_is_not_kept: |it| it.single().next_update = None => good_until(NOW);
    without_a_next_update_it_cannot_be_repeated_for_long: |it| {
        it.single().next_update = None;
        it.single().this_update = NOW - KEPT - 1;
    } => Err(OcspError::Stale);
    a_verdict_that_is_stale_is_none: |it| {
        it.single().status = revoked();
        it.single().next_update = Some(NOW - 61);
    } => Err(OcspError::Stale);
    a_time_with_a_fraction: |it| {
        it.single().extensions = tlv(0xa0, &tlv(0x18, b"20270115080000.5Z"));
        it.single().next_update = None;
    } => Err(OcspError::Malformed);
    fields_out_of_order: |it| {
        it.single().extensions = [extensions(false), tlv(0xa0, &tlv(0x18, b"20270115080000Z"))].concat();
        it.single().next_update = None;
    } => Err(OcspError::Malformed);
    a_field_twice: |it| {
        it.single().extensions = tlv(0xa0, &tlv(0x18, b"20270115080000Z"));
    } => Err(OcspError::Malformed);
    a_critical_extension: |it| it.extensions = extensions(true) => Err(OcspError::Critical);
    a_critical_extension_of_a_single_response: |it| it.single().extensions = extensions(true)
        => Err(OcspError::Critical);
    extensions_that_are_not_critical: |it| {
        it.extensions = extensions(false);
        it.single().extensions = extensions(false);
    } => good_until(NOW + KEPT);
    version_one_spelt_out: |it| it.version = vec![0xa0, 3, 2, 1, 0] => good_until(NOW + KEPT);
    version_two: |it| it.version = vec![0xa0, 3, 2, 1, 1] => Err(OcspError::Malformed);
    another_type_of_response: |it| it.kind = vec![0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02]
        => Err(OcspError::ResponseType);
    a_responder_of_another_name: |it| it.responder = tlv(0xa1, &sequence(&[])) => Err(OcspError::ResponderUnknown);
    a_responder_of_another_key: |it| it.responder = tlv(0xa2, &tlv(0x04, &[7; 20])) => Err(OcspError::ResponderUnknown);
    a_responder_of_no_kind: |it| it.responder = tlv(0xa3, &sequence(&[])) => Err(OcspError::Malformed);
    signed_with_sha1: |it| it.algorithm = Some(tlv(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01]))
        => Err(OcspError::Algorithm);
    signed_with_another_hash_than_it_says: |it| {
        it.algorithm = Some(tlv(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));
    } => Err(OcspError::Signature);
    said_to_be_rsa_below_a_key_on_a_curve: |it| {
        let rsa = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00];
        it.algorithm = Some(rsa.to_vec());
    } => Err(OcspError::Algorithm);
}

#[test]
fn the_intermediates_answer_for_the_intermediate() {
    let pki = pki(|_| {});
    let [_, intermediate] = asked(&pki);
    let reply = Reply::about(&pki.chain[1], &pki.chain[2]).signed_by(&pki.root_key);
    assert_eq!(judge(&intermediate, &reply, from_unix(NOW)), good_until(NOW + KEPT));
}

#[test]
fn the_intermediates_answer_for_the_leaf() {
    let pki = pki(|_| {});
    let reply = Reply::about(&pki.chain[1], &pki.chain[2]).signed_by(&pki.root_key);
    assert_eq!(judged(&pki, &reply), Err(OcspError::OtherCertificate));
}

#[test]
fn a_responder_that_did_not_succeed() {
    let pki = pki(|_| {});
    for (status, expected) in [
        (1, OcspError::MalformedRequest),
        (2, OcspError::InternalError),
        (3, OcspError::TryLater),
        (4, OcspError::Malformed),
        (5, OcspError::SignatureRequired),
        (6, OcspError::Unauthorized),
        (7, OcspError::Malformed),
        // Without what a success must bring.
        (0, OcspError::Malformed),
    ] {
        assert_eq!(judged(&pki, &sequence(&[&tlv(0x0a, &[status])])), Err(expected), "{status}");
    }
}

#[test]
fn what_is_no_answer_at_all() {
    let pki = pki(|_| {});
    let answer = Reply::about_leaf(&pki).signed_by(&pki.intermediate_key);
    let page = b"<!doctype html><title>Sign in to the hotel's network</title>".as_slice();
    let bare = sequence(&[&tlv(0x0a, &[0]), &tlv(0xa0, &sequence(&[&tlv(0x06, BASIC), &tlv(0x04, &[])]))]);
    for wrong in [b"".as_slice(), page, &[0x30], &[0x30, 0x80, 0, 0], &answer[1..], &bare] {
        assert_eq!(judged(&pki, wrong), Err(OcspError::Malformed));
    }
    assert_eq!(judged(&pki, &[answer.as_slice(), &[0]].concat()), Err(OcspError::Malformed), "a byte behind it");
    assert_eq!(judged(&pki, &b"0".repeat(MAX_BYTES + 1)), Err(OcspError::TooLong));
    let nested: Vec<u8> = [0x30, 0x80].into_iter().cycle().take(MAX_BYTES).collect();
    assert_eq!(judged(&pki, &nested), Err(OcspError::Malformed));
}

#[test]
fn no_part_of_an_answer_is_an_answer() {
    let pki = pki(|_| {});
    let answer = Reply::about_leaf(&pki).signed_by(&pki.intermediate_key);
    let [leaf, _] = asked(&pki);
    for length in 0..answer.len() {
        assert_eq!(judge(&leaf, &answer[..length], from_unix(NOW)), Err(OcspError::Malformed), "{length}");
    }
}

#[test]
fn no_changed_bit_makes_another_answer() {
    let pki = pki(|_| {});
    let [leaf, _] = asked(&pki);
    let mut reply = Reply::about_leaf(&pki);
    for status in [reply.single().status.clone(), revoked()] {
        reply.single().status = status;
        let answer = reply.signed_by(&pki.intermediate_key);
        for at in 0..answer.len() {
            let mut changed = answer.clone();
            changed[at] ^= 1 << (at % 8);
            let found = judge(&leaf, &changed, from_unix(NOW));
            assert!(found.is_err_and(|error| !error.is_revoked()), "byte {at}: {found:?}");
        }
    }
}

/// AuthorityInfoAccess with these methods (48.1 is OCSP, 48.2 the issuer's certificate) and addresses.
fn access(places: &[(u8, &str)]) -> CustomExtension {
    let places: Vec<u8> = places
        .iter()
        .flat_map(|(method, url)| {
            let method = tlv(0x06, &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, *method]);
            sequence(&[&method, &tlv(0x86, url.as_bytes())])
        })
        .collect();
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], tlv(0x30, &places))
}

fn address_of(places: &'static [(u8, &str)]) -> Option<String> {
    let pki = pki(|spec| spec.leaf.custom_extensions.push(access(places)));
    let [leaf, intermediate] = asked(&pki);
    assert_eq!(intermediate.url(), None);
    leaf.url().map(str::to_owned)
}

#[test]
fn the_address_is_the_certificates_first_of_a_responder_over_http() {
    let of = |url| Some(String::from(url));
    assert_eq!(address_of(&[(1, "http://ocsp.test/a"), (1, "http://ocsp.test/b")]), of("http://ocsp.test/a"));
    let mixed = &[(2, "http://ca.test/ca.cer"), (1, "ldap://ocsp.test"), (1, "HTTPS://ocsp.test/x")];
    assert_eq!(address_of(mixed), of("HTTPS://ocsp.test/x"));
    assert_eq!(address_of(&[(1, "file:///etc/hosts"), (1, "http://two words"), (1, "http:/")]), None);
    assert_eq!(address_of(&[(2, "http://ca.test/ca.cer")]), None);
}

#[test]
fn each_certificate_is_asked_about_with_a_request_that_never_changes() {
    let pki = pki(|_| {});
    let [leaf, intermediate] = asked(&pki);
    assert_eq!((leaf.subject(), intermediate.subject()), (Subject::Leaf, Subject::Intermediate));
    assert_ne!(leaf.der(), intermediate.der());
    assert_eq!(asked(&pki), [leaf, intermediate]);
}

#[test]
fn a_chain_of_another_root_is_not_asked_about() {
    let (ours, theirs) = (pki(|_| {}), pki(|_| {}));
    let chain = Chain::verify(&ours.root(), ours.chain.clone()).unwrap();
    assert_eq!(requests(&chain, &theirs.root()), Err(OcspError::Chain));
    assert_eq!(chain.key().hex().len(), 64);
}

#[test]
fn every_error_has_a_name_of_its_own_and_one_is_a_verdict() {
    let mut names: Vec<&str> = OcspError::ALL.iter().map(|error| error.as_str()).collect();
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), OcspError::ALL.len());
    assert_eq!(OcspError::ALL.iter().filter(|error| error.is_revoked()).count(), 1);
}
