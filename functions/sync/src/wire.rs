//! Shapes of the seed's sync API, extended. Times are Unix seconds.

use std::collections::BTreeMap;

use satchel_domain::sync::VectorClock;
use satchel_store::sync::{EntryRow, Version};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A vector clock: counts of 1 to 2^53−1 by device.
pub(crate) type Clock = BTreeMap<String, serde_json::Number>;

/// An entry as a device pushes it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(crate) struct EntryIn {
    /// The client's own id, a UUID as a rule: 1 to 128 characters of `[A-Za-z0-9_.:-]`.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = "^[A-Za-z0-9_.:-]+$",
        example = "9f0b8a52-0c3e-4d3b-9a57-3f5f1b1f0c11"
    )]
    pub(crate) id: String,
    /// The author, which may be an older device than the one that pushes.
    #[schema(example = "dev_01JGFJJZ00AAAAAAAAAAAAAAAA")]
    pub(crate) device_id: String,
    /// Ciphertext; canonical padded base64 is stored decoded, any other text as it is. Empty in a deletion.
    #[schema(example = "aGVsbG8=")]
    pub(crate) encrypted_data: String,
    /// Device counters; `{}` for clients that have none.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, u64>)]
    pub(crate) vector_clock: Clock,
    /// The client's own version number.
    #[serde(default = "one", deserialize_with = "satchel_inbound::http::input::whole")]
    #[schema(minimum = 0)]
    pub(crate) version: i64,
    /// Whether this deletes the entry.
    #[serde(default)]
    pub(crate) is_deleted: bool,
    /// Unix seconds.
    #[serde(default, deserialize_with = "satchel_inbound::http::input::maybe_whole")]
    #[schema(minimum = 0)]
    pub(crate) created_at: Option<i64>,
    /// Unix seconds.
    #[serde(deserialize_with = "satchel_inbound::http::input::whole")]
    #[schema(minimum = 0, example = 1_767_225_600)]
    pub(crate) updated_at: i64,
}

fn one() -> i64 {
    1
}

/// What concurrent writes do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConflictPolicy {
    /// One version wins by rule, the other goes to history.
    #[default]
    Merge,
    /// Nothing is written and the server's entry comes back.
    Reject,
}

/// Body of `POST /sync/push`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(crate) struct PushIn {
    /// The device of the access token.
    pub(crate) device_id: String,
    /// Entries, with `deleted_ids` at most 1,000.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub(crate) entries: Vec<EntryIn>,
    /// Ids to be deleted whatever version they have, for clients without clocks.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub(crate) deleted_ids: Vec<String>,
    /// The cursor the device stands at: it tells what it had seen.
    pub(crate) base_cursor: Option<String>,
    /// What concurrent writes do.
    #[serde(default)]
    pub(crate) conflict_policy: ConflictPolicy,
}

/// What became of one pushed entry or deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PushStatus)]
pub(crate) enum Status {
    /// Written.
    Applied,
    /// Known already.
    Unchanged,
    /// Two versions met; see `winner`.
    Conflict,
    /// The server has gone on from it.
    Stale,
    /// Its clock was used for another content: the device id was cloned.
    ClockReuse,
    /// Refused alone; see `error`.
    Invalid,
}

/// Whose content is stored after a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Winner {
    /// The pushed one.
    Client,
    /// The one that was there.
    Server,
}

/// Result of one pushed entry or deletion.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ResultOut {
    /// Entry id.
    pub(crate) id: String,
    /// What became of it.
    pub(crate) status: Status,
    /// Whose content is stored, after a conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) winner: Option<Winner>,
    /// The commit that wrote the stored version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
    /// The stored version's clock, to be adopted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, u64>>)]
    pub(crate) vector_clock: Option<VectorClock>,
    /// The server's entry, where its version stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_entry: Option<EntryOut>,
    /// The answer was full: the next pull brings the server's entry.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) server_entry_omitted: bool,
    /// Why it is invalid: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "quota_exceeded")]
    pub(crate) error: Option<&'static str>,
}

