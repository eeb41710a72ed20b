//! Random histories, as small plans that shrink well. `build.rs` turns a plan into facts.

use countermand_core::fleet::{FormFactor, Visibility};
use countermand_core::order::file::{Tell, UnknownPolicy, Weak};
use countermand_core::platform::Platform;
use countermand_core::verdict::{Ambiguous, Channel, Decision, GatePolicy, NoKey};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index as Pick, select};

use super::world::{GROUPS, KEYS, VERSIONS, packages};

/// Everything of one history. Numbers of people, devices and orders are taken modulo their count.
#[derive(Clone, Debug)]
pub struct Plan {
    pub policy: GatePolicy,
    pub people: Vec<PersonPlan>,
    pub devices: Vec<DevicePlan>,
    pub orders: Vec<OrderPlan>,
    pub exemptions: Vec<ExemptionPlan>,
    pub attestations: Vec<(usize, usize, i64)>,
    pub moves: Vec<(i64, Move)>,
    pub repeats: Vec<bool>,
}

#[derive(Clone, Debug)]
pub struct PersonPlan {
    pub aliases: usize,
    pub groups: Vec<bool>,
}

#[derive(Clone, Debug)]
pub struct DevicePlan {
    pub owner: Option<usize>,
    pub platform: Platform,
    pub form_factor: FormFactor,
    pub enrolled_as: Visibility,
    /// Which of `world::KEYS`, and in which spelling.
    pub keys: Vec<(usize, usize)>,
    pub reports: Vec<ReportPlan>,
}

#[derive(Clone, Debug)]
pub struct ReportPlan {
    pub source: usize,
    pub visibility: Visibility,
    pub complete: bool,
    /// May lie after its arrival.
    pub seen: i64,
    pub arrived: i64,
    pub apps: Vec<(u32, usize)>,
}

#[derive(Clone, Debug)]
pub struct OrderPlan {
    pub rule: RulePlan,
    pub deadline: DeadlinePlan,
    pub start: i64,
    /// Each with the slots that pass before it.
    pub acts: Vec<(Act, i64)>,
    /// Who, how many slots after the start, and whether it bounced later.
    pub told: Vec<(usize, i64, bool)>,
}

#[derive(Clone, Debug)]
pub struct RulePlan {
    pub apps: Vec<usize>,
    pub versions: Option<&'static str>,
    pub on: Vec<FormFactor>,
    pub weak: Weak,
    pub groups: Vec<usize>,
    pub except_groups: Vec<usize>,
    pub tell: Tell,
    pub observe: bool,
    pub no_report: UnknownPolicy,
    pub invisible: UnknownPolicy,
    pub stale: UnknownPolicy,
    pub stale_after: &'static str,
    pub attest_for: &'static str,
}

#[derive(Clone, Debug)]
pub struct DeadlinePlan {
    pub comply_by: i64,
    pub min_notice: &'static str,
    pub late_grace: &'static str,
    pub enforce_untold: bool,
    /// Slots after `comply_by`.
    pub expires: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Submit,
    Withdraw,
    SendBack,
    Revise,
    Approve,
    Publish,
    Hold,
    Resume,
    /// To so many slots after (or before) the deadline in force.
    Extend(i64),
    Retract,
}

#[derive(Clone, Debug)]
pub struct ExemptionPlan {
    pub order: Option<usize>,
    /// 0 person, 1 group, 2 device.
    pub kind: usize,
    pub of: usize,
    pub until: i64,
    pub approved: Option<i64>,
    pub ended: Option<i64>,
}

#[derive(Clone, Debug)]
pub enum Move {
    Regroup(usize, Vec<bool>),
    /// An alias goes from one person to another; `true`: the new one is written first.
    PassAlias(usize, usize, bool),
    /// The device has these keys from now on (a new enrolment, a restored backup).
    Rekey(usize, Vec<(usize, usize)>),
    Reown(usize, Option<usize>),
    /// Somebody comes with a key to a door that vouches for them.
    Claim(usize, (usize, usize)),
    Doors(bool),
}

/// What a door asks, in numbers.
#[derive(Clone, Debug)]
pub struct Ask {
    pub person: Option<(usize, usize)>,
    pub stranger: bool,
    pub keys: Vec<(usize, usize)>,
    pub channel: Channel,
    pub at: Pick,
    /// A second before, at, or after the chosen moment.
    pub nudge: i64,
}

