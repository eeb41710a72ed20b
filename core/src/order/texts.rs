//! The texts of an order: subject and body, for everyone or by locale.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// One subject and body, in Markdown and minijinja.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub subject: String,
    pub body: String,
}

/// A text for every locale that has none of its own, and those that have.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Texts {
    #[serde(flatten)]
    pub plain: Option<Text>,
    #[serde(flatten)]
    pub by_locale: BTreeMap<String, Text>,
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let mut table = toml::Table::deserialize(d)?;
        let (subject, body) = (table.remove("subject"), table.remove("body"));
        let plain = match (subject, body) {
            (None, None) => None,
            (Some(toml::Value::String(subject)), Some(toml::Value::String(body))) => {
                Some(Text { subject, body })
            }
            (Some(_), None) => return Err(D::Error::custom("this text has a subject but no body")),
            (None, Some(_)) => return Err(D::Error::custom("this text has a body but no subject")),
            _ => return Err(D::Error::custom("subject and body must be strings")),
        };
        let mut by_locale = BTreeMap::new();
        for (locale, value) in table {
            if !is_locale(&locale) {
                return Err(D::Error::custom(format!(
                    "there is no key «{locale}» here; a text has subject, body, and tables named by locale such as de or pt-BR"
                )));
            }
            let text = Text::deserialize(value)
                .map_err(|e| D::Error::custom(format!("{locale}: {}", e.message())))?;
            by_locale.insert(locale, text);
        }
        Ok(Texts { plain, by_locale })
    }
}

// By hand, because a derived schema can't tell the plain text's keys from tables named by locale.
impl JsonSchema for Texts {
    fn schema_name() -> Cow<'static, str> {
        "Texts".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = generator.subschema_for::<Text>();
        json_schema!({
            "description": "Subject and body for every locale that has none of its own, and tables named by locale ([notice.de])",
            "type": "object",
            "minProperties": 1,
            "properties": {
                "subject": { "type": "string" },
                "body": { "type": "string" },
            },
            "dependentRequired": { "subject": ["body"], "body": ["subject"] },
            "patternProperties": { "^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$": text },
            "additionalProperties": false,
        })
    }
}

/// Two or three letters, then subtags: enough of BCP 47 to tell a locale from a misspelt key.
pub(super) fn is_locale(text: &str) -> bool {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or("");
    (2..=3).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_alphabetic())
        && parts.all(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// `de` of `de-AT`.
pub fn language_of(locale: &str) -> &str {
    locale.split('-').next().unwrap_or("")
}

/// The text that serves a locale, and the language that it is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chosen<'a> {
    pub language: &'a str,
    pub text: &'a Text,
}

impl Texts {
    /// The text of `locale` itself, or of its language, with the locale that it is written for.
    pub fn own(&self, locale: &str) -> Option<(&str, &Text)> {
        let find = |tag: &str| {
            let mut texts = self.by_locale.iter();
            texts.find(|(l, _)| l.eq_ignore_ascii_case(tag))
        };
        find(locale)
            .or_else(|| find(language_of(locale)))
            .map(|(locale, text)| (locale.as_str(), text))
    }

    /// Every text, with its locale (`None` for the plain one).
    pub fn all(&self) -> impl Iterator<Item = (Option<&str>, &Text)> {
        self.plain
            .iter()
            .map(|t| (None, t))
            .chain(self.by_locale.iter().map(|(l, t)| (Some(l.as_str()), t)))
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.plain.is_none() && self.by_locale.is_empty() {
            found.push("there is no text; give it a subject and a body".to_owned());
        }
        for (locale, text) in self.all() {
            let place = locale.map(|l| format!("{l}: ")).unwrap_or_default();
            if text.subject.trim().is_empty() || text.subject.contains(['\n', '\r']) {
                found.push(format!("{place}the subject must be one line of text"));
            }
            if text.body.trim().is_empty() {
                found.push(format!("{place}the body is empty"));
            }
        }
        found
    }
}
