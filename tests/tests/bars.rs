//! A smoke of the bars of `docs/benchmarks.md`: those that are exact whatever the machine, and those with so much room
//! that only a mistake breaks them. The figures themselves are `make bench`'s.

#![expect(clippy::unwrap_used, reason = "a helper of a test or a benchmark tells by a panic")]

use std::time::{Duration, Instant};

use satchel_tests::bench::capacity::{self, BATCH, WRITE_UNITS};
use satchel_tests::bench::space::{ONE_UNIT, ciphertext_of_one_unit, fill};
use satchel_tests::stage::Stage;

async fn stage() -> Stage {
    Stage::start(&[]).await.unwrap()
}

#[tokio::test]
async fn a_push_of_ninety_entries_of_one_unit_costs_at_most_2_2_write_units_each() {
    let stage = stage().await;
    let bytes = ciphertext_of_one_unit(&stage, "unit").await.unwrap();
    assert!(bytes > ONE_UNIT / 2, "{bytes} of {ONE_UNIT} bytes are left for the ciphertext");
    let ada = stage.sign_in("ada").await.unwrap();
    stage.grant_sync(&ada.user_id).await.unwrap();
    // The space is there and the device known, as for every push but the first.
    fill(&stage, &ada, 0, 1, bytes).await.unwrap();
    let cost = capacity::of_push(&stage, &ada, 1, BATCH, bytes).await.unwrap();
    let each = cost.write / BATCH as f64;
    assert!(each <= WRITE_UNITS, "{each} write units an entry: {cost:?}");
    // Two units an entry is what a transaction costs: less would mean that something was not counted.
    assert!(each >= 2.0, "{each} write units an entry: {cost:?}");
}

#[tokio::test]
async fn reads_cost_the_same_in_a_small_space_and_in_one_ten_times_as_large() {
    let stage = stage().await;
    let small = capacity::of_reads(&stage, "small", 150, 1).await.unwrap();
    let large = capacity::of_reads(&stage, "large", 1_500, 1).await.unwrap();
    assert_eq!((small.pull, small.poll, small.status), (large.pull, large.poll, large.status));
    assert_eq!(small.poll.write, 0.0, "a poll at the head writes: {:?}", small.poll);
    assert!(small.pull.read > 0.0 && small.poll.read > 0.0, "nothing was counted: {small:?}");
}

#[tokio::test]
async fn a_stack_starts_in_a_moment() {
    let mut least = Duration::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        let stack = satchel_testkit::Stack::start().await;
        least = least.min(begun.elapsed());
        drop(stack);
    }
    // The bar is 50 ms; the rest is for a machine that does other things at the same time.
    assert!(least <= Duration::from_millis(200), "{least:?}");
}
