//! Process-level figures into `docs/benchmarks.md`: `make bench`, or
//! `cargo run --release -p satchel-tests --bin bench-process -- --profile-dir target/release`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use satchel_inbound::Clock;
use satchel_tests::bench::report::{self, Section};
use satchel_tests::bench::{capacity, cold, load, machine, memory, purchases, sizes, warm, work};
use satchel_tests::binaries::Binaries;
use satchel_tests::stage::{Stage, StageError};
use satchel_tests::workspace::root;

/// Measures the function binaries and the local process, and writes docs/benchmarks.md.
#[derive(Debug, Parser)]
struct Args {
    /// Folder of the binaries
    #[arg(long, default_value = "target/release")]
    profile_dir: PathBuf,
    /// Parts to run, separated by commas: cold, sizes, memory, warm, capacity, purchases, work, load; all without
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// A tenth of everything, to see that it runs; writes no page
    #[arg(long)]
    quick: bool,
    /// Where the parts are kept between runs
    #[arg(long, default_value = "target/bench")]
    state: PathBuf,
}

const PARTS: [&str; 8] = ["sizes", "cold", "warm", "memory", "capacity", "purchases", "work", "load"];

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(StageError::from).and_then(|runtime| runtime.block_on(run(&args)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("bench-process: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    // Where nobody listens there is nobody to tell.
    std::io::stdout().write_all(text.as_bytes()).ok();
}

async fn run(args: &Args) -> Result<(), StageError> {
    for part in &args.only {
        if !PARTS.contains(&part.as_str()) {
            return Err(format!("there is no part `{part}`: {}", PARTS.join(", ")).into());
        }
    }
    let state = if args.quick { args.state.join("quick") } else { args.state.clone() };
    for part in PARTS.iter().filter(|part| args.only.is_empty() || args.only.iter().any(|it| it == *part)) {
        if machine::is_busy() {
            say("a compiler is running: times below mean little\n");
        }
        say(&format!("{part} …\n"));
        let mut section = measure(part, args).await.map_err(|error| format!("{part}: {error}"))?;
        let day = Clock::system().now().to_string();
        let day = day.split('T').next().unwrap_or_default().to_owned();
        section.run = format!(
            "{day}, {}. `bench-process --profile-dir {} --only {part}`",
            machine::describe(),
            args.profile_dir.strip_prefix(root()).unwrap_or(&args.profile_dir).display()
        );
        report::keep(&state, part, &section)?;
        say(&format!("{}\n", section.text));
        for bar in &section.bars {
            say(&format!("  {} — {}: {} ({})\n", bar.what, bar.bar, bar.measured, met(bar.met)));
        }
    }
    if !args.quick {
        std::fs::write(root().join("docs/benchmarks.md"), report::page(&state)?)?;
        say("docs/benchmarks.md is written\n");
    }
    Ok(())
}

fn met(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "met",
        Some(false) => "NOT MET",
        None => "reported",
    }
}

async fn measure(part: &str, args: &Args) -> Result<Section, StageError> {
    let binaries = Binaries::at(&args.profile_dir);
    let tenth = |whole: usize| if args.quick { whole / 10 } else { whole };
    if part == "load" {
        let binary = binaries.find("satchel-local")?;
        return load::run(&binary, Duration::from_secs(if args.quick { 2 } else { 20 })).await;
    }
    let stage = Stage::start(&[("SyncQuotaBytes", "10000000000")]).await?;
    let section = match part {
        "sizes" => sizes::run(&args.profile_dir, &names(&stage))?,
        "cold" => cold::run(&stage, &binaries, tenth(20)).await?,
        "warm" => warm::run(&stage, &binaries, tenth(1_000)).await?,
        "memory" => memory::run(&stage, &binaries, if args.quick { 2_000 } else { 100_000 }).await?,
        "capacity" => capacity::run(&stage, sizes_of_spaces(args.quick)).await?,
        "purchases" => purchases::run(&stage, tenth(1_000)).await?,
        "work" => work::run(&stage, &binaries, tenth(3_000)).await?,
        other => return Err(format!("there is no part `{other}`").into()),
    };
    stage.stop().await;
    Ok(section)
}

fn sizes_of_spaces(quick: bool) -> &'static [usize] {
    if quick { &[100, 1_000] } else { &[1_000, 10_000, 100_000] }
}

fn names(stage: &Stage) -> Vec<String> {
    stage.local().template().functions().iter().map(|function| function.binary.clone()).collect()
}
