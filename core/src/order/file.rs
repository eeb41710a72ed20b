//! The order file: what an author writes. TOML in, a checked [`OrderFile`] out, or every problem
//! with its place and its remedy.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::texts::{self, Chosen, Texts};
use super::when::When;
use crate::duration::Length;
use crate::fleet::FormFactor;
use crate::fleet::words;
use crate::version::VersionRange;

/// An order as its author writes it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderFile {
    /// One line that says what is ordered.
    pub title: String,
    /// Why, in words for everyone.
    pub reason: String,
    /// True: never refuses, only counts.
    #[serde(default)]
    pub observe: bool,
    /// The language of the plain texts, as a locale such as `en` or `pt-BR`. Absent: `en`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Who reads whose text, where a locale has none of its own: `{ gsw = "de" }`. Whoever is not
    /// named here reads the plain text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fallback: BTreeMap<String, String>,
    /// When the order ends by itself (RFC 3339, or a day). Absent: never.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub expires: Option<When>,
    pub forbid: Forbid,
    #[serde(default)]
    pub allow: Allow,
    pub audience: AudienceRule,
    pub deadline: Deadline,
    #[serde(default)]
    pub when_unknown: WhenUnknown,
    #[serde(default)]
    pub stages: Option<Stages>,
    #[serde(default)]
    pub announce: Announce,
    pub notice: Texts,
    #[serde(default)]
    pub reminder: Option<Texts>,
    #[serde(default)]
    pub blocked: Option<Texts>,
    pub correction: Texts,
}

/// What may not be where.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forbid {
    /// Slugs of the catalogue.
    #[serde(default)]
    pub apps: Vec<String>,
    #[serde(default)]
    pub vendors: Vec<String>,
    #[serde(default)]
    pub packs: Vec<String>,
    /// Only these versions of an app: `{ whatsapp = "<2.19.134" }`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub versions: BTreeMap<String, VersionRange>,
    #[serde(default = "phone_and_tablet")]
    pub on: Vec<FormFactor>,
    #[serde(default)]
    pub weak: Weak,
}

fn phone_and_tablet() -> Vec<FormFactor> {
    vec![FormFactor::Phone, FormFactor::Tablet]
}

words!(
    /// Whether weak matches count: shown to operators only, or acted on.
    Weak, "value of forbid.weak" { Show = "show", Enforce = "enforce" }
);

#[expect(
    clippy::derivable_impls,
    reason = "the macro writes the enum, so no variant can be marked"
)]
impl Default for Weak {
    fn default() -> Self {
        Weak::Show
    }
}

/// What stays free, for notices and exports.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    #[serde(default)]
    pub web_on: Vec<FormFactor>,
}

/// For whom.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AudienceRule {
    pub groups: Vec<String>,
    #[serde(default)]
    pub except_groups: Vec<String>,
    #[serde(default)]
    pub tell: Tell,
}

words!(
    /// Who of the audience is sent a notice.
    Tell, "value of audience.tell" { Affected = "affected", Everyone = "everyone" }
);

#[expect(
    clippy::derivable_impls,
    reason = "the macro writes the enum, so no variant can be marked"
)]
impl Default for Tell {
    fn default() -> Self {
        Tell::Affected
    }
}

/// By when.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deadline {
    #[schemars(with = "String")]
    pub comply_by: When,
    /// How long before it to remind. A moved deadline moves the reminders with it, and everyone gets
    /// each of them once: who had the first for the old deadline gets the second for the new one.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub remind: Vec<Length>,
    /// The shortest time from told to refused.
    #[serde(default = "an_hour")]
    #[schemars(with = "String")]
    pub min_notice: Length,
    /// The same for who comes into scope later.
    #[serde(default = "a_day")]
    #[schemars(with = "String")]
    pub late_grace: Length,
    #[serde(default)]
    pub enforce_untold: bool,
}

