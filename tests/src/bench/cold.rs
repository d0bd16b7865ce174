//! Cold starts: from the start of the process to its first answer through the Runtime API.

use std::path::Path;
use std::time::Duration;

use crate::binaries::Binaries;
use crate::events::HttpEvent;
use crate::process::Launch;
use crate::stage::{Stage, StageError};

use super::cpu::CpuShare;
use super::report::{Bar, Section};
use super::stats::Samples;
use super::tls::TlsFront;

/// CPU that a process is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    /// All of it.
    Full,
    /// That of so much memory, from the first instruction.
    Capped(u32),
    /// All of it until the first event is asked for, then that of so much memory: as Lambda does.
    AfterInit(u32),
}

const SHARES: [Share; 5] =
    [Share::Full, Share::AfterInit(256), Share::Capped(256), Share::AfterInit(128), Share::Capped(128)];

struct Subject {
    name: String,
    launch: Launch,
    event: String,
    is_http: bool,
}

struct Sample {
    init: Duration,
    whole: Duration,
}

async fn once(subject: &Subject, share: Share, phase: u64) -> Result<Sample, StageError> {
    let late = |memory| {
        let group = CpuShare::unlimited()?;
        Ok::<_, std::io::Error>((group, memory))
    };
    let (group, after_init) = match share {
        Share::Full => (None, None),
        Share::Capped(memory) => (Some(CpuShare::of_memory(memory)?), None),
        Share::AfterInit(memory) => late(memory).map(|(group, memory)| (Some(group), Some(memory)))?,
    };
    let launch = match &group {
        Some(group) => subject.launch.clone().inside(group.folder()),
        None => subject.launch.clone(),
    };
    let mut process = launch.start().await?;
    let started = process.started();
    let sample = match (after_init, &group) {
        (Some(memory), Some(group)) => {
            let ready = process.initialised().await?;
            group.set(Some(memory))?;
            // The event comes at any moment of a period.
            tokio::time::sleep(Duration::from_millis(20 + phase % 20)).await;
            let asked = std::time::Instant::now();
            let reply = process.call(subject.event.clone()).await?;
            Sample { init: ready - started, whole: (ready - started) + (reply.at - asked) }
        }
        _ => {
            let reply = process.call(subject.event.clone()).await?;
            let ready = process.initialised().await?;
            Sample { init: ready - started, whole: reply.at - started }
        }
    };
    // The process goes before its group.
    drop(process);
    Ok(sample)
}

fn subjects(stage: &Stage, binaries: &Binaries, tls: &TlsFront, token: &str) -> Result<Vec<Subject>, StageError> {
    let mut subjects = Vec::new();
    for block in stage.local().template().functions() {
        let launch = stage.launch(&block.binary, binaries)?;
        let launch =
            launch.with("AWS_ENDPOINT_URL", tls.url()).with("AWS_CA_BUNDLE", tls.authority().display().to_string());
        let path = match block.binary.as_str() {
            "auth" => Some("/auth/me"),
            "devices" => Some("/devices"),
            "sync" => Some("/sync/status"),
            "payments" => Some("/payments/entitlements"),
            "web" => Some("/health"),
            _ => None,
        };
        let event = match path {
            Some(path) => HttpEvent::new("GET", path).bearer(token).value().to_string(),
            None if block.binary.contains("-every-") => crate::events::schedule().to_string(),
            None => r#"{"Records": []}"#.to_owned(),
        };
        subjects.push(Subject { name: block.binary.clone(), launch, event, is_http: path.is_some() });
    }
    Ok(subjects)
}

/// Cold starts of every binary, `rounds` of each kind.
///
/// # Errors
/// Where one does not come up.
pub async fn run(stage: &Stage, binaries: &Binaries, rounds: usize) -> Result<Section, StageError> {
    let folder = tempfile::tempdir()?;
    let tls = TlsFront::serve(stage.services_address(), folder.path()).await?;
    let ada = stage.sign_in("cold").await?;
    stage.grant_sync(&ada.user_id).await?;
    let mut subjects = subjects(stage, binaries, &tls, &ada.access_token)?;
    let empty = binaries.find("empty-lambda")?;
    subjects.insert(0, empty_subject(&empty));
    subjects.insert(FLOOR, floor_subject(stage, &binaries.find("bare-lambda")?, &tls)?);
    let shares: Vec<Share> = match CpuShare::unlimited() {
        Ok(_) => SHARES.to_vec(),
        Err(_) => vec![Share::Full],
    };

    let mut samples: Vec<Vec<Vec<Sample>>> =
        subjects.iter().map(|_| shares.iter().map(|_| Vec::new()).collect()).collect();
    for round in 0..=rounds {
        for (subject, per_share) in subjects.iter().zip(&mut samples) {
            for (share, list) in shares.iter().zip(per_share) {
                let sample = once(subject, *share, (round * 7) as u64).await?;
                // The first round only brings the files into the page cache.
                if round > 0 {
                    list.push(sample);
                }
            }
        }
    }
    Ok(tell(&subjects, &shares, &samples, rounds))
}

