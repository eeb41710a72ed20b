//! Orders as their authors write them.

use countermand_core::order::{OrderFile, Retraction, Revision};
use jiff::Timestamp;

use super::history::OrderPlan;
use super::world::{APPS, GROUPS, pins, slot};

/// An order file as its author would write it.
pub fn order_text(n: usize, plan: &OrderPlan, version: u32) -> String {
    let (rule, deadline) = (&plan.rule, &plan.deadline);
    let names = |all: &[&str], chosen: &[usize]| -> Vec<String> {
        chosen.iter().map(|c| all[*c].to_owned()).collect()
    };
    let comply_by = slot(deadline.comply_by);
    let expires = deadline.expires.map_or(String::new(), |after| {
        format!("expires = \"{}\"\n", slot(deadline.comply_by + after))
    });
    let versions = rule.versions.map_or(String::new(), |range| {
        format!("versions = {{ tiktok = \"{range}\", chat = \"{range}\" }}\n")
    });
    let on: Vec<&str> = rule.on.iter().map(|f| f.as_str()).collect();
    format!(
        "# version {version}\ntitle = \"Order {n}\"\nreason = \"Security\"\nobserve = {}\n{expires}\
         [forbid]\napps = {:?}\non = {on:?}\nweak = \"{}\"\n{versions}\
         [audience]\ngroups = {:?}\nexcept_groups = {:?}\ntell = \"{}\"\n\
         [deadline]\ncomply_by = \"{comply_by}\"\nmin_notice = \"{}\"\nlate_grace = \"{}\"\nenforce_untold = {}\n\
         [when_unknown]\nno_report = \"{}\"\ninvisible = \"{}\"\nstale = \"{}\"\nstale_after = \"{}\"\nattest_for = \"{}\"\n\
         [notice]\nsubject = \"Remove it\"\nbody = \"Please.\"\n\
         [correction]\nsubject = \"CORRECTION: keep it\"\nbody = \"Sorry.\"\n",
        rule.observe,
        names(&APPS, &rule.apps),
        rule.weak,
        names(&GROUPS, &rule.groups),
        names(&GROUPS, &rule.except_groups),
        rule.tell,
        deadline.min_notice,
        deadline.late_grace,
        deadline.enforce_untold,
        rule.no_report,
        rule.invisible,
        rule.stale,
        rule.stale_after,
        rule.attest_for,
    )
}

pub fn revision(n: usize, plan: &OrderPlan, version: u32, by: &str, at: Timestamp) -> Revision {
    let text = order_text(n, plan, version);
    let file = OrderFile::parse(&text).unwrap();
    let pins = pins(&plan.rule.apps, &file.forbid.versions);
    Revision::new(version, by, at, &text, file, pins)
}

pub fn retraction(at: Timestamp) -> Retraction {
    Retraction {
        by: "responder@example.test".to_owned(),
        at,
        reason: "sent in error".to_owned(),
        cause: None,
        answer: Default::default(),
    }
}
