//! The doctor's probe: a device and a person that nobody is, and that every door refuses.
//!
//! `countermand doctor` must see whether a door asks us, with no order in force and no credential. So it
//! comes as a device under a made-up name that only who has the gate's secret can make, and the answer
//! carries a proof that only they can give. A probe is answered apart from all verdicts: it is neither
//! counted nor written down, in observe mode and with the doors open too.
//!
//! A name can be copied from a log, and a door that is open without a verdict would be open to whoever asks
//! for none. So that wish counts where nobody gains by it: for two minutes, and only where the name is all that
//! the question names, as its device or as its person. A refusal does no harm to whoever asks for it.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse as _;
use countermand_core::hex;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

use super::wire::headers::GateRequest;
use super::wire::nginx_mail::MailProxyRequest;
use super::{Gate, no_verdict, stranger};

const PREFIX: &str = "doctor";
/// Of a time in a name: seconds in hex.
const TIME: usize = 8;
const PROOF: usize = 16;
/// ActiveSync has room for 32 characters.
const NAME: usize = PREFIX.len() + 1 + TIME + PROOF;
/// Words of a text that may be one: each costs a hash, and anybody may write a thousand.
const MOST: usize = 8;
/// Longer after its making a name gets nothing but a refusal.
const FRESH: i64 = 120;
/// RFC 6761: a domain that no mail goes to.
const DOMAIN: &str = "doctor.invalid";

/// What a client could say about itself, and only a proxy may. The doctor sends each with a value that
/// has the second text in it, and the gate names those that came through.
pub const FORGEABLE: [&str; 8] = [
    "x-remote-user",
    "x-client-cert-serial",
    "x-client-cert-subject",
    "x-original-uri",
    "x-original-method",
    "x-forwarded-uri",
    "x-forwarded-method",
    "x-countermand-secret",
];
pub const FORGED: &str = "forged-by-doctor";

/// Where a proxy names the original request, or the person.
const PLACES: [&str; 4] = [
    "x-original-uri",
    "x-forwarded-uri",
    "x-remote-user",
    "auth-user",
];

/// What the gate is to do with a probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    Refuse,
    /// As if there were no verdict: shows what the door does then.
    NoVerdict,
    /// As if the door had the wrong secret.
    Unknown,
}

impl Wish {
    const ALL: [(char, Wish); 3] = [
        ('r', Wish::Refuse),
        ('n', Wish::NoVerdict),
        ('u', Wish::Unknown),
    ];

    fn letter(self) -> char {
        let found = Wish::ALL.into_iter().find(|(_, wish)| *wish == self);
        found.map_or('r', |(letter, _)| letter)
    }
}

/// A made-up device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    pub wish: Wish,
    made: i64,
    name: String,
}

impl Probe {
    pub fn new(secret: &str, wish: Wish, now: Timestamp) -> Probe {
        Probe::of(secret, wish, now.as_second())
    }

    fn of(secret: &str, wish: Wish, made: i64) -> Probe {
        let begin = format!("{PREFIX}{}{:08x}", wish.letter(), made & 0xffff_ffff);
        let proof = mac(secret, "probe", &begin);
        Probe {
            wish,
            made,
            name: begin + &proof,
        }
    }

    /// The probe that a text names, if it names one that was made with this secret.
    pub fn find(secret: &str, text: &str) -> Option<Probe> {
        let places = text.match_indices(PREFIX).take(MOST);
        places
            .filter_map(|(at, _)| text.get(at..at + NAME))
            .find_map(|name| Probe::read(secret, name))
    }

    fn read(secret: &str, name: &str) -> Option<Probe> {
        let (letter, rest) = name.strip_prefix(PREFIX)?.split_at_checked(1)?;
        let letter = letter.chars().next()?;
        let (_, wish) = Wish::ALL.into_iter().find(|(known, _)| *known == letter)?;
        let made = i64::from_str_radix(rest.get(..TIME)?, 16).ok()?;
        let probe = Probe::of(secret, wish, made);
        let same = subtle::ConstantTimeEq::ct_eq(probe.name.as_bytes(), name.as_bytes());
        (!secret.is_empty() && bool::from(same)).then_some(probe)
    }

