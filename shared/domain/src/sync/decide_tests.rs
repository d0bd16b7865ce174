//! The decision table, cell by cell.

use super::clock::{MAX_COUNT, SERVER};
use super::decide::{Decision, Policy, Reason, Refusal, Side, Write, decide, decide_since};
use super::version::{Content, Form, Incoming, Rank, Seen, Stored};
use super::{Relation, VectorClock};

const NOW: i64 = 1_767_225_600;

fn clock(counts: &[(&str, u64)]) -> VectorClock {
    counts.iter().map(|(key, count)| (*key, *count)).collect()
}

fn incoming(content: Option<&str>, counts: &[(&str, u64)], author: &str, at: i64) -> Incoming {
    let content = content.map(Content::parse);
    Incoming {
        clock: clock(counts),
        hash: content.as_ref().map_or([0; 32], Content::hash),
        content,
        author: author.to_owned(),
        updated_at: at,
        seen: None,
    }
}

fn edit(text: &str, counts: &[(&str, u64)]) -> Incoming {
    incoming(Some(text), counts, "b", NOW)
}

fn delete(counts: &[(&str, u64)]) -> Incoming {
    incoming(None, counts, "b", NOW)
}

/// What the server has after a first push of `text` by the device `a`.
fn live(text: &str, counts: &[(&str, u64)], at: i64) -> Stored {
    stored(&incoming(Some(text), counts, "a", at))
}

fn tombstone(counts: &[(&str, u64)], at: i64) -> Stored {
    stored(&incoming(None, counts, "a", at))
}

fn stored(incoming: &Incoming) -> Stored {
    Stored {
        clock: incoming.clock.clone(),
        content_clock: incoming.clock.clone(),
        rank: incoming.rank(NOW),
        deleted: incoming.deletes(),
        hash: incoming.hash,
        form: incoming.form(),
        size: incoming.size(),
        written_by: incoming.author.clone(),
        seq: 100,
    }
}

fn decided(stored: Option<&Stored>, incoming: &Incoming) -> Decision {
    decide(stored, incoming, Policy::Merge, NOW)
}

fn written(stored: Option<&Stored>, incoming: &Incoming) -> Write {
    match decided(stored, incoming) {
        Decision::Write(write) => write,
        other => panic!("expected a write, not {other:?}"),
    }
}

#[test]
fn nothing_stored_an_edit_is_created() {
    let write = written(None, &edit("x", &[("b", 1)]));
    assert_eq!((write.content, write.deleted, write.conflict, write.history), (Side::Incoming, false, false, None));
    assert_eq!((write.clock, write.content_clock), (clock(&[("b", 1)]), clock(&[("b", 1)])));
}

#[test]
fn nothing_stored_a_delete_stores_a_tombstone() {
    let write = written(None, &delete(&[("b", 1)]));
    assert_eq!((write.deleted, write.clock, write.conflict), (true, clock(&[("b", 1)]), false));
}

#[test]
fn nothing_stored_an_edit_without_clock_gets_the_servers_first_count() {
    let write = written(None, &edit("x", &[]));
    assert_eq!((write.clock, write.content_clock), (clock(&[(SERVER, 1)]), clock(&[(SERVER, 1)])));
}

#[test]
fn nothing_stored_a_delete_without_clock_changes_nothing() {
    assert_eq!(decided(None, &delete(&[])), Decision::Unchanged);
}

#[test]
fn a_dominating_edit_replaces_and_its_ancestor_needs_no_history() {
    let write = written(Some(&live("x", &[("a", 1)], NOW)), &edit("y", &[("a", 1), ("b", 1)]));
    assert_eq!((write.content, write.conflict, write.history), (Side::Incoming, false, None));
    assert_eq!(write.clock, clock(&[("a", 1), ("b", 1)]));
}

#[test]
fn a_dominating_edit_of_the_same_content_still_moves_the_clock() {
    let write = written(Some(&live("x", &[("a", 1)], NOW)), &edit("x", &[("a", 2)]));
    assert_eq!((write.clock, write.history), (clock(&[("a", 2)]), None));
}