fn an_hour() -> Length {
    Length::hours(1)
}
fn a_day() -> Length {
    Length::days(1)
}

/// What happens past the deadline where nothing can be known.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhenUnknown {
    #[serde(default)]
    pub no_report: UnknownPolicy,
    #[serde(default)]
    pub invisible: UnknownPolicy,
    #[serde(default)]
    pub stale: UnknownPolicy,
    #[serde(default = "two_weeks")]
    #[schemars(with = "String")]
    pub stale_after: Length,
    #[serde(default = "thirty_days")]
    #[schemars(with = "String")]
    pub attest_for: Length,
}

fn two_weeks() -> Length {
    Length::days(14)
}
fn thirty_days() -> Length {
    Length::days(30)
}

impl Default for WhenUnknown {
    fn default() -> Self {
        WhenUnknown {
            no_report: UnknownPolicy::Warn,
            invisible: UnknownPolicy::Warn,
            stale: UnknownPolicy::Warn,
            stale_after: two_weeks(),
            attest_for: thirty_days(),
        }
    }
}

words!(
    /// An answer where evidence is missing.
    UnknownPolicy, "policy" { Allow = "allow", Warn = "warn", Attest = "attest", Deny = "deny" }
);

#[expect(
    clippy::derivable_impls,
    reason = "the macro writes the enum, so no variant can be marked"
)]
impl Default for UnknownPolicy {
    fn default() -> Self {
        UnknownPolicy::Warn
    }
}

/// How the notices go out. Absent: all at once, and nothing stops them by itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stages {
    /// A share of the audience that is told first, such as `1%`. Who is in it follows from the order
    /// and the person, and is the same after every pause and restart.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub canary: Option<Share>,
    /// Instead of a share: groups that are told first.
    #[serde(default)]
    pub canary_groups: Vec<String>,
    /// How long everyone else waits after that: from when the first of them was told, and not from the
    /// publication only; again from the resume of a hold, and from that of notices that stopped in
    /// this very pause.
    #[serde(default = "a_quarter")]
    #[schemars(with = "String")]
    pub pause: Length,
    #[serde(default)]
    pub hold_at: Option<HoldAt>,
}

impl Stages {
    /// Whether somebody is told before the others.
    pub fn has_canary(&self) -> bool {
        self.canary.is_some() || !self.canary_groups.is_empty()
    }
}

fn a_quarter() -> Length {
    Length::seconds(900)
}

/// What stops the order's notices by itself: whichever is reached first. Its refusals go on, and what
/// is on its way then may still arrive. `order resume` lets the notices go on; what is counted by
/// then stops them no more, only as much again does. Absent: nothing stops them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldAt {
    /// Share of rejected notices, such as `5%`: the notices stop when the rejected (hard bounces are
    /// among them, corrections are not) are more than this share of the rejected and the people told
    /// together. These two are taken for at least 20, or for the size of a smaller audience, so
    /// that the first few answers weigh no more than that.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub rejected: Option<Share>,
    /// How many people say that it looks wrong, 1 or more. Each person counts once.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub looks_wrong: Option<u32>,
}

/// Where notice and correction are posted for everyone to read, besides the mails to people.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Announce {
    /// Names of channels, as `[[notices.channel]]` in the server's config has them. Absent: none.
    #[serde(default)]
    pub channels: Vec<String>,
}

/// A share in ten-thousandths, written as `1%` or `0.5%`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Share(pub u32);

impl Share {
    /// So many of them, rounded down.
    pub fn of(self, all: u64) -> u64 {
        (u128::from(all) * u128::from(self.0) / 10_000) as u64
    }
}

impl std::str::FromStr for Share {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("«{text}» is no share; write it like 1% or 0.5%");
        let number: f64 = text
            .trim()
            .strip_suffix('%')
            .ok_or_else(fail)?
            .trim()
            .parse()
            .map_err(|_| fail())?;
        if (0.0..=100.0).contains(&number) {
            Ok(Share((number * 100.0).round() as u32))
        } else {
            Err(fail())
        }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 100.0)
    }
}

