//! From an order's texts to one person's mail. Markdown and minijinja; strict: a name that does not
//! exist is an error when the order is checked, long before anyone is told.

use std::cell::Cell;
use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::{Environment, Template, UndefinedBehavior, Value, context};

use super::markdown::markdown;
use super::{Kind, missing};
use crate::fleet::{Device, Person};
use crate::order::file::Problem;
use crate::order::texts::language_of;
use crate::order::when::for_people;
use crate::order::{Order, Retraction};
use crate::verdict::Fallback;

/// A mail, but for addresses and threading.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rendered {
    pub subject: String,
    pub text: String,
    pub html: String,
    /// In which the text is written: a locale, for who reads it aloud.
    pub language: String,
}

/// What a text may speak of.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    pub order: &'a Order,
    pub person: &'a Person,
    pub devices: Vec<&'a Device>,
    /// Where the order's present state stands.
    pub link: String,
    /// For corrections: whether mail was refused to this person because of the order.
    pub was_refused: bool,
    /// For notices of a refusal: what was missing, where that and no app decided.
    pub missing: Option<Fallback>,
    /// For corrections: titles of other orders that still forbid an app to this person.
    pub still_forbidden: Vec<String>,
}

/// A text that does not render.
#[derive(Debug, thiserror::Error)]
#[error("{text}: {what}")]
pub struct RenderError {
    pub text: String,
    pub what: String,
}

/// A body longer than this after rendering is no notice.
const MAX_RENDERED: usize = 64 * 1024;

/// Operations that one template may take: enough for any letter, too few to hang.
const FUEL: u64 = 50_000;

/// The zone in which a person reads times: their own, else the order's, else UTC.
pub fn zone_of<'a>(person: &'a Person, order: &'a Order) -> &'a str {
    let known = |zone: &&str| !zone.is_empty() && TimeZone::get(zone).is_ok();
    Some(person.time_zone.as_str())
        .filter(known)
        .or(order.comply_by().zone())
        .unwrap_or("UTC")
}

pub fn render(kind: Kind, context: &Context<'_>) -> Result<Rendered, RenderError> {
    let order = context.order;
    let zone = zone_of(context.person, order);
    let chosen = (order.revision.file).text(kind.text_name(), &context.person.locale);
    let (language, (subject, body)) = match chosen {
        Some(own) => (
            own.language,
            (own.text.subject.as_str(), own.text.body.as_str()),
        ),
        None => {
            let missing = context.missing.filter(|_| kind == Kind::Blocked);
            let text = missing.and_then(missing::text);
            (OURS, text.unwrap_or_else(|| default_text(kind)))
        }
    };
    let fail = |what: String| RenderError {
        text: kind.text_name().to_owned(),
        what,
    };
    let own_words = Own { subject, body };
    match written(kind, own_words, context, zone, language) {
        // Whatever its author wrote, a correction goes out: our own words say all that it must.
        Err(_) if kind == Kind::Correction => {
            let (subject, body) = default_text(kind);
            let own_words = Own { subject, body };
            written(kind, own_words, context, zone, OURS).map_err(fail)
        }
        done => done.map_err(fail),
    }
}

/// What stands in the order file, or what we put in its place.
#[derive(Clone, Copy)]
struct Own<'a> {
    subject: &'a str,
    body: &'a str,
}

fn written(
    kind: Kind,
    own: Own<'_>,
    context: &Context<'_>,
    zone: &str,
    language: &str,
) -> Result<Rendered, String> {
    let plain = Values::of(context, zone, Words::plain());
    let mut subject = fill(&compile(own.subject)?, &plain)?;
    subject = subject.replace(['\r', '\n'], " ").trim().to_owned();
    if kind == Kind::Correction && !subject.to_lowercase().contains("correction") {
        subject = format!("CORRECTION: {subject}");
    }
    // The text part is the Markdown as people read it; only the HTML part needs values escaped.
    let body = compile(own.body)?;
    let (own, ours) = compose(kind, &body, context, zone, &plain)?;
    let html = if plain.words.are_alike() {
        to_html(&own, &ours, language)
    } else {
        let marked = Values::of(context, zone, Words::markdown());
        let (own, ours) = compose(kind, &body, context, zone, &marked)?;
        to_html(&own, &ours, language)
    };
    let text = own + &ours;
    if subject.is_empty() || text.trim().is_empty() {
        return Err("it renders to nothing".to_owned());
    }
    Ok(Rendered {
        subject,
        text: format!("{text}\n"),
        html,
        language: language.to_owned(),
    })
}

