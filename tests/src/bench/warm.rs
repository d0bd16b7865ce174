//! A warm handler's time over that of the SDK calls it makes, in one run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use satchel_local::gateway::Listener;
use satchel_outbound::Aws;
use serde_json::{Value, json};

use crate::binaries::Binaries;
use crate::events::HttpEvent;
use crate::process::Process;
use crate::stage::{Stage, StageError};

use super::capacity;
use super::replay::{self, Call, Recorder};
use super::report::{Bar, Section};
use super::space::{entry, fill, push};
use super::stats::Samples;

/// The bar.
const MOST: f64 = 1.3;

/// Handler times of `rounds` requests, as the function's own log line tells them, and the calls of the last.
async fn handler(
    process: &mut Process,
    recorder: &Recorder,
    rounds: usize,
    mut event: impl FnMut(usize) -> HttpEvent,
) -> Result<(Samples, Vec<Vec<Call>>), StageError> {
    let mut times = Vec::new();
    let mut calls = Vec::new();
    for round in 0..rounds {
        recorder.take();
        let answer = process.invoke(event(round).value()).await?;
        if answer["statusCode"] != 200 {
            return Err(format!("the function answered {answer}").into());
        }
        calls = recorder.take();
        let id = answer["headers"]["x-request-id"].as_str().unwrap_or_default().to_owned();
        // The line is written before the answer; its pipe may be read a moment later.
        let took = loop {
            let output = process.output();
            let line = output.lines().rev().take(4).find(|line| line.contains(&id)).map(str::to_owned);
            match line.and_then(|line| serde_json::from_str::<Value>(&line).ok()) {
                Some(line) => break line["took_ms"].as_f64().unwrap_or(f64::NAN),
                None => tokio::time::sleep(Duration::from_micros(50)).await,
            }
        };
        if round > rounds / 10 {
            times.push(took);
        }
    }
    Ok((times.into_iter().collect(), calls))
}

/// Times of `calls` by the bare SDK on a runtime like a function's: one thread of its own.
fn bare(endpoint: String, calls: Vec<Vec<Call>>, rounds: usize) -> Result<Samples, StageError> {
    let variables: BTreeMap<&str, String> = [
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_ENDPOINT_URL", endpoint),
    ]
    .into();
    let aws = Aws::from_lookup(|name| variables.get(name).cloned()).map_err(|missing| missing.join(", "))?;
    let client = aws.dynamodb();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut times = Vec::new();
        for round in 0..rounds {
            let begun = Instant::now();
            replay::replay(&client, &calls).await?;
            if round > rounds / 10 {
                times.push(begun.elapsed());
            }
        }
        Ok(Samples::of(times))
    })
}

/// The part of the page.
///
/// # Errors
/// Where a function fails.
pub async fn run(stage: &Stage, binaries: &Binaries, rounds: usize) -> Result<Section, StageError> {
    let recorder = Recorder::default();
    let listener = Listener::bind(0, "a port").await?;
    let endpoint = format!("http://127.0.0.1:{}", listener.port());
    let served = listener.serve(recorder.before(stage.local().services().router()));
    let ada = stage.sign_in("warm").await?;
    stage.grant_sync(&ada.user_id).await?;
    fill(stage, &ada, 0, 1_000, 512).await?;
    let head = capacity::to_the_head(stage, &ada).await?;
    let poll = json!({ "device_id": ada.device_id, "cursor": head });
    let mut next = 1_000;
    let mut pushing = || {
        next += 10;
        let entries = (next..next + 10).map(|number| entry(&ada, number, 512, 1)).collect();
        HttpEvent::json("POST", "/sync/push", &push(&ada, entries))
    };
    type Make<'a> = Box<dyn FnMut(usize) -> HttpEvent + 'a>;
    let requests: Vec<(&str, &str, Make<'_>)> = vec![
        ("sync", "poll at the head", Box::new(|_| HttpEvent::json("POST", "/sync/pull", &poll))),
        ("sync", "status", Box::new(|_| HttpEvent::new("GET", "/sync/status"))),
        ("sync", "push of 10 entries of 512 bytes", Box::new(|_| pushing())),
        ("devices", "list of devices", Box::new(|_| HttpEvent::new("GET", "/devices"))),
        ("payments", "entitlements", Box::new(|_| HttpEvent::new("GET", "/payments/entitlements"))),
        ("auth", "me", Box::new(|_| HttpEvent::new("GET", "/auth/me"))),
    ];
    let (mut rows, mut worst) = (Vec::new(), (0.0, String::new()));
    for (function, what, mut make) in requests {
        let launch = stage.launch(function, binaries)?.with("AWS_ENDPOINT_URL", endpoint.clone());
        let mut process = launch.start().await?;
        let (times, calls) =
            handler(&mut process, &recorder, rounds, |round| make(round).bearer(&ada.access_token)).await?;
        let told = replay::names(&calls);
        let (at, again) = (endpoint.clone(), calls);
        let raw = tokio::task::spawn_blocking(move || bare(at, again, rounds)).await??;
        let ratio = times.median() / raw.median();
        if ratio > worst.0 {
            worst = (ratio, format!("{function}, {what}"));
        }
        let cells =
            [format!("`{function}`, {what}"), told, format!("{:.3}", times.median()), format!("{:.3}", raw.median())];
        rows.push(cells.into_iter().chain([format!("{ratio:.2} ×")]).collect());
    }
    served.stop().await;
    let mut section = Section::new(35, "Warm handlers");
    section.say(&format!(
        "Median over {rounds} requests in milliseconds: 'handler' is the time that the function's own log line tells (from the \
         request taken apart to the answer made), 'SDK' the same DynamoDB calls, taken down at the emulator's door, made again \
         by the bare SDK on a runtime of one thread: one after the other, or together (∥) where the function made them \
         together; writes without their conditions."
    ));
    section.table(&["request", "calls", "handler", "SDK", "ratio"], &rows);
    let measured = format!("at most {:.2} × ({})", worst.0, worst.1);
    section.bars.push(Bar::judged(
        "warm handler over the raw SDK calls it makes, p50",
        "≤ 1.3 ×",
        measured,
        worst.0 <= MOST,
    ));
    Ok(section)
}
