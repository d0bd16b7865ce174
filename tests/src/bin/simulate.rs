//! `make simulate SEEDS=200`: seeds of the simulation, and the planted bugs.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use satchel_tests::simulation::bug::Bug;
use satchel_tests::simulation::planted::{heading, hunt};
use satchel_tests::simulation::world::Backend;
use satchel_tests::simulation::{Plan, plans, run_all};

/// Plays stories of devices that sync over a bad network, and says which seed broke a property.
#[derive(Debug, Parser)]
struct Options {
    /// How many seeds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Only this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Only the stories on this server.
    #[arg(long)]
    on: Option<Backend>,
    /// Hunts the planted bugs instead, and fails where one is not caught.
    #[arg(long)]
    planted: bool,
    /// With the planted bugs, the steps that caught each.
    #[arg(long)]
    trace: bool,
}

fn main() -> std::io::Result<ExitCode> {
    let options = Options::parse();
    let begun = Instant::now();
    let mut out = std::io::stdout().lock();
    if options.planted {
        return planted(&options, &mut out);
    }
    let seeds = options.seed.map_or(options.first..options.first + options.seeds, |seed| seed..seed + 1);
    let wanted = |plan: &Plan| options.on.is_none_or(|backend| plan.backend == backend);
    let plans: Vec<_> = seeds.clone().flat_map(plans).filter(wanted).collect();
    let summary = run_all(&plans);
    if let Some(failure) = &summary.failure {
        write!(out, "{failure}")?;
        writeln!(out, "again: simulate --seed {}", failure.plan.seed)?;
        return Ok(ExitCode::FAILURE);
    }
    writeln!(
        out,
        "{} seeds from {}: {} stories, {} requests, every property held, in {:.1} s",
        seeds.end - seeds.start,
        seeds.start,
        summary.stories,
        summary.requests,
        begun.elapsed().as_secs_f64()
    )?;
    Ok(ExitCode::SUCCESS)
}

fn planted(options: &Options, out: &mut impl Write) -> std::io::Result<ExitCode> {
    let mut all_caught = true;
    writeln!(out, "{}", heading())?;
    for bug in Bug::ALL {
        let hunt = hunt(bug);
        writeln!(out, "{}", hunt.line())?;
        match &hunt.caught {
            Some(failure) if options.trace => write!(out, "{failure}")?,
            Some(_) => {}
            None => all_caught = false,
        }
    }
    Ok(if all_caught { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
