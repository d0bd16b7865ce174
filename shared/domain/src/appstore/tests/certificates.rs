//! Certificates and the path from leaf to root.

use rcgen::{
    BasicConstraints, CustomExtension, DnType, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType,
};

use super::pki::{INTERMEDIATE_MARKER, LEAF_MARKER, Spec, from, marker, named, pki, spec, transaction, until};
use super::*;

/// A PKI that is valid but for what the test changes.
macro_rules! refuses {
    ($($name:ident: $reason:ident, $change:expr;)*) => {$(
        #[test]
        fn $name() {
            let change: fn(&mut Spec) = $change;
            let pki = pki(change);
            assert_eq!(refusal(&pki, &pki.sign(&transaction())), Reason::$reason);
        }
    )*};
}

fn critical() -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    extension.set_criticality(true);
    extension
}

/// So many extensions that mean nothing, each another one.
fn extensions(count: u64) -> impl Iterator<Item = CustomExtension> {
    (0..count).map(|number| CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 3, number], vec![5, 0]))
}

refuses! {
    a_leaf_without_the_marker: LeafMarker, |spec| spec.leaf.custom_extensions.clear();
    a_leaf_with_the_marker_of_an_intermediate: LeafMarker, |spec| {
        spec.leaf.custom_extensions = vec![marker(INTERMEDIATE_MARKER)];
    };
    a_leaf_with_a_marker_beside_apples: LeafMarker, |spec| {
        spec.leaf.custom_extensions = vec![marker(&[1, 2, 840, 113635, 100, 6, 11, 2])];
    };
    a_leaf_that_is_a_ca: LeafIsCa, |spec| spec.leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    a_leaf_without_key_usage: LeafKeyUsage, |spec| spec.leaf.key_usages.clear();
    a_leaf_for_encryption_alone: LeafKeyUsage, |spec| spec.leaf.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    a_leaf_that_may_sign_certificates: LeafKeyUsage, |spec| spec.leaf.key_usages.push(KeyUsagePurpose::KeyCertSign);
    a_leaf_with_a_path_length: LeafPathLength, |spec| {
        spec.leaf.is_ca = IsCa::NoCa;
        let constraints = CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![0x30, 3, 2, 1, 0]);
        spec.leaf.custom_extensions.push(constraints);
    };
    a_leaf_on_p384: LeafKey, |spec| spec.leaf_key = &PKCS_ECDSA_P384_SHA384;
    a_leaf_on_ed25519: LeafKey, |spec| spec.leaf_key = &PKCS_ED25519;
    a_leaf_with_an_unknown_critical_extension: CertificateCritical, |spec| spec.leaf.custom_extensions.push(critical());
    a_leaf_with_its_marker_twice: CertificateDuplicate, |spec| spec.leaf.custom_extensions.push(marker(LEAF_MARKER));
    an_intermediate_without_the_marker: IntermediateMarker, |spec| spec.intermediate.custom_extensions.clear();
    an_intermediate_with_the_marker_of_a_leaf: IntermediateMarker, |spec| {
        spec.intermediate.custom_extensions = vec![marker(LEAF_MARKER)];
    };
    an_intermediate_that_is_no_ca: IntermediateNotCa, |spec| spec.intermediate.is_ca = IsCa::ExplicitNoCa;
    an_intermediate_without_constraints: IntermediateNotCa, |spec| spec.intermediate.is_ca = IsCa::NoCa;
    an_intermediate_that_may_not_sign_certificates: IntermediateKeyUsage, |spec| {
        spec.intermediate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    };
    an_intermediate_without_key_usage: IntermediateKeyUsage, |spec| spec.intermediate.key_usages.clear();
    an_intermediate_with_an_unknown_critical_extension: CertificateCritical, |spec| {
        spec.intermediate.custom_extensions.push(critical());
    };
    an_intermediate_on_ed25519: PathAlgorithm, |spec| spec.intermediate_key = &PKCS_ED25519;
    a_root_that_allows_no_intermediate: PathLength, |spec| {
        spec.root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    };
    a_leaf_outside_the_names_its_issuer_may_use: PathInvalid, |spec| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("apple.test".to_owned())];
        spec.intermediate.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
        spec.leaf.subject_alt_names = vec![SanType::DnsName("other.test".try_into().unwrap())];
    };
    a_leaf_with_200_extensions: CertificateMalformed, |spec| spec.leaf.custom_extensions.extend(extensions(200));
    an_intermediate_with_200_extensions: CertificateMalformed, |spec| {
        spec.intermediate.custom_extensions.extend(extensions(200));
    };
    a_leaf_of_more_than_8_kib: CertificateMalformed, |spec| {
        let long = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 2], vec![4; 8 * 1024]);
        spec.leaf.custom_extensions.push(long);
    };
    certificates_that_are_never_valid_at_once: PathInvalid, |spec| {
        from(&mut spec.leaf, NOW);
        until(&mut spec.intermediate, NOW - 1);
    };
    a_leaf_by_the_root_itself: PathShortcut, |spec| spec.leaf_by_root = true;
}

