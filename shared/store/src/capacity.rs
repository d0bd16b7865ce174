//! Consumed DynamoDB capacity of the work in hand, for its log line.

use std::cell::Cell;
use std::future::Future;

use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Capacity units: reads and writes are told apart where DynamoDB does.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Units {
    /// Units of reads.
    pub read: f64,
    /// Units of writes.
    pub write: f64,
}

tokio::task_local! {
    static USED: Cell<Units>;
}

/// Runs `work` and says what it consumed beside what it returns.
pub async fn measured<F: Future>(work: F) -> (F::Output, Units) {
    USED.scope(Cell::new(Units::default()), async {
        let output = work.await;
        (output, USED.with(Cell::get))
    })
    .await
}

fn add(units: Units) {
    // Outside of `measured` (a test that calls the store directly) nobody asks.
    let _outside = USED.try_with(|used| {
        let before = used.get();
        used.set(Units { read: before.read + units.read, write: before.write + units.write });
    });
}

/// Counts the capacity of a read.
pub(crate) fn read<'a>(consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) {
    let read = consumed.into_iter().filter_map(ConsumedCapacity::capacity_units).sum();
    add(Units { read, write: 0.0 });
}

/// Counts the capacity of a write.
pub(crate) fn write<'a>(consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) {
    let write = consumed.into_iter().filter_map(ConsumedCapacity::capacity_units).sum();
    add(Units { read: 0.0, write });
}
