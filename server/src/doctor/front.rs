//! The proxies before ActiveSync and web mail, asked from outside as a phone asks: whether they ask us, what
//! they take from a client, and what they do when we can't answer.

use crate::gate::probe::{FORGEABLE, FORGED, Probe, Wish};

use super::front_mail;
use super::gate::phone;
use super::http::{Reply, Server};
use super::report::Report;
use super::{At, Visit};

pub async fn look(visit: &Visit, answers: bool, report: &mut Report) {
    // From elsewhere that can't be seen, and each front is taken for one that gets its verdicts.
    let asks = answers || visit.at == At::Elsewhere;
    for front in &visit.config.doctor.fronts {
        let place = front.trim_end_matches('/');
        match Server::of(front) {
            Err(why) => down(place, &why, report),
            // Without a gate it has no choice but to stay closed.
            Ok(server) if !server.scheme.starts_with("http") => {
                if asks {
                    front_mail::look(visit, &server, place, report).await;
                }
            }
            Ok(server) => {
                let front = Front {
                    visit,
                    server,
                    place,
                };
                front.look(asks, report).await;
            }
        }
    }
}

struct Front<'a> {
    visit: &'a Visit,
    server: Server,
    place: &'a str,
}

impl Front<'_> {
    /// A request of the probe's, with nothing that could sign anybody in and nothing that changes anything.
    async fn ask(&self, probe: &Probe, forged: &[(&str, &str)]) -> Result<Reply, String> {
        // Anything but a refusal is only to be had as a phone.
        let path = match (self.server.path.as_str(), probe.wish) {
            ("", _) => phone(probe),
            (path, Wish::Refuse) => format!("{path}/?doctor={}", probe.device()),
            (path, _) => format!("{path}{}", phone(probe)),
        };
        let ca_file = self.visit.authority();
        // Below 14.0 a refusal is HTTP 403 with words; above it is a status in which no proof has room.
        let version = [("MS-ASProtocolVersion", "12.1")];
        let headers: Vec<_> = version.iter().chain(forged).copied().collect();
        self.server
            .ask(ca_file.as_deref(), "GET", &path, &headers, "")
            .await
    }

    /// `asks`: it has a gate to ask.
    async fn look(&self, asks: bool, report: &mut Report) {
        let probe = self.visit.probe(Wish::Refuse);
        match self.ask(&probe, &[]).await {
            Err(why) => down(self.place, &why, report),
            Ok(reply) if self.visit.is_ours(&probe, &reply.body) => {
                report.ok(
                    "front.asks",
                    self.place,
                    "the proxy asks us: the probe is refused",
                );
                self.forge(report).await;
                self.without_verdict(report).await;
            }
            Ok(reply) if asks => self.does_not_ask(&reply, report),
            Ok(reply) if reply.status >= 500 => report.ok(
                "front.closed",
                self.place,
                "without a verdict it stays closed",
            ),
            Ok(reply) => self.open(reply.status, report),
        }
    }

    fn does_not_ask(&self, reply: &Reply, report: &mut Report) {
        let status = reply.status;
        let said = match status {
            500..=599 => [
                format!("the proxy answers {status}: it gets no verdict from our gate"),
                "a refusal of the probe in our words".to_owned(),
                "see that the proxy's configuration has our address and the secret in [gate] secret (CHANGE-ME replaced in every place), and that it may connect".to_owned(),
            ],
            401 => [
                "the proxy answers 401, which our gate never lets anybody see: it passed the probe on to the mail server, or it signs people in before it asks".to_owned(),
                "a refusal of the probe in our words".to_owned(),
                "let it ask us (deploy/). Where it signs people in itself, no question without a password comes to us: take this address out of [doctor] fronts".to_owned(),
            ],
            _ => [
                format!("the proxy let the probe in, with status {status}: it does not ask us, or takes somebody else's answer for ours"),
                "a refusal of the probe in our words".to_owned(),
                "take over the lines of deploy/ for this proxy into this site, before every rule that answers by itself, and see which address it asks".to_owned(),
            ],
        };
        report.failed("front.asks", self.place, [&said[0], &said[1], &said[2]]);
    }

    /// What a client says of itself must end at the proxy.
    async fn forge(&self, report: &mut Report) {
        let probe = self.visit.probe(Wish::Refuse);
        let value = |name: &str| match name.ends_with("-uri") {
            // Else a proxy that believes it would have us judge a request that is no probe's.
            true => format!("/{FORGED}?{}", probe.device()),
            false => FORGED.to_owned(),
        };
        let values = FORGEABLE.map(|name| (name, value(name)));
        let decision = ("x-countermand-decision", "allow");
        let forged: Vec<(&str, &str)> = values
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .chain([decision])
            .collect();
        let secret = &self.visit.config.gate.secret;
        let told = match self.ask(&probe, &forged).await {
            Err(why) => return down(self.place, &why, report),
            Ok(reply) => probe.told(secret, &reply.body),
        };
        let what = match told {
            Some(told) if told.forged.is_empty() => {
                report.ok("front.forged", self.place, "identity headers of a client's own do not reach us");
                return;
            }
            Some(told) => format!("what a client sends reaches us as if the proxy said it: {}", told.forged.join(", ")),
            None => "headers of a client's own change the answer: with them the probe is not refused in our words".to_owned(),
        };
        report.failed(
            "front.forged",
            self.place,
            [
                &what,
                "each of these headers overwritten or emptied: who may set them is whoever they like",
                "take over the lines of deploy/ for this proxy that remove X-Countermand-*, X-Original-*, X-Client-Cert-* and X-Remote-User",
            ],
        );
    }

    /// What the proxy does when we have no verdict, and when it is none of our doors.
    async fn without_verdict(&self, report: &mut Report) {
        let probe = self.visit.probe(Wish::NoVerdict);
        let Ok(reply) = self.ask(&probe, &[]).await else {
            return;
        };
        if self.visit.is_ours(&probe, &reply.body) {
            // The clocks are so far apart that nothing but a refusal is to be had; that is a finding of its own.
            return;
        }
        if reply.status < 500 {
            return self.open(reply.status, report);
        }
        let Ok(reply) = self.ask(&self.visit.probe(Wish::Unknown), &[]).await else {
            return;
        };
        if reply.status == 401 {
            report.failed(
                "front.password",
                self.place,
                [
                    "the proxy passes our 401 on, as it comes with a wrong secret: each phone would ask for the mail password again",
                    "503, which phones wait out",
                    "take over the error_page lines (nginx) or their like of deploy/ for this proxy",
                ],
            );
            return;
        }
        report.ok(
            "front.closed",
            self.place,
            "without a verdict it stays closed, and no phone asks for a password",
        );
    }

    fn open(&self, status: u16, report: &mut Report) {
        report.warning(
            "front.open",
            self.place,
            [
                &format!("without a verdict the proxy lets in (status {status}): while Countermand is away no order holds here"),
                "closed, unless open is what you chose",
                "deploy/README.md names the choice of each proxy; leave this if mail goes before the order",
            ],
        );
    }
}

pub(super) fn down(place: &str, why: &str, report: &mut Report) {
    report.failed(
        "front.down",
        place,
        [
            &format!("the proxy can't be asked: {why}"),
            "an answer, under a certificate of a known authority",
            "start it, correct [doctor] fronts, or name its authority in [doctor] ca_file",
        ],
    );
}
