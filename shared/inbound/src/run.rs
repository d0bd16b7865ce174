//! A function as a Lambda.

use lambda_http::tower::ServiceExt as _;
use lambda_runtime::LambdaEvent;
use satchel_outbound::{Aws, Http};
use serde_json::Value;

use crate::env::{Clock, Complaints, Env, Ids, Settings};
use crate::function::{BoxError, Entry, Function};
use crate::record;

/// Runs `function` until Lambda ends the process. Whatever is wrong with the settings is said once, all of it, and the
/// init fails.
///
/// # Errors
/// Complaints about the settings, or the runtime's own failure.
pub fn run(function: Function) -> Result<(), BoxError> {
    let settings = Settings::environment();
    record::to_cloudwatch(function.name, settings.get("STAGE"));
    // One thread: a Lambda instance serves one request at a time, and a thread pool is paid for at every cold start.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let entry = match environment(settings) {
            Ok(env) => (function.build)(env).await,
            Err(complaints) => Err(complaints),
        };
        let entry = entry.map_err(|complaints| {
            tracing::error!(function = function.name, %complaints, "the function cannot start");
            complaints
        })?;
        match entry {
            Entry::Http(router) => {
                let clock = Clock::system();
                let service = router
                    .map_request(move |request: lambda_http::Request| crate::http::gateway::of_lambda(request, &clock));
                lambda_http::run(service).await
            }
            Entry::Event(handler) => {
                let service = lambda_runtime::service_fn(move |event: LambdaEvent<Value>| handler(event.payload));
                lambda_runtime::run(service).await
            }
        }
    })
}

fn environment(settings: Settings) -> Result<Env, Complaints> {
    let aws = Aws::from_lookup(|name| settings.get(name))
        .map_err(|missing| Complaints(missing.into_iter().map(|name| format!("{name} is not set")).collect()))?;
    let clock = Clock::system();
    Ok(Env { settings, ids: Ids::system(clock.clone()), clock, aws, http: Http::network() })
}
