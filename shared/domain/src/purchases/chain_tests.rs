use proptest::prelude::*;

use super::*;
use crate::entitlements::{best, granted};

const NOW: i64 = 1_800_000_000;
const ORIGINAL: &str = "2000000000000001";

fn catalogue() -> Catalogue {
    Catalogue::parse(
        r#"{"sync": {"add_on": "sync", "kind": "subscription"}, "sync.plus": {"add_on": "sync", "kind": "subscription"},
            "ai": {"add_on": "ai", "kind": "subscription"}, "thanks": {"add_on": "supporter", "kind": "one_time"},
            "pass": {"add_on": "ai", "kind": "one_time", "days": 30}}"#,
    )
    .unwrap()
}

/// A period of 30 days of `product` that began `day` days ago.
fn period(id: &str, product: &str, day: i64) -> Snapshot {
    let from = NOW - day * DAY;
    Snapshot {
        signed_at: from * 1_000,
        revoked_at: None,
        expires_at: Some(from + 30 * DAY),
        upgraded: false,
        transaction_id: id.to_owned(),
        product_id: product.to_owned(),
        kind: Kind::AutoRenewable,
        purchased_at: from * 1_000,
        trial: false,
        account_token: None,
    }
}

fn renews(signed_second: i64) -> RenewalSnapshot {
    RenewalSnapshot {
        signed_at: signed_second * 1_000,
        will_renew: true,
        retrying: false,
        grace_until: None,
        intent: None,
        next_product: Some("sync".to_owned()),
    }
}

fn chain(snapshots: &[Snapshot], renewal: Option<RenewalSnapshot>) -> Chain {
    let mut chain = Chain::default();
    for snapshot in snapshots {
        chain.learn(snapshot.clone());
    }
    renewal.map(|renewal| chain.learn_renewal(renewal));
    chain
}

fn source(chain: &Chain, add_on: AddOn) -> Option<Source> {
    chain.sources(ORIGINAL, "production", &catalogue(), 7_200).remove(&add_on)
}

fn state(chain: &Chain, add_on: AddOn, now: i64) -> (Status, bool) {
    let source = source(chain, add_on).unwrap();
    let entitlement = best(add_on, [&source], now).unwrap();
    (entitlement.status, entitlement.is_active)
}

#[test]
fn a_subscription_is_active_until_its_end_and_a_little_longer_where_it_renews() {
    let alone = chain(&[period("1", "sync", 0)], None);
    let end = NOW + 30 * DAY;
    assert_eq!(state(&alone, AddOn::Sync, end - 1), (Status::Active, true));
    assert_eq!(state(&alone, AddOn::Sync, end), (Status::Expired, false));
    let renewing = chain(&[period("1", "sync", 0)], Some(renews(NOW)));
    assert_eq!(state(&renewing, AddOn::Sync, end + 7_199), (Status::Active, true));
    assert_eq!(state(&renewing, AddOn::Sync, end + 7_200), (Status::Expired, false));
}

#[test]
fn a_refund_of_an_old_period_leaves_the_new_one_alone() {
    // Facts 2.8: a REFUND came for a transaction that had ended three days before, beside an active one.
    let mut refunded = period("1", "sync", 33);
    (refunded.revoked_at, refunded.signed_at) = (Some(NOW), NOW * 1_000);
    let both = chain(&[period("2", "sync", 3), refunded.clone()], Some(renews(NOW)));
    assert_eq!(state(&both, AddOn::Sync, NOW), (Status::Active, true));
    assert_eq!(source(&both, AddOn::Sync).unwrap().transaction_id, "2");
    // It always takes back its own.
    assert_eq!(state(&chain(&[refunded], None), AddOn::Sync, NOW), (Status::Revoked, false));
}

#[test]
fn a_refund_of_the_current_period_and_its_reversal() {
    let mut refunded = period("2", "sync", 3);
    (refunded.revoked_at, refunded.signed_at) = (Some(NOW), NOW * 1_000);
    let mut known = chain(&[period("1", "sync", 33), period("2", "sync", 3), refunded], None);
    // The first period stood until its own end; the second one is gone.
    assert!(!state(&known, AddOn::Sync, NOW).1);
    let mut reversed = period("2", "sync", 3);
    reversed.signed_at = (NOW + 60) * 1_000;
    assert!(known.learn(reversed.clone()));
    assert!(!known.learn(reversed));
    assert_eq!(state(&known, AddOn::Sync, NOW + 60), (Status::Active, true));
}

