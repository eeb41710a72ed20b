//! The program: reads the command line, lets time and ids in, and puts the parts together.

use std::process::ExitCode;
use std::sync::Arc;

use countermand::cli::{self, Exit, Failure, Job, World};
use countermand::clock::{Clock, ManualClock, RandomIds, SystemClock};
use countermand_core::order::when::When;

/// The moment that the program takes for now: for exercises and tests. Its clock then stands still.
const NOW: &str = "COUNTERMAND_NOW";

/// What is logged, as `tracing` filters are written; warnings unless it says otherwise.
const LOG: &str = "COUNTERMAND_LOG";

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        // Help and version are such errors too, with status 0.
        Err(error) => error.exit(),
    };
    log();
    match work(cli).await {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("countermand: {failure}");
            failure.exit.into()
        }
    }
}

async fn work(cli: cli::Cli) -> Result<Exit, Failure> {
    let world = World {
        clock: clock()?,
        ids: Arc::new(RandomIds),
    };
    match cli::run(cli, world).await? {
        Job::Done(exit) => Ok(exit),
        Job::Serve(..) => Err(Failure::failed("serve is not built yet")),
        Job::Demo(..) => Err(Failure::failed("demo is not built yet")),
        Job::Send(..) => Err(Failure::failed("notices send is not built yet")),
    }
}

fn clock() -> Result<Arc<dyn Clock>, Failure> {
    match std::env::var(NOW) {
        Err(_) => Ok(Arc::new(SystemClock)),
        Ok(text) => match text.parse::<When>() {
            Ok(when) => Ok(Arc::new(ManualClock::at(when.at()))),
            Err(error) => Err(Failure::usage(format!(
                "the environment variable {NOW}: {error}"
            ))),
        },
    }
}

/// Standard error is for people and logs; standard output holds answers only.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env(LOG)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
