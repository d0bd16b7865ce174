//! A story of two people and four devices, told against a running local stack: sign-in, an add-on, push and pull, a
//! conflict, its history, equal copies, and a stranger who gets nothing. Ends with an exit code of 1 at any surprise.

mod device;
mod door;
mod story;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use door::Door;

/// Plays a story against a running local stack; starts one in memory where none is reachable.
#[derive(Debug, Parser)]
struct Args {
    /// Where the stack listens
    #[arg(long, env = "SATCHEL_URL", default_value = "http://127.0.0.1:3000")]
    url: String,
}

/// What goes wrong ends the story.
type Surprise = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut told = std::io::stdout();
    let outcome = match Door::open(&Args::parse().url, &mut told).await {
        Ok(door) => story::play(&door, &mut told).await,
        Err(surprise) => Err(surprise),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(surprise) => {
            writeln!(std::io::stderr(), "\nA surprise: {surprise}").ok();
            ExitCode::FAILURE
        }
    }
}
