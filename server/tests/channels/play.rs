//! A house whose server has channels, and a sender for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use countermand::app::channels::AtChannel;
use countermand::outbox::channels::{self, ChannelConfig, Channels};
use countermand::outbox::transport::Transport;
use countermand::outbox::worker::{Progress, Sender, Setup};
use countermand_core::notice::channel::Lane;
use countermand_core::order::{Order, RetractAnswer};
use jiff::SignedDuration;

use crate::support::app::{ADMIN, RESPONDER, TIKTOK, World, operator};
use crate::support::webhook::{Asked, Webhook};

pub const SECRET: &str = "open sesame";

pub fn config(text: &str) -> ChannelConfig {
    #[derive(serde::Deserialize)]
    struct File {
        channel: Vec<ChannelConfig>,
    }
    let file: File = toml::from_str(&format!("[[channel]]\n{text}")).unwrap();
    file.channel.into_iter().next().unwrap()
}

/// One of our own shape, for tests of what is alike for all.
pub fn plain(hook: &Webhook, name: &str) -> ChannelConfig {
    let url = hook.url(&format!("/{name}"));
    config(&format!(
        "name = \"{name}\"\nshape = \"plain\"\nurl = \"{url}\"\nsecret = \"{SECRET}\""
    ))
}

/// One of each shape.
pub fn every_shape(hook: &Webhook) -> Vec<ChannelConfig> {
    let of = |shape: &str, path: &str, more: &str| {
        let url = hook.url(path);
        config(&format!(
            "name = \"{shape}\"\nshape = \"{shape}\"\nurl = \"{url}\"\n{more}"
        ))
    };
    vec![
        of("slack", "/services/T/B/x", ""),
        of("teams", "/workflows/x?sig=y", ""),
        of(
            "matrix",
            "",
            "token = \"syt_token\"\nroom = \"!ops:m.test\"",
        ),
        of("telegram", "", "token = \"1:A\"\nchat = \"-100\""),
        of("plain", "/plain", "secret = \"open sesame\""),
    ]
}

/// Where requests of a shape arrive.
pub const PATHS: [(&str, &str); 5] = [
    ("slack", "/services/"),
    ("teams", "/workflows/"),
    ("matrix", "/_matrix/"),
    ("telegram", "/bot"),
    ("plain", "/plain"),
];

pub fn order_at(names: &[&str]) -> String {
    TIKTOK.replace(
        "[deadline]",
        &format!("[announce]\nchannels = {names:?}\n[deadline]"),
    )
}

/// A house of two people whose server has these channels.
pub async fn house(channels: Vec<ChannelConfig>) -> World {
    house_on(None, channels).await
}

/// The same on a database of one's own.
pub async fn house_on(url: Option<String>, channels: Vec<ChannelConfig>) -> World {
    let world = World::with(|config| {
        config.notices.channels = channels;
        if let Some(url) = url {
            config.database.url = url;
        }
    })
    .await;
    world
        .people(&[
            "mia@corp.test,,Mia Lind,all-staff,en,",
            "sam@corp.test,,Sam Ode,all-staff,en,",
        ])
        .await;
    let phone = "P1,eas:P1,com.zhiliaoapp.musically@1";
    world.iphones(&[&format!("mia@corp.test,{phone}")]).await;
    world
}

pub fn sender(world: &World, name: &str, patience: Duration) -> Sender {
    let app = &world.app;
    let channels = Channels::new(&app.config.notices.channels).unwrap();
    let setup = Setup {
        store: app.store.clone(),
        office: Arc::new(app.clone()),
        clock: app.clock.clone(),
        transport: Transport::Channels(Arc::new(channels.with_patience(patience))),
        from: "IT Security <it-security@corp.test>".to_owned(),
        sessions: channels::SESSIONS,
        name: name.to_owned(),
    };
    Sender::new(setup).unwrap()
}

pub const SHORT: Duration = Duration::from_millis(500);
pub const LONG: Duration = Duration::from_secs(60);

/// Runs a sender until nothing is left; whatever waits for a retry need not wait: its time is now. Gives
/// back how long each wait would have been.
pub async fn send(
    world: &World,
    name: &str,
    patience: Duration,
) -> (Progress, Vec<SignedDuration>) {
    let mut sending =
        tokio::spawn(sender(world, name, patience).run_until_idle(std::future::pending()));
    let mut waits = Vec::new();
    loop {
        tokio::select! {
            done = &mut sending => return (done.unwrap().unwrap(), waits),
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
        let at = world
            .app
            .store
            .next_retry(Lane::Channels, &[])
            .await
            .unwrap();
        let wait = at.map(|at| at.duration_since(world.app.now()));
        if let Some(wait) = wait.filter(|wait| wait.is_positive()) {
            waits.push(wait);
            world.clock.advance(wait);
        }
    }
}

pub async fn at_channels(world: &World, order: &Order) -> BTreeMap<String, AtChannel> {
    world.app.live.follow().await.unwrap();
    let shown = world
        .app
        .show(&operator(ADMIN), &order.id.to_string())
        .await
        .unwrap();
    let all = shown.channels.into_iter();
    all.map(|at| (at.name.clone(), at)).collect()
}

pub async fn retract(world: &World, order: &Order) -> RetractAnswer {
    let id = order.id.to_string();
    world
        .app
        .retract(&operator(RESPONDER), &id, "sent in error")
        .await
        .unwrap()
}

pub fn signature(asked: &Asked) -> String {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let timestamp = asked.header("x-countermand-timestamp");
    mac.update(format!("v1:{timestamp}:").as_bytes());
    mac.update(&asked.body);
    let code = mac.finalize().into_bytes();
    format!("v1={}", countermand_core::hex::encode(&code))
}
