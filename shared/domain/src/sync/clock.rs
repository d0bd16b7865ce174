//! Vector clocks: how often each device had changed an entry when a version was made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The server's own key in a clock; a device can only lower it.
pub const SERVER: &str = "srv";
/// Keys a pushed clock may have besides those that are stored already.
pub const MAX_NEW_KEYS: usize = 64;
/// Keys a stored clock may have, [`SERVER`] not counted.
pub const MAX_KEYS: usize = 256;
/// Longest key, in characters of the id pattern.
pub const MAX_KEY_CHARS: usize = 64;
/// Largest count: what a double holds exactly, since clients are written in JavaScript too.
pub const MAX_COUNT: u64 = (1 << 53) - 1;

/// How one clock stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The same counts.
    Equal,
    /// It has seen all the other has, and more.
    Dominates,
    /// The other has seen all it has, and more.
    Dominated,
    /// Each has seen what the other has not.
    Concurrent,
}

/// A vector clock; keys are sorted, counts are at least 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VectorClock(BTreeMap<String, u64>);

/// Why a clock was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// A key is too long or has other characters than an id.
    #[error("a clock key is 1 to 64 characters of [A-Za-z0-9_.:-]")]
    Key,
    /// A count is no integer from 1 to 2^53−1.
    #[error("a clock count is an integer from 1 to 9007199254740991")]
    Count,
}

