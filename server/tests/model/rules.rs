//! The orders of these histories: few fields, short times, so that deadlines and reminders fall between
//! the steps.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use countermand_core::order::file::UnknownPolicy;
use jiff::{SignedDuration, Timestamp};

use super::dice::Dice;

pub const GROUPS: [&str; 3] = ["staff", "sales", "it"];

pub const MINUTE: i64 = 60;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

pub fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

/// What may be on a device and be forbidden.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum App {
    Tiktok,
    Whatsapp,
}

impl App {
    pub const ALL: [App; 2] = [App::Tiktok, App::Whatsapp];

    pub fn slug(self) -> &'static str {
        match self {
            App::Tiktok => "tiktok",
            App::Whatsapp => "whatsapp",
        }
    }

    pub fn on_ios(self) -> &'static str {
        match self {
            App::Tiktok => "com.zhiliaoapp.musically",
            App::Whatsapp => "net.whatsapp.WhatsApp",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub forbids: BTreeSet<App>,
    pub groups: Vec<&'static str>,
    pub except: Option<&'static str>,
    pub everyone: bool,
    pub observe: bool,
    pub enforce_untold: bool,
    pub comply_by: Timestamp,
    pub expires: Option<Timestamp>,
    /// Seconds before the deadline.
    pub remind: Vec<i64>,
    pub min_notice: i64,
    pub late_grace: i64,
    pub invisible: UnknownPolicy,
    pub stages: Option<Stages>,
}

/// Who is told before all others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum First {
    Nobody,
    /// In percent.
    Share(u64),
    /// The group `it`.
    It,
}

/// What stops the notices by itself.
#[derive(Clone, Copy, Debug)]
pub struct HoldAt {
    /// In percent.
    pub rejected: Option<u64>,
    pub looks_wrong: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Stages {
    pub first: First,
    pub pause: i64,
    pub hold_at: Option<HoldAt>,
}

const fn hold_at(rejected: Option<u64>, looks_wrong: Option<u64>) -> Option<HoldAt> {
    Some(HoldAt {
        rejected,
        looks_wrong,
    })
}

const HOLD_AT: [Option<HoldAt>; 7] = [
    None,
    None,
    hold_at(Some(5), None),
    hold_at(Some(20), Some(2)),
    hold_at(Some(45), Some(1)),
    hold_at(None, Some(1)),
    hold_at(None, Some(2)),
];

impl Stages {
    /// Nothing, where neither somebody is first nor anything stops the notices.
    fn draw(dice: &mut Dice) -> Option<Stages> {
        let stages = Stages {
            first: dice.pick(&[
                First::Nobody,
                First::Nobody,
                First::It,
                First::Share(30),
                First::Share(60),
            ]),
            pause: dice.pick(&[5 * MINUTE, 2 * HOUR]),
            hold_at: dice.pick(&HOLD_AT),
        };
        (stages.first != First::Nobody || stages.hold_at.is_some()).then_some(stages)
    }
}

impl Rule {
    pub fn draw(dice: &mut Dice, now: Timestamp) -> Rule {
        let mut forbids: BTreeSet<App> = App::ALL.into_iter().filter(|_| !dice.one_in(3)).collect();
        if forbids.is_empty() {
            forbids.insert(App::Tiktok);
        }
        let comply_by = later(now, dice.pick(&[-HOUR, 5 * MINUTE, HOUR, 6 * HOUR, DAY]));
        let remind = [30 * MINUTE, 5 * HOUR];
        Rule {
            forbids,
            groups: dice.pick(&[
                vec!["staff"],
                vec!["staff"],
                vec!["staff", "sales"],
                vec!["sales"],
            ]),
            except: dice.one_in(5).then_some("it"),
            everyone: dice.one_in(3),
            observe: dice.one_in(8),
            enforce_untold: dice.one_in(6),
            comply_by,
            expires: dice
                .one_in(5)
                .then(|| later(comply_by.max(now), dice.pick(&[MINUTE, 3 * HOUR, 2 * DAY]))),
            remind: remind.into_iter().filter(|_| dice.one_in(2)).collect(),
            min_notice: dice.pick(&[0, 10 * MINUTE, HOUR]),
            late_grace: dice.pick(&[0, 20 * MINUTE, DAY]),
            invisible: dice.pick(UnknownPolicy::ALL),
            stages: dice.one_in(2).then(|| Stages::draw(dice)).flatten(),
        }
    }

    /// The order file.
    pub fn text(&self, title: &str) -> String {
        let apps: Vec<String> = self
            .forbids
            .iter()
            .map(|a| format!("{:?}", a.slug()))
            .collect();
        let mut text = format!(
            "title = {title:?}\nreason = \"Security risks\"\nobserve = {}\n",
            self.observe
        );
        if let Some(at) = self.expires {
            let _ = writeln!(text, "expires = \"{at}\"");
        }
        let _ = writeln!(text, "[forbid]\napps = [{}]", apps.join(", "));
        let _ = writeln!(text, "[audience]\ngroups = {:?}", self.groups);
        if let Some(group) = self.except {
            let _ = writeln!(text, "except_groups = [{group:?}]");
        }
        let tell = if self.everyone {
            "everyone"
        } else {
            "affected"
        };
        let remind: Vec<String> = self.remind.iter().map(|s| format!("\"PT{s}S\"")).collect();
        let _ = write!(
            text,
            "tell = \"{tell}\"\n[deadline]\ncomply_by = \"{}\"\nremind = [{}]\nmin_notice = \"PT{}S\"\nlate_grace = \"PT{}S\"\nenforce_untold = {}\n[when_unknown]\ninvisible = \"{}\"\n",
            self.comply_by,
            remind.join(", "),
            self.min_notice,
            self.late_grace,
            self.enforce_untold,
            self.invisible,
        );
        if let Some(stages) = &self.stages {
            let who = match stages.first {
                First::Nobody => String::new(),
                First::Share(share) => format!("canary = \"{share}%\""),
                First::It => "canary_groups = [\"it\"]".to_owned(),
            };
            let _ = write!(text, "[stages]\n{who}\npause = \"PT{}S\"\n", stages.pause);
            if let Some(hold_at) = &stages.hold_at {
                let share = hold_at
                    .rejected
                    .map(|share| format!("rejected = \"{share}%\""));
                let limit = hold_at.looks_wrong.map(|n| format!("looks_wrong = {n}"));
                let both: Vec<String> = share.into_iter().chain(limit).collect();
                let _ = writeln!(text, "hold_at = {{ {} }}", both.join(", "));
            }
        }
        text + "[notice]\nsubject = \"Remove it\"\nbody = \"Remove {{ apps }} by {{ order.comply_by }}. {{ order.link }}\"\n[correction]\nsubject = \"You may keep it\"\nbody = \"Nothing need be done.\"\n"
    }
}