#[test]
fn a_dominating_edit_takes_the_higher_of_both_ranks() {
    let before = live("x", &[("a", 1)], NOW);
    let write = written(Some(&before), &incoming(Some("y"), &[("a", 2)], "a", NOW - 50));
    assert_eq!(write.rank, before.rank);
    let later = incoming(Some("y"), &[("a", 2)], "a", NOW + 50);
    assert_eq!(written(Some(&before), &later).rank, later.rank(NOW));
}

#[test]
fn a_dominating_edit_of_a_tombstone_lives_by_its_own_rank() {
    let dead = tombstone(&[("a", 2)], NOW);
    let back = incoming(Some("y"), &[("a", 3)], "a", NOW - 50);
    let write = written(Some(&dead), &back);
    assert_eq!((write.deleted, write.rank, write.history), (false, back.rank(NOW), None));
}

#[test]
fn a_dominating_delete_leaves_a_tombstone_and_what_it_deleted_in_history() {
    let write = written(Some(&live("x", &[("a", 1)], NOW)), &delete(&[("a", 1), ("b", 1)]));
    assert_eq!((write.deleted, write.conflict), (true, false));
    assert_eq!(write.history, Some((Side::Stored, Reason::Deleted)));
}

#[test]
fn a_dominating_delete_of_a_tombstone_moves_the_clock_alone() {
    let write = written(Some(&tombstone(&[("a", 1)], NOW)), &delete(&[("a", 1), ("b", 1)]));
    assert_eq!((write.deleted, write.history), (true, None));
}

#[test]
fn the_same_edit_again_is_unchanged() {
    assert_eq!(decided(Some(&live("x", &[("a", 1)], NOW)), &edit("x", &[("a", 1)])), Decision::Unchanged);
}

#[test]
fn the_same_delete_again_is_unchanged() {
    assert_eq!(decided(Some(&tombstone(&[("a", 1)], NOW)), &delete(&[("a", 1)])), Decision::Unchanged);
}

#[test]
fn an_equal_clock_with_other_content_is_a_cloned_device_and_its_content_is_kept() {
    let decision = decided(Some(&live("x", &[("a", 1)], NOW)), &edit("y", &[("a", 1)]));
    assert_eq!(decision, Decision::Keep { reason: Reason::ClockReuse });
}

#[test]
fn an_equal_clock_with_the_same_bytes_in_another_form_is_other_content() {
    let before = live("aGVsbG8=", &[("a", 1)], NOW);
    assert_eq!(before.form, Form::Base64);
    assert_eq!(decided(Some(&before), &edit("hello", &[("a", 1)])), Decision::Keep { reason: Reason::ClockReuse });
}

#[test]
fn an_equal_clock_that_edits_a_tombstone_is_kept_as_clock_reuse() {
    let decision = decided(Some(&tombstone(&[("a", 1)], NOW)), &edit("y", &[("a", 1)]));
    assert_eq!(decision, Decision::Keep { reason: Reason::ClockReuse });
}

#[test]
fn an_equal_clock_that_deletes_a_live_entry_is_clock_reuse_without_content() {
    assert_eq!(decided(Some(&live("x", &[("a", 1)], NOW)), &delete(&[("a", 1)])), Decision::ClockReuse);
}

#[test]
fn a_dominated_edit_of_the_same_content_is_the_repeat_of_a_lost_answer() {
    let before = live("x", &[("a", 1), ("b", 1)], NOW);
    assert_eq!(decided(Some(&before), &edit("x", &[("a", 1)])), Decision::Unchanged);
}

#[test]
fn a_dominated_delete_of_a_tombstone_is_unchanged() {
    assert_eq!(decided(Some(&tombstone(&[("a", 2)], NOW)), &delete(&[("a", 1)])), Decision::Unchanged);
}

#[test]
fn a_dominated_edit_is_stale() {
    let before = live("x", &[("a", 2)], NOW - 1_000);
    assert_eq!(decided(Some(&before), &edit("y", &[("a", 1)])), Decision::Stale);
    assert_eq!(decided(Some(&tombstone(&[("a", 2)], NOW - 1_000)), &edit("y", &[("a", 1)])), Decision::Stale);
}

#[test]
fn a_dominated_delete_is_stale() {
    assert_eq!(decided(Some(&live("x", &[("a", 2)], NOW)), &delete(&[("a", 1)])), Decision::Stale);
}