fn groups() -> impl Strategy<Value = Vec<bool>> {
    vec(prop::bool::weighted(0.6), GROUPS.len())
}

fn keys() -> impl Strategy<Value = Vec<(usize, usize)>> {
    vec((0..KEYS.len(), 0..3usize), 0..3)
}

fn visibility() -> impl Strategy<Value = Visibility> {
    prop_oneof![
        4 => Just(Visibility::Full),
        2 => Just(Visibility::ManagedOnly),
        1 => Just(Visibility::None),
    ]
}

fn unknown_policy() -> impl Strategy<Value = UnknownPolicy> {
    select(UnknownPolicy::ALL)
}

pub fn report() -> impl Strategy<Value = ReportPlan> {
    (
        0..3usize,
        visibility(),
        prop::bool::weighted(0.6),
        -60..8i64,
        -50..8i64,
        vec((0..packages().len() as u32, 0..VERSIONS.len()), 0..3),
    )
        .prop_map(
            |(source, visibility, complete, seen, arrived, apps)| ReportPlan {
                source,
                visibility,
                complete,
                // Half of them on few moments, so that ties are common.
                seen: if seen % 2 == 0 { seen } else { seen / 12 * 12 },
                arrived,
                apps,
            },
        )
}

fn device() -> impl Strategy<Value = DevicePlan> {
    (
        option::weighted(0.9, 0..4usize),
        prop_oneof![
            4 => Just(Platform::Android),
            4 => Just(Platform::Ios),
            1 => Just(Platform::Windows),
            1 => Just(Platform::Macos),
            1 => Just(Platform::Linux),
        ],
        prop_oneof![
            5 => Just(FormFactor::Phone),
            2 => Just(FormFactor::Tablet),
            2 => Just(FormFactor::Laptop),
        ],
        visibility(),
        keys(),
        vec(report(), 0..5),
    )
        .prop_map(
            |(owner, platform, form_factor, enrolled_as, keys, reports)| DevicePlan {
                owner,
                platform,
                form_factor,
                enrolled_as,
                keys,
                reports,
            },
        )
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => Just(Act::Submit),
        1 => Just(Act::Withdraw),
        1 => Just(Act::SendBack),
        1 => Just(Act::Revise),
        1 => Just(Act::Approve),
        1 => Just(Act::Publish),
        4 => Just(Act::Hold),
        4 => Just(Act::Resume),
        3 => (-4..12i64).prop_map(Act::Extend),
        2 => Just(Act::Retract),
    ]
}

/// Most orders get published; some wander.
fn acts() -> impl Strategy<Value = Vec<(Act, i64)>> {
    let straight = vec![(Act::Submit, 0), (Act::Approve, 0), (Act::Publish, 1)];
    let head = prop_oneof![8 => Just(straight), 1 => Just(Vec::new())];
    (head, vec((act(), 0..6i64), 0..5)).prop_map(|(mut head, tail)| {
        head.extend(tail);
        head
    })
}

fn rule() -> impl Strategy<Value = RulePlan> {
    let what = (
        prop::sample::subsequence(vec![0usize, 1, 2], 1..=3),
        option::weighted(0.25, select(vec!["<2", ">=2.5", "=1"])),
        prop_oneof![
            3 => Just(vec![FormFactor::Phone, FormFactor::Tablet]),
            1 => Just(vec![FormFactor::Phone]),
            2 => Just(FormFactor::ALL.to_vec()),
        ],
        select(Weak::ALL),
    );
    let whom = (
        prop::sample::subsequence(vec![0usize, 1, 2], 1..=2),
        prop_oneof![4 => Just(vec![]), 1 => (0..GROUPS.len()).prop_map(|g| vec![g])],
        select(Tell::ALL),
        prop::bool::weighted(0.1),
    );
    let unknown = (
        unknown_policy(),
        unknown_policy(),
        unknown_policy(),
        select(vec!["P1D", "P3D", "P14D"]),
        select(vec!["P1D", "P30D"]),
    );
    (what, whom, unknown).prop_map(
        |((apps, versions, on, weak), (groups, except_groups, tell, observe), unknown)| {
            let (no_report, invisible, stale, stale_after, attest_for) = unknown;
            RulePlan {
                apps,
                versions,
                on,
                weak,
                groups,
                except_groups,
                tell,
                observe,
                no_report,
                invisible,
                stale,
                stale_after,
                attest_for,
            }
        },
    )
}