impl VectorClock {
    /// The clock of these counts, as a client sends it.
    ///
    /// # Errors
    /// [`ClockError`] for a key or a count that none can have.
    pub fn parse(counts: &BTreeMap<String, serde_json::Number>) -> Result<Self, ClockError> {
        counts
            .iter()
            .map(|(key, count)| {
                if !crate::ids::is_id_within(key, MAX_KEY_CHARS) {
                    return Err(ClockError::Key);
                }
                match count.as_u64() {
                    Some(count @ 1..=MAX_COUNT) => Ok((key.clone(), count)),
                    _ => Err(ClockError::Count),
                }
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The count of `key`, 0 where it has none.
    pub fn get(&self, key: &str) -> u64 {
        self.0.get(key).copied().unwrap_or(0)
    }

    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many keys it has, [`SERVER`] not counted.
    pub fn device_keys(&self) -> usize {
        self.0.len() - usize::from(self.0.contains_key(SERVER))
    }

    /// How many keys it has that `other` does not, [`SERVER`] not counted.
    pub fn keys_besides(&self, other: &Self) -> usize {
        self.0.keys().filter(|key| *key != SERVER && !other.0.contains_key(*key)).count()
    }

    /// How it stands to `other`.
    pub fn relation(&self, other: &Self) -> Relation {
        let (mut ahead, mut behind) = (false, false);
        for (key, count) in &self.0 {
            match count.cmp(&other.get(key)) {
                std::cmp::Ordering::Greater => ahead = true,
                std::cmp::Ordering::Less => behind = true,
                std::cmp::Ordering::Equal => {}
            }
        }
        // Counts are at least 1, so a key that only the other has puts it ahead.
        behind |= other.0.keys().any(|key| !self.0.contains_key(key));
        match (ahead, behind) {
            (false, false) => Relation::Equal,
            (true, false) => Relation::Dominates,
            (false, true) => Relation::Dominated,
            (true, true) => Relation::Concurrent,
        }
    }

    /// The pointwise maximum of both.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Self {
        let mut merged = self.0.clone();
        for (key, count) in &other.0 {
            let entry = merged.entry(key.clone()).or_insert(0);
            *entry = (*entry).max(*count);
        }
        Self(merged)
    }

    /// The clock with the server's count one higher, and higher than `base`: the first position of the epoch, before which
    /// counts of an erased or lost history may lie.
    #[must_use]
    pub fn ticked_by_server(&self, base: u64) -> Self {
        let mut ticked = self.0.clone();
        let count = ticked.entry(SERVER.to_owned()).or_insert(0);
        *count = (*count).max(base).saturating_add(1).min(MAX_COUNT);
        Self(ticked)
    }

    /// The clock as the server believes it: a client cannot raise the server's count above the one `stored` has.
    #[must_use]
    pub fn with_server_at_most(mut self, stored: Option<&Self>) -> Self {
        let most = stored.map_or(0, |stored| stored.get(SERVER));
        if self.get(SERVER) > most {
            if most == 0 {
                self.0.remove(SERVER);
            } else {
                self.0.insert(SERVER.to_owned(), most);
            }
        }
        self
    }

    /// Compact JSON with sorted keys: what a digest is made of, and whose length counts against the quota.
    pub fn compact_json(&self) -> String {
        let mut text = String::with_capacity(2 + self.0.len() * 40);
        text.push('{');
        for (at, (key, count)) in self.0.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            // Keys have no character that JSON escapes.
            text.push('"');
            text.push_str(key);
            text.push_str("\":");
            text.push_str(&count.to_string());
        }
        text.push('}');
        text
    }
}

impl<K: Into<String>> FromIterator<(K, u64)> for VectorClock {
    fn from_iter<I: IntoIterator<Item = (K, u64)>>(counts: I) -> Self {
        Self(counts.into_iter().filter(|(_, count)| *count > 0).map(|(key, count)| (key.into(), count)).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) fn clocks() -> impl Strategy<Value = VectorClock> {
        proptest::collection::btree_map("[abc]", 1u64..4, 0..4).prop_map(VectorClock)
    }

    proptest! {
        #[test]
        fn a_merge_dominates_or_equals_both_in_either_order(a in clocks(), b in clocks()) {
            let merged = a.merged(&b);
            prop_assert_eq!(&merged, &b.merged(&a));
            for one in [&a, &b] {
                prop_assert!(matches!(merged.relation(one), Relation::Dominates | Relation::Equal));
            }
        }

        #[test]
        fn relations_mirror(a in clocks(), b in clocks()) {
            let mirrored = match a.relation(&b) {
                Relation::Dominates => Relation::Dominated,
                Relation::Dominated => Relation::Dominates,
                same => same,
            };
            prop_assert_eq!(b.relation(&a), mirrored);
        }

        #[test]
        fn compact_json_is_what_serde_writes(a in clocks()) {
            prop_assert_eq!(a.compact_json(), serde_json::to_string(&a).unwrap());
        }
    }

    #[test]
    fn counts_and_keys_are_checked_at_the_door() {
        let clock = |json: &str| VectorClock::parse(&serde_json::from_str(json).unwrap());
        assert_eq!(clock(r#"{"a": 9007199254740991}"#).unwrap().get("a"), MAX_COUNT);
        for bad in [
            r#"{"a": 0}"#,
            r#"{"a": -1}"#,
            r#"{"a": 1.5}"#,
            r#"{"a": 1.0}"#,
            r#"{"a": 9007199254740992}"#,
            r#"{"a": 1e3}"#,
        ] {
            assert_eq!(clock(bad), Err(ClockError::Count), "{bad}");
        }
        for bad in [r#"{"": 1}"#, r#"{"a/b": 1}"#, r#"{"a#b": 1}"#, r#"{"é": 1}"#] {
            assert_eq!(clock(bad), Err(ClockError::Key), "{bad}");
        }
        assert_eq!(clock(&format!("{{\"{}\": 1}}", "k".repeat(65))), Err(ClockError::Key));
    }

    #[test]
    fn a_client_cannot_raise_the_servers_count() {
        let stored: VectorClock = [("a", 1), (SERVER, 2)].into_iter().collect();
        let sent: VectorClock = [("a", 2), (SERVER, 9)].into_iter().collect();
        assert_eq!(sent.clone().with_server_at_most(Some(&stored)), [("a", 2), (SERVER, 2)].into_iter().collect());
        assert_eq!(sent.with_server_at_most(None), [("a", 2)].into_iter().collect());
    }
}