    /// As an ActiveSync device, or in a query.
    pub fn device(&self) -> &str {
        &self.name
    }

    /// As a person.
    pub fn person(&self) -> String {
        format!("{}@{DOMAIN}", self.name)
    }

    /// Whether it is that person. Some mail servers know their people without the domain.
    fn is_called(&self, person: &str) -> bool {
        person == self.person() || person == self.name
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        (now.as_second() - self.made).abs() <= FRESH
    }

    fn proof(&self, secret: &str) -> String {
        mac(secret, "answer", &self.name)
    }

    /// What an answer to this probe tells, if it is one by who has the secret.
    pub fn told(&self, secret: &str, answer: &str) -> Option<Told> {
        let (_, rest) = answer.split_once(&self.proof(secret))?;
        let rest = rest.split(['.', '\r', '\n', '"']).next()?;
        let mut words = rest.split_whitespace();
        Some(Told {
            at: words.next()?.parse().ok()?,
            view: words.next()?.parse().ok()?,
            age_seconds: words.next()?.parse().ok()?,
            forged: words.map(str::to_owned).collect(),
        })
    }
}

/// What the gate says to a probe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// The gate's time, in seconds since 1970.
    pub at: i64,
    /// Which commit its view is of.
    pub view: i64,
    pub age_seconds: u64,
    /// Headers of the client's that came to us as if they were the proxy's.
    pub forged: Vec<String>,
}

#[expect(
    clippy::expect_used,
    reason = "HMAC takes a key of any length (RFC 2104)"
)]
fn mac(secret: &str, purpose: &str, text: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    let mac = mac
        .chain_update(format!("countermand doctor: {purpose}\0"))
        .chain_update(text);
    hex::encode(&mac.finalize().into_bytes()[..PROOF / 2])
}

/// The door is to do as its own configuration says.
#[derive(Debug)]
pub(super) struct NoVerdict;

impl Gate {
    /// The probe in a text, with what is to be done with it now.
    fn probe(&self, text: &str, is_all: impl FnOnce(&Probe) -> bool) -> Option<Probe> {
        let mut probe = Probe::find(&self.config.secret, text)?;
        if !probe.is_fresh(self.clock.now()) || !is_all(&probe) {
            probe.wish = Wish::Refuse;
        }
        Some(probe)
    }

    /// A login by that name: `None` if it is no probe, else what its refusal says, or that there is no verdict.
    pub(super) fn probed_login(&self, name: Option<&str>) -> Option<Result<String, NoVerdict>> {
        let name = name?;
        let probe = self.probe(name, |probe| probe.is_called(name))?;
        Some(match probe.wish {
            Wish::Refuse => Ok(self.line(&probe, &HeaderMap::new())),
            Wish::NoVerdict | Wish::Unknown => Err(NoVerdict),
        })
    }

    /// One line of ASCII, for every door.
    fn line(&self, probe: &Probe, headers: &HeaderMap) -> String {
        let now = self.clock.now();
        let came = |name: &&str| {
            let mut values = headers.get_all(*name).iter();
            values.any(|value| String::from_utf8_lossy(value.as_bytes()).contains(FORGED))
        };
        let forged: Vec<&str> = FORGEABLE.into_iter().filter(came).collect();
        let line = format!(
            "The probe of countermand doctor is refused, as it should be: {} {} {} {} {}",
            probe.proof(&self.config.secret),
            now.as_second(),
            self.live.version(),
            self.live.age(now).as_secs(),
            forged.join(" ")
        );
        format!("{}.", line.trim_end())
    }

