//! Load on the local process, over loopback: push 4, pull 5, status 1.
//!
//! Closed loop: so many workers, each asks again when it has its answer; tells throughput. Open loop: requests begin at
//! fixed moments whatever became of the ones before, and each one's time counts from its intended moment, so that a
//! stall is seen by all that it delayed (coordinated omission).

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::stage::{Session, StageError};

use super::client::HttpClient;
use super::machine;
use super::report::{Bar, Section};
use super::space::{entry, push};
use super::stats::Samples;

/// Requests in flight in the closed loop.
const IN_FLIGHT: usize = 8;
/// People in the open loop: more than can ever wait for an answer at the rates it runs.
const PEOPLE: usize = 64;
/// The mix, one after the other.
const MIX: [Kind; 10] = {
    use Kind::{Pull, Push, Status};
    [Push, Pull, Pull, Push, Pull, Status, Push, Pull, Push, Pull]
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Push,
    Pull,
    Status,
}

/// A person at work.
struct Person {
    session: Session,
    token: String,
    cursor: Value,
    pushed: usize,
    turn: usize,
}

impl Person {
    /// Does the next request of the mix.
    async fn step(&mut self, client: &HttpClient) -> Result<Kind, StageError> {
        let kind = MIX.get(self.turn % MIX.len()).copied().unwrap_or(Kind::Status);
        self.turn += 1;
        let (method, path, body) = match kind {
            Kind::Push => {
                let entries =
                    (self.pushed..self.pushed + 10).map(|number| entry(&self.session, number, 512, 1)).collect();
                self.pushed += 10;
                (Method::POST, "/sync/push", Some(push(&self.session, entries)))
            }
            Kind::Pull => {
                let body = json!({ "device_id": self.session.device_id, "cursor": self.cursor });
                (Method::POST, "/sync/pull", Some(body))
            }
            Kind::Status => (Method::GET, "/sync/status", None),
        };
        let body = body.map(|body| Bytes::from(body.to_string()));
        let (status, answer) = client.send(method, path, &self.token, body).await?;
        if status != 200 {
            return Err(format!("{path} answered {status}: {}", String::from_utf8_lossy(&answer)).into());
        }
        if kind == Kind::Pull {
            let answer: Value = serde_json::from_slice(&answer)?;
            self.cursor = answer["cursor"].clone();
        }
        Ok(kind)
    }
}

/// The local process under load.
struct Target {
    child: Child,
    client: HttpClient,
    signed_in: AtomicU64,
}

impl Target {
    async fn start(binary: &Path) -> Result<Self, StageError> {
        let arguments = ["--port", "0", "--ws-port", "0", "--aws-port", "0", "--data", "memory", "--log", "warn"];
        // Signing so many people in from one address is what the limits are there to stop.
        let limits = ["--param", "SyncQuotaBytes=10000000000"];
        let mut command = Command::new(binary);
        command.args(arguments).args(limits).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
        let port = loop {
            let line = lines.next_line().await?.ok_or("the local process ended before it was ready")?;
            let port =
                line.split_once("http://127.0.0.1:").map(|(_, rest)| rest.split(|it: char| !it.is_ascii_digit()));
            if let Some(port) = port.and_then(|mut parts| parts.next()?.parse().ok()) {
                break port;
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, client: HttpClient::on(port), signed_in: AtomicU64::new(0) })
    }

    async fn person(&self, number: usize) -> Result<Person, StageError> {
        let client = &self.client;
        let wanted = json!({ "provider": "google", "subject": format!("load-{number}") });
        let identity = client.json(Method::POST, "/_local/identity", "", Some(&wanted)).await?;
        let device = json!({ "name": "load", "platform": "ios" });
        let body = json!({ "id_token": identity["id_token"], "device": device });
        let session = client.json(Method::POST, "/auth/google", "", Some(&body)).await?;
        let session: Session = serde_json::from_value(session)?;
        let token = format!("Bearer {}", session.access_token);
        let backoffice = self.backoffice().await?;
        let grant = json!({ "user_id": session.user_id, "add_on_type": "sync", "reason": "load" });
        client.json(Method::POST, "/payments/grants", &backoffice, Some(&grant)).await?;
        Ok(Person { session, token, cursor: Value::Null, pushed: 0, turn: number })
    }

    async fn backoffice(&self) -> Result<String, StageError> {
        let secret = format!("{}:{}", satchel_local::seed::CLIENT_ID, satchel_local::seed::CLIENT_SECRET);
        let basic = format!("Basic {}", STANDARD.encode(secret));
        let body = json!({ "grant_type": "client_credentials" });
        let answer = self.client.form(Method::POST, "/auth/token", &basic, &body).await?;
        Ok(format!("Bearer {}", answer["access_token"].as_str().ok_or("no access_token")?))
    }

    async fn people(&self, count: usize, from: usize) -> Result<Vec<Person>, StageError> {
        let mut people = Vec::new();
        for number in from..from + count {
            // At most 30 sign-ins a minute are taken from one address, by the stack's own clock.
            if self.signed_in.fetch_add(1, Ordering::Relaxed) % 25 == 24 {
                let advance = json!({ "advance_seconds": 61 });
                self.client.json(Method::POST, "/_local/clock", "", Some(&advance)).await?;
            }
            people.push(self.person(number).await?);
        }
        Ok(people)
    }
}

