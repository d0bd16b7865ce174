//! CPU of the sync function alone: the process of the real binary, with the emulator in another.

use std::time::Duration;

use serde_json::{Value, json};

use crate::binaries::Binaries;
use crate::events::HttpEvent;
use crate::process::Process;
use crate::stage::{Session, Stage, StageError};

use super::report::{Bar, Section};
use super::space::{entry, fill, push};
use super::{capacity, machine};

/// CPU of one request to `process`, over `rounds` of them.
async fn each(
    process: &mut Process,
    rounds: usize,
    mut event: impl FnMut(usize) -> HttpEvent,
) -> Result<Duration, StageError> {
    let pid = process.pid().ok_or("the function ended")?;
    let used = || machine::cpu_time(pid).ok_or("the function ended");
    let mut before = Duration::ZERO;
    let warm_up = rounds / 10 + 1;
    for round in 0..rounds + warm_up {
        if round == warm_up {
            before = used()?;
        }
        let answer = process.invoke(event(round).value()).await?;
        if answer["statusCode"] != 200 {
            return Err(format!("sync answered {answer}").into());
        }
    }
    Ok((used()? - before) / u32::try_from(rounds)?)
}

fn pull(session: &Session, cursor: &Value) -> HttpEvent {
    let body = json!({ "device_id": session.device_id, "cursor": cursor });
    HttpEvent::json("POST", "/sync/pull", &body).bearer(&session.access_token)
}

/// The part of the page.
///
/// # Errors
/// Where the function fails.
pub async fn run(stage: &Stage, binaries: &Binaries, rounds: usize) -> Result<Section, StageError> {
    let ada = stage.sign_in("work").await?;
    stage.grant_sync(&ada.user_id).await?;
    fill(stage, &ada, 0, 1_000, 512).await?;
    let cursor = capacity::to_the_head(stage, &ada).await?;
    let mut sync = stage.launch("sync", binaries)?.start().await?;
    let poll = each(&mut sync, rounds, |_| pull(&ada, &cursor)).await?;
    let status = each(&mut sync, rounds, |_| HttpEvent::new("GET", "/sync/status").bearer(&ada.access_token)).await?;
    let pushed = each(&mut sync, rounds, |round| {
        let first = 1_000 + round * 10;
        let entries = (first..first + 10).map(|number| entry(&ada, number, 512, 1)).collect();
        HttpEvent::json("POST", "/sync/push", &push(&ada, entries)).bearer(&ada.access_token)
    })
    .await?;
    let mut empty = crate::process::Launch::new(
        "empty",
        &binaries.find("empty-lambda")?,
        256,
        Duration::from_secs(20),
        &Default::default(),
    )
    .start()
    .await?;
    let nothing = each(&mut empty, rounds, |_| HttpEvent::new("GET", "/").bearer(&ada.access_token)).await?;

    let mut section = Section::new(50, "CPU of the sync function alone");
    section.say(&format!(
        "User and system time of the process of the real binary, a request, over {rounds} requests one after the other, the \
         emulator in another process over plain HTTP. It holds all that Lambda bills: reading the event from the Runtime API, \
         routing, the token (verified once, then remembered by its hash), the SDK's signing and sockets, the log line. An \
         empty function's share of it stands beside."
    ));
    let told = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1_000.0);
    let rows = [
        ("push of 10 entries of 512 bytes", pushed),
        ("poll at the head", poll),
        ("status", status),
        ("empty axum on lambda_http", nothing),
    ];
    let table: Vec<Vec<String>> = rows.iter().map(|(what, time)| vec![(*what).to_owned(), told(*time)]).collect();
    section.table(&["request", "ms of CPU"], &table);
    section.bars.push(Bar::reported(
        "CPU of the sync function alone: push of 10 × 512 bytes, poll at the head, status",
        "compared from outside with about 1.1, 0.65, 0.6 ms: ≤ 1/2, aim 1/4",
        format!("{}, {}, {} ms", told(pushed), told(poll), told(status)),
    ));
    Ok(section)
}