/// The language of the words that this program adds by itself.
const OURS: &str = "en";

/// How values stand in a text.
struct Words {
    escaped: bool,
    /// Some value would stand otherwise if it were escaped.
    differ: Cell<bool>,
}

impl Words {
    fn plain() -> Words {
        Words {
            escaped: false,
            differ: Cell::new(false),
        }
    }

    fn markdown() -> Words {
        Words {
            escaped: true,
            ..Words::plain()
        }
    }

    fn of(&self, text: &str) -> String {
        if text.contains(needs_escape) {
            self.differ.set(true);
            if self.escaped {
                return escape(text);
            }
        }
        text.to_owned()
    }

    /// Whether all values so far stand plain as they do escaped.
    fn are_alike(&self) -> bool {
        !self.differ.get()
    }
}

/// The author's words, and those that stand after them whatever the author wrote.
fn compose(
    kind: Kind,
    body: &Template<'_, '_>,
    context: &Context<'_>,
    zone: &str,
    values: &Values,
) -> Result<(String, String), String> {
    let text = fill(body, values)?.trim().to_owned();
    let mut ours = String::new();
    if kind == Kind::Correction {
        ours = correct(&text, context, zone, values);
    }
    if let (Kind::Blocked, Some(missing)) = (kind, context.missing) {
        ours = missing::what_to_do(missing, &context.link).unwrap_or_default();
    }
    if !text.contains(&context.link) {
        ours.push_str(&format!(
            "\n\nThe present state of this order: <{}>",
            context.link
        ));
    }
    Ok((text, ours))
}

