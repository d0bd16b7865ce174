//! Who may sign the answers of OCSP: the issuer, and whom it appointed itself.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose,
};

use super::super::ocsp::{Good, KEPT, OcspError};
use super::ocsp::{good_until, judged};
use super::pki::{Pki, from, named, pki, until};
use super::responder::{Appointed, Reply, appointed, by_key, by_name, revoked, sequence, tlv};
use super::*;

#[test]
fn good_by_the_issuers_key() {
    let pki = pki(|_| {});
    let mut reply = Reply::about_leaf(&pki);
    reply.responder = by_key(&pki.chain[1]);
    assert_eq!(judged(&pki, &reply.signed_by(&pki.intermediate_key)), good_until(NOW + KEPT));
}

#[test]
fn good_by_an_issuer_that_sends_its_own_certificate_along() {
    let pki = pki(|_| {});
    let mut reply = Reply::about_leaf(&pki);
    reply.certificates = vec![pki.chain[1].clone()];
    assert_eq!(judged(&pki, &reply.signed_by(&pki.intermediate_key)), good_until(NOW + KEPT));
}

#[test]
fn the_roots_word_about_the_leaf() {
    let pki = pki(|_| {});
    let mut reply = Reply::about_leaf(&pki);
    reply.responder = by_name(&pki.chain[2]);
    reply.certificates = vec![pki.chain[2].clone()];
    assert_eq!(judged(&pki, &reply.signed_by(&pki.root_key)), Err(OcspError::ResponderPurpose));
}

/// A stranger with a PKI of the same names says this of the leaf.
fn strangers(status: Option<Vec<u8>>, change: impl FnOnce(&mut Reply, &Pki)) -> Result<Good, OcspError> {
    let (ours, theirs) = (pki(|_| {}), pki(|_| {}));
    let mut reply = Reply::about_leaf(&ours);
    if let Some(status) = status {
        reply.single().status = status;
    }
    change(&mut reply, &theirs);
    judged(&ours, &reply.signed_by(&theirs.intermediate_key))
}

#[test]
fn a_foreign_signer_of_the_same_name() {
    assert_eq!(strangers(None, |_, _| {}), Err(OcspError::Signature));
}

#[test]
fn a_foreign_signer_that_sends_its_certificate_along() {
    let change = |reply: &mut Reply, theirs: &Pki| reply.certificates = vec![theirs.chain[1].clone()];
    assert_eq!(strangers(None, change), Err(OcspError::ResponderPurpose));
}

#[test]
fn a_stranger_cannot_revoke() {
    let verdict = strangers(Some(revoked()), |_, _| {}).unwrap_err();
    assert!(verdict == OcspError::Signature && !verdict.is_revoked());
}

fn by_the_intermediate(pki: &Pki, change: impl FnOnce(&mut CertificateParams)) -> Appointed {
    appointed(&Issuer::from_params(&pki.spec.intermediate, &pki.intermediate_key), change)
}

/// What `responder` says of the leaf, in its own name and with its certificate.
fn said_by(pki: &Pki, responder: &Appointed) -> Result<Good, OcspError> {
    let mut reply = Reply::about_leaf(pki);
    reply.responder = by_name(&responder.der);
    reply.certificates = vec![responder.der.clone()];
    judged(pki, &reply.signed_by(&responder.key))
}

/// Signed by a responder that the issuer appoints, but for what the test changes of its certificate.
macro_rules! responders {
    ($($name:ident: $change:expr => $expected:expr;)*) => {$(
        #[test]
        fn $name() {
            let pki = pki(|_| {});
            let change: fn(&mut CertificateParams) = $change;
            assert_eq!(said_by(&pki, &by_the_intermediate(&pki, change)), $expected);
        }
    )*};
}

responders! {
    good_by_an_appointed_responder: |_| {} => good_until(NOW + KEPT);
    a_responder_in_its_last_second: |it| until(it, NOW) => good_until(NOW + KEPT);
    a_responder_that_expired: |it| until(it, NOW - 1) => Err(OcspError::ResponderTime);
    a_responder_to_come: |it| from(it, NOW + 1) => Err(OcspError::ResponderTime);
    a_responder_without_extended_key_usage: |it| it.extended_key_usages.clear() => Err(OcspError::ResponderPurpose);
    a_responder_for_servers: |it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]
        => Err(OcspError::ResponderPurpose);
    a_responder_for_anything: |it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]
        => Err(OcspError::ResponderPurpose);
    a_responder_for_servers_too: |it| it.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth)
        => good_until(NOW + KEPT);
    a_responder_without_key_usage: |it| it.key_usages.clear() => good_until(NOW + KEPT);
    a_responder_that_may_not_sign_data: |it| it.key_usages = vec![KeyUsagePurpose::KeyEncipherment]
        => Err(OcspError::ResponderPurpose);
    a_responder_that_is_a_ca: |it| it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)
        => Err(OcspError::ResponderCertificate);
    a_responder_with_a_critical_extension: |it| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        extension.set_criticality(true);
        it.custom_extensions.push(extension);
    } => Err(OcspError::ResponderCertificate);
}