fn empty_subject(binary: &Path) -> Subject {
    let launch = Launch::new("empty", binary, 256, Duration::from_secs(20), &Default::default());
    Subject {
        name: "empty axum on lambda_http".to_owned(),
        launch,
        event: HttpEvent::new("GET", "/").value().to_string(),
        is_http: false,
    }
}

/// Where the floor stands among the subjects, after the empty binary.
const FLOOR: usize = 1;

fn floor_subject(stage: &Stage, binary: &Path, tls: &TlsFront) -> Result<Subject, StageError> {
    let launch = stage.launch_file("payments", binary)?;
    let launch =
        launch.with("AWS_ENDPOINT_URL", tls.url()).with("AWS_CA_BUNDLE", tls.authority().display().to_string());
    let event = HttpEvent::new("GET", "/").value().to_string();
    Ok(Subject { name: "empty, with TLS and one GetItem".to_owned(), launch, event, is_http: false })
}

fn tell(subjects: &[Subject], shares: &[Share], samples: &[Vec<Vec<Sample>>], rounds: usize) -> Section {
    let mut section = Section::new(10, "Cold start");
    section.say(&format!(
        "From `exec` to the first answer through the Runtime API, in milliseconds, median of {rounds} starts (interleaved: one \
         of each binary and share, then the next). The HTTP functions answer a signed-in person's read (`web`: `/health`, \
         which calls nothing): token verified, AWS client built, **a whole TLS 1.3 handshake** with an emulator behind a \
         test authority, two or more DynamoDB calls. Consumers take an empty batch. The empty binary has one route, no \
         client and no TLS; the one below it makes the handshake and one `GetItem` by the bare SDK, which is the floor under \
         every function that reads a row. 'init' is the part before the first `GET /invocation/next`."
    ));
    section.say(
        "Shares are control groups with a CFS quota of a 20 ms period: 1,769 MB are one vCPU, so 256 MB are 14.5 % and 128 MB \
         7.2 % of this machine's core. '256 MB' has full CPU until the first event is asked for, as Lambda gives the init \
         phase for up to 10 s; 'all at 256 MB' is capped from the first instruction, which is stricter than Lambda. \
         What a share adds comes in steps of the period: 2.9 ms of CPU pass at once, the next wait for the next 20 ms.",
    );
    let mut head = vec!["binary".to_owned(), "init".to_owned()];
    head.extend(shares.iter().map(|share| match share {
        Share::Full => "full CPU".to_owned(),
        Share::AfterInit(memory) => format!("{memory} MB"),
        Share::Capped(memory) => format!("all at {memory} MB"),
    }));
    head.push("over empty".to_owned());
    let whole = |list: &[Sample]| Samples::of(list.iter().map(|sample| sample.whole));
    let median = |subject: usize, share: Share| {
        let at = shares.iter().position(|it| *it == share);
        let list = at.and_then(|at| samples.get(subject)?.get(at));
        list.map_or(f64::NAN, |list| whole(list).median())
    };
    let empty = median(0, Share::Full);
    let mut rows = Vec::new();
    let (mut worst_ratio, mut worst_capped, mut worst_late) = ((0.0, ""), (0.0, ""), (0.0, ""));
    for (number, subject) in subjects.iter().enumerate() {
        let init = samples.get(number).and_then(|lists| lists.first());
        let init = init.map_or(f64::NAN, |list| Samples::of(list.iter().map(|sample| sample.init)).median());
        let mut row = vec![format!("`{}`", subject.name), format!("{init:.1}")];
        row.extend(shares.iter().map(|share| format!("{:.1}", median(number, *share))));
        let ratio = median(number, Share::Full) / empty;
        row.push(format!("{ratio:.2} ×"));
        rows.push(row);
        if subject.is_http {
            for (worst, value) in [
                (&mut worst_ratio, ratio),
                (&mut worst_capped, median(number, Share::Capped(256))),
                (&mut worst_late, median(number, Share::AfterInit(256))),
            ] {
                if value.is_nan() || value > worst.0 {
                    *worst = (value, subject.name.as_str());
                }
            }
        }
    }
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    section.table(&head, &rows);
    let what = "cold start of each HTTP function, TLS included";
    let floor = median(FLOOR, Share::Full);
    let measured = format!(
        "at most {:.2} × (`{}`); the empty binary with a handshake and one `GetItem` alone is {:.2} ×, and the worst is {:.2} × \
         of that",
        worst_ratio.0,
        worst_ratio.1,
        floor / empty,
        worst_ratio.0 * empty / floor
    );
    section.bars.push(Bar::judged(what, "≤ 2 × an empty binary, no cap on CPU", measured, worst_ratio.0 <= 2.0));
    let measured = format!(
        "at most {:.0} ms (`{}`) with init at full CPU as in Lambda; {:.0} ms (`{}`) capped from the first instruction",
        worst_late.0, worst_late.1, worst_capped.0, worst_capped.1
    );
    let met = worst_late.0 <= 60.0 && worst_capped.0 <= 60.0;
    section.bars.push(Bar::judged(what, "≤ 60 ms at the CPU share of 256 MB", measured, met));
    section
}