/// A correction stands alone (invariant 29): it quotes the order, says that nothing need be done and
/// whether mail was cut, whatever its author wrote.
fn correct(text: &str, context: &Context<'_>, zone: &str, values: &Values) -> String {
    let (order, words) = (context.order, &values.words);
    let sent = order.published().map(|p| p.at).unwrap_or(order.created_at);
    let mut all = format!(
        "\n\n---\n\nThis corrects the order «{}» of {}. **It no longer holds, and you need do nothing.**",
        words.of(order.title()),
        for_people(sent, zone)
    );
    all.push_str(
        match (context.was_refused, context.still_forbidden.is_empty()) {
            // Whoever reads it in a channel may be one or the other.
            _ if context.person.id.is_channel() => {
                " Mail that was refused because of it alone is open again."
            }
            (true, true) => {
                " Mail was refused to a device of yours because of it; it is open again."
            }
            (true, false) => " Mail was refused to a device of yours because of it.",
            (false, _) => " Mail was not refused to you because of it.",
        },
    );
    if let Some(Retraction { reason, .. }) = order.retraction()
        && !text.contains(reason.as_str())
    {
        all.push_str(&format!("\n\nWhy it was taken back: {}", words.of(reason)));
    }
    if !context.still_forbidden.is_empty() {
        all.push_str(&format!(
            "\n\nPlease note that another order still holds{}: {}.",
            if context.person.id.is_channel() {
                ""
            } else {
                " for you"
            },
            context
                .still_forbidden
                .iter()
                .map(|t| format!("«{}»", words.of(t)))
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    let quoted = order
        .revision
        .file
        .text(Kind::Order.text_name(), &context.person.locale)
        .map(|own| own.text.subject.as_str());
    let quoted = quoted.and_then(|s| fill(&compile(s).ok()?, values).ok());
    if let Some(subject) = quoted {
        all.push_str(&format!(
            "\n\n> The order said: {}",
            subject.replace(['\r', '\n'], " ")
        ));
    }
    all
}

fn default_text(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Reminder(_) => (
            "Reminder: {{ order.title }}",
            "Dear {{ person.name }},\n\n{{ apps }} is still on a device of yours that reads company mail. Please remove it by **{{ order.comply_by }}**; after that, mail stops on that device until it is removed.\n\nWhy: {{ order.reason }}",
        ),
        Kind::Blocked => (
            "Mail has stopped on a device of yours: {{ order.title }}",
            "Dear {{ person.name }},\n\nmail was refused to a device of yours because of the order «{{ order.title }}» ({{ apps }}). Remove the app from that device; mail works again at its next try.\n\nWhy: {{ order.reason }}",
        ),
        Kind::Order | Kind::Correction => ("{{ order.title }}", "{{ order.reason }}"),
    }
}

/// What the names in a text stand for.
struct Values {
    words: Words,
    all: Value,
}

impl Values {
    fn of(context: &Context<'_>, zone: &str, words: Words) -> Values {
        let order = context.order;
        let file = &order.revision.file;
        let published_at = order.published().map_or(Timestamp::UNIX_EPOCH, |p| p.at);
        let name = if context.person.name.is_empty() {
            &context.person.email
        } else {
            &context.person.name
        };
        let mut devices: Vec<String> = context.devices.iter().map(|d| describe(d)).collect();
        // In a channel, and to who has none that is known.
        if devices.is_empty() {
            devices.push("your devices".to_owned());
        }
        let all = context! {
            order => context! {
                title => words.of(&file.title),
                reason => words.of(&file.reason),
                comply_by => for_people(order.comply_by().at(), zone),
                published_at => for_people(published_at, zone),
                link => context.link.clone(),
            },
            person => context! { name => words.of(name), email => words.of(&context.person.email) },
            apps => words.of(&order.revision.pins.in_words()),
            devices => devices.join(", "),
        };
        Values { words, all }
    }
}

/// One for all: to make it, with its filters and tests, takes longer than to write a letter.
fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment
    })
}

fn compile(text: &str) -> Result<Template<'_, '_>, String> {
    environment().template_from_str(text).map_err(in_words)
}

fn fill(template: &Template<'_, '_>, values: &Values) -> Result<String, String> {
    let filled = template.render(values.all.clone()).map_err(in_words)?;
    if filled.len() > MAX_RENDERED {
        return Err(format!("it renders to more than {MAX_RENDERED} bytes"));
    }
    Ok(filled)
}

fn in_words(error: minijinja::Error) -> String {
    match error.line() {
        Some(line) => format!("line {line} of the text: {}", explain(&error)),
        None => explain(&error),
    }
}

fn may_name() -> String {
    format!("texts may name {}", NAMES.join(", "))
}

fn explain(error: &minijinja::Error) -> String {
    match error.kind() {
        minijinja::ErrorKind::UndefinedError => {
            let what = error
                .detail()
                .map(|d| format!(" ({d})"))
                .unwrap_or_default();
            format!("a name is not known{what}; {}", may_name())
        }
        _ => error.to_string(),
    }
}

/// A name with a Markdown character in it stays a name.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            _ if c.is_control() => escaped.push(' '),
            _ if needs_escape(c) => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
    }
    escaped
}

fn needs_escape(c: char) -> bool {
    matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>') || c.is_control()
}

fn describe(device: &Device) -> String {
    format!("{} ({})", device.form_factor, device.platform)
}

/// A page in the language of its text; our own words in theirs, so that a reader aloud says both
/// rightly.
fn to_html(own: &str, ours: &str, language: &str) -> String {
    let lang: String = language
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect();
    let body = if language_of(language).eq_ignore_ascii_case(OURS) || ours.is_empty() {
        markdown(&format!("{own}{ours}"))
    } else {
        let (own, ours) = (markdown(own), markdown(ours));
        format!("{own}<div lang=\"{OURS}\">\n{ours}</div>\n")
    };
    format!(
        "<!doctype html>\n<html lang=\"{lang}\"><meta charset=\"utf-8\"><body>\n{body}</body></html>\n"
    )
}