#[test]
fn good_by_an_appointed_responders_key_among_other_certificates() {
    let pki = pki(|_| {});
    let (responder, other) = (by_the_intermediate(&pki, |_| {}), by_the_intermediate(&pki, |_| {}));
    let mut reply = Reply::about_leaf(&pki);
    reply.responder = by_key(&responder.der);
    reply.certificates = vec![pki.chain[1].clone(), other.der, responder.der.clone(), pki.chain[2].clone()];
    assert_eq!(judged(&pki, &reply.signed_by(&responder.key)), good_until(NOW + KEPT));
}

#[test]
fn a_responder_whose_key_changed_is_found_among_those_of_its_name() {
    let pki = pki(|_| {});
    let (responder, former) = (by_the_intermediate(&pki, |_| {}), by_the_intermediate(&pki, |_| {}));
    let mut reply = Reply::about_leaf(&pki);
    reply.responder = by_name(&responder.der);
    reply.certificates = vec![former.der, responder.der.clone()];
    assert_eq!(judged(&pki, &reply.signed_by(&responder.key)), good_until(NOW + KEPT));
}

#[test]
fn a_responder_that_the_root_appointed_has_no_say_on_the_leaf() {
    let pki = pki(|_| {});
    let by_root = appointed(&Issuer::from_params(&pki.spec.root, &pki.root_key), |_| {});
    assert_eq!(said_by(&pki, &by_root), Err(OcspError::ResponderIssuer));
}

#[test]
fn a_responder_appointed_by_somebody_of_the_issuers_name() {
    let (ours, theirs) = (pki(|_| {}), pki(|_| {}));
    assert_eq!(said_by(&ours, &by_the_intermediate(&theirs, |_| {})), Err(OcspError::ResponderIssuer));
}

#[test]
fn a_responder_that_appointed_itself() {
    let pki = pki(|_| {});
    let mut responder = by_the_intermediate(&pki, |_| {});
    let mut params = named("Test Intermediate", 2026, 2028);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
    responder.der = params.self_signed(&responder.key).unwrap().der().to_vec();
    assert_eq!(said_by(&pki, &responder), Err(OcspError::ResponderIssuer));
}

#[test]
fn the_leaf_as_a_responder() {
    let pki = pki(|_| {});
    let mut reply = Reply::about_leaf(&pki);
    reply.responder = by_name(&pki.chain[0]);
    reply.certificates = vec![pki.chain[0].clone()];
    assert_eq!(judged(&pki, &reply.signed_by(&pki.leaf_key)), Err(OcspError::ResponderPurpose));
}

#[test]
fn a_responder_whose_certificate_is_not_sent_along() {
    let pki = pki(|_| {});
    let responder = by_the_intermediate(&pki, |_| {});
    let mut reply = Reply::about_leaf(&pki);
    reply.responder = by_name(&responder.der);
    assert_eq!(judged(&pki, &reply.signed_by(&responder.key)), Err(OcspError::ResponderUnknown));
}

#[test]
fn a_responders_certificate_with_a_changed_signature() {
    let pki = pki(|_| {});
    let mut responder = by_the_intermediate(&pki, |_| {});
    *responder.der.last_mut().unwrap() ^= 1;
    assert_eq!(said_by(&pki, &responder), Err(OcspError::ResponderIssuer));
}

#[test]
fn certificates_that_are_none() {
    let pki = pki(|_| {});
    let responder = by_the_intermediate(&pki, |_| {});
    let mut reply = Reply::about_leaf(&pki);
    reply.responder = by_name(&responder.der);
    reply.certificates = vec![sequence(&[&responder.der])];
    assert_eq!(judged(&pki, &reply.signed_by(&responder.key)), Err(OcspError::ResponderCertificate));
    reply.certificates.push(responder.der.clone());
    assert_eq!(judged(&pki, &reply.signed_by(&responder.key)), good_until(NOW + KEPT), "beside the right one");
    reply.certificates.push(tlv(0x05, &[]));
    assert_eq!(judged(&pki, &reply.signed_by(&responder.key)), Err(OcspError::Malformed));
}

#[test]
fn an_appointed_responder_that_somebody_else_signed_for() {
    let pki = pki(|_| {});
    let (responder, other) = (by_the_intermediate(&pki, |_| {}), by_the_intermediate(&pki, |_| {}));
    let mut reply = Reply::about_leaf(&pki);
    reply.responder = by_key(&responder.der);
    reply.certificates = vec![responder.der, other.der];
    assert_eq!(judged(&pki, &reply.signed_by(&other.key)), Err(OcspError::Signature));
}
