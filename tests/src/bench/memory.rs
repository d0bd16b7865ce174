//! Resident memory of each HTTP function, after 1,000 requests and as it goes on.

use std::time::Duration;

use crate::binaries::Binaries;
use crate::events::HttpEvent;
use crate::process::Launch;
use crate::stage::{Stage, StageError};

use super::machine;
use super::report::{Bar, Section};
use super::tls::TlsFront;

/// Bar, in bytes.
const MOST: f64 = 40.0 * 1_048_576.0;
/// Growth that counts as none: the allocator's own breathing, in bytes.
const NO_GROWTH: f64 = 1.0 * 1_048_576.0;

/// The binary with nothing of ours in it.
const EMPTY: &str = "empty axum on lambda_http";
const TIMEOUT: Duration = Duration::from_secs(15);

/// Memory after 1,000 requests and after `requests`.
///
/// # Errors
/// Where a function fails.
pub async fn run(stage: &Stage, binaries: &Binaries, requests: u32) -> Result<Section, StageError> {
    let mut section = Section::new(30, "Memory at rest");
    section.say(&format!(
        "Resident set in MB of each HTTP function, its requests one after the other, each a signed-in person's read over TLS \
         (`web`: `/health`); after 1,000 and then on to {requests}."
    ));
    let folder = tempfile::tempdir()?;
    let tls = TlsFront::serve(stage.services_address(), folder.path()).await?;
    let ada = stage.sign_in("memory").await?;
    stage.grant_sync(&ada.user_id).await?;
    let mut steps = vec![1u32, 1_000, requests / 10, requests / 2, requests];
    steps.sort_unstable();
    steps.dedup();
    let mut head = vec!["function".to_owned()];
    head.extend(steps.iter().map(|step| format!("after {step}")));
    let (mut rows, mut highest, mut growth, mut baseline) = (Vec::new(), 0.0f64, 0.0f64, 0.0f64);
    for (name, path) in [
        (EMPTY, "/"),
        ("auth", "/auth/me"),
        ("devices", "/devices"),
        ("sync", "/sync/status"),
        ("payments", "/payments/entitlements"),
        ("web", "/health"),
    ] {
        let launch = match name {
            EMPTY => Launch::new(name, &binaries.find("empty-lambda")?, 256, TIMEOUT, &Default::default()),
            name => stage.launch(name, binaries)?,
        };
        let launch =
            launch.with("AWS_ENDPOINT_URL", tls.url()).with("AWS_CA_BUNDLE", tls.authority().display().to_string());
        let mut process = launch.start().await?;
        let mut session = stage.sign_in("memory").await?;
        let (mut row, mut done, mut sizes) = (vec![format!("`{name}`")], 0, Vec::new());
        let mut begun = std::time::Instant::now();
        for step in &steps {
            while done < *step {
                // Access tokens live 15 minutes.
                if begun.elapsed().as_secs() > 600 {
                    session = stage.sign_in("memory").await?;
                    begun = std::time::Instant::now();
                }
                let event = HttpEvent::new("GET", path).bearer(&session.access_token);
                let answer = process.invoke(event.value()).await?;
                if answer["statusCode"] != 200 {
                    return Err(format!("{name} answered {answer}").into());
                }
                done += 1;
            }
            let size = process.pid().and_then(machine::resident).unwrap_or(0) as f64;
            row.push(format!("{:.1}", size / 1_048_576.0));
            sizes.push(size);
        }
        if let [_, thousand, .., last] = sizes[..] {
            if name == EMPTY {
                baseline = last - thousand;
            } else {
                highest = highest.max(thousand);
                growth = growth.max(last - thousand);
            }
        }
        rows.push(row);
    }
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    section.table(&head, &rows);
    let measured = format!("at most {:.1} MB", highest / 1_048_576.0);
    section.bars.push(Bar::judged("memory at rest after 1,000 requests", "≤ 40 MB", measured, highest <= MOST));
    let megabytes = |bytes: f64| bytes / 1_048_576.0;
    let measured = format!(
        "at most {:+.2} MB from 1,000 to {requests}; the empty binary alone {:+.2} MB, so ours {:+.2} MB",
        megabytes(growth),
        megabytes(baseline),
        megabytes(growth - baseline)
    );
    section.say(
        "The empty binary grows as the functions do: for each invocation `lambda_runtime` sets `_X_AMZN_TRACE_ID` to the trace's \
         id, and glibc keeps every value that a variable ever had. It is about 220 bytes an invocation, a tenth of a function's \
         memory after 100,000 of them by one instance.",
    );
    section.bars.push(Bar::judged(
        "memory over 100,000 requests",
        "no growth (≤ 1 MB)",
        measured,
        growth <= NO_GROWTH && requests >= 100_000,
    ));
    Ok(section)
}
