//! The proxies before ActiveSync and web mail, from outside.

use axum::http::{HeaderMap, Response};
use countermand::doctor::{self, At, Status};

use crate::clinic::{Clinic, SECRET, found, well};
use crate::support::free_port;
use crate::support::gate::{Call, FakeGate};
use crate::support::http;
use crate::support::nginx_mail::NginxMail;
use crate::support::pki::Pki;
use crate::support::proxies::{Kind, Proxy, ProxyConfig};

/// The proxies that are installed, with the shipped configurations, and the mail server behind them.
struct Fronts {
    clinic: Clinic,
    mail: FakeGate,
    proxies: Vec<Proxy>,
}

impl Fronts {
    fn new(secret: &str, open_without_verdict: bool) -> Fronts {
        let mut clinic = Clinic::new();
        let pki = Pki::new();
        pki.write(clinic.folder.path());
        // As every mail server answers who has not signed in.
        let mail = FakeGate::start(|_| {
            Response::builder()
                .status(401)
                .body("who are you?".into())
                .unwrap()
        });
        let config = ProxyConfig {
            gate_port: clinic.port,
            gate_secret: secret,
            mail_port: mail.port,
            open_without_verdict,
            pki: &pki,
        };
        let proxies: Vec<_> = Kind::ALL
            .into_iter()
            .filter_map(|kind| Proxy::start(kind, &config))
            .collect();
        let fronts = proxies
            .iter()
            .map(|proxy| format!("https://localhost:{}", proxy.port));
        clinic.config.doctor.fronts = fronts.collect();
        clinic.config.doctor.ca_file = Some("ca.pem".into());
        Fronts {
            clinic,
            mail,
            proxies,
        }
    }
}

#[test]
fn each_shipped_configuration_is_all_ok() {
    let mut fronts = Fronts::new(SECRET, false);
    let each = ["front.asks", "front.forged", "front.closed"];
    let expected: Vec<_> = fronts.proxies.iter().flat_map(|_| each).collect();
    for path in ["", "/SOGo/so"] {
        let with_path = fronts
            .proxies
            .iter()
            .map(|p| format!("https://localhost:{}{path}", p.port));
        fronts.clinic.config.doctor.fronts = with_path.collect();
        let report = fronts.clinic.examine();
        assert_eq!(found(&report), [], "{}", report.in_words(str::to_owned));
        let seen: Vec<_> = well(&report)
            .into_iter()
            .filter(|id| id.starts_with("front."))
            .collect();
        assert_eq!(seen, expected, "{path}");
    }
    assert_eq!(
        fronts.mail.calls().len(),
        0,
        "no question came to the mail server"
    );
    assert!(
        fronts
            .clinic
            .gate
            .figures()
            .iter()
            .all(|door| door.asked == 0)
    );

    fronts.clinic.kill();
    assert_eq!(
        fronts.clinic.findings(),
        [("gate.down", Status::Failed)],
        "closed, and said so once"
    );
}

#[test]
fn from_elsewhere_our_own_refusal_is_known_for_what_it_is() {
    let mut clinic = Clinic::new();
    let gate_port = clinic.port;
    let _proxy = homemade(&mut clinic, move |call| {
        let uri = call.uri.to_string();
        let headers = [("X-Countermand-Secret", SECRET), ("X-Original-URI", &*uri)];
        let reply = http::send(gate_port, "GET", "/gate/http", &headers, b"");
        let status = match reply.status {
            204 => 200,
            403 => 403,
            _ => 503,
        };
        Response::builder()
            .status(status)
            .body(reply.body.into())
            .unwrap()
    });
    let mut visit = clinic.visit();
    visit.at = At::Elsewhere;
    visit.app = Err("there is nothing here".to_owned());
    // As seen from a machine that has only a copy of the config.
    visit.config.server.listen = format!("127.0.0.1:{}", free_port());
    for at in [At::Elsewhere, At::GateOnly] {
        visit.at = at;
        let report = clinic.run(doctor::examine(&visit));
        let fronts: Vec<_> = well(&report)
            .into_iter()
            .filter(|id| id.starts_with("front."))
            .collect();
        let expected = ["front.asks", "front.forged", "front.closed"];
        assert_eq!(fronts, expected, "{}", report.in_words(str::to_owned));
    }
}

#[test]
fn a_proxy_with_another_secret_gets_no_verdict() {
    let fronts = Fronts::new("another-secret", false);
    let expected: Vec<_> = fronts
        .proxies
        .iter()
        .map(|_| ("front.asks", Status::Failed))
        .collect();
    assert_eq!(fronts.clinic.findings(), expected);
}

#[test]
fn a_proxy_that_is_open_without_a_verdict_is_named() {
    let mut fronts = Fronts::new(SECRET, true);
    let expected: Vec<_> = fronts
        .proxies
        .iter()
        .map(|_| ("front.open", Status::Warning))
        .collect();
    assert_eq!(fronts.clinic.findings(), expected);
    fronts.clinic.kill();
    let expected = [vec![("gate.down", Status::Failed)], expected].concat();
    assert_eq!(fronts.clinic.findings(), expected);
}