fn order() -> impl Strategy<Value = OrderPlan> {
    let deadline = (
        -30..12i64,
        select(vec!["PT0S", "PT1H", "P1D"]),
        select(vec!["PT0S", "PT6H", "P2D"]),
        prop::bool::weighted(0.25),
        option::weighted(0.2, 1..20i64),
    )
        .prop_map(
            |(comply_by, min_notice, late_grace, enforce_untold, expires)| DeadlinePlan {
                comply_by,
                min_notice,
                late_grace,
                enforce_untold,
                expires,
            },
        );
    let told = vec((0..4usize, 0..12i64, prop::bool::weighted(0.15)), 0..6);
    (rule(), deadline, -40..-4i64, acts(), told).prop_map(|(rule, deadline, start, acts, told)| {
        OrderPlan {
            rule,
            deadline,
            start,
            acts,
            told,
        }
    })
}

fn exemption() -> impl Strategy<Value = ExemptionPlan> {
    (
        option::weighted(0.7, 0..4usize),
        0..3usize,
        0..4usize,
        -10..30i64,
        option::weighted(0.8, -40..4i64),
        option::weighted(0.2, -20..8i64),
    )
        .prop_map(|(order, kind, of, until, approved, ended)| ExemptionPlan {
            order,
            kind,
            of,
            until,
            approved,
            ended,
        })
}

fn movement() -> impl Strategy<Value = (i64, Move)> {
    let what = prop_oneof![
        3 => (0..4usize, groups()).prop_map(|(p, g)| Move::Regroup(p, g)),
        3 => (0..4usize, 0..4usize, any::<bool>()).prop_map(|(a, b, first)| Move::PassAlias(a, b, first)),
        2 => (0..4usize, keys()).prop_map(|(d, k)| Move::Rekey(d, k)),
        2 => (0..4usize, option::weighted(0.8, 0..4usize)).prop_map(|(d, p)| Move::Reown(d, p)),
        4 => (0..4usize, (0..KEYS.len() + 1, 0..3usize)).prop_map(|(p, k)| Move::Claim(p, k)),
        1 => prop::bool::weighted(0.4).prop_map(Move::Doors),
    ];
    (-40..8i64, what)
}

pub fn policy() -> impl Strategy<Value = GatePolicy> {
    (
        select(Decision::ALL),
        select(Decision::ALL),
        prop_oneof![2 => Just(Ambiguous::Strictest), 1 => Just(Ambiguous::Deny)],
        prop_oneof![3 => Just(NoKey::Strictest), 1 => select(NoKey::ALL)],
        prop::bool::weighted(0.2),
    )
        .prop_map(
            |(unknown_person, unknown_device, ambiguous_key, no_device_key, on_call)| GatePolicy {
                unknown_person,
                unknown_device,
                ambiguous_key,
                no_device_key,
                never_refuse_groups: if on_call {
                    vec![GROUPS[2].to_owned()]
                } else {
                    Vec::new()
                },
            },
        )
}

/// A history with `orders` orders.
pub fn plan(orders: std::ops::Range<usize>) -> impl Strategy<Value = Plan> {
    let person = (0..3usize, groups()).prop_map(|(aliases, groups)| PersonPlan { aliases, groups });
    (
        policy(),
        vec(person, 1..5),
        vec(device(), 0..5),
        vec(order(), orders),
        vec(exemption(), 0..3),
        vec((0..4usize, 0..4usize, -30..4i64), 0..3),
        vec(movement(), 0..6),
        vec(any::<bool>(), 7),
    )
        .prop_map(
            |(policy, people, devices, orders, exemptions, attestations, moves, repeats)| Plan {
                policy,
                people,
                devices,
                orders,
                exemptions,
                attestations,
                moves,
                repeats,
            },
        )
}

pub fn ask() -> impl Strategy<Value = Ask> {
    (
        option::weighted(0.85, (0..4usize, 0..6usize)),
        prop::bool::weighted(0.1),
        prop_oneof![
            2 => Just(Vec::new()),
            5 => vec((0..KEYS.len() + 1, 0..3usize), 1..2),
            2 => vec((0..KEYS.len() + 1, 0..3usize), 2..4),
        ],
        select(Channel::ALL),
        any::<Pick>(),
        -1..=1i64,
    )
        .prop_map(|(person, stranger, keys, channel, at, nudge)| Ask {
            person,
            stranger,
            keys,
            channel,
            at,
            nudge,
        })
}

pub fn asks() -> impl Strategy<Value = Vec<Ask>> {
    vec(ask(), 12..24)
}