/// Throughput of the closed loop, and times by kind.
async fn closed(
    target: &Target,
    people: Vec<Person>,
    lasting: Duration,
) -> Result<(f64, Vec<(Kind, Duration)>), StageError> {
    let begun = Instant::now();
    let workers: Vec<_> = people
        .into_iter()
        .map(|mut person| {
            let client = target.client.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while begun.elapsed() < lasting {
                    let asked = Instant::now();
                    let kind = person.step(&client).await?;
                    times.push((kind, asked.elapsed()));
                }
                Ok::<_, StageError>(times)
            })
        })
        .collect();
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await??);
    }
    Ok((all.len() as f64 / begun.elapsed().as_secs_f64(), all))
}

/// Times of the open loop at `rate` requests a second, from their intended moments.
async fn open(
    target: &Target,
    people: Vec<Person>,
    rate: f64,
    lasting: Duration,
) -> Result<(f64, Samples), StageError> {
    let (give, mut take) = mpsc::unbounded_channel();
    for person in people {
        give.send(person)?;
    }
    let (tell, mut told) = mpsc::unbounded_channel();
    let done = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let total = (rate * lasting.as_secs_f64()) as u64;
    for number in 0..total {
        let intended = begun + Duration::from_secs_f64(number as f64 / rate);
        tokio::time::sleep_until(intended).await;
        let mut person = take.recv().await.ok_or("nobody is left")?;
        let (client, give, tell, done) = (target.client.clone(), give.clone(), tell.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let outcome = person.step(&client).await.map(|_| intended.elapsed());
            done.fetch_add(1, Ordering::Relaxed);
            // Who is told is still there: it holds the other end until all are done.
            drop((tell.send(outcome), give.send(person)));
        });
    }
    drop(tell);
    let mut times = Vec::new();
    while let Some(outcome) = told.recv().await {
        times.push(outcome?);
    }
    let rate = done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    Ok((rate, Samples::of(times)))
}

fn row(name: String, samples: &Samples) -> Vec<String> {
    let percentiles = [0.5, 0.9, 0.99, 1.0].map(|share| format!("{:.1}", samples.at(share)));
    [name, samples.len().to_string()].into_iter().chain(percentiles).collect()
}

/// The part of the page.
///
/// # Errors
/// Where a request is refused.
pub async fn run(binary: &Path, lasting: Duration) -> Result<Section, StageError> {
    let target = Target::start(binary).await?;
    let pid = target.child.id().ok_or("the local process ended")?;
    let warm = target.people(IN_FLIGHT, 0).await?;
    closed(&target, warm, lasting / 5).await?;
    let before = machine::cpu_time(pid).unwrap_or_default();
    let (rate, times) = closed(&target, target.people(IN_FLIGHT, IN_FLIGHT).await?, lasting).await?;
    let cpu = machine::cpu_time(pid).unwrap_or_default() - before;

    let mut section = Section::new(60, "Throughput of the local process");
    section.say(&format!(
        "`satchel-local --data memory`, release, emulator and event sources included, over loopback, with the load from \
         another process on the same cores. Mix: push of 10 new entries of 512 bytes 4, pull from the device's cursor 5, status \
         1; each worker is a person. Closed loop: {IN_FLIGHT} in flight for {} s: **{rate:.0} requests a second**, {:.2} ms of the \
         process's CPU a request.",
        lasting.as_secs(),
        cpu.as_secs_f64() * 1_000.0 / times.len() as f64
    ));
    let head = ["closed loop", "requests", "p50 ms", "p90", "p99", "most"];
    let of = |kind: Option<Kind>| {
        Samples::of(times.iter().filter(|(it, _)| kind.is_none_or(|kind| kind == *it)).map(|(_, time)| *time))
    };
    let rows = [("all", None), ("push", Some(Kind::Push)), ("pull", Some(Kind::Pull)), ("status", Some(Kind::Status))];
    let rows: Vec<_> = rows.into_iter().map(|(name, kind)| row(name.to_owned(), &of(kind))).collect();
    section.table(&head, &rows);
    let mut rows = Vec::new();
    for (step, share) in [0.25, 0.5, 0.75].into_iter().enumerate() {
        let people = target.people(PEOPLE, 100 + step * PEOPLE).await?;
        let (achieved, samples) = open(&target, people, rate * share, lasting / 2).await?;
        rows.push(row(format!("{:.0} a second ({achieved:.0} achieved)", rate * share), &samples));
    }
    section.say("Open loop at fixed rates, times from the intended moment of each request:");
    section.table(&["rate", "requests", "p50 ms", "p90", "p99", "most"], &rows);
    section.bars.push(Bar::reported(
        "throughput of the local process, mix push 4 : pull 5 : status 1, 8 in flight",
        "compared from outside: ≥ 1 ×, aim 3 ×",
        format!("{rate:.0} requests a second"),
    ));
    Ok(section)
}
