//! A made-up company of 25,000 people and their devices. The same at every start.

use std::collections::BTreeSet;

use countermand_core::fleet::{
    DeviceKey, FormFactor, IncomingApp, IncomingReport, KeyKind, Ownership, PersonRow, Visibility,
};
use countermand_core::platform::Platform;
use jiff::{SignedDuration, Timestamp};

/// How many people work here.
pub const PEOPLE: usize = 25_000;

/// Where the company's mail lives.
const DOMAIN: &str = "example.test";

const FIRST: [&str; 40] = [
    "Ada", "Amir", "Ana", "Ben", "Bea", "Carlos", "Chidi", "Dana", "Dmitri", "Elif", "Emma",
    "Femi", "Grace", "Hana", "Hugo", "Ines", "Ivan", "Jade", "Jonas", "Kaito", "Kim", "Lars",
    "Leila", "Lucia", "Mara", "Mei", "Milan", "Nadia", "Noah", "Olga", "Omar", "Priya", "Rosa",
    "Sam", "Sofia", "Tariq", "Uma", "Victor", "Wen", "Zoe",
];
const LAST: [&str; 40] = [
    "Abara", "Adler", "Bauer", "Brooks", "Castro", "Chen", "Costa", "Dahl", "Diaz", "Evans",
    "Fischer", "Garcia", "Haddad", "Hart", "Ito", "Jansen", "Kaur", "Keller", "Khan", "Kowalski",
    "Lang", "Lopez", "Meyer", "Moreau", "Nguyen", "Novak", "Okafor", "Olsen", "Osei", "Park",
    "Patel", "Petrov", "Quinn", "Rossi", "Ruiz", "Silva", "Singh", "Tanaka", "Weber", "Young",
];
/// Those who act in the story work here too.
const ACTORS: [(&str, &str); 3] = [
    (super::ANA, "Ana Ruiz"),
    (super::BEN, "Ben Okafor"),
    (super::RITA, "Rita Osei"),
];
/// Department, share in thousandths, share of its phones with TikTok in hundredths.
const DEPARTMENTS: [(&str, u64, u64); 8] = [
    ("warehouse-north", 260, 61),
    ("warehouse-south", 230, 58),
    ("customer-service", 190, 50),
    ("engineering", 140, 27),
    ("marketing", 60, 57),
    ("finance", 70, 24),
    ("legal", 47, 18),
    ("executives", 3, 21),
];
const ZONES: [(&str, u64); 6] = [
    ("America/Los_Angeles", 520),
    ("America/Chicago", 180),
    ("America/New_York", 170),
    ("Europe/Berlin", 60),
    ("Europe/London", 40),
    ("Asia/Kolkata", 30),
];
/// Apps that anybody might have, by made-up ids.
const COMMON: [&str; 30] = [
    "test.example.maps",
    "test.example.weather",
    "test.example.bank",
    "test.example.news",
    "test.example.music",
    "test.example.photos",
    "test.example.chat",
    "test.example.calendar",
    "test.example.notes",
    "test.example.bus",
    "test.example.train",
    "test.example.recipes",
    "test.example.fitness",
    "test.example.podcasts",
    "test.example.books",
    "test.example.chess",
    "test.example.sudoku",
    "test.example.radio",
    "test.example.scanner",
    "test.example.translate",
    "test.example.taxi",
    "test.example.pizza",
    "test.example.shop",
    "test.example.flights",
    "test.example.hotel",
    "test.example.cinema",
    "test.example.football",
    "test.example.garden",
    "test.example.piano",
    "test.example.diary",
];

/// Steele and Vigna's splitmix64: enough for a made-up company.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len() as u64) as usize]
    }

    /// By shares that need not sum to anything in particular.
    fn by_share<T: Copy>(&mut self, of: &[(T, u64)]) -> T {
        let mut left = self.roll(of.iter().map(|(_, share)| share).sum());
        for (what, share) in of {
            if left < *share {
                return *what;
            }
            left -= share;
        }
        of[0].0
    }
}

/// A phone, tablet or laptop of the company, as its device manager reports it.
#[derive(Clone, Debug)]
pub struct Gadget {
    pub report: IncomingReport,
    /// Where TikTok stands among its apps.
    pub tiktok: Option<usize>,
    cured: bool,
}

#[derive(Debug)]
pub struct Company {
    pub people: Vec<PersonRow>,
    pub gadgets: Vec<Gadget>,
}

