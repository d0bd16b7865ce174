//! The answer to a push: results in request order, with the server's entries for as long as they fit.

use std::collections::HashMap;

use satchel_domain::sync::budget::Budget;
use satchel_domain::{Error, Result};
use satchel_store::keys;
use satchel_store::sync::EntryRow;
use tokio::time::{Instant, timeout_at};

use super::{Item, Outcome};
use crate::space::Space;
use crate::wire::{EntryOut, PushOut, ResultOut, Status, Winner};

/// Entries that are read at a time for an answer: with 256 KiB each, 4 MiB.
const BATCH: usize = 16;

/// Builds the answer, without its positions; entries that are not read until `until` are left out as if they did not fit.
pub(crate) async fn build(
    space: &Space<'_>,
    items: Vec<Item>,
    outcomes: Vec<Outcome>,
    until: Instant,
) -> Result<PushOut> {
    let mut results: Vec<ResultOut> =
        items.into_iter().zip(outcomes).map(|(item, outcome)| ResultOut::of(item.id, outcome)).collect();
    let (mut accepted, mut conflicts, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
    let mut budget = Budget::default();
    for result in &results {
        let list = match (result.status, result.winner) {
            (Status::Applied | Status::Unchanged, _) | (Status::Conflict, Some(Winner::Client)) => &mut accepted,
            (Status::Invalid, _) => &mut rejected,
            _ => &mut conflicts,
        };
        list.push(result.id.clone());
        // What cannot be left out: the id twice and the fields around it.
        let fixed = json(&(&result.id, &result.id, result.status, result.winner, result.seq, result.error));
        let names = r#"{"id":,"status":,"winner":,"seq":,"error":,"server_entry_omitted":true}"#;
        // A thousand of the longest ids fit: more would be an answer that cannot leave.
        if !(budget.take(&fixed) && budget.take(names)) {
            return Err(Error::internal("the fixed parts of a push's answer do not fit"));
        }
    }
    let omitted = fit_clocks(&mut results, &mut budget);
    attach(space, &mut results, omitted, &mut budget, until).await?;
    Ok(PushOut {
        accepted,
        conflicts,
        rejected,
        server_timestamp: 0,
        cursor: None,
        epoch: space.meta.epoch().to_string(),
        results,
    })
}

impl PushOut {
    /// Whether something was left out for its size.
    pub(crate) fn is_cut(&self) -> bool {
        let lacks_clock = |result: &ResultOut| {
            result.status != Status::Invalid && result.seq.is_some() && result.vector_clock.is_none()
        };
        self.results.iter().any(|result| result.server_entry_omitted || lacks_clock(result))
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Keeps clocks for as long as they fit; from the first that does not, everything optional is left out.
fn fit_clocks(results: &mut [ResultOut], budget: &mut Budget) -> Option<usize> {
    let mut omitted = None;
    for (at, result) in results.iter_mut().enumerate() {
        let fits = omitted.is_none()
            && result.vector_clock.as_ref().is_none_or(|clock| {
                let mut text = clock.compact_json();
                text.push_str(r#""vector_clock":"#);
                budget.take(&text)
            });
        if !fits {
            omitted = omitted.or(Some(at));
            result.vector_clock = None;
        }
    }
    omitted
}

fn wants_entry(result: &ResultOut) -> bool {
    matches!(
        (result.status, result.winner),
        (Status::Stale | Status::ClockReuse, _) | (Status::Conflict, Some(Winner::Server))
    )
}

/// Attaches the server's entries in request order, as they are now, until one does not fit or comes too late.
async fn attach(
    space: &Space<'_>,
    results: &mut [ResultOut],
    omitted: Option<usize>,
    budget: &mut Budget,
    until: Instant,
) -> Result<()> {
    let pk = space.pk();
    let wanting: Vec<usize> = (0..results.len()).filter(|at| wants_entry(&results[*at])).collect();
    let mut full = false;
    for batch in wanting.chunks(BATCH) {
        let mut rows = HashMap::new();
        if !full {
            let mut keys: Vec<_> = batch.iter().map(|at| keys::sync::entry(&pk, &results[*at].id)).collect();
            keys.sort_by(|a, b| a.sk.cmp(&b.sk));
            keys.dedup();
            let items = timeout_at(until, space.app.sync.get_items(&keys, None)).await;
            full = items.is_err();
            for item in items.unwrap_or_else(|_| Ok(Vec::new()))? {
                let row = EntryRow::of(item)?;
                rows.insert(row.id.clone(), row);
            }
        }
        for at in batch {
            let result = &mut results[*at];
            full |= omitted.is_some_and(|from| *at >= from);
            let entry = rows.get(&result.id).filter(|_| !full).map(EntryOut::of);
            match entry {
                Some(entry) if budget.take(&format!("\"server_entry\":{}", json(&entry))) => {
                    result.server_entry = Some(entry);
                }
                _ => {
                    full = true;
                    result.server_entry_omitted = true;
                }
            }
        }
    }
    Ok(())
}
