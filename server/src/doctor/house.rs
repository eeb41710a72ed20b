//! The installation itself: its config, its database, its clock, and who could stop an order.

use countermand_core::actor::{Operator, Role};
use countermand_core::index::Mode;
use countermand_core::words::counted;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::report::Report;
use super::{At, Visit};
use crate::app::App;
use crate::config::TransportKind;

pub async fn look(visit: &Visit, report: &mut Report) {
    secret(visit, report);
    if visit.at == At::Main {
        config(visit, report);
    }
    match &visit.app {
        // It has none, and needs none.
        Err(_) if visit.at == At::GateOnly => {}
        Err(why) if visit.at == At::Elsewhere => report.warning(
            "database",
            "[database] url",
            [
                &format!("{why}. So only what is seen from outside is looked at"),
                "the database, on the machine of `countermand serve`; [follow] url, on that of `serve --gate-only`",
                "run doctor on those machines, too, with the --data and --config that serve has",
            ],
        ),
        Err(why) => report.failed(
            "database",
            "[database] url",
            [
                &format!("the database can't be opened: {why}"),
                "one that answers; until it does, doors answer from their last view, and nothing can be published or retracted",
                "start it, or correct [database] url",
            ],
        ),
        Ok(app) => {
            database(app, report).await;
            operators(app, report).await;
            standing(app, report);
            clock(visit, app, report).await;
        }
    }
}

fn config(visit: &Visit, report: &mut Report) {
    let config = &visit.config;
    if config.server.trust_shell {
        report.warning(
            "config.trust_shell",
            "[server] trust_shell",
            [
                "whoever has a shell on this machine may act as any operator with --as",
                "false, once operators sign in to the console",
                "set trust_shell = false; the record shows for each entry whether it was used",
            ],
        );
    }
    if config.notices.transport == TransportKind::Mailbox {
        report.warning(
            "config.transport",
            "[notices] transport",
            [
                "notices go into a mailbox in the data directory and reach nobody, yet count as told: in enforce mode people are refused who never read one",
                "a relay, before the first order is published",
                "set transport = \"smtp\" and the relay in [notices.smtp]",
            ],
        );
    }
}

fn secret(visit: &Visit, report: &mut Report) {
    match visit.config.gate.secret.as_str() {
        "" => {}
        secret if secret.len() < 16 || secret.contains("CHANGE-ME") => report.warning(
            "config.secret",
            "[gate] secret",
            [
                "the secret of the gates is short, or one that everybody knows",
                "at least 16 characters of chance, as `countermand init` makes it",
                "put a new one here and into the configurations of the doors, and restart serve",
            ],
        ),
        _ => {}
    }
}

async fn database(app: &App, report: &mut Report) {
    let place = format!("{:?}", app.store.backend()).to_lowercase();
    match app.store.version().await {
        Err(error) => report.failed(
            "database",
            place,
            [
                &format!("the database does not answer: {error}"),
                "an answer",
                "start it, or correct [database] url",
            ],
        ),
        Ok(_) => {
            let view = app.live.view();
            let count = |n: usize, one, many| counted(n as u64, one, many);
            let what = format!(
                "answers; {}, {}, {}",
                count(view.people().count(), "person", "people"),
                count(view.devices().count(), "device", "devices"),
                count(view.orders().count(), "order", "orders"),
            );
            report.ok("database", place, what);
        }
    }
}

/// Two to publish, one to retract: a house in which nobody is left who can is found before it is needed.
async fn operators(app: &App, report: &mut Report) {
    let operators = match app.store.operators().await {
        Ok(operators) => operators,
        // The database has said it.
        Err(_) => return,
    };
    let with = |role| {
        let has = |o: &&Operator| o.roles.contains(&role);
        operators.iter().filter(has).count() as u64
    };
    let (approvers, responders) = (with(Role::Approver), with(Role::Responder));
    let mend =
        "give the role to somebody: countermand operator add EMAIL --role approver,responder";
    if responders == 0 {
        report.failed(
            "operators",
            "who may act",
            [
                "nobody can retract or hold an order: no operator is a responder",
                "one at least, better two",
                mend,
            ],
        );
    } else if approvers < 2 {
        report.warning(
            "operators",
            "who may act",
            [
                &format!(
                    "{} can approve, so no order can be published when that one wrote it or is away",
                    counted(approvers, "operator", "operators")
                ),
                "two approvers",
                mend,
            ],
        );
    } else {
        let what = format!("{approvers} can approve, {responders} can retract");
        report.ok("operators", "who may act", what);
    }
}

fn standing(app: &App, report: &mut Report) {
    let settings = app.live.view().settings().clone();
    match (&settings.doors_open, settings.mode) {
        (Some(open), _) => report.warning(
            "mode",
            "the doors",
            [
                &format!(
                    "all doors are open since {}, by {}: {}",
                    open.at, open.by, open.reason
                ),
                "doors that obey verdicts, once the reason is gone",
                "countermand doors close",
            ],
        ),
        (None, Mode::Observe) => {
            report.ok(
                "mode",
                "the doors",
                "observe: every door lets in, and counts who would be refused",
            );
        }
        (None, Mode::Enforce) => report.ok("mode", "the doors", "enforce: doors obey verdicts"),
    }
}

async fn clock(visit: &Visit, app: &App, report: &mut Report) {
    let now = visit.clock.now();
    let newest = app.store.audit_newest(None, 1).await.unwrap_or_default();
    let ahead = newest.first().map(|entry| entry.at.duration_since(now));
    if let Some(ahead) = ahead.filter(|ahead| *ahead > SignedDuration::from_secs(60)) {
        report.failed(
            "clock",
            "this machine's clock",
            [
                &format!(
                    "it says {now:.0}, and the newest entry of the record is {} s later",
                    ahead.as_secs()
                ),
                "the right time: deadlines and reports are compared with it",
                "set the clock, and keep it by NTP (timedatectl set-ntp true)",
            ],
        );
        return;
    }
    let mut unknown: Vec<String> = {
        let view = app.live.view();
        let zones: std::collections::BTreeSet<&str> = view
            .people()
            .map(|p| p.time_zone.as_str())
            .filter(|z| !z.is_empty())
            .collect();
        let unknown = zones
            .into_iter()
            .filter(|zone| TimeZone::get(zone).is_err());
        unknown.map(str::to_owned).collect()
    };
    unknown.truncate(5);
    if unknown.is_empty() {
        report.ok(
            "clock",
            "this machine's clock",
            format!("{now:.0}; every time zone of people is known"),
        );
    } else {
        report.warning(
            "clock.zone",
            "people",
            [
                &format!("there are no such time zones: {}", unknown.join(", ")),
                "names such as Europe/Berlin; these people read times in UTC or in the order's zone",
                "mend them where the list of people comes from, and import it again",
            ],
        );
    }
}