/// Answer of `POST /sync/push`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct PushOut {
    /// Ids that are stored as pushed, or were: applied, unchanged, conflicts that the client's version won.
    pub(crate) accepted: Vec<String>,
    /// Ids whose server version stands: lost conflicts, stale, clock_reuse.
    pub(crate) conflicts: Vec<String>,
    /// Invalid ids.
    pub(crate) rejected: Vec<String>,
    /// A position for `last_sync_at`; it skips nothing that others wrote.
    pub(crate) server_timestamp: u64,
    /// A position for `cursor`; moved past this push only where nobody else wrote in between.
    pub(crate) cursor: Option<String>,
    /// Epoch of the space.
    #[schema(example = "1.0")]
    pub(crate) epoch: String,
    /// One a pushed entry and deletion, in request order.
    pub(crate) results: Vec<ResultOut>,
}

/// Body of `POST /sync/pull`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(crate) struct PullIn {
    /// The device of the access token.
    pub(crate) device_id: String,
    /// `server_timestamp` of the last answer, for clients without cursors.
    #[serde(default, deserialize_with = "satchel_inbound::http::input::maybe_whole")]
    #[schema(minimum = 0)]
    pub(crate) last_sync_at: Option<u64>,
    /// `cursor` of the last answer.
    pub(crate) cursor: Option<String>,
    /// Read for compatibility; positions say all that is needed.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, u64>)]
    #[expect(dead_code, reason = "its shape is checked though nothing goes by it")]
    pub(crate) vector_clock: Clock,
    /// Entries and tombstones of a page.
    #[serde(default = "thousand", deserialize_with = "satchel_inbound::http::input::whole")]
    #[schema(minimum = 1, maximum = 1000)]
    pub(crate) limit: usize,
}

fn thousand() -> usize {
    1_000
}

/// An entry as it leaves.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct EntryOut {
    /// Entry id.
    pub(crate) id: String,
    /// Author device.
    pub(crate) device_id: String,
    /// Ciphertext in the form it came in.
    pub(crate) encrypted_data: String,
    /// Merged clock.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub(crate) vector_clock: VectorClock,
    /// The client's own version number.
    pub(crate) version: i64,
    /// Whether it is a tombstone.
    pub(crate) is_deleted: bool,
    /// Unix seconds; `updated_at` where the client gave none.
    pub(crate) created_at: i64,
    /// Unix seconds.
    pub(crate) updated_at: i64,
    /// The commit that wrote it last.
    pub(crate) seq: u64,
}

impl EntryOut {
    /// The row as it leaves.
    pub(crate) fn of(row: &EntryRow) -> Self {
        Self {
            id: row.id.clone(),
            device_id: row.author.device.clone(),
            encrypted_data: row.content.as_ref().map(satchel_domain::sync::Content::text).unwrap_or_default(),
            vector_clock: row.stored.clock.clone(),
            version: row.author.version,
            is_deleted: row.stored.deleted,
            created_at: row.author.created_at.unwrap_or(row.author.updated_at),
            updated_at: row.author.updated_at,
            seq: row.stored.seq,
        }
    }
}

/// A deleted entry in a pull.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct TombstoneOut {
    /// Entry id.
    pub(crate) id: String,
    /// Its clock.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub(crate) vector_clock: VectorClock,
    /// The commit that deleted it.
    pub(crate) seq: u64,
}

