//! What devices say and what they hear, as JSON has it.

use satchel_domain::sync::VectorClock;
use serde::{Deserialize, Serialize};

/// An entry as a device pushes it.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Entry id.
    pub id: String,
    /// Author.
    pub device_id: String,
    /// Ciphertext; no two versions have the same.
    pub encrypted_data: String,
    /// Clock; empty for clients of the seed.
    pub vector_clock: VectorClock,
    /// Whether it deletes.
    pub is_deleted: bool,
    /// Client time.
    pub updated_at: i64,
}

/// `POST /sync/push`.
#[derive(Debug, Clone, Serialize)]
pub struct Push {
    /// The device.
    pub device_id: String,
    /// Entries.
    pub entries: Vec<Entry>,
    /// Deletions of clients without clocks.
    pub deleted_ids: Vec<String>,
    /// Where a modern client stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_cursor: Option<String>,
    /// `merge` or `reject`.
    pub conflict_policy: &'static str,
}

/// `POST /sync/pull`.
#[derive(Debug, Clone, Serialize)]
pub struct Pull {
    /// The device.
    pub device_id: String,
    /// Where a client of the seed stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_at: Option<u64>,
    /// Where a modern client stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Size of a page.
    pub limit: usize,
}

/// What became of a pushed item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names of the API")]
pub enum Status {
    Applied,
    Unchanged,
    Conflict,
    Stale,
    ClockReuse,
    Invalid,
}

/// Whose content is stored after a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names of the API")]
pub enum Winner {
    Client,
    Server,
}

/// The result of one pushed item.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the names of the API")]
pub struct Verdict {
    pub id: String,
    pub status: Status,
    pub winner: Option<Winner>,
    pub seq: Option<u64>,
    pub vector_clock: Option<VectorClock>,
    pub server_entry: Option<Stored>,
    #[serde(default)]
    pub server_entry_omitted: bool,
    pub error: Option<String>,
}

impl Verdict {
    /// Whether the pushed version is stored, or was.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(
            (self.status, self.winner),
            (Status::Applied | Status::Unchanged, _) | (Status::Conflict, Some(Winner::Client))
        )
    }
}

/// The answer to a push.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names of the API")]
pub struct Pushed {
    pub accepted: Vec<String>,
    pub conflicts: Vec<String>,
    pub rejected: Vec<String>,
    pub server_timestamp: u64,
    pub cursor: Option<String>,
    pub epoch: String,
    pub results: Vec<Verdict>,
}

/// An entry as it leaves.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the names of the API")]
pub struct Stored {
    pub id: String,
    pub device_id: String,
    pub encrypted_data: String,
    pub vector_clock: VectorClock,
    pub is_deleted: bool,
    pub updated_at: i64,
    pub seq: u64,
}

/// A deleted entry as it leaves.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the names of the API")]
pub struct Tombstone {
    pub id: String,
    pub vector_clock: VectorClock,
    pub seq: u64,
}

/// The answer to a pull.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names of the API")]
pub struct Pulled {
    pub entries: Vec<Stored>,
    pub deleted_ids: Vec<String>,
    pub tombstones: Vec<Tombstone>,
    pub server_timestamp: u64,
    pub has_more: bool,
    pub cursor: String,
    pub epoch: String,
    pub snapshot: bool,
    pub complete: bool,
}

impl Pulled {
    /// Entries and tombstones together.
    #[must_use]
    pub fn items(&self) -> usize {
        self.entries.len() + self.tombstones.len()
    }
}

/// The answer to a status.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the names of the API")]
pub struct SpaceStatus {
    pub head: u64,
    pub epoch: String,
    pub entry_count: u64,
    pub bytes: u64,
    pub tombstones: u64,
    pub digest: String,
}

/// A version in history.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the names of the API")]
pub struct Version {
    pub device_id: String,
    pub encrypted_data: String,
    pub vector_clock: VectorClock,
    pub updated_at: i64,
    pub seq: u64,
    pub reason: String,
    pub kept_until: i64,
}

/// A request.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "one a route")]
pub enum Ask {
    Push(Push),
    Pull(Pull),
    Status,
    History(String),
    Erase,
}

/// What a request was answered.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "one a route")]
pub enum Answer {
    Pushed(Pushed),
    Pulled(Pulled),
    Status(SpaceStatus),
    /// Newest first; nothing where the entry is unknown.
    History(Vec<Version>),
    Erased {
        epoch: String,
    },
    /// A problem.
    Refused {
        status: u16,
        code: String,
    },
    /// The request was given up on the way: nobody knows.
    Lost,
}

impl Answer {
    /// In a few words, for the trace.
    #[must_use]
    pub fn brief(&self) -> String {
        match self {
            Self::Pushed(pushed) => {
                let words: Vec<String> = pushed
                    .results
                    .iter()
                    .take(6)
                    .map(|verdict| {
                        let winner = verdict.winner.map_or_else(String::new, |winner| format!("/{winner:?}"));
                        let clock = verdict.vector_clock.as_ref().map_or_else(String::new, VectorClock::compact_json);
                        let error = verdict.error.as_deref().unwrap_or_default();
                        format!(
                            "{}:{:?}{winner}@{}{clock}{error}",
                            verdict.id,
                            verdict.status,
                            verdict.seq.unwrap_or(0)
                        )
                    })
                    .collect();
                let more = if pushed.results.len() > 6 { ", …" } else { "" };
                format!("200 [{}{more}] ts {}", words.join(", "), pushed.server_timestamp)
            }
            Self::Pulled(page) => {
                let words: Vec<String> = page
                    .entries
                    .iter()
                    .map(|entry| format!("{}@{}{}", entry.id, entry.seq, entry.vector_clock.compact_json()))
                    .chain(
                        page.tombstones
                            .iter()
                            .map(|dead| format!("-{}@{}{}", dead.id, dead.seq, dead.vector_clock.compact_json())),
                    )
                    .take(6)
                    .collect();
                let more = if page.items() > 6 { ", …" } else { "" };
                let end = if page.complete {
                    "complete"
                } else if page.has_more {
                    "more"
                } else {
                    "end"
                };
                let kind = if page.snapshot { " snapshot" } else { "" };
                format!(
                    "200 {} items [{}{more}] ts {} {end}{kind}",
                    page.items(),
                    words.join(", "),
                    page.server_timestamp
                )
            }
            Self::Status(status) => {
                format!("200 head {} live {} digest {}", status.head, status.entry_count, status.digest)
            }
            Self::History(versions) => format!("200 {} versions", versions.len()),
            Self::Erased { epoch } => format!("200 erased, epoch {epoch}"),
            Self::Refused { status, code } => format!("{status} {code}"),
            Self::Lost => "no answer".to_owned(),
        }
    }
}