/// A proxy of one's own making before a mail server that says yes to everybody.
fn homemade(
    clinic: &mut Clinic,
    answer: impl Fn(&Call) -> Response<axum::body::Body> + Send + Sync + 'static,
) -> FakeGate {
    let proxy = FakeGate::start(answer);
    clinic.config.doctor.fronts = vec![format!("http://127.0.0.1:{}", proxy.port)];
    proxy
}

/// Asks the gate with these headers, and shows what it shows; `let_in` where it says nothing of the kind.
fn asking(
    port: u16,
    headers: &[(&str, &str)],
    let_in: &[u16],
    pass: &[u16],
) -> Response<axum::body::Body> {
    let reply = http::send(port, "GET", "/gate/authz", headers, b"");
    let status = match reply.status {
        status if let_in.contains(&status) => 200,
        status if pass.contains(&status) => status,
        _ => 503,
    };
    Response::builder()
        .status(status)
        .body(reply.body.into())
        .unwrap()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[test]
fn a_proxy_that_does_not_ask() {
    let mut clinic = Clinic::new();
    for status in [200, 302, 401, 404] {
        let proxy = homemade(&mut clinic, move |_| {
            Response::builder()
                .status(status)
                .body("mail".into())
                .unwrap()
        });
        assert_eq!(
            clinic.findings(),
            [("front.asks", Status::Failed)],
            "{status}"
        );
        assert_eq!(proxy.calls().len(), 1, "and it is not asked again");
    }
    clinic.config.doctor.fronts = vec!["https://127.0.0.1:9".to_owned()];
    assert_eq!(clinic.findings(), [("front.down", Status::Failed)]);
}

#[test]
fn a_proxy_that_asks_somebody_else() {
    let mut clinic = Clinic::new();
    let stranger = FakeGate::start(|_| Response::new("yes".into()));
    let port = stranger.port;
    let proxy = homemade(&mut clinic, move |call| {
        asking(port, &[("X-Original-URI", &call.uri)], &[200, 204], &[403])
    });
    assert_eq!(clinic.findings(), [("front.asks", Status::Failed)]);
    assert_eq!((stranger.calls().len(), proxy.calls().len()), (1, 1));
}

#[test]
fn a_proxy_that_believes_what_a_client_says_of_itself() {
    let mut clinic = Clinic::new();
    let port = clinic.port;
    for name in ["x-remote-user", "x-client-cert-serial", "x-forwarded-uri"] {
        let _proxy = homemade(&mut clinic, move |call| {
            let own = [
                ("X-Countermand-Secret", SECRET),
                ("X-Original-URI", &*call.uri),
            ];
            let passed = text(&call.headers, name).map(|value| (name, value));
            let headers: Vec<_> = own.into_iter().chain(passed).collect();
            asking(port, &headers, &[200, 204], &[403])
        });
        let report = clinic.examine();
        assert_eq!(found(&report), [("front.forged", Status::Failed)]);
        assert!(report.in_words(str::to_owned).contains(name));
    }
    // It lets a client say which request it is.
    let _proxy = homemade(&mut clinic, move |call| {
        let uri = text(&call.headers, "x-original-uri").unwrap_or(&call.uri);
        asking(
            port,
            &[("X-Countermand-Secret", SECRET), ("X-Original-URI", uri)],
            &[200, 204],
            &[403],
        )
    });
    assert_eq!(clinic.findings(), [("front.forged", Status::Failed)]);
}

#[test]
fn a_proxy_that_shows_a_phone_our_401() {
    let mut clinic = Clinic::new();
    let port = clinic.port;
    let _proxy = homemade(&mut clinic, move |call| {
        let own = [
            ("X-Countermand-Secret", SECRET),
            ("X-Original-URI", &*call.uri),
        ];
        asking(port, &own, &[200, 204], &[403, 401])
    });
    assert_eq!(clinic.findings(), [("front.password", Status::Failed)]);
}

#[test]
fn nginx_s_mail_proxy_from_outside() {
    let mut clinic = Clinic::new();
    let pki = Pki::new();
    pki.write(clinic.folder.path());
    clinic.config.doctor.ca_file = Some("ca.pem".into());
    let mut look = |secret: &str| {
        let proxy = NginxMail::start(clinic.port, secret, &pki)?;
        let at = |scheme, port| format!("{scheme}://localhost:{port}");
        clinic.config.doctor.fronts =
            vec![at("imaps", proxy.imap_port), at("smtps", proxy.smtp_port)];
        let report = clinic.examine();
        let asks = well(&report)
            .into_iter()
            .filter(|id| *id == "front.asks")
            .count();
        Some((found(&report), asks))
    };
    let Some(seen) = look(SECRET) else { return };
    assert_eq!(seen, (vec![], 2));
    let failed = ("front.asks", Status::Failed);
    assert_eq!(look("another-secret"), Some((vec![failed; 2], 0)));
}

#[test]
fn a_mail_server_that_does_not_ask_before_the_password() {
    let mut clinic = Clinic::new();
    let server = crate::clinic::greeting("* OK ready\r\na NO wrong password\r\n");
    clinic.config.doctor.fronts = vec![format!("imap://127.0.0.1:{server}")];
    assert_eq!(clinic.findings(), [("front.asks", Status::Failed)]);
}
