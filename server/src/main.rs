//! The program: reads the command line, lets time and ids in, and puts the parts together.

use std::process::ExitCode;
use std::sync::Arc;

use countermand::app::App;
use countermand::cli::{self, Exit, Failure, Job, Place, World};
use countermand::clock::{Clock, Ids as _, ManualClock, RandomIds, ShiftedClock, SystemClock};
use countermand::config::{DatabaseConfig, NoticesConfig};
use countermand::demo;
use countermand::doctor::{self, Visit};
use countermand::runtime;
use countermand::serve::{self, Options};
use countermand_core::actor::Act;
use countermand_core::order::when::When;
use countermand_core::words::thousands;

/// Every notice is many small texts, made on one thread and dropped on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The moment that the program takes for now: for exercises and tests. Its clock then stands still.
const NOW: &str = "COUNTERMAND_NOW";

/// What is logged, as `tracing` filters are written; warnings unless it says otherwise.
const LOG: &str = "COUNTERMAND_LOG";

fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        // Help and version are such errors too, with status 0.
        Err(error) => error.exit(),
    };
    log();
    let runtime = match runtime::start() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("countermand: no threads to work with: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(work(cli)) {
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
        Job::Serve(place, serve) if serve.gate_only => {
            let config = place.config()?;
            let (data, clock) = (&place.data, place.world.clock.clone());
            failed(serve::gate_only(config, data, clock).await)
        }
        Job::Serve(place, _) => {
            let open = place.open().await?;
            open.authorise(Act::Administer).await?;
            let gate = serve::gates(&open.app);
            let alone = std::future::ready(());
            failed(serve::run(open.app, &place.data, Options::default(), gate, alone).await)
        }
        Job::Doctor(place, doctor) => examine(&place, doctor).await,
        Job::Demo(place, demo) => play(&place, demo.story).await,
        Job::Send(place, send) => {
            let open = place.open().await?;
            open.authorise(Act::Administer).await?;
            let print = place.print;
            let app = open.app.clone();
            let sent = serve::send(app, &place.data, send.until_idle, cli::follow(print)).await;
            let progress = sent.map_err(|e| Failure::failed(format!("{e:#}")))?;
            if send.until_idle {
                for waits in open.app.waits().await? {
                    eprintln!("{}", cli::left(&place, &waits));
                }
            }
            print.answer(&progress, || {
                format!(
                    "{} accepted, {} rejected, {} unknown; {} attempts were put off and repeated.",
                    thousands(progress.accepted),
                    thousands(progress.rejected),
                    thousands(progress.unknown),
                    thousands(progress.deferred)
                )
            })?;
            Ok(Exit::Done)
        }
    }
}

fn failed(done: anyhow::Result<()>) -> Result<Exit, Failure> {
    done.map(|()| Exit::Done)
        .map_err(|e| Failure::failed(format!("{e:#}")))
}

/// A database that is away is a finding; a data directory that is none is wrong use.
async fn examine(place: &Place, asked: cli::doctor::Doctor) -> Result<Exit, Failure> {
    let config = asked.over(place.config()?)?;
    let app = match place.open().await {
        Ok(open) => {
            open.authorise(Act::Read).await?;
            Ok(open.app)
        }
        Err(failure) if failure.exit == Exit::Failed => Err(failure.to_string()),
        Err(failure) => return Err(failure),
    };
    let visit = Visit {
        config,
        data: place.data.clone(),
        clock: place.world.clock.clone(),
        app,
    };
    let report = doctor::examine(&visit).await;
    let words = || report.in_words(|word| place.print.word(word));
    place.print.answer(&report, words)?;
    Ok(match report.is_fine() {
        true => Exit::Done,
        false => Exit::Failed,
    })
}

/// The demo has a folder of its own, new at every start and gone at its end.
async fn play(place: &Place, story: bool) -> Result<Exit, Failure> {
    let folder = std::env::temp_dir().join(format!("countermand-demo-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)
        .map_err(|e| Failure::failed(format!("{}: {e}", folder.display())))?;
    let mut config = place.config()?;
    config.database.url = DatabaseConfig::default().url;
    config.notices = NoticesConfig::default();
    config.gate.secret = RandomIds.secret();
    let clock = Arc::new(ShiftedClock::showing(demo::begins()));
    let app = App::open(config, &folder, clock.clone(), Arc::new(RandomIds)).await?;
    let done = serve::demo(app, clock, &folder, story, |line| {
        println!("{}", line.in_words())
    })
    .await;
    let _ = std::fs::remove_dir_all(&folder);
    failed(done)
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
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}
