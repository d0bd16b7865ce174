//! Cursors: positions in a space, opaque to clients and authenticated by the space's own key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{Error, Result};

/// Version of the format; another one is not a cursor of this server.
const VERSION: u8 = 1;
const TAG_BYTES: usize = 16;
const MAX_CURSOR_CHARS: usize = 1_024;

/// The epoch of a space: `<StoreEpoch>.<generation>`. A cursor of another epoch is of another history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Epoch {
    /// The parameter `StoreEpoch`, raised by who restores a backup.
    pub store: u64,
    /// Raised by each erase of the space.
    pub generation: u64,
}

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.store, self.generation)
    }
}

/// A place in the order of commits: everything up to and with `seq` was delivered, and of the commit that follows it the
/// first `offset` items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Last commit that was delivered whole.
    pub seq: u64,
    /// Items of the next commit that were delivered.
    pub offset: u32,
}

impl Position {
    /// Right after the commit `seq`.
    pub fn after(seq: u64) -> Self {
        Self { seq, offset: 0 }
    }
}

/// Where a pull goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// Among the commits.
    Delta(Position),
    /// Among the commits, at the end of a full pull.
    Finish(Position),
    /// Among the entries of a full pull.
    Walk {
        /// Where its delta will begin.
        from: u64,
        /// Last entry id that was delivered.
        after: String,
    },
}

impl Place {
    /// The commit position that a client at this place is known to have seen whole.
    pub fn seen(&self) -> u64 {
        match self {
            Self::Delta(position) => position.seq,
            Self::Finish(_) | Self::Walk { .. } => 0,
        }
    }

    /// The highest commit the place refers to.
    fn reaches(&self) -> u64 {
        match self {
            Self::Delta(position) | Self::Finish(position) => position.seq,
            Self::Walk { from, .. } => *from,
        }
    }
}

/// A cursor: a place in an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The epoch it was made in.
    pub epoch: Epoch,
    /// The place.
    pub place: Place,
}

