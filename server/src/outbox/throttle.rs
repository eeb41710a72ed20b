//! Limits at work: who may be offered for a claim, and what may be begun.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use countermand_core::id::PersonId;

use super::compose::Desk;
use super::limits::{Buckets, Class, Limits, LimitsConfig, Wait};
use crate::store::Claim;

#[derive(Debug)]
pub(super) struct Throttle {
    desk: Arc<Desk>,
    limits: Limits,
    classes: HashMap<PersonId, Class>,
}

/// How much may be offered: what is left when everything that is claimed has left.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    throttle: &'a mut Throttle,
    buckets: Buckets,
}

/// People who wait for a limit, apart, so that nobody waits behind them.
pub(super) type Parked = BTreeMap<Class, VecDeque<PersonId>>;

impl Throttle {
    /// `None` where nothing is limited.
    pub(super) fn new(desk: Arc<Desk>, config: &LimitsConfig) -> Option<Throttle> {
        Some(Throttle {
            limits: Limits::new(config, desk.clock.now())?,
            desk,
            classes: HashMap::new(),
        })
    }

    fn class(&mut self, person: PersonId) -> Class {
        if let Some(known) = self.classes.get(&person) {
            return *known;
        }
        let class = match self.desk.office.domain(person) {
            Some(domain) => self.limits.class(&domain, self.desk.clock.now()),
            None => Class::FREE,
        };
        self.classes.insert(person, class);
        class
    }

    fn filled(&mut self) -> Buckets {
        self.limits.buckets.fill(self.desk.clock.now());
        self.limits.buckets.clone()
    }

    /// `waiting` are claimed and not begun.
    pub(super) fn plan(&mut self, waiting: &[Claim]) -> Plan<'_> {
        let classes: Vec<Class> = waiting.iter().map(|c| self.class(c.key.person)).collect();
        let mut buckets = self.filled();
        classes
            .into_iter()
            .for_each(|class| buckets.take_anyway(class));
        Plan {
            throttle: self,
            buckets,
        }
    }

    /// Those of the claims that may be begun now; what is `free` waits for no limit.
    pub(super) fn admit(
        &mut self,
        claims: Vec<Claim>,
        free: impl Fn(&Claim) -> bool,
    ) -> Vec<Claim> {
        let mut buckets = self.filled();
        let may = |claim: &Claim| {
            let class = self.class(claim.key.person);
            buckets.catch_up(&self.limits.buckets);
            if free(claim) {
                buckets.take_anyway(class);
                return true;
            }
            buckets.take(class).is_ok()
        };
        claims.into_iter().filter(may).collect()
    }

    pub(super) fn begun(&mut self, claims: &[Claim]) {
        for claim in claims {
            let class = self.class(claim.key.person);
            self.limits.buckets.take_anyway(class);
        }
    }
}

impl Plan<'_> {
    /// Brings so many of those who may be claimed now to the front of the line as there is room for, and
    /// says how many they are. Who has to wait is parked on the way.
    pub(super) fn bring_forward(
        &mut self,
        people: &mut VecDeque<PersonId>,
        parked: &mut Parked,
        room: usize,
    ) -> usize {
        let mut chosen = Vec::new();
        'lanes: for (class, lane) in parked.iter_mut() {
            while chosen.len() < room && !lane.is_empty() {
                match self.buckets.take(*class) {
                    Ok(()) => chosen.extend(lane.pop_front()),
                    Err(Wait::Domain) => break,
                    Err(Wait::Relay) => break 'lanes,
                }
            }
        }
        parked.retain(|_, lane| !lane.is_empty());
        while chosen.len() < room
            && let Some(person) = people.pop_front()
        {
            let class = self.throttle.class(person);
            self.buckets.catch_up(&self.throttle.limits.buckets);
            match self.buckets.take(class) {
                Ok(()) => chosen.push(person),
                Err(Wait::Domain) => parked.entry(class).or_default().push_back(person),
                Err(Wait::Relay) => {
                    people.push_front(person);
                    break;
                }
            }
        }
        let count = chosen.len();
        chosen.into_iter().rev().for_each(|p| people.push_front(p));
        count
    }
}
