//! What the gates and the pages have in common, though neither knows the other: the page of a
//! refusal, and the figures of the doors; and the door that is no route of ours.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use askama::Template as _;
use countermand_core::fleet::FormFactor;
use countermand_core::order::when::{for_people, in_zone};
use countermand_core::platform::Platform;
use countermand_core::verdict::{Channel, Fallback};

use tokio::task::JoinSet;

use crate::config::GateConfig;
use crate::gate::metrics::DoorFigures;
use crate::gate::page::{self, RefusedInfo};
use crate::gate::{Gate, postfix};
use crate::listen::{Admit, Listener};
use crate::web::pages as look;
use crate::web::pages::When;

/// Listens where Postfix asks. A place that somebody chose must be there; the one that nobody chose may
/// be of no use, since a socket's path may not be long.
pub async fn open_for_postfix(
    config: &GateConfig,
    data: &Path,
    gate: &Arc<Gate>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    let Some(listen) = config.postfix(data).map_err(anyhow::Error::msg)? else {
        return Ok(());
    };
    match Listener::bind(&listen, Admit::Group).await {
        Ok(listener) => {
            tasks.spawn(postfix::serve(gate.clone(), listener));
            Ok(())
        }
        Err(error) if config.postfix_listen == GateConfig::default().postfix_listen => {
            tracing::warn!(%error, "no socket for Postfix; [gate] postfix_listen names another place, \"\" none");
            Ok(())
        }
        Err(error) => Err(error).with_context(|| {
            format!("can't listen for Postfix on {listen}; [gate] postfix_listen in the config changes it, and \"\" closes that door")
        }),
    }
}

/// The page that a refused browser is shown, as the console's other pages look.
pub fn page(info: &RefusedInfo) -> String {
    let general = info.because.is_empty() && info.fallback.is_none() && info.orders.is_empty();
    if general {
        return page::plain(info);
    }
    let refused = look::Refused {
        because: info.because.iter().map(because).collect(),
        fallback: info.fallback.and_then(fallback),
        orders: info
            .orders
            .iter()
            .map(|o| look::RefusingOrder {
                title: o.title.clone(),
                statement: o.statement.clone(),
            })
            .collect(),
        handset: match info.platform {
            Some(Platform::Ios) => Some(look::Handset::Ios),
            Some(Platform::Android) => Some(look::Handset::Android),
            _ => None,
        },
        reference: info.reference.clone(),
    };
    refused.render().unwrap_or_else(|_| page::plain(info))
}

fn because(seen: &page::RefusedFor) -> look::RefusedFor {
    let device = match seen.device {
        Some((Platform::Ios, FormFactor::Tablet)) => "your iPad",
        Some((Platform::Ios, _)) => "your iPhone",
        Some((Platform::Android, FormFactor::Tablet)) => "your Android tablet",
        Some((Platform::Android, _)) => "your Android phone",
        _ => "a device of yours",
    };
    look::RefusedFor {
        app: seen.app.clone(),
        device: device.to_owned(),
        seen: When::new(
            for_people(seen.seen_at, "UTC"),
            in_zone(seen.seen_at, "UTC").timestamp().to_string(),
        ),
        source: seen.source.clone(),
    }
}

fn fallback(fallback: Fallback) -> Option<look::Fallback> {
    Some(match fallback {
        Fallback::NoReport => look::Fallback::NoReport,
        Fallback::Stale => look::Fallback::Stale,
        Fallback::Invisible => look::Fallback::Invisible,
        Fallback::UnknownDevice => look::Fallback::UnknownDevice,
        Fallback::UnknownPerson => look::Fallback::UnknownPerson,
        Fallback::NoDeviceKey => look::Fallback::NoDeviceKey,
        Fallback::AmbiguousKey => look::Fallback::AmbiguousKey,
        Fallback::DoorsOpen => return None,
    })
}

/// A door's figures for the console.
pub fn figures(door: DoorFigures, view_age: Duration) -> crate::web::DoorFigures {
    let channel = match door.channel {
        Channel::Activesync => "ActiveSync",
        Channel::Imap => "IMAP",
        Channel::Pop3 => "POP3",
        Channel::Submission => "Submission",
        Channel::Web => "Web",
    };
    crate::web::DoorFigures {
        name: format!("{channel} · {}", door.route.as_str()),
        asked: door.asked,
        let_in: door.let_in,
        warned: door.warned,
        refused: door.refused,
        would_refuse: door.would_refuse,
        p99: door.p99_seconds.map(Duration::from_secs_f64),
        view_age: Some(view_age),
    }
}
