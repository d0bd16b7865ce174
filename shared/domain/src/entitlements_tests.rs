//! Tests of the rules of add-ons.

use super::*;
use proptest::prelude::*;

fn source(status: Status, expires_at: Option<i64>) -> Source {
    Source { status, ..granted(AddOn::Sync, "grt_1", expires_at, 1_000) }
}

#[test]
fn a_grant_ends_at_its_second() {
    let grant = source(Status::Active, Some(2_000));
    assert_eq!(access([&grant], 1_999), Access::Active);
    assert_eq!(access([&grant], 2_000), Access::Lapsed { since: 2_000 });
    assert_eq!(best(AddOn::Sync, [&grant], 2_000).unwrap().status, Status::Expired);
}

#[test]
fn a_grant_without_end_lasts() {
    let grant = source(Status::Active, None);
    assert_eq!(access([&grant], i64::MAX - 1), Access::Active);
    assert_eq!(best(AddOn::Sync, [&grant], 5_000).unwrap().expires_at, None);
}

#[test]
fn a_renewing_purchase_has_slack_and_a_cancelled_one_has_none() {
    let mut purchase = source(Status::Active, Some(2_000));
    assert_eq!(access([&purchase], 2_001), Access::Lapsed { since: 2_000 });
    purchase.will_renew = true;
    assert_eq!(access([&purchase], 2_000 + RENEWAL_SLACK - 1), Access::Active);
    assert_eq!(access([&purchase], 2_000 + RENEWAL_SLACK), Access::Lapsed { since: 2_000 + RENEWAL_SLACK });
}

#[test]
fn a_grace_period_without_end_lasts_sixteen_days() {
    let purchase = source(Status::Grace, Some(2_000));
    let entitlement = best(AddOn::Sync, [&purchase], 2_000 + OPEN_GRACE - 1).unwrap();
    assert_eq!((entitlement.status, entitlement.grace_until), (Status::Grace, Some(2_000 + OPEN_GRACE)));
    assert_eq!(best(AddOn::Sync, [&purchase], 2_000 + OPEN_GRACE).unwrap().status, Status::Expired);
}

#[test]
fn a_pending_purchase_gave_nothing_yet() {
    assert_eq!(access([&source(Status::Pending, Some(9_000))], 5_000), Access::Never);
}

#[test]
fn a_revoked_grant_lapses_when_it_was_taken_back() {
    let grant = revoked(source(Status::Active, None), 4_000);
    assert_eq!(access([&grant], 5_000), Access::Lapsed { since: 4_000 });
    assert_eq!(revoked(grant.clone(), 4_500), grant, "taking back twice moved the moment");
    let ended = revoked(source(Status::Active, Some(2_000)), 4_000);
    assert_eq!(access([&ended], 5_000), Access::Lapsed { since: 2_000 });
}

#[test]
fn owned_outlasts_everything() {
    let owned = Source { transaction_id: "a".into(), ..source(Status::Owned, None) };
    let endless = Source { transaction_id: "b".into(), ..source(Status::Active, None) };
    assert_eq!(best(AddOn::Sync, [&owned, &endless], 5_000).unwrap().status, Status::Owned);
}

#[test]
fn the_read_only_grace_ends_after_its_last_second() {
    let lapsed = Access::Lapsed { since: 1_000 };
    assert!(lapsed.within(30, 1_030) && !lapsed.within(30, 1_031));
    assert!(!Access::Never.within(30, 0) && Access::Active.within(0, 0));
}

#[test]
fn the_store_account_token_is_the_ulid_as_a_uuid() {
    let user: UserId = "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    assert_eq!(store_account_token(&user).unwrap(), "01563e3a-b5d3-d676-4c61-efb99302bd5b");
    assert_eq!(store_account_token(&"usr_ada".parse().unwrap()), None);
}

fn statuses() -> impl Strategy<Value = Status> {
    use Status::*;
    prop::sample::select(vec![Pending, Active, Grace, Hold, Paused, Expired, Revoked, Owned])
}

fn any_source() -> impl Strategy<Value = Source> {
    let time = 0i64..10_000_000;
    (statuses(), prop::option::of(time.clone()), prop::option::of(time.clone()), any::<bool>(), time, "[a-z]{3}")
        .prop_map(|(status, expires_at, grace_until, will_renew, updated_at, id)| Source {
            status,
            expires_at,
            grace_until,
            will_renew,
            updated_at,
            transaction_id: id,
            ..granted(AddOn::Sync, "x", None, 0)
        })
}

proptest! {
    #[test]
    fn the_best_does_not_depend_on_the_order(mut sources in prop::collection::vec(any_source(), 1..6), now in 0i64..12_000_000) {
        let forward = best(AddOn::Sync, &sources, now).unwrap();
        sources.reverse();
        let backward = best(AddOn::Sync, &sources, now).unwrap();
        prop_assert_eq!((forward.status, forward.is_active), (backward.status, backward.is_active));
    }

    #[test]
    fn the_entitlement_is_active_exactly_when_access_is(sources in prop::collection::vec(any_source(), 0..6), now in 0i64..12_000_000) {
        let active = best(AddOn::Sync, &sources, now).is_some_and(|entitlement| entitlement.is_active);
        prop_assert_eq!(active, access(&sources, now) == Access::Active);
    }

    #[test]
    fn another_source_never_takes_access_away(sources in prop::collection::vec(any_source(), 1..6), more in any_source(), now in 0i64..12_000_000) {
        let before = access(&sources, now);
        let after = access(sources.iter().chain([&more]), now);
        if before == Access::Active {
            prop_assert_eq!(after, Access::Active);
        }
    }

    #[test]
    fn a_lapse_lies_in_the_past(sources in prop::collection::vec(any_source(), 1..6), now in 0i64..12_000_000) {
        if let Access::Lapsed { since } = access(&sources, now) {
            prop_assert!(since <= now);
        }
    }
}

#[test]
fn a_store_account_token_leads_back_to_its_account() {
    let user: UserId = "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
    let token = store_account_token(&user).unwrap();
    assert_eq!(account_of_store_token(&token), Some(user.clone()));
    assert_eq!(account_of_store_token(&token.to_uppercase()), Some(user));
    for foreign in [
        "",
        "x",
        &token.replace('-', ""),
        &format!("{token}0"),
        &token.replace('0', "g"),
        "+1563e3a-b5d3-d676-4c61-efb99302bd5b",
    ] {
        assert_eq!(account_of_store_token(foreign), None, "{foreign}");
    }
}

#[test]
fn a_hold_is_over_after_sixty_days() {
    let mut source = granted(AddOn::Sync, "1", Some(1_000), 0);
    source.status = Status::Hold;
    let status = |now| best(AddOn::Sync, [&source], now).unwrap().status;
    assert_eq!(status(1_000 + LONGEST_HOLD - 1), Status::Hold);
    assert_eq!(status(1_000 + LONGEST_HOLD), Status::Expired);
}