/// Names that texts may use; a name within one of them is asked for as `order.title`.
const NAMES: [&str; 9] = [
    "order.title",
    "order.reason",
    "order.comply_by",
    "order.published_at",
    "order.link",
    "person.name",
    "person.email",
    "apps",
    "devices",
];

/// Renders the author's own text, and looks for names that do not exist in what is not rendered for
/// just this person: another branch of an `if` is somebody else's letter.
fn try_text(kind: Kind, context: &Context<'_>) -> Result<(), RenderError> {
    let order = context.order;
    let fail = |what: String| RenderError {
        text: kind.text_name().to_owned(),
        what,
    };
    let Some(chosen) = (order.revision.file).text(kind.text_name(), &context.person.locale) else {
        return render(kind, context).map(|_| ());
    };
    let (subject, body) = (chosen.text.subject.as_str(), chosen.text.body.as_str());
    for text in [subject, body] {
        let known =
            |name: &String| NAMES.contains(&name.as_str()) || name == "order" || name == "person";
        let unknown = compile(text).map_err(fail)?.undeclared_variables(true);
        let mut unknown: Vec<String> = unknown.into_iter().filter(|n| !known(n)).collect();
        // The functions that minijinja brings.
        unknown.retain(|n| !environment().globals().any(|(name, _)| name == n));
        unknown.sort();
        if let Some(name) = unknown.first() {
            return Err(fail(format!("there is no name «{name}»; {}", may_name())));
        }
    }
    let zone = zone_of(context.person, order);
    let own = Own { subject, body };
    written(kind, own, context, zone, chosen.language)
        .map(|_| ())
        .map_err(fail)
}

/// Renders every text for every locale in use, for an imagined person: what fails here would fail
/// when it is too late (invariant 9).
pub fn check<'a>(order: &'a Order, locales: impl IntoIterator<Item = &'a str>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut try_locale = |locale: &str| {
        let person = Person {
            id: crate::id::PersonId(0),
            email: "somebody@example.test".to_owned(),
            aliases: Default::default(),
            name: "Somebody".to_owned(),
            groups: Default::default(),
            locale: locale.to_owned(),
            time_zone: String::new(),
        };
        let context = Context {
            order,
            person: &person,
            devices: Vec::new(),
            link: "https://example.test/o/0".to_owned(),
            was_refused: false,
            missing: None,
            still_forbidden: Vec::new(),
        };
        for kind in [
            Kind::Order,
            Kind::Reminder(1),
            Kind::Blocked,
            Kind::Correction,
        ] {
            let has_text = order.revision.file.text(kind.text_name(), locale).is_some();
            if !has_text && matches!(kind, Kind::Order | Kind::Correction) {
                let place = if locale.is_empty() {
                    "people without a locale".to_owned()
                } else {
                    format!("the locale «{locale}»")
                };
                problems.push(Problem::new(format!(
                    "[{}] has no text for {place}; add a plain subject and body, which serve every locale without one of its own",
                    kind.text_name()
                )));
            } else if let Err(error) = try_text(kind, &context) {
                let place = if locale.is_empty() {
                    String::new()
                } else {
                    format!(" ({locale})")
                };
                problems.push(Problem::new(format!(
                    "[{}]{place}: {}",
                    error.text, error.what
                )));
            }
        }
    };
    let mut tried = std::collections::BTreeSet::new();
    let own = order
        .revision
        .file
        .all_texts()
        .flat_map(|(_, t)| t.all())
        .map(|(l, _)| l.unwrap_or(""));
    for locale in own.chain(locales) {
        if tried.insert(locale.to_owned()) {
            try_locale(locale);
        }
    }
    problems.dedup();
    problems
}
