//! The `capacity` fault: so many write units a second for one partition key, as one DynamoDB partition has 1,000.
//!
//! A bucket a partition key, on the monotonic clock, that starts full and may go into debt: a write is let in while
//! there is any unit left and pays what it really cost, so that the rate holds over time and a transaction larger than
//! the bucket still passes once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use dynoxide::types::ConsumedCapacity;

use super::keys::ItemKey;

/// Buckets by table and partition key.
#[derive(Debug, Default)]
pub(super) struct Capacity(Mutex<HashMap<(String, String), Bucket>>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Capacity {
    /// Which of `keys` are beyond the rate of `units` a second.
    pub(super) fn exhausted(&self, units: u32, keys: &[ItemKey], now: Instant) -> Vec<bool> {
        let full = f64::from(units);
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut check = |key: &ItemKey| {
            let at = (key.table.clone(), key.partition.clone());
            let bucket = buckets.entry(at).or_insert(Bucket { tokens: full, at: now });
            bucket.tokens = (bucket.tokens + full * now.duration_since(bucket.at).as_secs_f64()).min(full);
            bucket.at = now;
            bucket.tokens <= 0.0
        };
        keys.iter().map(&mut check).collect()
    }

    /// Takes what a write cost from the buckets of its items; `fallback` an item, where the engine gave no figure.
    ///
    /// The engine's figure is a table's, so a transaction over several partition keys of one table pays in equal
    /// parts an item.
    pub(super) fn charge(&self, keys: &[ItemKey], units: &[ConsumedCapacity], fallback: f64) {
        let mut items: HashMap<&str, f64> = HashMap::new();
        for key in keys {
            *items.entry(&key.table).or_default() += 1.0;
        }
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            let total = units.iter().find(|units| units.table_name == key.table).map(|units| units.capacity_units);
            let share = match (total, items.get(key.table.as_str())) {
                (Some(total), Some(count)) => total / count,
                _ => fallback,
            };
            if let Some(bucket) = buckets.get_mut(&(key.table.clone(), key.partition.clone())) {
                bucket.tokens -= share;
            }
        }
    }

    /// Forgets all debts.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::services::dynamodb::keys::KeyNames;

    #[test]
    fn a_debt_is_paid_off_at_the_rate_and_a_rest_saves_no_more_than_a_second() {
        let item = [("pk".to_owned(), dynoxide::AttributeValue::S("a".to_owned()))].into();
        let keys = [KeyNames::of("things", "pk").key("things", &item)];
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let capacity = Capacity::default();
        assert_eq!(capacity.exhausted(10, &keys, start), [false]);
        capacity.charge(&keys, &[], 16.0);
        assert_eq!(capacity.exhausted(10, &keys, after(599)), [true]);
        assert_eq!(capacity.exhausted(10, &keys, after(601)), [false]);
        capacity.charge(&keys, &[], 1.0);
        assert_eq!(capacity.exhausted(10, &keys, after(650)), [true]);
        assert_eq!(capacity.exhausted(10, &keys, after(60_000)), [false]);
        capacity.charge(&keys, &[], 10.0);
        assert_eq!(capacity.exhausted(10, &keys, after(60_000)), [true]);
    }
}