/// Answer of `POST /sync/pull`. It is written by hand, piece by piece, so that a page's size is known while it grows.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct PullOut {
    /// Live entries.
    pub(crate) entries: Vec<EntryOut>,
    /// Ids of the tombstones.
    pub(crate) deleted_ids: Vec<String>,
    /// Deleted entries with their clocks.
    pub(crate) tombstones: Vec<TombstoneOut>,
    /// The next `last_sync_at`: a position, or the page's number on the pages of a full pull without cursor.
    pub(crate) server_timestamp: u64,
    /// Whether another page waits.
    pub(crate) has_more: bool,
    /// The next `cursor`.
    pub(crate) cursor: String,
    /// Epoch of the space.
    #[schema(example = "1.0")]
    pub(crate) epoch: String,
    /// Whether this page is one of a full pull.
    pub(crate) snapshot: bool,
    /// Whether the device has all now.
    pub(crate) complete: bool,
}

/// A device of the space.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SyncDeviceOut {
    /// Device id.
    pub(crate) device_id: String,
    /// Its name, where it was described.
    pub(crate) device_name: Option<String>,
    /// Its platform, where it was described.
    pub(crate) platform: Option<String>,
    /// Unix seconds.
    pub(crate) last_seen_at: i64,
    /// The position it last presented.
    pub(crate) last_acked: u64,
}

/// Limits of the space.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct LimitsOut {
    /// Bytes of ciphertext an entry may have.
    pub(crate) entry_bytes: usize,
    /// Entries and deletions a push may hold.
    pub(crate) entries_per_push: usize,
    /// Keys a pushed clock may have besides those stored.
    pub(crate) clock_keys: usize,
    /// Entries and tombstones a page may hold.
    pub(crate) page: usize,
}

/// Answer of `GET /sync/status`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct StatusOut {
    /// The position this device last presented.
    pub(crate) last_sync_at: Option<u64>,
    /// Live entries.
    pub(crate) entry_count: u64,
    /// Always 0: the client counts its own.
    pub(crate) pending_pushes: u64,
    /// Devices that sync.
    pub(crate) devices: Vec<SyncDeviceOut>,
    /// Last commit.
    pub(crate) head: u64,
    /// Epoch of the space.
    #[schema(example = "1.0")]
    pub(crate) epoch: String,
    /// Bytes that count against the quota.
    pub(crate) bytes: u64,
    /// The quota.
    pub(crate) quota_bytes: u64,
    /// Tombstones.
    pub(crate) tombstones: u64,
    /// XOR of the live entries' digests, lower-case hex.
    #[schema(example = "00000000000000000000000000000000")]
    pub(crate) digest: String,
    /// How long commits are kept.
    pub(crate) retention_days: i64,
    /// Limits.
    pub(crate) limits: LimitsOut,
}

/// A version in history.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct VersionOut {
    /// The version.
    #[serde(flatten)]
    pub(crate) entry: EntryOut,
    /// `lost`, `deleted` or `clock_reuse`.
    pub(crate) reason: String,
    /// Unix seconds.
    pub(crate) kept_until: i64,
}

impl VersionOut {
    /// A version of the entry `id` as it leaves.
    pub(crate) fn of(id: &str, version: &Version) -> Self {
        Self {
            entry: EntryOut {
                id: id.to_owned(),
                device_id: version.author.device.clone(),
                encrypted_data: version.content.text(),
                vector_clock: version.clock.clone(),
                version: version.author.version,
                is_deleted: false,
                created_at: version.author.created_at.unwrap_or(version.author.updated_at),
                updated_at: version.author.updated_at,
                seq: version.seq,
            },
            reason: version.reason.clone(),
            kept_until: version.kept_until,
        }
    }
}

/// Answer of `GET /sync/entries/{id}/history`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct HistoryOut {
    /// Newest first.
    pub(crate) versions: Vec<VersionOut>,
    /// Where the next page begins.
    pub(crate) next_cursor: Option<String>,
    /// Whether another page waits.
    pub(crate) has_more: bool,
}

/// Answer of `DELETE /sync/data`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ErasedOut {
    /// The space's new epoch.
    #[schema(example = "1.1")]
    pub(crate) epoch: String,
    /// The position the new epoch begins at.
    pub(crate) server_timestamp: u64,
}