#[test]
fn a_line_names_who_bought_last_whatever_is_signed_last() {
    let of = |snapshot: Snapshot, token: &str| Snapshot { account_token: Some(token.to_owned()), ..snapshot };
    let mut refunded = of(period("1", "sync", 90), "ada");
    (refunded.revoked_at, refunded.signed_at) = (Some(NOW), NOW * 1_000);
    let known = chain(&[of(period("2", "sync", 3), "ben"), refunded], None);
    assert_eq!(known.account_token(), Some("ben"));
    // A renewal that names nobody leaves the name.
    let known = chain(&[of(period("2", "sync", 33), "ben"), period("3", "sync", 3)], None);
    assert_eq!(known.account_token(), Some("ben"));
}

#[test]
fn the_end_is_told_where_apple_tells_it() {
    let end = NOW + 30 * DAY;
    let cancelled = |signed| RenewalSnapshot { will_renew: false, intent: Some(1), ..renews(signed) };
    let status = |renewal| source(&chain(&[period("1", "sync", 0)], renewal), AddOn::Sync).unwrap().status;
    assert_eq!(status(Some(cancelled(end - 1))), Status::Active);
    assert_eq!(status(Some(cancelled(end))), Status::Expired);
    // A renewal is expected: within the slack it stays.
    assert_eq!(status(Some(renews(end + 1))), Status::Active);
    let seen_again = Snapshot { signed_at: (end + 9) * 1_000, ..period("1", "sync", 0) };
    assert_eq!(source(&chain(&[seen_again], None), AddOn::Sync).unwrap().status, Status::Expired);
}

#[test]
fn a_refund_of_the_current_period_is_told_though_an_older_one_ran_to_its_end() {
    let refunded = Snapshot { revoked_at: Some(NOW), signed_at: NOW * 1_000, ..period("2", "sync", 3) };
    let known = chain(&[period("1", "sync", 33), refunded], Some(renews(NOW - 3 * DAY)));
    assert_eq!(state(&known, AddOn::Sync, NOW), (Status::Revoked, false));
    assert!(!source(&known, AddOn::Sync).unwrap().will_renew);
}

#[test]
fn at_equal_dates_a_revocation_wins_then_the_later_expiry() {
    let plain = period("1", "sync", 3);
    let revoked = Snapshot { revoked_at: Some(NOW), ..plain.clone() };
    let longer = Snapshot { expires_at: plain.expires_at.map(|at| at + DAY), ..plain.clone() };
    for (one, other, wins) in [(&plain, &revoked, &revoked), (&plain, &longer, &longer), (&longer, &revoked, &revoked)]
    {
        for pair in [[one, other], [other, one]] {
            assert_eq!(chain(&pair.map(Clone::clone), None).transactions["1"], *wins);
        }
    }
}

#[test]
fn an_upgrade_ends_the_old_product_and_another_add_on_is_another_source() {
    let mut old = period("1", "sync", 3);
    (old.upgraded, old.signed_at) = (true, NOW * 1_000);
    let known = chain(&[old, period("2", "ai", 0)], Some(renews(NOW)));
    assert_eq!(state(&known, AddOn::Sync, NOW), (Status::Expired, false));
    assert_eq!(state(&known, AddOn::Ai, NOW), (Status::Active, true));
    // It renews as `sync`, a downgrade to come: so `ai` does not renew.
    assert!(!source(&known, AddOn::Ai).unwrap().will_renew);
    let same =
        chain(&[Snapshot { upgraded: true, ..period("1", "sync", 3) }, period("2", "sync.plus", 0)], Some(renews(NOW)));
    assert_eq!(source(&same, AddOn::Sync).unwrap().product_id, "sync.plus");
    assert!(source(&same, AddOn::Sync).unwrap().will_renew);
}