#[test]
fn of_concurrent_edits_the_later_wins_the_clocks_merge_and_the_loser_goes_to_history() {
    let before = live("x", &[("a", 5)], NOW - 10);
    let later = edit("y", &[("b", 3)]);
    let write = written(Some(&before), &later);
    assert_eq!((write.content, write.conflict), (Side::Incoming, true));
    assert_eq!((write.clock, write.content_clock), (clock(&[("a", 5), ("b", 3)]), clock(&[("b", 3)])));
    assert_eq!((write.rank, write.history), (later.rank(NOW), Some((Side::Stored, Reason::Lost))));
}

#[test]
fn of_concurrent_edits_the_earlier_loses_and_the_stored_one_lives_with_the_merged_clock() {
    let before = live("x", &[("a", 5)], NOW + 10);
    let write = written(Some(&before), &edit("y", &[("b", 3)]));
    assert_eq!((write.content, write.conflict), (Side::Stored, true));
    assert_eq!((write.clock, write.content_clock), (clock(&[("a", 5), ("b", 3)]), clock(&[("a", 5)])));
    assert_eq!((write.rank, write.history), (before.rank, Some((Side::Incoming, Reason::Lost))));
}

#[test]
fn concurrent_edits_of_the_same_content_leave_no_history() {
    let write = written(Some(&live("x", &[("a", 1)], NOW - 10)), &edit("x", &[("b", 1)]));
    assert_eq!((write.clock, write.history), (clock(&[("a", 1), ("b", 1)]), None));
}

#[test]
fn a_concurrent_edit_that_saw_the_stored_content_supersedes_it_whatever_its_time() {
    let mut before = live("x", &[("a", 1)], NOW);
    before.clock = clock(&[("a", 1), ("c", 1)]);
    let write = written(Some(&before), &incoming(Some("y"), &[("a", 2)], "a", NOW - 500));
    assert_eq!((write.content, write.clock), (Side::Incoming, clock(&[("a", 2), ("c", 1)])));
    assert_eq!(write.rank, before.rank, "it takes the higher of both ranks");
}

#[test]
fn equal_times_go_by_author_and_then_by_content() {
    let before = live("x", &[("a", 1)], NOW);
    assert_eq!(written(Some(&before), &incoming(Some("y"), &[("b", 1)], "b", NOW)).content, Side::Incoming);
    assert_eq!(written(Some(&before), &incoming(Some("y"), &[("b", 1)], "A", NOW)).content, Side::Stored);
    let (same, other) = (edit("x", &[("q", 1)]), edit("y", &[("r", 1)]));
    let one_way = written(Some(&stored(&same)), &other).content == Side::Incoming;
    let other_way = written(Some(&stored(&other)), &same).content == Side::Incoming;
    assert_ne!(one_way, other_way, "the same version wins in either order");
}

#[test]
fn a_clock_in_the_far_future_counts_for_five_minutes() {
    let before = live("x", &[("a", 1)], NOW + 1_000_000);
    assert_eq!(before.rank.at, NOW + 300);
    assert_eq!(written(Some(&before), &incoming(Some("y"), &[("b", 1)], "b", NOW + 2_000_000)).content, Side::Incoming);
}

#[test]
fn an_edit_against_a_concurrent_tombstone_lives_with_the_merged_clock() {
    let write = written(Some(&tombstone(&[("a", 2)], NOW + 100)), &incoming(Some("y"), &[("b", 1)], "b", NOW - 100));
    assert_eq!((write.content, write.deleted, write.conflict), (Side::Incoming, false, true));
    assert_eq!((write.clock, write.history), (clock(&[("a", 2), ("b", 1)]), None));
}

#[test]
fn a_delete_against_a_concurrent_edit_loses_and_the_edit_lives_with_the_merged_clock() {
    let before = live("x", &[("a", 2)], NOW - 100);
    let write = written(Some(&before), &delete(&[("b", 1)]));
    assert_eq!((write.content, write.deleted, write.conflict), (Side::Stored, false, true));
    assert_eq!((write.clock, write.history), (clock(&[("a", 2), ("b", 1)]), None));
}

