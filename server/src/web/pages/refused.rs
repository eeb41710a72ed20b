//! What a person sees whom a door has just refused: why, what to do, and whom to ask.
//! A proxy shows it under its own address, so it carries its style with it, and needs
//! `style-src 'unsafe-inline'` where every other page does not.

use askama::Template;

use super::When;

#[derive(Debug, Clone, Template)]
#[template(path = "refused.html")]
pub struct Refused {
    /// The apps that were seen; empty where a fallback alone refused.
    pub because: Vec<RefusedFor>,
    pub fallback: Option<Fallback>,
    pub orders: Vec<RefusingOrder>,
    /// None: not known, so the ways of all are shown.
    pub handset: Option<Handset>,
    /// `R-7Q2M-4F`
    pub reference: String,
}

#[derive(Debug, Clone)]
pub struct RefusedFor {
    pub app: String,
    /// `iPhone 15`
    pub device: String,
    pub seen: When,
    /// `the device manager`
    pub source: String,
}

/// An order that refuses, or that made the fallback speak.
#[derive(Debug, Clone)]
pub struct RefusingOrder {
    pub title: String,
    /// Absolute: a proxy shows this page.
    pub statement: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handset {
    Ios,
    Android,
}

/// Why a door refused although no forbidden app was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    NoReport,
    Stale,
    Invisible,
    UnknownDevice,
    UnknownPerson,
    NoDeviceKey,
    AmbiguousKey,
}

impl Fallback {
    pub fn why(&self) -> &'static str {
        match self {
            Self::NoReport => {
                "An order about apps is in force, and this device has not yet told us which apps are on it."
            }
            Self::Stale => {
                "An order about apps is in force, and it is too long since this device last told us which apps are on it."
            }
            Self::Invisible => {
                "An order about apps is in force, and we can't see the apps on the personal side of this device."
            }
            Self::UnknownDevice => {
                "An order about apps is in force, and we don't know this device."
            }
            Self::UnknownPerson => {
                "An order about apps is in force, and we don't know this account."
            }
            Self::NoDeviceKey => {
                "An order about apps is in force for one of your devices, and we can't tell which device this is."
            }
            Self::AmbiguousKey => {
                "An order about apps is in force, and this device looks like another one that may not read mail."
            }
        }
    }

    pub fn steps(&self) -> &'static [&'static str] {
        match self {
            Self::NoReport | Self::Stale => &[
                "Open the app of the device manager on this device.",
                "Let it check or synchronise, and wait until it says that it is done.",
                "Open your mail again. It takes about a minute.",
            ],
            Self::Invisible => &[
                "If the app is on this device, remove it.",
                "Open the page of your devices below and say that it is gone.",
                "Open your mail again.",
            ],
            Self::UnknownDevice => &[
                "If this is your device, enrol it as you did your others: it is known as soon as a report of it comes in.",
                "Or look for a mail about this on a device or laptop that you read mail on: its link takes the reference below.",
                "Or give the helpdesk the reference below.",
            ],
            Self::UnknownPerson => &["Give the helpdesk the reference below."],
            Self::NoDeviceKey | Self::AmbiguousKey => &[
                "If one of your phones or tablets has the app, remove it there.",
                "If none has, give the helpdesk the reference below.",
            ],
        }
    }
}

impl Refused {
    pub fn heading(&self) -> &'static str {
        if self.because.is_empty() {
            "Your mail is closed on this device for now"
        } else {
            "This device can't read mail just now"
        }
    }

    pub fn shows(&self, handset: Handset) -> bool {
        self.handset.is_none_or(|is| is == handset)
    }

    pub fn ios(&self) -> bool {
        self.shows(Handset::Ios)
    }

    pub fn android(&self) -> bool {
        self.shows(Handset::Android)
    }

    /// `TikTok`, `TikTok and Lemon8`
    pub fn apps(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for reason in &self.because {
            if !names.contains(&reason.app.as_str()) {
                names.push(&reason.app);
            }
        }
        match names.split_last() {
            None => "the app".to_owned(),
            Some((last, [])) => (*last).to_owned(),
            Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        }
    }
}
