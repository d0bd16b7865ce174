//! Faults between the functions and their services: what may go wrong on AWS, on demand and repeatable.
//!
//! A rule draws from its own generator: the n-th call a rule matches always gets the same verdict under the same seed.
//!
//! | kind | effect |
//! | --- | --- |
//! | `throttle` | the service's own throttling error; batches are in half of the cases done in part, the rest unprocessed |
//! | `timeout` | no answer; in half of the cases the call was executed |
//! | `error` | a 500; in half of the cases the call was executed |
//! | `gone` | the receiver is no more: `GoneException`, `EndpointDisabled` |
//! | `hang` | the call is never made and never returns, so that a test can drop the caller midway |
//! | `torn` | transactions become visible item by item (see `dynamodb::torn`) |
//! | `capacity` | so many write units a second for one partition key (see `dynamodb::capacity`) |

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::request::Service;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    /// The service's throttling error.
    Throttle,
    /// No answer.
    Timeout,
    /// An internal error.
    Error,
    /// Transactions become visible item by item.
    Torn,
    /// The receiver is no more.
    Gone,
    /// A partition takes no more than so many write units a second.
    Capacity,
    /// The call never returns.
    Hang,
}

/// When something goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Calls to this service.
    pub service: Service,
    /// Only this operation; for `http`, only URLs that hold this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// What goes wrong.
    pub kind: FaultKind,
    /// How likely, from 0 to 1.
    #[serde(default = "certain")]
    pub probability: f64,
    /// Where the rule's draws start.
    #[serde(default)]
    pub seed: u64,
    /// Matching calls that are left alone first.
    #[serde(default)]
    pub skip: u64,
    /// How often at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// For `capacity`: write units a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<u32>,
}

fn certain() -> f64 {
    1.0
}

impl FaultRule {
    /// A rule that always hits.
    #[must_use]
    pub fn always(service: Service, kind: FaultKind) -> Self {
        Self { service, operation: None, kind, probability: 1.0, seed: 0, skip: 0, count: None, units: None }
    }
}

/// A verdict on one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answer with the service's throttling error; `partly` lets a batch do half of its work.
    Throttle {
        /// Whether a batch does half of its work.
        partly: bool,
    },
    /// Never answer, after or instead of executing.
    Timeout {
        /// Whether the call is executed.
        executed: bool,
    },
    /// Answer with an internal error, after or instead of executing.
    Error {
        /// Whether the call is executed.
        executed: bool,
    },
    /// Answer that the receiver is no more.
    Gone,
    /// Never return.
    Hang,
}

#[derive(Debug)]
struct Armed {
    rule: FaultRule,
    seen: AtomicU64,
    hits: AtomicU64,
}

/// The rules in force.
#[derive(Debug, Default)]
pub struct Faults {
    rules: RwLock<Vec<Armed>>,
    /// Whether there is any rule, so that a call without faults pays one load.
    any: AtomicBool,
}

impl Faults {
    /// Adds a rule.
    ///
    /// # Errors
    /// The rule contradicts itself; the text says how.
    pub fn add(&self, rule: FaultRule) -> Result<(), String> {
        if !(0.0..=1.0).contains(&rule.probability) {
            return Err("probability must be between 0 and 1".to_owned());
        }
        let dynamo_only = matches!(rule.kind, FaultKind::Torn | FaultKind::Capacity);
        if dynamo_only && rule.service != Service::Dynamodb {
            return Err("torn and capacity are faults of dynamodb".to_owned());
        }
        if (rule.kind == FaultKind::Capacity) != rule.units.is_some_and(|units| units > 0) {
            return Err("units belong to capacity, and capacity needs them".to_owned());
        }
        if rule.kind == FaultKind::Gone && !matches!(rule.service, Service::Connections | Service::Sns | Service::Http)
        {
            return Err("gone is a fault of connections, sns and http".to_owned());
        }
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        rules.push(Armed { rule, seen: AtomicU64::new(0), hits: AtomicU64::new(0) });
        self.any.store(true, Ordering::Release);
        Ok(())
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.rules.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.any.store(false, Ordering::Release);
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> Vec<FaultRule> {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.iter().map(|armed| armed.rule.clone()).collect()
    }

    /// The verdict on a call; the first rule that hits decides.
    #[must_use]
    pub fn decide(&self, service: Service, operation: &str) -> Option<Fault> {
        self.draw(service, operation, |kind| !matches!(kind, FaultKind::Torn | FaultKind::Capacity)).map(
            |(kind, coin)| match kind {
                FaultKind::Throttle => Fault::Throttle { partly: coin & 1 == 1 },
                FaultKind::Timeout => Fault::Timeout { executed: coin & 1 == 1 },
                FaultKind::Gone => Fault::Gone,
                FaultKind::Hang => Fault::Hang,
                FaultKind::Error | FaultKind::Torn | FaultKind::Capacity => Fault::Error { executed: coin & 1 == 1 },
            },
        )
    }

    /// Whether this transaction is torn, and the draw its delays come from.
    pub(crate) fn torn(&self) -> Option<u64> {
        self.draw(Service::Dynamodb, "TransactWriteItems", |kind| kind == FaultKind::Torn).map(|(_, coin)| coin)
    }

    /// Whether there is a torn rule, hit or not.
    pub(crate) fn tears(&self) -> bool {
        self.has(FaultKind::Torn)
    }

    /// Write units a second for one partition key.
    pub(crate) fn capacity(&self) -> Option<u32> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.iter().filter_map(|armed| armed.rule.units).min()
    }