impl Cursor {
    /// The cursor as text, authenticated by `key`.
    pub fn seal(&self, key: &[u8]) -> String {
        let mut bytes = vec![VERSION];
        let Epoch { store, generation } = self.epoch;
        for number in [store, generation] {
            bytes.extend(number.to_be_bytes());
        }
        match &self.place {
            Place::Delta(position) | Place::Finish(position) => {
                bytes.push(if matches!(self.place, Place::Delta(_)) { 0 } else { 1 });
                bytes.extend(position.seq.to_be_bytes());
                bytes.extend(position.offset.to_be_bytes());
            }
            Place::Walk { from, after } => {
                bytes.push(2);
                bytes.extend(from.to_be_bytes());
                bytes.extend(after.as_bytes());
            }
        }
        let tag = tag(key, &bytes);
        bytes.extend(tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The cursor that `text` is, believed by `key` in `epoch` with the head at `head`.
    ///
    /// # Errors
    /// 400 `invalid_cursor` for one that is altered, another space's or ahead of the head; 410 `resync_required` for one
    /// of another epoch.
    pub fn open(text: &str, key: &[u8], epoch: Epoch, head: u64) -> Result<Self> {
        let invalid =
            || Error::Malformed { code: "invalid_cursor", message: "the cursor is not one of this space".to_owned() };
        if text.len() > MAX_CURSOR_CHARS {
            return Err(invalid());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        let split = bytes.len().checked_sub(TAG_BYTES).ok_or_else(invalid)?;
        let (payload, seal) = bytes.split_at(split);
        let mut mac = mac(key);
        mac.update(payload);
        mac.verify_truncated_left(seal).map_err(|_| invalid())?;
        let cursor = Self::read(payload).ok_or_else(invalid)?;
        if cursor.epoch != epoch {
            return Err(resync());
        }
        if cursor.place.reaches() > head {
            return Err(invalid());
        }
        Ok(cursor)
    }

    /// The generation that `text` claims to be of, without believing it: a guess that may save a read.
    pub fn peek_generation(text: &str) -> Option<u64> {
        let bytes = URL_SAFE_NO_PAD.decode(text.get(..24)?).ok()?;
        bytes.get(9..17)?.try_into().ok().map(u64::from_be_bytes)
    }

    fn read(payload: &[u8]) -> Option<Self> {
        let (version, rest) = payload.split_first()?;
        let (store, rest) = rest.split_first_chunk::<8>()?;
        let (generation, rest) = rest.split_first_chunk::<8>()?;
        let (kind, rest) = rest.split_first()?;
        let (seq, rest) = rest.split_first_chunk::<8>()?;
        let seq = u64::from_be_bytes(*seq);
        let place = match kind {
            0 | 1 => {
                let offset = u32::from_be_bytes(rest.try_into().ok()?);
                let position = Position { seq, offset };
                if *kind == 0 { Place::Delta(position) } else { Place::Finish(position) }
            }
            2 => Place::Walk { from: seq, after: String::from_utf8(rest.to_vec()).ok()? },
            _ => return None,
        };
        let epoch = Epoch { store: u64::from_be_bytes(*store), generation: u64::from_be_bytes(*generation) };
        (*version == VERSION).then_some(Self { epoch, place })
    }
}

/// A missing commit before one older than this is no transaction under way, in seconds.
const UNDER_WAY: i64 = 60;

/// The first commit after a position that is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// The commit before it.
    pub prev: u64,
    /// Its server time, Unix seconds.
    pub time: i64,
}

/// Whether the commit that follows `seq`, which is before the head, is gone for good: past `retention`, not on its way.
/// Where it is not to be seen, what is known of it is that the commit after it, or the head, was made later.
pub fn is_gone(seq: u64, next: Option<Next>, head_time: i64, now: i64, retention: i64) -> bool {
    match next {
        Some(next) if next.prev == seq => false,
        // A commit's time is never after its seq, so a seq past retention is a commit past retention.
        Some(next) => {
            let seconds = i64::try_from(next.prev).unwrap_or(i64::MAX);
            seconds.saturating_add(retention) < now || next.time.saturating_add(UNDER_WAY) < now
        }
        None => head_time.saturating_add(UNDER_WAY) < now,
    }
}

/// 410 `resync_required`: the client pulls in full.
pub fn resync() -> Error {
    Error::Gone {
        code: "resync_required",
        message: "what follows this cursor is not kept any more: pull without a cursor",
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104)")]
fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn tag(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut mac = mac(key);
    mac.update(payload);
    mac.finalize().into_bytes()[..TAG_BYTES].to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EPOCH: Epoch = Epoch { store: 1, generation: 4 };

    fn places() -> impl Strategy<Value = Place> {
        prop_oneof![
            (0u64..1000, 0u32..100).prop_map(|(seq, offset)| Place::Delta(Position { seq, offset })),
            (0u64..1000, 0u32..100).prop_map(|(seq, offset)| Place::Finish(Position { seq, offset })),
            (0u64..1000, "[a-z0-9-]{1,128}").prop_map(|(from, after)| Place::Walk { from, after }),
        ]
    }

    fn code(result: Result<Cursor>) -> &'static str {
        match result {
            Err(Error::Malformed { code, .. } | Error::Gone { code, .. }) => code,
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back_and_no_changed_one_does(place in places(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let cursor = Cursor { epoch: EPOCH, place };
            let text = cursor.seal(b"key");
            prop_assert_eq!(Cursor::open(&text, b"key", EPOCH, 1000).unwrap(), cursor);
            prop_assert_eq!(code(Cursor::open(&text, b"another key", EPOCH, 1000)), "invalid_cursor");
            let mut bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(code(Cursor::open(&URL_SAFE_NO_PAD.encode(bytes), b"key", EPOCH, 1000)), "invalid_cursor");
        }
    }

    #[test]
    fn a_missing_commit_is_gone_by_its_own_age_and_not_by_the_cursors() {
        const NOW: i64 = 1_767_225_600;
        const RETENTION: i64 = 180 * 86_400;
        let seq = |age: i64| u64::try_from(NOW - age).unwrap();
        let gone = |from: u64, next: Option<(u64, i64)>, head_age: i64| {
            let next = next.map(|(prev, age)| Next { prev, time: NOW - age });
            is_gone(from, next, NOW - head_age, NOW, RETENTION)
        };
        assert!(!gone(0, Some((0, 5)), 5), "nothing is missing");
        assert!(!gone(0, Some((seq(1), 0)), 0), "made a second ago, for the oldest of cursors too");
        assert!(!gone(0, None, 1), "the head itself is on its way");
        assert!(gone(seq(90), Some((seq(80), 70)), 0), "nothing is on its way for a minute");
        assert!(gone(seq(90), None, 61));
        assert!(
            gone(seq(RETENTION + 90), Some((seq(RETENTION + 1), 2)), 2),
            "past retention, though the next is young"
        );
        assert!(gone(0, None, RETENTION + 1));
    }

    #[test]
    fn a_cursor_of_the_future_is_invalid_and_one_of_another_epoch_resyncs() {
        let text = Cursor { epoch: EPOCH, place: Place::Delta(Position::after(11)) }.seal(b"key");
        assert_eq!(code(Cursor::open(&text, b"key", EPOCH, 10)), "invalid_cursor");
        assert_eq!(code(Cursor::open(&text, b"key", Epoch { generation: 5, ..EPOCH }, 10)), "resync_required");
        for bad in ["", "AA", "not base64!", &"A".repeat(2000)] {
            assert_eq!(code(Cursor::open(bad, b"key", EPOCH, 10)), "invalid_cursor");
        }
    }
}
