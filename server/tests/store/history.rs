//! Made-up histories: the same seed makes the same history on any database.

use std::collections::BTreeSet;

use countermand::store::{Claim, Outcome, Settled, Store, Turn, Wanted};
use countermand_core::change::{Change, Step};
use countermand_core::duration::Length;
use countermand_core::exemption::{Attestation, Exempted, Exemption};
use countermand_core::fleet::{FormFactor, IncomingReport, Visibility};
use countermand_core::id::{DeviceId, ExemptionId, OrderId, PersonId};
use countermand_core::index::{DoorsOpen, Index, Mode, Settings};
use countermand_core::notice::Kind;
use countermand_core::order::when::When;
use countermand_core::order::{Approval, Audience, Order, OrderFile, Revision};
use countermand_core::platform::Platform;
use countermand_core::verdict::{Channel, GatePolicy, Question};
use jiff::Timestamp;
use uuid::Uuid;

use crate::fixture::*;

/// SplitMix64: short, and the same everywhere.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn some<T: Clone>(&mut self, all: &[T]) -> Vec<T> {
        all.iter().filter(|_| self.one_in(3)).cloned().collect()
    }
}

const ADDRESSES: &[&str] = &[
    "al@corp.test",
    "bea@corp.test",
    "cy@corp.test",
    "dot@corp.test",
    "eli@corp.test",
    "fay@corp.test",
    "al2@corp.test",
    "bea2@corp.test",
    "cy2@corp.test",
];
const GROUPS: &[&str] = &["staff", "it", "ops"];
const APPS: &[&str] = &[
    "com.zhiliaoapp.musically",
    "COM.zhiliaoapp.Musically",
    "com.zhiliaoapp.musically.go",
    "org.mail",
    "org.notes",
    "",
];
const KEYS: &[&str] = &[
    "eas:DEV1",
    "eas:44455631",
    "eas:dev2",
    "eas:DEV3",
    "serial:S1",
    "serial:S2",
    "cert:C1",
    "mdm:a:1",
    "mdm:a:2",
    "mdm:b:1",
];

/// A house in which things happen.
#[derive(Debug)]
pub struct History {
    pub dice: Dice,
    pub now: Timestamp,
    orders: Vec<OrderId>,
    exemptions: Vec<Exemption>,
    claims: Vec<Claim>,
    flying: Vec<Claim>,
    made: u128,
}

impl History {
    pub fn new(seed: u64) -> Self {
        History {
            dice: Dice(seed),
            now: t(0),
            orders: Vec::new(),
            exemptions: Vec::new(),
            claims: Vec::new(),
            flying: Vec::new(),
            made: 0,
        }
    }

    /// For a database in which another history has made its orders.
    pub fn skip_ids(&mut self, n: u128) {
        self.made += n;
    }

    fn id(&mut self) -> u128 {
        self.made += 1;
        self.made
    }

    /// One thing happens.
    pub async fn step(&mut self, store: &Store) {
        self.now = Length::seconds(60 * self.dice.below(180) as i64).after(self.now);
        if self.orders.is_empty() && self.made % 1_000 > 3 {
            return self.publish(store).await;
        }
        match self.dice.below(20) {
            0..=2 => self.people(store).await,
            3..=6 => self.reports(store).await,
            7 => self.publish(store).await,
            8..=9 => self.move_an_order(store).await,
            10 => self.exempt(store).await,
            11 => self.attest(store).await,
            12 => self.set(store).await,
            13 => self.refuse(store).await,
            14 => self.bury(store).await,
            _ => self.turn(store).await,
        }
    }

    async fn put(&self, store: &Store, change: Change) {
        store.commit(&by_somebody(change, self.now)).await.unwrap();
    }

    async fn people(&mut self, store: &Store) {
        let mut rows = Vec::new();
        for _ in 0..=self.dice.below(3) {
            let email = *self.dice.pick(ADDRESSES);
            let aliases: Vec<&str> = (0..self.dice.below(2))
                .map(|_| *self.dice.pick(ADDRESSES))
                .collect();
            let groups = self.dice.some(GROUPS);
            let mut row = person(email, &aliases, &groups);
            row.aliases.remove(email);
            rows.push(row);
        }
        self.made += 1;
        self.put(store, Change::People(rows)).await;
    }

