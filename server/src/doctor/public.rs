//! What people reach from elsewhere: the statements' address, and the channels.

use std::net::IpAddr;

use crate::outbox::channels::Channels;

use super::Visit;
use super::http::Server;
use super::report::Report;

pub async fn statements(visit: &Visit, report: &mut Report) {
    let url = visit.config.server.public_url.trim_end_matches('/');
    let server = match Server::of(url) {
        Ok(server) => server,
        Err(why) => {
            return report.failed(
                "public_url",
                url,
                [&why, "an address", "correct [server] public_url"],
            );
        }
    };
    let path = format!("{}/healthz", server.path);
    // Whoever has the link of a notice knows no authority of ours, so only the public ones count here.
    let said = match server.ask(None, "GET", &path, &[], "").await {
        Ok(reply) if reply.status == 200 && reply.body.trim() == "ok" => None,
        Ok(reply) => Some(format!("{path} is answered with status {}", reply.status)),
        Err(why) => Some(why),
    };
    if let Some(said) = said {
        report.failed(
            "public_url",
            url,
            [
                &format!("the address that stands in every notice does not lead here: {said}"),
                "Countermand: who has a notice must see whether the order still holds",
                "correct [server] public_url, or the proxy that leads from there to [server] listen",
            ],
        );
        return;
    }
    let host = server.host();
    let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if is_here {
        report.warning(
            "public_url.local",
            url,
            [
                "it leads here from this machine only, and stands in every notice",
                "an address that people reach",
                "set [server] public_url to the https:// address of the proxy before [server] listen",
            ],
        );
    } else if !server.is_encrypted() {
        report.warning(
            "public_url.plain",
            url,
            [
                "it is not encrypted: on the way a statement can be changed, and an operator's password read",
                "https://",
                "put a proxy with a certificate before [server] listen, and its address into [server] public_url",
            ],
        );
    } else {
        report.ok("public_url", url, "leads here");
    }
}

/// A connection to each, and not a word.
pub async fn channels(visit: &Visit, report: &mut Report) {
    let channels = match Channels::new(&visit.config.notices.channels) {
        Ok(channels) => channels,
        Err(why) => {
            let mend = "correct it; until then serve does not start";
            return report.failed(
                "channel",
                "[[notices.channel]]",
                [&why, "channels that can be used", mend],
            );
        }
    };
    for (name, reached) in channels.reach().await {
        match reached {
            Ok(()) => report.ok("channel", name, "can be reached; nothing was posted"),
            Err(why) => report.failed(
                "channel",
                name,
                [
                    &format!("its server can't be reached: {why}"),
                    "a connection",
                    "see [[notices.channel]] url and ca_file, and whether this machine may connect there",
                ],
            ),
        }
    }
}
