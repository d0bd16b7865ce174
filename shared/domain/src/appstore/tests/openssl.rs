//! Requests and answers that OpenSSL 3.0 wrote, so that not only our own tests agree with our own reader: a chain with
//! the markers and addresses of responders, `openssl ocsp -no_nonce -reqout`, and
//! `openssl ocsp -reqin … -index … -rsigner … -ndays 1 -respout`, on 2026-11-21 at 17:55:42.
//!
//! | answer | signed by |
//! | --- | --- |
//! | `leaf-good` | an appointed responder by name, RSA 2048 with SHA-256 |
//! | `leaf-revoked` | an appointed responder by key, P-256 with SHA-256 |
//! | `leaf-unknown` | the same by name |
//! | `intermediate-good` | the root itself, P-384 with SHA-384 |

use super::super::ocsp::{Good, KEPT, OcspError, Request, judge, requests};
use super::*;

const ROOT: &[u8] = include_bytes!("openssl/root.crt.der");
const INTERMEDIATE: &[u8] = include_bytes!("openssl/intermediate.crt.der");
const LEAF: &[u8] = include_bytes!("openssl/leaf.crt.der");
const LEAF_GOOD: &[u8] = include_bytes!("openssl/leaf-good.resp.der");
const LEAF_REVOKED: &[u8] = include_bytes!("openssl/leaf-revoked.resp.der");
const LEAF_UNKNOWN: &[u8] = include_bytes!("openssl/leaf-unknown.resp.der");
const INTERMEDIATE_GOOD: &[u8] = include_bytes!("openssl/intermediate-good.resp.der");
/// Signed with the leaf's key for the tests of `satchel-payments`, at [`LATER`].
const TRANSACTION: &str = include_str!("openssl/transaction.jws");
/// 2026-11-21T18:00:00Z, four minutes after.
const LATER: i64 = 1_795_284_000;
/// The answers' nextUpdate.
const NEXT: i64 = 1_795_370_142;

fn asked() -> [Request; 2] {
    let root = Root::from_der(ROOT.to_vec()).unwrap();
    let sent = [LEAF.to_vec(), INTERMEDIATE.to_vec(), ROOT.to_vec()];
    let chain = Chain::verify(&root, sent).unwrap();
    requests(&chain, &root).unwrap()
}

#[test]
fn our_requests_are_openssls_to_the_byte() {
    let [leaf, intermediate] = asked();
    assert_eq!(leaf.der(), include_bytes!("openssl/leaf.req.der"));
    assert_eq!(intermediate.der(), include_bytes!("openssl/intermediate.req.der"));
    assert_eq!(leaf.url(), Some("http://ocsp.test/intermediate"));
    assert_eq!(intermediate.url(), Some("http://ocsp.test/root"));
}

#[test]
fn openssls_answers_are_read() {
    let [leaf, intermediate] = asked();
    let at = from_unix(LATER);
    assert_eq!(judge(&leaf, LEAF_GOOD, at), Ok(Good { until: LATER + KEPT }));
    assert_eq!(judge(&intermediate, INTERMEDIATE_GOOD, at), Ok(Good { until: LATER + KEPT }));
    assert_eq!(judge(&leaf, LEAF_REVOKED, at), Err(OcspError::Revoked));
    assert_eq!(judge(&leaf, LEAF_UNKNOWN, at), Err(OcspError::Unknown));
    assert_eq!(judge(&intermediate, LEAF_GOOD, at), Err(OcspError::OtherCertificate));
}

#[test]
fn openssls_answers_end_with_their_next_update() {
    let [leaf, _] = asked();
    assert_eq!(judge(&leaf, LEAF_GOOD, from_unix(NEXT - 1)), Ok(Good { until: NEXT }));
    assert_eq!(judge(&leaf, LEAF_GOOD, from_unix(NEXT + 61)), Err(OcspError::Stale));
    assert_eq!(judge(&leaf, LEAF_REVOKED, from_unix(NEXT + 61)), Err(OcspError::Stale));
}

#[test]
fn the_transaction_beside_them_is_believed() {
    let root = Root::from_der(ROOT.to_vec()).unwrap();
    let at = Source::Webhook { now: from_unix(LATER) };
    let found = Verifier::new(root, production()).transaction(TRANSACTION.trim_end(), at, &[]).unwrap();
    assert_eq!(found.chains[0].leaf(), LEAF);
}