#[test]
fn an_upgrade_that_is_refunded_does_not_bring_the_old_product_back() {
    // The old transaction's snapshot with `isUpgraded` is no notification's: only the later purchase tells of it.
    let refunded = Snapshot { revoked_at: Some(NOW), signed_at: NOW * 1_000, ..period("2", "sync.plus", 3) };
    for old in [Some(period("1", "sync", 5)), None] {
        let known = chain(&old.into_iter().chain([refunded.clone()]).collect::<Vec<_>>(), None);
        assert_eq!(state(&known, AddOn::Sync, NOW), (Status::Revoked, false));
        assert_eq!(source(&known, AddOn::Sync).unwrap().transaction_id, "2");
    }
    // Renewed a day ahead, then upgraded: the upgrade counts, though the renewal's period begins later.
    let ahead = Snapshot { purchased_at: (NOW + DAY) * 1_000, ..period("2", "sync", -1) };
    let upgrade = period("3", "sync.plus", 0);
    let known = chain(&[period("1", "sync", 29), ahead, upgrade], None);
    assert_eq!(source(&known, AddOn::Sync).unwrap().transaction_id, "3");
    assert_eq!(state(&known, AddOn::Sync, NOW + 29 * DAY), (Status::Active, true));
    // A renewal that was charged a little early replaces nothing.
    let renewed = Snapshot { purchased_at: (NOW + 30 * DAY - 33) * 1_000, ..period("2", "sync", -30) };
    let known = chain(&[period("1", "sync", 0), Snapshot { revoked_at: Some(NOW + 30 * DAY), ..renewed }], None);
    assert_eq!(state(&known, AddOn::Sync, NOW + 29 * DAY), (Status::Active, true));
}

#[test]
fn a_failed_renewal_is_grace_or_hold_and_recovers() {
    let end = NOW + 30 * DAY;
    let retrying = |grace_until| RenewalSnapshot { retrying: true, grace_until, ..renews(end) };
    let grace = chain(&[period("1", "sync", 0)], Some(retrying(Some(end + 16 * DAY))));
    assert_eq!(state(&grace, AddOn::Sync, end + DAY), (Status::Grace, true));
    assert_eq!(state(&grace, AddOn::Sync, end + 16 * DAY), (Status::Expired, false));
    let hold = chain(&[period("1", "sync", 0)], Some(retrying(None)));
    assert_eq!(state(&hold, AddOn::Sync, end + 1), (Status::Hold, false));
    // Told again after the grace period's end, it is on hold.
    let after = RenewalSnapshot { signed_at: (end + 17 * DAY) * 1_000, ..retrying(Some(end + 16 * DAY)) };
    assert_eq!(
        state(&chain(&[period("1", "sync", 0)], Some(after)), AddOn::Sync, end + 18 * DAY),
        (Status::Hold, false)
    );
    // Recovered: the failure speaks of the period before, though no newer renewal info came.
    let recovered = chain(&[period("1", "sync", 0), period("2", "sync", -35)], Some(retrying(None)));
    assert_eq!(state(&recovered, AddOn::Sync, end + 6 * DAY), (Status::Active, true));
    assert!(!source(&recovered, AddOn::Sync).unwrap().will_renew);
}

#[test]
fn a_trouble_with_the_next_period_does_not_end_the_paid_one() {
    let early = RenewalSnapshot { retrying: true, ..renews(NOW + DAY) };
    assert_eq!(
        state(&chain(&[period("1", "sync", 0)], Some(early)), AddOn::Sync, NOW + 2 * DAY),
        (Status::Active, true)
    );
}

#[test]
fn what_is_bought_once_is_owned_and_a_pass_ends() {
    let once = |product: &str, kind| Snapshot { expires_at: None, kind, ..period("9", product, 3) };
    let thanks = chain(&[once("thanks", Kind::Once)], None);
    assert_eq!(state(&thanks, AddOn::Supporter, NOW + 9_000 * DAY), (Status::Owned, true));
    let pass = chain(&[once("pass", Kind::NonRenewing)], None);
    assert_eq!(state(&pass, AddOn::Ai, NOW + 26 * DAY), (Status::Active, true));
    assert_eq!(state(&pass, AddOn::Ai, NOW + 27 * DAY), (Status::Expired, false));
    // A kind that is new to us gives nothing for good.
    assert_eq!(source(&chain(&[once("thanks", Kind::Unknown)], None), AddOn::Supporter), None);
    assert_eq!(source(&chain(&[once("sync", Kind::AutoRenewable)], None), AddOn::Sync), None);
}

