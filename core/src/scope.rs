//! Whom a rule is for. Scope is live: whoever is in the groups now.

use std::collections::BTreeSet;

use crate::fleet::{Device, FormFactor, Person};
use crate::order::OrderFile;

/// Whether the rule is for this person, exemptions left aside.
pub fn includes(file: &OrderFile, person: &Person) -> bool {
    let any = |groups: &[String]| groups.iter().any(|g| person.groups.contains(g));
    any(&file.audience.groups) && !any(&file.audience.except_groups)
}

/// Whether the rule is for this kind of device.
pub fn names(file: &OrderFile, device: &Device) -> bool {
    file.forbid.on.contains(&device.form_factor)
}

/// Devices by which a person without a key may be judged.
pub fn carries_mail(device: &Device) -> bool {
    matches!(device.form_factor, FormFactor::Phone | FormFactor::Tablet)
}

/// Whether the person belongs to one of the named groups.
pub fn in_any(person: &Person, groups: &[String]) -> bool {
    let of: &BTreeSet<String> = &person.groups;
    groups.iter().any(|g| of.contains(g))
}