/// What a valid chain becomes when `change` is done to certificate `at`.
fn damaged(at: usize, change: impl FnOnce(&mut Vec<u8>)) -> Reason {
    let pki = pki(|_| {});
    let mut chain = pki.chain.clone();
    change(&mut chain[at]);
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    refusal(&pki, &pki.with_chain(&chain))
}

#[test]
fn a_byte_behind_the_leaf() {
    assert_eq!(damaged(0, |der| der.push(0)), Reason::CertificateTrailing);
}

#[test]
fn a_byte_behind_the_intermediate() {
    assert_eq!(damaged(1, |der| der.push(0)), Reason::CertificateTrailing);
}

#[test]
fn a_byte_behind_the_root_that_is_not_even_used() {
    assert_eq!(damaged(2, |der| der.push(0)), Reason::CertificateTrailing);
}

#[test]
fn a_root_that_is_no_certificate_though_it_is_not_used() {
    assert_eq!(damaged(2, |der| *der = b"root".to_vec()), Reason::CertificateMalformed);
}

#[test]
fn an_empty_certificate() {
    assert_eq!(damaged(0, Vec::clear), Reason::CertificateMalformed);
}

#[test]
fn a_certificate_cut_short() {
    assert_eq!(damaged(0, |der| der.truncate(der.len() - 1)), Reason::CertificateMalformed);
}

#[test]
fn a_certificate_whose_length_has_a_leading_zero_is_not_der() {
    let change = |der: &mut Vec<u8>| {
        assert_eq!(der[1], 0x82);
        der[1] = 0x83;
        der.insert(2, 0);
    };
    assert_eq!(damaged(0, change), Reason::CertificateMalformed);
}

#[test]
fn a_leaf_whose_signature_was_changed() {
    let change = |der: &mut Vec<u8>| *der.last_mut().unwrap() ^= 1;
    assert_eq!(damaged(0, change), Reason::PathSignature);
}

#[test]
fn an_intermediate_whose_signature_was_changed() {
    let change = |der: &mut Vec<u8>| *der.last_mut().unwrap() ^= 1;
    assert_eq!(damaged(1, change), Reason::PathSignature);
}

#[test]
fn a_leaf_whose_name_was_changed() {
    let change = |der: &mut Vec<u8>| {
        let at = der.windows(9).position(|part| part == b"Test Leaf").unwrap();
        der[at] = b'B';
    };
    assert_eq!(damaged(0, change), Reason::PathSignature);
}

#[test]
fn a_pki_of_ones_own_with_the_same_names() {
    let (ours, theirs) = (pki(|_| {}), pki(|_| {}));
    assert_eq!(refusal(&ours, &theirs.sign(&transaction())), Reason::PathSignature);
}

#[test]
fn a_pki_of_ones_own_that_sends_the_true_root_along() {
    let (ours, theirs) = (pki(|_| {}), pki(|_| {}));
    let text = theirs.with_chain(&[&theirs.chain[0], &theirs.chain[1], &ours.chain[2]]);
    assert_eq!(refusal(&ours, &text), Reason::PathSignature);
}

#[test]
fn a_leaf_of_ones_own_below_the_true_intermediate() {
    let (ours, theirs) = (pki(|_| {}), pki(|_| {}));
    let text = theirs.with_chain(&[&theirs.chain[0], &ours.chain[1], &ours.chain[2]]);
    assert_eq!(refusal(&ours, &text), Reason::PathSignature);
}

#[test]
fn a_pki_of_ones_own_with_other_names() {
    let theirs = pki(|spec| spec.root.distinguished_name.push(DnType::CommonName, "Another Root"));
    assert_eq!(refusal(&pki(|_| {}), &theirs.sign(&transaction())), Reason::PathUnknownIssuer);
}

#[test]
fn a_pki_of_ones_own_against_apples_root() {
    let theirs = pki(|spec| spec.root.distinguished_name.push(DnType::CommonName, "Apple Root CA - G3"));
    let verifier = Verifier::new(Root::apple().unwrap(), production());
    let refused = verifier.transaction(&theirs.sign(&transaction()), webhook(), &[]).unwrap_err();
    assert_eq!(refused.reason, Reason::PathUnknownIssuer);
}