#[test]
fn an_unknown_product_gives_nothing() {
    assert!(
        chain(&[period("1", "not.ours.sync", 0)], None).sources(ORIGINAL, "production", &catalogue(), 0).is_empty()
    );
}

fn snapshots() -> impl Strategy<Value = Snapshot> {
    let product = prop::sample::select(vec!["sync", "sync.plus", "ai", "thanks", "other"]);
    (0..4_u8, product, 0..90_i64, 0..4_i64, any::<bool>(), prop::bool::weighted(0.2), 0..3_i64).prop_map(
        |(id, product, day, signed, revoked, upgraded, longer)| {
            let mut snapshot = period(&id.to_string(), product, day);
            snapshot.signed_at += signed * 1_000;
            snapshot.revoked_at = (revoked && day > 45).then_some(NOW - day * DAY + 60);
            snapshot.upgraded = upgraded;
            snapshot.expires_at = snapshot.expires_at.map(|at| at + longer);
            snapshot
        },
    )
}

fn renewals() -> impl Strategy<Value = RenewalSnapshot> {
    (0..90_i64, any::<bool>(), any::<bool>(), prop::option::of(0..20_i64)).prop_map(
        |(day, will_renew, retrying, grace)| {
            let signed = NOW - day * DAY;
            let grace_until = grace.map(|days| signed + days * DAY);
            RenewalSnapshot { will_renew, retrying, grace_until, ..renews(signed) }
        },
    )
}

proptest! {
    #[test]
    fn any_order_and_any_number_of_duplicates_end_the_same(
        said in prop::collection::vec(snapshots(), 0..12),
        renewed in prop::collection::vec(renewals(), 0..4),
        shuffle in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
    ) {
        let mut first = Chain::default();
        said.iter().for_each(|it| { first.learn(it.clone()); });
        renewed.iter().for_each(|it| { first.learn_renewal(it.clone()); });
        let mut other = Chain::default();
        // Some at random, then all backwards: another order, with duplicates.
        for index in shuffle.iter().filter(|_| !said.is_empty()) {
            other.learn(index.get(&said).clone());
        }
        said.iter().rev().for_each(|it| { other.learn(it.clone()); });
        renewed.iter().rev().for_each(|it| { other.learn_renewal(it.clone()); });
        prop_assert_eq!(&first, &other);
        // Learning again teaches nothing.
        for it in &said {
            prop_assert!(!first.learn(it.clone()));
        }
        let slack = 7_200;
        prop_assert_eq!(
            first.sources(ORIGINAL, "production", &catalogue(), slack),
            other.sources(ORIGINAL, "production", &catalogue(), slack)
        );
    }

    #[test]
    fn a_period_that_still_stands_is_never_cut_off_by_another(said in prop::collection::vec(snapshots(), 0..12)) {
        let known = chain(&said, None);
        let replaced = |it: &Snapshot| known.transactions.values().any(|other| {
            other.comes_after(it) && other.purchased_at / 1_000 + 3_600 < it.expires_at.unwrap()
        });
        let standing = known.transactions.values().any(|it| {
            catalogue().add_on(&it.product_id) == Some(AddOn::Sync)
                && it.revoked_at.is_none() && !it.upgraded && !replaced(it) && it.expires_at.is_some_and(|end| end > NOW)
        });
        let gives = source(&known, AddOn::Sync).is_some_and(|it| best(AddOn::Sync, [&it], NOW).unwrap().is_active);
        prop_assert_eq!(standing, gives);
    }
}

#[test]
fn a_grant_beside_a_purchase_is_its_own_source() {
    let purchase = source(&chain(&[period("1", "sync", 40)], None), AddOn::Sync).unwrap();
    let grant = granted(AddOn::Sync, "grt_1", None, NOW);
    assert!(best(AddOn::Sync, [&purchase, &grant], NOW).unwrap().is_active);
}