#[test]
fn concurrent_deletes_are_one_tombstone_with_the_merged_clock_and_no_conflict() {
    for at in [NOW - 10, NOW + 10] {
        let write = written(Some(&tombstone(&[("a", 2)], at)), &delete(&[("b", 1)]));
        assert_eq!((write.deleted, write.conflict, write.history), (true, false, None));
        assert_eq!(write.clock, clock(&[("a", 2), ("b", 1)]));
    }
}

#[test]
fn without_clock_the_same_content_is_unchanged() {
    assert_eq!(decided(Some(&live("x", &[("a", 1)], NOW - 10)), &edit("x", &[])), Decision::Unchanged);
}

#[test]
fn without_clock_a_later_edit_wins_and_what_was_stored_goes_to_history() {
    let later = edit("y", &[]);
    let write = written(Some(&live("x", &[("a", 1), (SERVER, 2)], NOW - 10)), &later);
    let ticked = clock(&[("a", 1), (SERVER, 3)]);
    assert_eq!((write.content, write.clock, write.content_clock), (Side::Incoming, ticked.clone(), ticked));
    assert_eq!((write.rank, write.history), (later.rank(NOW), Some((Side::Stored, Reason::Lost))));
}

#[test]
fn without_clock_an_earlier_edit_is_only_kept_in_history() {
    let decision = decided(Some(&live("x", &[("a", 1)], NOW + 10)), &edit("y", &[]));
    assert_eq!(decision, Decision::Keep { reason: Reason::Lost });
}

#[test]
fn without_clock_an_edit_goes_by_rank_against_a_tombstone_too() {
    let write = written(Some(&tombstone(&[("a", 2)], NOW - 10)), &edit("y", &[]));
    assert_eq!((write.deleted, write.history), (false, None));
    assert_eq!(write.clock, clock(&[("a", 2), (SERVER, 1)]));
    let decision = decided(Some(&tombstone(&[("a", 2)], NOW + 10)), &edit("y", &[]));
    assert_eq!(decision, Decision::Keep { reason: Reason::Lost });
}

#[test]
fn without_clock_a_delete_deletes_what_is_stored_and_ticks_the_server() {
    let write = written(Some(&live("x", &[("a", 1)], NOW + 100)), &delete(&[]));
    assert_eq!((write.deleted, write.clock), (true, clock(&[("a", 1), (SERVER, 1)])));
    assert_eq!(write.history, Some((Side::Stored, Reason::Deleted)));
}

#[test]
fn without_clock_a_delete_of_a_tombstone_is_unchanged() {
    assert_eq!(decided(Some(&tombstone(&[("a", 1)], NOW)), &delete(&[])), Decision::Unchanged);
}

fn delete_seeing(position: Option<u64>, device: &str) -> Incoming {
    Incoming { seen: Some(Seen { position, device: device.to_owned() }), ..delete(&[]) }
}

#[test]
fn a_delete_that_had_not_seen_anothers_edit_loses_to_it() {
    let before = live("x", &[("a", 1)], NOW);
    assert_eq!(decided(Some(&before), &delete_seeing(Some(99), "b")), Decision::ServerStands);
}

#[test]
fn a_delete_that_had_seen_the_edit_or_made_it_or_says_nothing_deletes() {
    let before = live("x", &[("a", 1)], NOW);
    for seeing in [delete_seeing(Some(100), "b"), delete_seeing(Some(99), "a"), delete_seeing(None, "b")] {
        assert!(written(Some(&before), &seeing).deleted);
    }
}

#[test]
fn with_the_policy_reject_a_concurrent_write_writes_nothing() {
    let before = live("x", &[("a", 1)], NOW - 10);
    let dead = tombstone(&[("a", 1)], NOW - 10);
    for (stored, incoming) in [
        (&before, edit("y", &[("b", 1)])),
        (&before, delete(&[("b", 1)])),
        (&dead, edit("y", &[("b", 1)])),
        (&before, edit("y", &[])),
    ] {
        assert_eq!(decide(Some(stored), &incoming, Policy::Reject, NOW), Decision::ServerStands);
    }
}