impl Company {
    /// The company as its device manager saw it in the hours before `now`.
    pub fn made_up(now: Timestamp) -> Company {
        let mut dice = Dice::new(20_200_710);
        let mut company = Company {
            people: Vec::with_capacity(PEOPLE),
            gadgets: Vec::new(),
        };
        for number in 0..PEOPLE {
            let (first, last) = (*dice.pick(&FIRST), *dice.pick(&LAST));
            if let Some((email, name)) = ACTORS.get(number) {
                company.people.push(PersonRow {
                    email: (*email).to_owned(),
                    name: (*name).to_owned(),
                    groups: BTreeSet::from(["all-staff".to_owned(), "it".to_owned()]),
                    locale: "en".to_owned(),
                    time_zone: super::ZONE.to_owned(),
                    ..PersonRow::default()
                });
                company.equip(&mut dice, number, email, 0, now);
                continue;
            }
            let departments: Vec<((&str, u64), u64)> = DEPARTMENTS
                .iter()
                .map(|(d, share, app)| ((*d, *app), *share))
                .collect();
            let (department, with_app) = dice.by_share(&departments);
            let mut groups = BTreeSet::from(["all-staff".to_owned(), department.to_owned()]);
            if department == "marketing" && dice.roll(100) < 4 {
                groups.insert("brand-social".to_owned());
            }
            let email = format!(
                "{}.{}.{number}@{DOMAIN}",
                first.to_lowercase(),
                last.to_lowercase()
            );
            company.people.push(PersonRow {
                email: email.clone(),
                aliases: BTreeSet::from([format!("{}{number}@{DOMAIN}", first.to_lowercase())]),
                name: format!("{first} {last}"),
                groups,
                locale: "en".to_owned(),
                time_zone: dice.by_share(&ZONES).to_owned(),
                ..PersonRow::default()
            });
            company.equip(&mut dice, number, &email, with_app, now);
        }
        company
    }

    fn equip(
        &mut self,
        dice: &mut Dice,
        number: usize,
        email: &str,
        with_app: u64,
        now: Timestamp,
    ) {
        if dice.roll(100) < 96 {
            let platform = if dice.roll(100) < 58 {
                Platform::Ios
            } else {
                Platform::Android
            };
            self.add(
                dice,
                number,
                'p',
                email,
                platform,
                FormFactor::Phone,
                with_app,
                now,
            );
        }
        if dice.roll(100) < 5 {
            self.add(
                dice,
                number,
                't',
                email,
                Platform::Ios,
                FormFactor::Tablet,
                with_app / 2,
                now,
            );
        }
        if dice.roll(100) < 20 {
            self.add(
                dice,
                number,
                'l',
                email,
                Platform::Windows,
                FormFactor::Laptop,
                0,
                now,
            );
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a gadget has that many sides")]
    fn add(
        &mut self,
        dice: &mut Dice,
        number: usize,
        letter: char,
        email: &str,
        platform: Platform,
        form_factor: FormFactor,
        with_app: u64,
        now: Timestamp,
    ) {
        let work_profile = platform == Platform::Android && dice.roll(100) < 3;
        let stale = dice.roll(1000) < 4;
        let minutes = if stale {
            60 * 24 * 20
        } else {
            dice.roll(60 * 9) as i64
        };
        let mut apps: Vec<IncomingApp> = Vec::new();
        let first = dice.roll(COMMON.len() as u64) as usize;
        for i in 0..6 + dice.roll(8) as usize {
            apps.push(IncomingApp {
                package_id: COMMON[(first + i * 7) % COMMON.len()].to_owned(),
                name: String::new(),
                version: format!("{}.{}", 1 + dice.roll(9), dice.roll(20)),
            });
        }
        let mut tiktok = None;
        if !work_profile && !stale && dice.roll(100) < with_app {
            let id = match (platform, dice.roll(20)) {
                (Platform::Ios, 0) => "com.ss.iphone.ugc.Ame",
                (Platform::Android, 0) => "com.ss.android.ugc.trill",
                (Platform::Android, 1) => "com.zhiliaoapp.musically.go",
                _ => "com.zhiliaoapp.musically",
            };
            tiktok = Some(apps.len());
            apps.push(IncomingApp {
                package_id: id.to_owned(),
                name: String::new(),
                version: "16.6.5".to_owned(),
            });
        }
        let keys = [
            DeviceKey::mdm("demo", &format!("{number}{letter}")),
            DeviceKey::new(
                KeyKind::Eas,
                &format!(
                    "{}{number:06}",
                    if letter == 'p' { "PHONE" } else { "OTHER" }
                ),
            ),
        ];
        let keys = if letter == 'l' {
            keys.into_iter().take(1).flatten().collect()
        } else {
            keys.into_iter().flatten().collect()
        };
        self.gadgets.push(Gadget {
            report: IncomingReport {
                source: "demo".to_owned(),
                keys,
                person: Some(email.to_owned()),
                platform: Some(platform),
                form_factor: Some(form_factor),
                ownership: Some(if work_profile {
                    Ownership::Personal
                } else {
                    Ownership::Company
                }),
                os_version: Some(
                    if platform == Platform::Ios {
                        "13.5.1"
                    } else {
                        "10"
                    }
                    .to_owned(),
                ),
                visibility: if work_profile {
                    Visibility::ManagedOnly
                } else {
                    Visibility::Full
                },
                complete: true,
                seen_at: now - SignedDuration::from_mins(minutes),
                apps,
            },
            tiktok,
            cured: false,
        });
    }
}

impl Gadget {
    /// Its owner removes the app; this is the next report.
    pub fn cure(&mut self, at: Timestamp) -> IncomingReport {
        self.report.seen_at = at;
        if let Some(place) = self.tiktok.take() {
            self.report.apps.remove(place);
            self.cured = true;
        }
        self.report.clone()
    }

    pub fn had_it(&self) -> bool {
        self.cured || self.tiktok.is_some()
    }

    /// The key by which its mail program is known, and its owner.
    pub fn at_the_door(&self) -> Option<(&str, &DeviceKey)> {
        let key = self.report.keys.iter().find(|k| k.kind() == KeyKind::Eas)?;
        Some((self.report.person.as_deref()?, key))
    }
}
