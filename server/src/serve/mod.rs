//! Puts the parts together: gates, pages, outbox, and the index that follows. The one place where
//! everything meets.

mod doors;
mod gate_only;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use axum::routing::{MethodRouter, get};
use prometheus::Encoder as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::App;
use crate::app::bounces::Bounces;
use crate::clock::ShiftedClock;
use crate::config::TransportKind;
use crate::demo::{AtTheDoor, Demo, Doors, Line};
use crate::gate::feed::{self, Feed};
use crate::gate::{self, Gate};
use crate::listen::{Admit, Listener};
use crate::outbox::bounces::{lmtp, maildir};
use crate::outbox::channels::{self, Channels};
use crate::outbox::rehearsal::Rehearsal;
use crate::outbox::transport::Transport;
use crate::outbox::worker::{Progress, Sender, Setup};
use crate::web::{self, Web};

pub use gate_only::gate_only;

/// Where the transport `mailbox` writes to.
pub fn mailbox(data: &Path) -> PathBuf {
    data.join("mailbox")
}

/// How long requests may go on after the server was asked to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// How a server differs from the plain one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The made-up company: one-click sign-in, and mails that need not survive a power cut.
    pub demo: bool,
}

/// A sender for the configured transport.
pub fn sender(app: &App, data: &Path, options: Options) -> Result<Sender> {
    let notices = &app.config.notices;
    let (transport, sessions) = match notices.transport {
        TransportKind::Smtp => (Transport::Smtp(notices.smtp.clone()), notices.smtp.sessions),
        TransportKind::Mailbox => {
            let dir = mailbox(data);
            crate::outbox::maildir::create(&dir)
                .with_context(|| format!("the mailbox {}", dir.display()))?;
            (
                Transport::Mailbox {
                    dir,
                    durable: !options.demo,
                },
                4,
            )
        }
    };
    let setup = Setup {
        store: app.store.clone(),
        office: Arc::new(app.clone()),
        clock: app.clock.clone(),
        transport,
        from: notices.from.clone(),
        sessions,
        name: app.ids.uuid().to_string(),
    };
    Ok(Sender::new(setup)?.limited(&notices.limits))
}

/// A sender for channels, where there are any: those of the config, and those that orders were
/// announced at before they were taken out of it, whose corrections are not to be forgotten in silence.
pub async fn announcer(app: &App) -> Result<Option<Sender>> {
    let notices = &app.config.notices;
    if notices.channels.is_empty() && app.store.channels().await?.is_empty() {
        return Ok(None);
    }
    let channels = Channels::new(&notices.channels).map_err(anyhow::Error::msg)?;
    let setup = Setup {
        store: app.store.clone(),
        office: Arc::new(app.clone()),
        clock: app.clock.clone(),
        transport: Transport::Channels(Arc::new(channels)),
        from: notices.from.clone(),
        sessions: channels::SESSIONS,
        name: app.ids.uuid().to_string(),
    };
    Ok(Some(Sender::new(setup)?))
}

/// The gates, which draw their page of refusal as the console draws its pages.
pub fn gates(app: &App) -> Arc<Gate> {
    Gate::new(
        app.live.clone(),
        app.store.clone(),
        app.clock.clone(),
        app.config.gate.clone(),
        &app.config.server.public_url,
        Box::new(doors::page),
    )
}

/// All routes.
pub fn router(
    app: &App,
    gate: &Arc<Gate>,
    data: &Path,
    options: Options,
    stopping: watch::Receiver<bool>,
) -> Router {
    let (figures, live, clock) = (gate.clone(), app.live.clone(), app.clock.clone());
    let web = Web {
        doors: Arc::new(move || {
            let age = live.age(clock.now());
            figures
                .figures()
                .into_iter()
                .map(|door| doors::figures(door, age))
                .collect()
        }),
        mailbox: (app.config.notices.transport == TransportKind::Mailbox).then(|| mailbox(data)),
        rehearsal: Some(Rehearsal::new(&app.config.notices.test, data)),
        demo: options.demo,
        stopping,
        ..Web::new(app.clone())
    };
    gate::router(gate.clone())
        .merge(web::router(Arc::new(web)))
        .route("/metrics", metrics(gate.clone()))
}

