//! Every attack of the design against a PKI that each test makes for itself, and what is valid beside it.

mod certificates;
mod header;
mod ocsp;
mod ocsp_signers;
mod openssl;
mod payloads;
mod pki;
mod responder;
mod times;

use super::*;
use crate::time::from_unix;
use pki::Pki;

/// 2027-01-15T08:00:00Z; the leaf of [`pki::pki`] is valid from 2026-01-01 to 2028-01-01.
const NOW: i64 = 1_800_000_000;
const BUNDLE: &str = "app.satchel";
const APP_ID: u64 = 1_234_567_890;

fn webhook() -> Source {
    Source::Webhook { now: from_unix(NOW) }
}

fn production() -> App {
    App::new(BUNDLE, Environment::Production { app_apple_id: APP_ID })
}

fn verifier(pki: &Pki) -> Verifier {
    Verifier::new(pki.root(), production())
}

/// Why `text` is refused as a transaction that came to the webhook.
fn refusal(pki: &Pki, text: &str) -> Reason {
    let refused = verifier(pki).transaction(text, webhook(), &[]).unwrap_err();
    assert_eq!(refused.part, Part::Outer);
    refused.reason
}

/// Fixes the type of a closure in a table.
fn forged(pki: &Pki, forge: impl FnOnce(&Pki) -> String) -> String {
    forge(pki)
}

#[test]
fn every_reason_has_a_name_of_its_own_in_snake_case() {
    let mut names: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Reason::ALL.len());
}

#[test]
fn what_apple_signed_and_we_do_not_understand_is_kept_for_us_to_look_at() {
    let everywhere =
        ["payload_not_json", "signed_date", "kind", "payload_shape", "notification_body", "app_id"].as_slice();
    for reason in Reason::ALL {
        for part in [Part::Outer, Part::Transaction, Part::Renewal] {
            let inside = part != Part::Outer && reason.as_str() == "original_transaction";
            let wanted = inside || everywhere.contains(&reason.as_str());
            assert_eq!(Refused { part, reason: *reason }.is_unread(), wanted, "{} {reason:?}", part.as_str());
        }
        assert!(!(reason.may_pass_later() && Refused::from(*reason).is_unread()), "{reason:?}");
    }
}

#[test]
fn a_refusal_says_the_part_and_the_reason_and_nothing_of_the_text() {
    let refused = Refused { part: Part::Renewal, reason: Reason::OriginalTransaction };
    assert_eq!(refused.to_string(), "renewal: original_transaction");
    assert!(Reason::SignedAhead.may_pass_later() && !Reason::Signature.may_pass_later());
}
