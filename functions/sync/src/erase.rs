//! `DELETE /sync/data`: the next generation begins, empty; a queue deletes the old one.

use std::time::Duration;

use satchel_domain::access::Person;
use satchel_domain::{Error, Result};
use satchel_store::Cancelled;
use satchel_store::sync::meta;

use crate::app::App;
use crate::space::Space;
use crate::wire::ErasedOut;

/// Tries against pushes that come in between.
const TRIES: u64 = 8;

/// Erases the caller's space.
pub(crate) async fn erase(app: &App, person: &Person) -> Result<ErasedOut> {
    let mut failure = Error::unavailable("never tried");
    for attempt in 0..TRIES {
        let space = Space::of(app, &person.user).await?;
        match meta::next_generation(&app.sync, space.id, &space.meta, app.core.clock.unix()).await {
            Ok(()) => {
                let mut epoch = space.meta.epoch();
                epoch.generation += 1;
                return Ok(ErasedOut { epoch: epoch.to_string(), server_timestamp: space.meta.head });
            }
            Err(Cancelled::Failed(error)) => return Err(error),
            Err(lost) => failure = lost.into(),
        }
        let jitter = u64::from(app.core.ids.bytes::<1>()[0]) % 20;
        tokio::time::sleep(Duration::from_millis(10 * (attempt + 1) + jitter)).await;
    }
    Err(failure)
}