#[test]
fn a_leaf_used_as_a_ca() {
    let ours = pki(|_| {});
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let by_leaf = Issuer::from_params(&ours.spec.leaf, &ours.leaf_key);
    let evil = spec().leaf.signed_by(&key, &by_leaf).unwrap();
    let text = ours.with_chain(&[evil.der(), &ours.chain[0], &ours.chain[1]]);
    assert_eq!(refusal(&ours, &text), Reason::IntermediateMarker);
}

#[test]
fn another_developers_certificate_of_the_same_intermediate() {
    let ours = pki(|_| {});
    let mut developer = named("Some Developer", 2026, 2028);
    developer.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let by_intermediate = Issuer::from_params(&ours.spec.intermediate, &ours.intermediate_key);
    let theirs = developer.signed_by(&ours.leaf_key, &by_intermediate).unwrap();
    let text = ours.with_chain(&[theirs.der(), &ours.chain[1], &ours.chain[2]]);
    assert_eq!(refusal(&ours, &text), Reason::LeafMarker);
}

#[test]
fn a_ca_below_the_intermediate_that_allows_none() {
    let ours = pki(|_| {});
    let by_intermediate = Issuer::from_params(&ours.spec.intermediate, &ours.intermediate_key);
    let (spec, key) = (spec(), KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
    let mut params = spec.intermediate;
    params.distinguished_name.push(DnType::CommonName, "Below");
    let below = params.signed_by(&key, &by_intermediate).unwrap();
    let leaf = spec.leaf.signed_by(&ours.leaf_key, &Issuer::from_params(&params, &key)).unwrap();
    let text = ours.with_chain(&[leaf.der(), below.der(), &ours.chain[1]]);
    assert_eq!(refusal(&ours, &text), Reason::PathUnknownIssuer);
}

#[test]
fn a_chain_turned_round() {
    let ours = pki(|_| {});
    let text = ours.with_chain(&[&ours.chain[2], &ours.chain[1], &ours.chain[0]]);
    assert_eq!(refusal(&ours, &text), Reason::LeafMarker);
}

#[test]
fn the_leaf_twice() {
    let ours = pki(|_| {});
    let text = ours.with_chain(&[&ours.chain[0], &ours.chain[0], &ours.chain[2]]);
    assert_eq!(refusal(&ours, &text), Reason::IntermediateMarker);
}

#[test]
fn another_certificate_of_the_roots_key_in_the_third_place_is_accepted() {
    let ours = pki(|_| {});
    let twin = named("Test Root", 2015, 2040).self_signed(&ours.root_key).unwrap();
    let text = ours.with_chain(&[&ours.chain[0], &ours.chain[1], twin.der()]);
    verifier(&ours).transaction(&text, webhook(), &[]).unwrap();
}

#[test]
fn an_intermediate_on_p256_without_a_path_length_is_accepted() {
    let ours = pki(|spec| {
        spec.intermediate_key = &PKCS_ECDSA_P256_SHA256;
        spec.intermediate.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    verifier(&ours).transaction(&ours.sign(&transaction()), webhook(), &[]).unwrap();
}

#[test]
fn extensions_that_mean_nothing_are_accepted_within_bounds() {
    let ours = pki(|spec| spec.leaf.custom_extensions.extend(extensions(20)));
    verifier(&ours).transaction(&ours.sign(&transaction()), webhook(), &[]).unwrap();
}

#[test]
fn a_leaf_without_constraints_is_accepted() {
    let ours = pki(|spec| spec.leaf.is_ca = IsCa::NoCa);
    verifier(&ours).transaction(&ours.sign(&transaction()), webhook(), &[]).unwrap();
}

#[test]
fn only_a_cas_certificate_can_be_pinned() {
    let ours = pki(|_| {});
    let [leaf, _, mut root] = ours.chain.clone();
    assert_eq!(Root::from_der(leaf).unwrap_err(), Reason::RootInvalid);
    root.push(0);
    assert_eq!(Root::from_der(root).unwrap_err(), Reason::RootInvalid);
    assert_eq!(Root::from_der(Vec::new()).unwrap_err(), Reason::RootInvalid);
}

/// The fingerprint as facts 2.1, 3 give it.
#[test]
fn the_embedded_root_is_apple_root_ca_g3() {
    let published = "63:34:3A:BF:B8:9A:6A:03:EB:B5:7E:9B:3F:5F:A7:BE:7C:4F:5C:75:6F:30:17:B3:A8:C4:88:C3:65:3E:91:79";
    let found: Vec<String> = Root::apple().unwrap().fingerprint().iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(found.join(":"), published);
}