impl Serialize for Share {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// One thing wrong with an order file, where, and how to mend it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, thiserror::Error)]
#[error("{}{what}", line.map(|l| format!("line {l}: ")).unwrap_or_default())]
pub struct Problem {
    pub line: Option<usize>,
    pub what: String,
}

impl Problem {
    pub fn new(what: impl Into<String>) -> Self {
        Problem {
            line: None,
            what: what.into(),
        }
    }
}

/// A file larger than this is no order.
pub const MAX_BYTES: usize = 256 * 1024;

impl OrderFile {
    /// The JSON Schema by which editors check an order file.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(OrderFile).to_value()
    }

    /// Reads and checks an order file. What only the catalogue or the fleet can tell (unknown apps
    /// and groups) is checked when it is resolved.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        if text.len() > MAX_BYTES {
            return Err(vec![Problem::new(format!(
                "the file has {} bytes; an order has at most {MAX_BYTES}",
                text.len()
            ))]);
        }
        let file: OrderFile = toml::from_str(text).map_err(|e| vec![explain(text, &e)])?;
        let problems = file.problems(text);
        if problems.is_empty() {
            Ok(file)
        } else {
            Err(problems)
        }
    }

    fn problems(&self, text: &str) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut say = |key: &str, what: String| {
            found.push(Problem {
                line: line_of(text, key),
                what,
            })
        };
        if self.title.trim().is_empty() || self.title.chars().any(char::is_control) {
            say(
                "title",
                "title must be one line of text that says what is ordered".into(),
            );
        }
        if self.title.chars().count() > 200 {
            say(
                "title",
                "title is longer than 200 characters; say the rest in reason".into(),
            );
        }
        if self.reason.trim().is_empty() {
            say(
                "reason",
                "reason is empty; say in a few words why this is ordered".into(),
            );
        }
        if self.forbid.apps.is_empty()
            && self.forbid.vendors.is_empty()
            && self.forbid.packs.is_empty()
        {
            say(
                "[forbid]",
                "forbid names no app; add apps = [\"tiktok\"], vendors or packs".into(),
            );
        }
        if self.forbid.on.is_empty() {
            say("on", "forbid.on is empty; name phone, tablet or laptop, or leave it out for phone and tablet".into());
        }
        if self.audience.groups.iter().all(|g| g.trim().is_empty()) {
            say("groups", "audience.groups is empty; name the groups, an order never means everyone by silence".into());
        }
        if let Some(expires) = &self.expires
            && expires.at() <= self.deadline.comply_by.at()
        {
            say(
                "expires",
                "expires is not after deadline.comply_by; the order would end before it enforces"
                    .into(),
            );
        }
        if let Some(stages) = &self.stages {
            if stages.canary.is_some() && !stages.canary_groups.is_empty() {
                say(
                    "[stages]",
                    "stages takes either canary = \"1%\" or canary_groups, and not both".into(),
                );
            }
            if stages.canary == Some(Share(0)) {
                say(
                    "canary",
                    "stages.canary is 0%, and nobody would be told first; write a share such as 1%, or leave it out".into(),
                );
            }
            if !stages.has_canary() && stages.hold_at.is_none() {
                say(
                    "[stages]",
                    "stages does nothing without canary = \"1%\", canary_groups or hold_at; name one of them, or leave [stages] out".into(),
                );
            }
            if let Some(hold_at) = &stages.hold_at {
                if hold_at.rejected.is_none() && hold_at.looks_wrong.is_none() {
                    say("hold_at", "hold_at is empty; write { rejected = \"5%\", looks_wrong = 10 }, one of the two, or leave it out".into());
                }
                if hold_at.looks_wrong == Some(0) {
                    say("hold_at", "hold_at.looks_wrong is 0, and nothing could ever be sent; write 1 or more, or leave it out".into());
                }
            }
        }
        if let Some(language) = self.language.as_ref().filter(|l| !texts::is_locale(l)) {
            say(
                "language",
                format!("language «{language}» is no locale; write it like en or pt-BR"),
            );
        }
        for (from, to) in &self.fallback {
            let has_text = self.notice.own(to).is_some()
                || texts::language_of(to).eq_ignore_ascii_case(texts::language_of(self.language()));
            if !texts::is_locale(from) || !has_text {
                say(
                    "fallback",
                    format!(
                        "fallback «{from}» = «{to}»: expected a locale such as gsw, and one that [notice] has a text for"
                    ),
                );
            }
        }
        let mut named = std::collections::BTreeSet::new();
        if let Some(twice) = self.announce.channels.iter().find(|c| !named.insert(*c)) {
            say(
                "channels",
                format!("announce.channels names «{twice}» twice; once is enough"),
            );
        }
        for (name, texts) in self.all_texts() {
            for problem in texts.problems() {
                say(&format!("[{name}"), format!("{name}: {problem}"));
            }
        }
        found
    }

    /// The kinds of text that this order has.
    pub fn all_texts(&self) -> impl Iterator<Item = (&'static str, &Texts)> {
        [
            ("notice", Some(&self.notice)),
            ("reminder", self.reminder.as_ref()),
            ("blocked", self.blocked.as_ref()),
            ("correction", Some(&self.correction)),
        ]
        .into_iter()
        .filter_map(|(name, texts)| Some((name, texts?)))
    }

    /// The language of the plain texts.
    pub fn language(&self) -> &str {
        self.language.as_deref().unwrap_or("en")
    }

    /// The text of that kind for a locale, if this order has one of its own: the locale's, that of
    /// its language, that of the fallback declared for either, or the plain one.
    pub fn text(&self, kind: &str, locale: &str) -> Option<Chosen<'_>> {
        let (_, texts) = self.all_texts().find(|(name, _)| *name == kind)?;
        let own = |locale: &str| {
            let (language, text) = texts.own(locale)?;
            Some(Chosen { language, text })
        };
        let declared = [locale, texts::language_of(locale)]
            .into_iter()
            .find_map(|tag| {
                let mut fallbacks = self.fallback.iter();
                fallbacks.find(|(from, _)| from.eq_ignore_ascii_case(tag))
            });
        let plain = || {
            let text = texts.plain.as_ref()?;
            let language = self.language();
            Some(Chosen { language, text })
        };
        own(locale).or_else(|| own(declared?.1)).or_else(plain)
    }
}

/// The first line on which `key` begins.
fn line_of(text: &str, key: &str) -> Option<usize> {
    text.lines()
        .position(|l| l.trim_start().starts_with(key))
        .map(|i| i + 1)
}

/// Turns the TOML reader's message into one that names the line and, for a misspelt key, the
/// nearest right one.
fn explain(text: &str, error: &toml::de::Error) -> Problem {
    let line = error
        .span()
        .map(|s| text.get(..s.start).unwrap_or("").matches('\n').count() + 1);
    let message = error.message();
    let mut what = message.lines().next().unwrap_or("not TOML").to_owned();
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field")
        && let Some(given) = quoted.next()
    {
        let nearest = crate::catalogue::nearest_of(given, quoted);
        what = match nearest {
            Some(right) => format!("there is no key «{given}» here; did you mean «{right}»?"),
            None => {
                format!("there is no key «{given}» here; `countermand order schema` lists all keys")
            }
        };
    } else if message.starts_with("missing field")
        && let Some(missing) = quoted.next()
    {
        what = format!(
            "«{missing}» is missing; an order must have title, reason, [forbid], [audience] groups, [deadline] comply_by, [notice] and [correction]"
        );
    }
    Problem { line, what }
}
