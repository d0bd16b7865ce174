//! When certificates are judged, and chains that were verified before.

use serde_json::json;

use super::pki::{Spec, from, notification, pki, transaction, until, with};
use super::*;

const WEEK: i64 = 7 * 86_400;

fn signed_at(pki: &Pki, second: i64) -> String {
    pki.sign(&with(transaction(), "signedDate", json!(second * 1000)))
}

/// What becomes of a text signed at `second` with a PKI that `change` changed.
fn outcome(change: impl FnOnce(&mut Spec), source: Source, second: i64) -> Result<(), Reason> {
    let pki = pki(change);
    let found = verifier(&pki).transaction(&signed_at(&pki, second), source, &[]);
    found.map(|_| ()).map_err(|refused| refused.reason)
}

fn leaf_until(second: i64) -> impl FnOnce(&mut Spec) {
    move |spec| until(&mut spec.leaf, second)
}

fn leaf_from(second: i64) -> impl FnOnce(&mut Spec) {
    move |spec| from(&mut spec.leaf, second)
}

macro_rules! judged {
    ($($name:ident: $change:expr, $source:expr, signed $second:expr => $expected:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(outcome($change, $source, $second), $expected);
        }
    )*};
}

judged! {
    a_webhook_in_the_leafs_last_second: leaf_until(NOW), webhook(), signed NOW => Ok(());
    a_webhook_within_the_leeway_past_the_leafs_end: leaf_until(NOW - 60), webhook(), signed NOW => Ok(());
    a_webhook_past_the_leeway: leaf_until(NOW - 61), webhook(), signed NOW => Err(Reason::CertificateExpired);
    a_webhook_repeated_past_the_leafs_end: leaf_until(NOW - 3600), webhook(), signed NOW - 3601 => Ok(());
    a_webhook_repeated_to_the_end_of_the_span: leaf_until(NOW - 3600), webhook(), signed NOW - WEEK => Ok(());
    a_webhook_repeated_past_the_span: leaf_until(NOW - 3600), webhook(), signed NOW - WEEK - 1 => Err(Reason::SignedLongAgo);
    a_webhook_signed_after_the_leafs_end: leaf_until(NOW - 3600), webhook(), signed NOW - 3599 => Err(Reason::CertificateExpired);
    an_old_webhook_by_a_leaf_that_is_valid_now: |_: &mut Spec| {}, webhook(), signed NOW - 4 * WEEK => Ok(());
    a_webhook_in_the_leafs_first_second: leaf_from(NOW), webhook(), signed NOW => Ok(());
    a_webhook_within_the_leeway_before_the_leafs_begin: leaf_from(NOW + 60), webhook(), signed NOW => Ok(());
    a_webhook_before_the_leafs_begin: leaf_from(NOW + 61), webhook(), signed NOW => Err(Reason::CertificateEarly);
    a_webhook_dated_ahead_into_the_leafs_time: leaf_from(NOW + 61), webhook(), signed NOW + 62 => Err(Reason::SignedAhead);
    a_webhook_with_an_intermediate_that_ended: |spec: &mut Spec| until(&mut spec.intermediate, NOW - 61), webhook(),
        signed NOW => Err(Reason::CertificateExpired);
    a_webhook_with_a_root_that_ended: |spec: &mut Spec| until(&mut spec.root, NOW - 61), webhook(),
        signed NOW => Err(Reason::CertificateExpired);
    an_answer_of_the_api_signed_by_a_leaf_long_ended: leaf_until(NOW - 20 * WEEK), Source::Api,
        signed NOW - 20 * WEEK => Ok(());
    an_answer_of_the_api_signed_after_the_leafs_end: leaf_until(NOW - 1), Source::Api,
        signed NOW => Err(Reason::CertificateExpired);
    an_answer_of_the_api_signed_before_the_leafs_begin: leaf_from(NOW + 1), Source::Api,
        signed NOW => Err(Reason::CertificateEarly);
    an_apps_transaction_signed_by_a_leaf_long_ended: leaf_until(NOW - 20 * WEEK), Source::Device,
        signed NOW - 20 * WEEK => Ok(());
    an_apps_transaction_signed_after_the_leafs_end: leaf_until(NOW - 1), Source::Device,
        signed NOW => Err(Reason::CertificateExpired);
    an_apps_transaction_dated_before_the_leaf: leaf_from(NOW + 1), Source::Device,
        signed NOW - 1 => Err(Reason::CertificateEarly);
}

/// Each of these would be answered by "later" if the time were judged first.
#[test]
fn a_stranger_cannot_choose_a_refusal_that_may_pass() {
    const TOMORROW: i64 = NOW + 86_400;
    let genuine = pki(leaf_from(TOMORROW));
    let named = pki(|spec| {
        spec.root.distinguished_name.push(rcgen::DnType::CommonName, "Another Root");
        from(&mut spec.leaf, TOMORROW);
    });
    let alike = pki(leaf_from(TOMORROW));
    for second in [NOW, TOMORROW] {
        assert_eq!(refusal(&genuine, &signed_at(&named, second)), Reason::PathUnknownIssuer);
        assert_eq!(refusal(&genuine, &signed_at(&alike, second)), Reason::PathSignature);
        let (text, theirs) = (signed_at(&genuine, second), signed_at(&alike, second));
        let mixed = format!("{}.{}", text.rsplit_once('.').unwrap().0, theirs.rsplit_once('.').unwrap().1);
        assert_eq!(refusal(&genuine, &mixed), Reason::Signature);
    }
    assert_eq!(refusal(&genuine, &signed_at(&genuine, NOW)), Reason::CertificateEarly);
    assert_eq!(refusal(&genuine, &signed_at(&genuine, TOMORROW)), Reason::SignedAhead);
}