    /// The answer to a request of any HTTP door, if it is a probe's.
    pub(super) fn probed(&self, request: &Request) -> Option<Response<Body>> {
        let call = request.uri().path_and_query().map_or("", |c| c.as_str());
        let places = PLACES
            .into_iter()
            .flat_map(|p| request.headers().get_all(p));
        let texts = places.filter_map(|value| value.to_str().ok());
        let probe = std::iter::once(call)
            .chain(texts)
            .find_map(|text| self.probe(text, |probe| is_all_of(request, probe)))?;
        Some(match probe.wish {
            Wish::NoVerdict => no_verdict(),
            Wish::Unknown => stranger(),
            Wish::Refuse => refused(request, self.line(&probe, request.headers())),
        })
    }
}

/// Whether the question, as its door reads it, names nobody and nothing but the probe: else it may be that of
/// somebody who can sign in.
fn is_all_of(request: &Request, probe: &Probe) -> bool {
    let (path, headers) = (request.uri().path(), request.headers());
    if path.starts_with("/gate/nginx-mail") {
        let read = MailProxyRequest::read(headers);
        return read.is_ok_and(|read| {
            read.keys.is_empty() && read.login.is_some_and(|login| probe.is_called(&login))
        });
    }
    // `/gate/http` of `/gate/http/Microsoft-Server-ActiveSync`.
    let mut parts = path.match_indices('/').skip(2);
    let route = parts.next().map_or(path, |(end, _)| &path[..end]);
    let call = request.uri().path_and_query().map_or("", |c| c.as_str());
    let Ok(read) = GateRequest::read(route, call, headers) else {
        return false;
    };
    match read.person {
        Some(person) => {
            let by_certificate = read.keys.iter().any(|key| key.starts_with("cert:"));
            probe.is_called(&person) && !by_certificate
        }
        None => {
            let mut ways = headers.get_all("authorization").iter();
            ways.all(|way| way.is_empty()) && read.keys == [format!("eas:{}", probe.name)]
        }
    }
}

fn refused(request: &Request, line: String) -> Response<Body> {
    let mut headers = HeaderMap::new();
    // It is ASCII.
    let text = HeaderValue::from_str(&line).unwrap_or(HeaderValue::from_static("refused"));
    if request.uri().path().starts_with("/gate/nginx-mail") {
        headers.insert("auth-status", text);
        if request
            .headers()
            .get("auth-protocol")
            .is_some_and(|p| p == "smtp")
        {
            headers.insert("auth-error-code", HeaderValue::from_static("535 5.7.1"));
        }
        return (StatusCode::OK, headers).into_response();
    }
    headers.insert("x-countermand-decision", HeaderValue::from_static("deny"));
    headers.insert("x-countermand-reason", text);
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    if request.uri().path().starts_with("/gate/authz") {
        headers.insert("x-countermand-show", HeaderValue::from_static("403"));
    }
    (StatusCode::FORBIDDEN, headers, line).into_response()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_found_by_who_has_the_secret_only() {
        let now = "2020-07-10T19:00:00Z".parse().unwrap();
        for (_, wish) in Wish::ALL {
            let probe = Probe::new("secret", wish, now);
            assert!(probe.device().len() <= 32);
            let uri = format!("/a?User=doctor&DeviceId={}&b=doctor", probe.device());
            for text in [&uri, &probe.person()] {
                assert_eq!(Probe::find("secret", text), Some(probe.clone()));
                assert_eq!(Probe::find("other", text), None);
            }
        }
        let probe = Probe::new("secret", Wish::Refuse, now);
        let other_wish = probe.device().replacen("doctorr", "doctorn", 1);
        for text in [
            "doctor",
            "",
            &other_wish,
            "doctorr\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}",
        ] {
            assert_eq!(Probe::find("secret", text), None, "{text}");
        }
        let nobody_s = Probe::new("", Wish::Refuse, now);
        assert_eq!(Probe::find("", nobody_s.device()), None);
    }
}