    fn report(&mut self) -> IncomingReport {
        let source = *self.dice.pick(&["a", "b", "c"]);
        let mut of: Vec<&str> = (0..=self.dice.below(2))
            .map(|_| *self.dice.pick(KEYS))
            .collect();
        of.dedup();
        let owner = (!self.dice.one_in(4)).then(|| *self.dice.pick(ADDRESSES));
        let apps = self.dice.some(APPS);
        let mut report = report(source, &of, owner, &apps);
        report.platform =
            Some(
                *self
                    .dice
                    .pick(&[Platform::Android, Platform::Android, Platform::Ios]),
            );
        report.form_factor =
            Some(
                *self
                    .dice
                    .pick(&[FormFactor::Phone, FormFactor::Tablet, FormFactor::Laptop]),
            );
        report.visibility = *self.dice.pick(&[
            Visibility::Full,
            Visibility::Full,
            Visibility::ManagedOnly,
            Visibility::None,
        ]);
        report.complete = !self.dice.one_in(4);
        report.seen_at = Length::seconds(self.dice.below(20) as i64 * 43_200).before(self.now);
        report
    }

    async fn reports(&mut self, store: &Store) {
        let reports = (0..=self.dice.below(3)).map(|_| self.report()).collect();
        self.made += 1;
        self.put(store, Change::Reports(reports)).await;
    }

    async fn publish(&mut self, store: &Store) {
        if self.orders.len() > 5 {
            return;
        }
        let days = self.dice.below(4) as i64;
        let text = format!(
            "title = \"Order\"\nreason = \"r\"\nobserve = {}\n[forbid]\napps = [\"tiktok\"]\nweak = \"{}\"\n[audience]\ngroups = [\"{}\"]\ntell = \"{}\"\n[deadline]\ncomply_by = \"{}\"\nmin_notice = \"PT1H\"\nenforce_untold = {}\n[when_unknown]\nno_report = \"{}\"\ninvisible = \"{}\"\n[notice]\nsubject = \"s\"\nbody = \"b\"\n[correction]\nsubject = \"s\"\nbody = \"b\"\n",
            self.dice.one_in(5),
            self.dice.pick(&["show", "enforce"]),
            self.dice.pick(GROUPS),
            self.dice.pick(&["affected", "everyone"]),
            Length::days(days).after(self.now),
            self.dice.one_in(3),
            self.dice.pick(&["allow", "warn", "attest", "deny"]),
            self.dice.pick(&["allow", "warn", "attest", "deny"]),
        );
        let file = OrderFile::parse(&text).unwrap();
        let n = self.id();
        let pins = draft(n).revision.pins;
        let revision = Revision::new(1, "ada@corp.test", self.now, &text, file, pins);
        let order = Order::draft(order_id(n), revision);
        let audience = Audience((0..4).filter(|_| self.dice.one_in(2)).collect());
        let approval = Approval {
            by: "ben@corp.test".to_owned(),
            at: self.now,
            digest: String::new(),
            audience,
        };
        let order = order
            .submit("ada@corp.test", self.now)
            .and_then(|o| o.approve(approval, &BTreeSet::new()))
            .and_then(|o| o.publish("ada@corp.test", self.now))
            .unwrap();
        self.orders.push(order.id);
        self.put(store, order_change(order, None, Step::Publish))
            .await;
    }