#[test]
fn a_known_chain_is_no_way_to_such_a_refusal_either() {
    let pki = pki(leaf_from(NOW + 86_400));
    let known = verifier(&pki).transaction(&signed_at(&pki, NOW + 86_400), Source::Api, &[]).unwrap().chains;
    let text = signed_at(&pki, NOW);
    let forged = format!("{}.{}", text.rsplit_once('.').unwrap().0, super::pki::url([1; 64]));
    let refused = |text: &str| verifier(&pki).transaction(text, webhook(), &known).unwrap_err().reason;
    assert_eq!((refused(&forged), refused(&text)), (Reason::Signature, Reason::CertificateEarly));
}

/// The wrong time of what strangers signed is nothing that is stored.
#[test]
fn what_is_not_rightly_signed_is_not_read_at_all() {
    let (ours, theirs) = (pki(|_| {}), pki(|_| {}));
    for payload in ["hello", "{}", r#"{"signedDate":"x"}"#] {
        assert_eq!(refusal(&ours, &theirs.raw(theirs.header().to_string(), payload)), Reason::PathSignature);
        let signature = super::pki::url(theirs.signature("x"));
        let text = ours.raw(ours.header().to_string(), payload);
        let text = format!("{}.{signature}", text.rsplit_once('.').unwrap().0);
        assert_eq!(refusal(&ours, &text), Reason::Signature);
    }
}

#[test]
fn a_transaction_inside_is_judged_by_its_own_date() {
    let pki = pki(leaf_until(NOW - 3600));
    let inner = signed_at(&pki, NOW - WEEK - 1);
    let outer =
        with(notification(&json!({ "signedTransactionInfo": inner })), "signedDate", json!((NOW - WEEK) * 1000));
    let refused = verifier(&pki).notification(&pki.sign(&outer), webhook(), &[]).unwrap_err();
    assert_eq!(refused, Refused { part: Part::Transaction, reason: Reason::SignedLongAgo });
}

#[test]
fn only_the_stores_own_answers_need_no_revocation_check() {
    assert!(webhook().needs_revocation_check() && Source::Device.needs_revocation_check());
    assert!(!Source::Api.needs_revocation_check());
}

#[test]
fn a_chain_that_is_known_is_used_again() {
    let pki = pki(|_| {});
    let first = verifier(&pki).transaction(&signed_at(&pki, NOW), webhook(), &[]).unwrap();
    let again = verifier(&pki).transaction(&signed_at(&pki, NOW), webhook(), &first.chains).unwrap();
    assert_eq!(again.chains, first.chains);
    assert_eq!((first.chains[0].leaf(), first.chains[0].intermediate()), (&*pki.chain[0], &*pki.chain[1]));
}

#[test]
fn a_chain_that_is_known_is_judged_at_its_new_time() {
    let pki = pki(|_| {});
    let known = verifier(&pki).transaction(&signed_at(&pki, NOW), webhook(), &[]).unwrap().chains;
    let ended = known[0].window().until + 61;
    let later = Source::Webhook { now: from_unix(ended) };
    let refused = verifier(&pki).transaction(&signed_at(&pki, ended), later, &known).unwrap_err();
    assert_eq!(refused.reason, Reason::CertificateExpired);
}

#[test]
fn a_chain_that_is_known_spares_no_signature() {
    let pki = pki(|_| {});
    let text = signed_at(&pki, NOW);
    let known = verifier(&pki).transaction(&text, webhook(), &[]).unwrap().chains;
    let (signed, _) = text.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", super::pki::url([1; 64]));
    let refused = verifier(&pki).transaction(&forged, webhook(), &known).unwrap_err();
    assert_eq!(refused.reason, Reason::Signature);
}

#[test]
fn a_chain_known_below_another_root_does_not_count() {
    let (ours, theirs) = (pki(|_| {}), pki(|_| {}));
    let text = signed_at(&theirs, NOW);
    let known = verifier(&theirs).transaction(&text, webhook(), &[]).unwrap().chains;
    let refused = verifier(&ours).transaction(&text, webhook(), &known).unwrap_err();
    assert_eq!(refused.reason, Reason::PathSignature);
}

#[test]
fn a_leaf_of_ones_own_is_not_hidden_by_a_known_chain() {
    let (ours, theirs) = (pki(|_| {}), pki(|_| {}));
    let known = verifier(&ours).transaction(&signed_at(&ours, NOW), webhook(), &[]).unwrap().chains;
    let text = theirs.with_chain(&[&theirs.chain[0], &ours.chain[1], &ours.chain[2]]);
    let refused = verifier(&ours).transaction(&text, webhook(), &known).unwrap_err();
    assert_eq!(refused.reason, Reason::PathSignature);
}