#[test]
fn with_the_policy_reject_everything_else_is_as_ever() {
    let before = live("x", &[("a", 1)], NOW);
    for (stored, incoming) in [
        (None, edit("y", &[("b", 1)])),
        (Some(&before), edit("y", &[("a", 2)])),
        (Some(&before), edit("x", &[("a", 1)])),
        (Some(&before), edit("y", &[("a", 1)])),
        (Some(&tombstone(&[("a", 1)], NOW)), delete(&[("b", 1)])),
    ] {
        let merged = decide(stored, &incoming, Policy::Merge, NOW);
        assert_eq!(decide(stored, &incoming, Policy::Reject, NOW), merged);
    }
}

#[test]
fn a_clock_has_at_most_sixty_four_keys_besides_those_stored() {
    let many: Vec<String> = (0..65).map(|at| format!("k{at}")).collect();
    let counts: Vec<(&str, u64)> = many.iter().map(|key| (key.as_str(), 1)).collect();
    assert!(matches!(decided(None, &edit("x", &counts[..64])), Decision::Write(_)));
    assert_eq!(decided(None, &edit("x", &counts)), Decision::Invalid(Refusal::TooManyKeys));
    let before = live("x", &counts[..40], NOW);
    assert!(matches!(decided(Some(&before), &edit("y", &counts)), Decision::Write(_)));
}

#[test]
fn a_merge_past_two_hundred_and_fifty_six_keys_is_clock_full_and_the_servers_is_not_counted() {
    let many: Vec<String> = (0..257).map(|at| format!("k{at:03}")).collect();
    let counts: Vec<(&str, u64)> = many.iter().map(|key| (key.as_str(), 1)).collect();
    let full = live("x", &counts[..256], NOW - 10);
    assert_eq!(decided(Some(&full), &edit("y", &counts)), Decision::Invalid(Refusal::ClockFull));
    assert_eq!(decided(Some(&full), &edit("y", &counts[256..])), Decision::Invalid(Refusal::ClockFull));
    assert_eq!(written(Some(&full), &edit("y", &[])).clock.device_keys(), 256);
    let mut next = counts[..256].to_vec();
    next[0].1 = 2;
    assert!(matches!(decided(Some(&full), &edit("y", &next)), Decision::Write(_)));
}

#[test]
fn a_server_count_of_the_clients_is_lowered_to_the_stored_one() {
    let before = live("x", &[("a", 1), (SERVER, 2)], NOW);
    let write = written(Some(&before), &edit("y", &[("a", 2), (SERVER, 99)]));
    assert_eq!(write.clock, clock(&[("a", 2), (SERVER, 2)]));
    assert_eq!(written(None, &edit("y", &[("a", 2), (SERVER, 99)])).clock, clock(&[("a", 2)]));
    assert_eq!(written(None, &edit("y", &[(SERVER, MAX_COUNT)])).clock, clock(&[(SERVER, 1)]), "as without clock");
}

#[test]
fn ranks_compare_by_time_then_author_then_content() {
    let rank = |at, author: &str, hash| Rank { at, author: author.to_owned(), hash: [hash; 32], form: Form::Base64 };
    assert!(rank(2, "a", 0) > rank(1, "b", 9));
    assert!(rank(1, "b", 0) > rank(1, "a", 9));
    assert!(rank(1, "a", 1) > rank(1, "a", 0));
    assert_eq!(clock(&[("a", 1)]).relation(&clock(&[("b", 1)])), Relation::Concurrent);
}

#[test]
fn an_edit_made_from_an_erased_version_does_not_pass_for_one_that_has_seen_the_new() {
    let base = 1_767_225_000;
    let Decision::Write(created) = decide_since(base, None, &edit("new", &[]), Policy::Merge, NOW) else {
        panic!("an edit without clock is created");
    };
    assert_eq!(created.clock, clock(&[(SERVER, base + 1)]));
    let there = Stored { clock: created.clock.clone(), content_clock: created.clock, ..live("new", &[], NOW) };
    // Made from the version that the server had counted as its first before the erase.
    let from_before = incoming(Some("old"), &[("b", 1), (SERVER, 1)], "b", NOW);
    let Decision::Write(write) = decide_since(base, Some(&there), &from_before, Policy::Merge, NOW) else {
        panic!("concurrent versions are merged");
    };
    assert!(write.conflict && write.history.is_some());
    assert_eq!(write.clock, clock(&[("b", 1), (SERVER, base + 1)]));
}