    async fn move_an_order(&mut self, store: &Store) {
        let Some(id) = self.an_order() else { return };
        let now = store.order_called(&id.to_string()).await.unwrap();
        let was = now.changed;
        let next = match self.dice.below(5) {
            0 | 1 => now.order.hold("rita@corp.test", self.now, "wait"),
            2 | 3 => now.order.resume(self.now),
            _ if self.dice.one_in(2) => now
                .order
                .extend(When::new(Length::days(2).after(self.now), None)),
            _ if now.order.standing().is_some() => Ok(retracted(now.order)),
            _ => return,
        };
        if let Ok(next) = next {
            self.put(store, order_change(next.clone(), Some(was), Step::Hold))
                .await;
            // Whoever comes second with the same changes nothing.
            let late = by_somebody(order_change(next, Some(was), Step::Hold), self.now);
            store.commit(&late).await.unwrap_err();
        }
    }

    fn an_order(&mut self) -> Option<OrderId> {
        (!self.orders.is_empty()).then(|| *self.dice.pick(&self.orders))
    }

    async fn exempt(&mut self, store: &Store) {
        let (was, exemption) = if self.exemptions.is_empty() || self.dice.one_in(2) {
            let id = ExemptionId(Uuid::from_u128(self.id()));
            let who = match self.dice.below(3) {
                0 => Exempted::Person(PersonId(self.dice.below(5) as u32)),
                1 => Exempted::Group((*self.dice.pick(GROUPS)).to_owned()),
                _ => Exempted::Device(DeviceId(self.dice.below(5) as u32)),
            };
            let order = if self.dice.one_in(4) {
                None
            } else {
                self.an_order()
            };
            self.exemptions.push(Exemption {
                id,
                order,
                who,
                reason: "r".to_owned(),
                until: Length::days(3).after(self.now),
                asked_by: "ada@corp.test".to_owned(),
                asked_at: self.now,
                approved: None,
                ended: None,
            });
            (None, self.exemptions.last().cloned())
        } else {
            let which = self.dice.below(self.exemptions.len());
            let one = &mut self.exemptions[which];
            let was = one.clone();
            match one.approved {
                None => one.approved = Some(("ben@corp.test".to_owned(), self.now)),
                Some(_) => one.ended = Some(("ben@corp.test".to_owned(), self.now)),
            }
            (Some(Box::new(was)), Some(one.clone()))
        };
        let exemption = exemption.unwrap();
        self.put(
            store,
            Change::Exemption {
                was,
                exemption,
                step: "put",
            },
        )
        .await;
    }

    async fn attest(&mut self, store: &Store) {
        let Some(order) = self.an_order() else { return };
        let person = PersonId(self.dice.below(5) as u32);
        self.put(
            store,
            Change::Attestation(Attestation {
                order,
                person,
                at: self.now,
            }),
        )
        .await;
    }

    async fn set(&mut self, store: &Store) {
        let open = DoorsOpen {
            by: "rita@corp.test".to_owned(),
            at: self.now,
            reason: "r".to_owned(),
        };
        let settings = Settings {
            mode: *self.dice.pick(&[Mode::Observe, Mode::Enforce]),
            doors_open: self.dice.one_in(4).then_some(open),
        };
        self.put(
            store,
            Change::Settings {
                was: store.settings().await.unwrap(),
                settings,
                action: "mode",
                why: String::new(),
            },
        )
        .await;
    }

    async fn refuse(&mut self, store: &Store) {
        let orders: Vec<OrderId> = self.dice.some(&self.orders.clone());
        let (fingerprint, person) = (self.dice.below(9) as u64, self.dice.below(6) as u32);
        let person = (person < 5).then_some(person);
        let one = refusal(fingerprint, person, &orders, self.now);
        self.put(store, Change::Refusals(vec![one])).await;
    }

    async fn bury(&mut self, store: &Store) {
        store.bury_workers(self.now).await.unwrap();
        if self.dice.one_in(2) {
            store.retire_worker("w", self.now).await.unwrap();
        }
    }