    fn has(&self, kind: FaultKind) -> bool {
        self.any.load(Ordering::Acquire)
            && self.rules.read().unwrap_or_else(PoisonError::into_inner).iter().any(|armed| armed.rule.kind == kind)
    }

    fn draw(&self, service: Service, operation: &str, kinds: impl Fn(FaultKind) -> bool) -> Option<(FaultKind, u64)> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.iter().find_map(|armed| {
            let Armed { rule, seen, hits } = armed;
            let matches = rule.service == service
                && kinds(rule.kind)
                && rule.operation.as_deref().is_none_or(|wanted| {
                    if service == Service::Http { operation.contains(wanted) } else { operation == wanted }
                });
            if !matches {
                return None;
            }
            let index = seen.fetch_add(1, Ordering::Relaxed);
            if index < rule.skip || unit(mix(rule.seed, index)) >= rule.probability {
                return None;
            }
            let hit = hits.fetch_add(1, Ordering::Relaxed);
            (rule.count.is_none_or(|count| hit < count)).then(|| (rule.kind, mix(rule.seed ^ SECOND, index) >> 7))
        })
    }
}

/// Separates the second draw of a call (what happens) from the first (whether anything does).
const SECOND: u64 = 0x5bd1_e995_c0ff_ee11;

/// SplitMix64: the `index`-th number of the sequence that starts at `seed`.
pub(crate) fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[expect(clippy::cast_precision_loss, reason = "53 random bits are exact in a double")]
fn unit(draw: u64) -> f64 {
    (draw >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(rule: FaultRule) -> Vec<Option<Fault>> {
        let faults = Faults::default();
        faults.add(rule).unwrap();
        (0..1000).map(|_| faults.decide(Service::Dynamodb, "PutItem")).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_verdicts_and_both_halves_happen() {
        let rule = FaultRule { probability: 0.1, seed: 7, ..FaultRule::always(Service::Dynamodb, FaultKind::Timeout) };
        let first = verdicts(rule.clone());
        assert_eq!(first, verdicts(rule.clone()));
        assert_ne!(first, verdicts(FaultRule { seed: 8, ..rule }));
        let hits: Vec<_> = first.into_iter().flatten().collect();
        assert!((60..140).contains(&hits.len()), "{}", hits.len());
        let executed = hits.iter().filter(|fault| **fault == Fault::Timeout { executed: true }).count();
        assert!(executed > 20 && executed < hits.len() - 20, "{executed} of {}", hits.len());
    }

    #[test]
    fn skip_and_count_pick_the_calls() {
        let rule = FaultRule { skip: 2, count: Some(1), ..FaultRule::always(Service::Dynamodb, FaultKind::Hang) };
        let hits: Vec<_> = verdicts(rule).into_iter().enumerate().filter(|(_, fault)| fault.is_some()).collect();
        assert_eq!(hits, [(2, Some(Fault::Hang))]);
    }

    #[test]
    fn another_operation_is_left_alone() {
        let faults = Faults::default();
        let rule =
            FaultRule { operation: Some("Query".into()), ..FaultRule::always(Service::Dynamodb, FaultKind::Error) };
        faults.add(rule).unwrap();
        assert_eq!(faults.decide(Service::Dynamodb, "PutItem"), None);
        assert_eq!(faults.decide(Service::Sqs, "Query"), None);
        assert!(faults.decide(Service::Dynamodb, "Query").is_some());
    }

    #[test]
    fn rules_that_make_no_sense_are_refused() {
        let faults = Faults::default();
        assert!(faults.add(FaultRule::always(Service::Sqs, FaultKind::Torn)).is_err());
        assert!(faults.add(FaultRule::always(Service::Dynamodb, FaultKind::Capacity)).is_err());
        assert!(faults.add(FaultRule::always(Service::Dynamodb, FaultKind::Gone)).is_err());
    }
}
