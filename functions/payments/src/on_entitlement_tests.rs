use satchel_domain::entitlements::{Platform, Source, Status, granted, revoked};

use super::*;

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

fn user() -> UserId {
    "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap()
}

/// A subscription that the App Store spoke of a day ago, paid for a month, to be renewed.
fn bought() -> Source {
    Source {
        platform: Platform::Ios,
        will_renew: true,
        product_id: "app.satchel.sync.monthly".to_owned(),
        ..granted(AddOn::Sync, "2000000000000001", Some(NOW + 29 * DAY), NOW - DAY)
    }
}

fn row(version: u64, sources: &[(&str, &Source)]) -> Option<AddOnRow> {
    let sources = sources.iter().map(|(name, source)| ((*name).to_owned(), (*source).clone())).collect();
    Some(AddOnRow { add_on: AddOn::Sync, version, sources })
}

fn told(old: Option<AddOnRow>, new: Option<AddOnRow>) -> Option<PaymentUpdated> {
    super::told(user(), old, new, Timestamp::from_second(NOW).unwrap())
}

fn status(entitlement: Option<&Entitlement>) -> Option<(Status, bool)> {
    entitlement.map(|it| (it.status, it.is_active))
}

#[test]
fn the_first_purchase_is_told_without_a_before() {
    let event = told(None, row(1, &[("ios#1", &bought())])).unwrap();
    assert_eq!((event.version, event.at, &event.user_id, event.add_on_type), (1, NOW, &user(), AddOn::Sync));
    assert_eq!(status(event.entitlement.as_ref()), Some((Status::Active, true)));
    assert_eq!(event.previous, None);
}

#[test]
fn a_store_that_repeats_itself_is_no_news() {
    let again = Source { updated_at: NOW, ..bought() };
    assert!(told(row(1, &[("ios#1", &bought())]), row(2, &[("ios#1", &again)])).is_none());
}

#[test]
fn each_thing_that_a_client_sees_is_told() {
    let before = bought();
    for after in [
        Source { expires_at: Some(NOW + 60 * DAY), ..before.clone() },
        Source { will_renew: false, ..before.clone() },
        Source { status: Status::Hold, ..before.clone() },
        Source { is_trial: true, ..before.clone() },
        Source { product_id: "app.satchel.sync.yearly".to_owned(), ..before.clone() },
        Source { platform: Platform::Android, ..before.clone() },
        revoked(before.clone(), NOW),
    ] {
        assert!(told(row(1, &[("ios#1", &before)]), row(2, &[("ios#1", &after)])).is_some(), "{after:?}");
    }
}

#[test]
fn what_another_source_hides_is_not_told() {
    let (owned, second) = (Source { status: Status::Owned, expires_at: None, ..bought() }, bought());
    let ended = revoked(second.clone(), NOW);
    let before = row(1, &[("android#a", &owned), ("ios#1", &second)]);
    assert!(told(before, row(2, &[("android#a", &owned), ("ios#1", &ended)])).is_none());
}

#[test]
fn an_end_that_time_had_brought_is_told_with_the_stores_word_of_it() {
    let cancelled = Source { will_renew: false, expires_at: Some(NOW - 300), ..bought() };
    let over = Source { status: Status::Expired, updated_at: NOW - 10, ..cancelled.clone() };
    let event = told(row(4, &[("ios#1", &cancelled)]), row(5, &[("ios#1", &over)])).unwrap();
    assert_eq!(status(event.previous.as_ref()), Some((Status::Active, true)));
    assert_eq!(status(event.entitlement.as_ref()), Some((Status::Expired, false)));
    // And once: the next word of it is no news.
    let again = Source { updated_at: NOW, ..over.clone() };
    assert!(told(row(5, &[("ios#1", &over)]), row(6, &[("ios#1", &again)])).is_none());
}

#[test]
fn a_purchase_that_moved_away_leaves_nothing() {
    let event = told(row(1, &[("ios#1", &bought())]), row(2, &[])).unwrap();
    assert_eq!((event.version, event.entitlement), (2, None));
    assert_eq!(status(event.previous.as_ref()), Some((Status::Active, true)));
}

#[test]
fn an_erased_account_has_no_add_on() {
    let event = told(row(7, &[("ios#1", &bought())]), None).unwrap();
    assert_eq!((event.version, event.entitlement), (8, None));
    assert!(told(None, None).is_none());
    assert!(told(row(7, &[]), None).is_none());
}

#[test]
fn a_record_that_comes_again_makes_the_same_id_and_another_change_another() {
    let event = |version| told(None, row(version, &[("ios#1", &bought())])).unwrap().id;
    assert_eq!(event(1), event(1));
    assert_ne!(event(1), event(2));
    assert!(event(1).parse::<EventId>().is_ok() && !event(1).contains('.'));
    let ai = told(None, row(1, &[("ios#1", &bought())]).map(|row| AddOnRow { add_on: AddOn::Ai, ..row })).unwrap();
    assert_ne!(event(1), ai.id);
}