    async fn turn(&mut self, store: &Store) {
        store
            .renew_worker("w", Length::hours(2).after(self.now))
            .await
            .unwrap();
        let mut claim = Vec::new();
        for order in self.dice.some(&self.orders.clone()) {
            let correct = store.to_correct(order).await.unwrap();
            let (kind, people) = if correct.is_empty() {
                (
                    *self
                        .dice
                        .pick(&[Kind::Order, Kind::Order, Kind::Reminder(1), Kind::Blocked]),
                    vec![0, 1, 2, 3, 4],
                )
            } else {
                (Kind::Correction, correct.iter().collect())
            };
            let people = self.dice.some(&people).into_iter().map(PersonId).collect();
            claim.push(Wanted {
                order,
                kind,
                people,
            });
        }
        let not_before = Length::seconds(self.dice.below(9_000) as i64).after(self.now);
        let mut settle = Vec::new();
        for claim in std::mem::take(&mut self.flying) {
            let outcome = match self.dice.below(6) {
                0..=2 => Outcome::Accepted,
                3 => Outcome::Rejected,
                4 => Outcome::Unknown { not_before },
                _ => Outcome::Deferred { not_before },
            };
            if self.dice.one_in(4) {
                self.flying.push(claim);
            } else {
                settle.push(Settled {
                    claim,
                    outcome,
                    detail: "said".to_owned(),
                });
            }
        }
        let start = self.dice.some(&std::mem::take(&mut self.claims));
        let turn = Turn {
            settle,
            start,
            claim,
            limit: 5,
            ..Turn::default()
        };
        let turned = store.turn("w", &turn, self.now).await.unwrap();
        self.flying.extend(turned.started);
        self.claims.extend(turned.claimed);
    }

    /// Asserts that two indexes answer doors alike, over questions and times of the dice's choice.
    pub fn compare_verdicts(&mut self, a: &Index, b: &Index) {
        let day = 86_400;
        for _ in 0..40 {
            let asked = Question {
                person: (!self.dice.one_in(5)).then(|| (*self.dice.pick(ADDRESSES)).to_owned()),
                keys: keys(
                    &self
                        .dice
                        .some(KEYS)
                        .into_iter()
                        .take(self.dice.below(3))
                        .collect::<Vec<_>>(),
                ),
                channel: *self.dice.pick(Channel::ALL),
            };
            let at = Length::seconds(self.dice.below(20 * day) as i64).after(self.now);
            let at = if self.dice.one_in(4) { self.now } else { at };
            assert_eq!(
                a.verdict(&asked, at),
                b.verdict(&asked, at),
                "{asked:?} at {at}"
            );
            assert_eq!(a.refuses_anyone(at), b.refuses_anyone(at), "at {at}");
            assert_eq!(a.new_claims(&asked), b.new_claims(&asked), "{asked:?}");
            for person in (0..9).map(PersonId) {
                let [of_a, of_b] = [a, b].map(|index| index.is_anothers(&asked, person));
                assert_eq!(of_a, of_b, "{asked:?} of {person}");
            }
        }
    }

    /// Asserts that two indexes of the same facts answer everything alike.
    pub fn compare(&mut self, a: &Index, b: &Index) {
        self.compare_verdicts(a, b);
        assert_eq!(a.settings(), b.settings());
        for id in &self.orders {
            let order = a.order(*id).unwrap();
            assert_eq!(Some(order), b.order(*id));
            for at in [
                self.now,
                Length::days(2).after(self.now),
                Length::days(30).after(self.now),
            ] {
                assert_eq!(a.preview(order, at), b.preview(order, at));
                assert_eq!(a.to_tell(*id, at), b.to_tell(*id, at));
                assert_eq!(a.to_remind(*id, at), b.to_remind(*id, at));
                assert_eq!(a.standing(*id, at), b.standing(*id, at));
            }
            for person in (0..9).map(PersonId) {
                assert_eq!(a.told(*id, person), b.told(*id, person));
                assert_eq!(
                    a.still_forbidden(*id, person, self.now),
                    b.still_forbidden(*id, person, self.now)
                );
            }
        }
        assert!(a.people().eq(b.people()) && a.devices().eq(b.devices()));
        assert!(a.exemptions().eq(b.exemptions()));
    }
}

pub fn empty_index() -> Index {
    Index::new(GatePolicy::default())
}