/// The figures of this process.
fn metrics(gate: Arc<Gate>) -> MethodRouter {
    get(move || {
        let gate = gate.clone();
        async move {
            let encoder = prometheus::TextEncoder::new();
            let mut text = Vec::new();
            let _ = encoder.encode(&gate.registry().gather(), &mut text);
            ([(CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response()
        }
    })
}

/// What gate-only servers ask; nothing, where none may follow.
async fn feed(app: &App) -> Result<Router> {
    let feed = Feed::new(
        app.live.clone(),
        app.store.clone(),
        app.clock.clone(),
        app.config.gate.policy(),
        app.installation().await?,
        &app.config.follow.secret,
    );
    Ok(feed.map(feed::router).unwrap_or_default())
}

/// Turns true when somebody asks the process to end.
pub fn stop_signal() -> watch::Receiver<bool> {
    let (tell, stopping) = watch::channel(false);
    tokio::spawn(async move {
        let mut terminate =
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(signal) => signal,
                Err(error) => return tracing::error!(%error, "can't listen for SIGTERM"),
            };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        let _ = tell.send(true);
        // The channel must outlive its receivers.
        tell.closed().await;
    });
    stopping
}

/// Ends when `stopping` turns true.
pub async fn stopped(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Serves until asked to stop; `beside` runs at the same time.
pub async fn run(
    app: App,
    data: &Path,
    options: Options,
    gate: Arc<Gate>,
    beside: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let stopping = stop_signal();
    let listener = listen(&app.config.server.listen).await?;
    let router = router(&app, &gate, data, options, stopping.clone()).merge(feed(&app).await?);
    let sender = sender(&app, data, options)?;
    let announcer = announcer(&app).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(app.live.clone().keep_following());
    tasks.spawn(gate.clone().keep_recording());
    tasks.spawn(gate.clone().keep_kicking());
    doors::open_for_postfix(&app.config.gate, data, &gate, &mut tasks).await?;
    tasks.spawn(beside);
    read_bounces(&app, data, gate.registry(), &mut tasks).await?;
    tasks.spawn(app.clone().keep_purging());
    let sending = tokio::spawn(sender.run(stopped(stopping.clone())));
    let announcing = announcer.map(|a| tokio::spawn(a.run(stopped(stopping.clone()))));
    announce(&app, options).await?;
    answer(listener, router, stopping).await?;
    sending.await??;
    if let Some(announcing) = announcing {
        announcing.await??;
    }
    gate.flush().await?;
    Ok(())
}

/// Answers until asked to stop.
async fn answer(
    listener: TcpListener,
    router: Router,
    stopping: watch::Receiver<bool>,
) -> Result<()> {
    // Small answers must not wait for more to come.
    let listener = axum::serve::ListenerExt::tap_io(listener, |tcp| {
        let _ = tcp.set_nodelay(true);
    });
    let served = axum::serve(
        listener,
        router.into_make_service_with_connect_info::<std::net::SocketAddr>(),
    )
    .with_graceful_shutdown(stopped(stopping.clone()));
    // A request that never ends must not keep the server from ending.
    let at_the_latest = async {
        stopped(stopping).await;
        tokio::time::sleep(LAST_REQUESTS).await;
    };
    tokio::select! {
        served = served.into_future() => served?,
        () = at_the_latest => {}
    }
    Ok(())
}

async fn listen(listen: &str) -> Result<TcpListener> {
    TcpListener::bind(listen)
        .await
        .with_context(|| format!("can't listen on {listen}; is another countermand running? [server] listen in the config changes it"))
}

/// Reads bounces, where the config says that they come.
async fn read_bounces(
    app: &App,
    data: &Path,
    figures: &prometheus::Registry,
    tasks: &mut JoinSet<()>,
) -> Result<()> {
    let config = &app.config.notices.bounces;
    let (dir, listen) = (config.maildir(data), config.listen(data));
    let listen = listen.map_err(anyhow::Error::msg)?;
    if dir.is_none() && listen.is_none() {
        return Ok(());
    }
    let intake = Arc::new(Bounces::new(app.clone()));
    figures.register(Box::new(intake.counts().clone()))?;
    if let Some(dir) = dir {
        crate::outbox::maildir::create(&dir).with_context(|| {
            format!(
                "the maildir for bounces {}; [notices.bounces] maildir in the config names it",
                dir.display()
            )
        })?;
        tasks.spawn(maildir::watch(dir, intake.clone()));
    }
    if let Some(listen) = listen {
        // A mail server seldom runs as ours.
        let listener = Listener::bind(&listen, Admit::Everyone).await;
        let listener = listener.with_context(|| {
            format!("can't listen for bounces on {listen}; [notices.bounces] lmtp_listen in the config names it")
        })?;
        tasks.spawn(lmtp::serve(listener, intake));
    }
    Ok(())
}

/// Says where the console is, and gives the first operator a way in.
async fn announce(app: &App, options: Options) -> Result<()> {
    eprintln!("The console is at {}", app.config.server.public_url);
    if options.demo {
        return Ok(());
    }
    if let Some(link) = app.first_way_in().await? {
        eprintln!("Nobody can sign in yet. Set a password at {link}");
    }
    Ok(())
}

/// `notices send`: sends until nothing is due, or until asked to stop.
pub async fn send(
    app: App,
    data: &Path,
    until_idle: bool,
    mut on_progress: impl FnMut(&Progress) + Send + 'static,
) -> Result<Progress> {
    let sender = sender(&app, data, Options::default())?;
    let mut progress = sender.progress();
    let follow = tokio::spawn(app.live.clone().keep_following());
    let show = tokio::spawn(async move {
        while progress.changed().await.is_ok() {
            on_progress(&progress.borrow_and_update());
        }
    });
    let stopping = stop_signal();
    // Side by side: neither way out waits for the other.
    let announcing = announcer(&app).await?.map(|announcer| {
        let until = stopped(stopping.clone());
        tokio::spawn(async move {
            match until_idle {
                true => announcer.run_until_idle(until).await,
                false => announcer.run(until).await,
            }
        })
    });
    let until = stopped(stopping);
    // A task beside its sessions: from this thread each of them would be woken across threads.
    let sending = tokio::spawn(async move {
        match until_idle {
            true => sender.run_until_idle(until).await,
            false => sender.run(until).await,
        }
    });
    let done = sending.await?;
    // It needs what is followed, too.
    let announced = match announcing {
        Some(announcing) => announcing.await??,
        None => Progress::default(),
    };
    follow.abort();
    show.abort();
    // What it draws is gone before the answer comes.
    let _ = show.await;
    Ok(done?.and(&announced))
}

/// `demo`: the made-up company, with or without a console.
pub async fn demo(
    app: App,
    clock: Arc<ShiftedClock>,
    data: &Path,
    story: bool,
    tell: impl FnMut(&Line) + Send + Sync + 'static,
) -> Result<()> {
    let options = Options { demo: true };
    let gate = gates(&app);
    let asked = gate.clone();
    let doors: Doors = Arc::new(move |question| {
        let gate = asked.clone();
        Box::pin(async move {
            let (let_in, line) = gate.ask(question).await;
            AtTheDoor { let_in, line }
        })
    });
    let demo = Demo {
        app: app.clone(),
        clock,
        doors,
        tell: Box::new(tell),
    };
    if !story {
        let play = async move {
            if let Err(error) = demo.play().await {
                eprintln!("countermand: the story stopped: {error}");
            }
        };
        return run(app, data, options, gate, play).await;
    }
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tasks.spawn(app.live.clone().keep_following());
    tasks.spawn(gate.clone().keep_recording());
    let sending = tokio::spawn(sender(&app, data, options)?.run(stopped(stopping)));
    let played = demo.play_to_the_end().await;
    stop.send_replace(true);
    sending.await??;
    Ok(played?)
}
