//! A first part of the people in which there is nobody.

use super::source::line_of;
use super::{Crowd, Lint};
use crate::order::Order;
use crate::words::counted;

pub(super) fn lint(order: &Order, crowd: &Crowd) -> Option<Lint> {
    let stages = order.revision.file.stages.as_ref()?;
    let (first, all) = crowd
        .canary
        .filter(|(first, all)| *first == 0 && *all > 0)?;
    let all = counted(all, "person", "people");
    let what = match stages.canary {
        Some(share) => format!("{share} of {all} is {first}"),
        None => format!("of {all} who are to be told {first} are in stages.canary_groups"),
    };
    Some(Lint {
        section: "stages".to_owned(),
        line: line_of(order, "canary"),
        what: format!(
            "nobody is told first: {what}; everybody waits for the pause of {}, and nothing is learnt in it",
            stages.pause
        ),
        mend: "name a larger share, or canary_groups in which somebody has the app".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Crowd;
    use super::super::tests::{EXAMPLE, NOON, lint_at, whats};

    #[test]
    fn a_canary_of_nobody_is_said_with_its_number() {
        let staged = |stages: &str| {
            let text = EXAMPLE.replace("canary  = \"1%\"", stages);
            let crowd = |canary| Crowd {
                canary,
                ..Crowd::default()
            };
            let lints = |canary| lint_at(&text, &crowd(canary), NOON);
            let said = lints(Some((0, 5)));
            assert_eq!(said.len(), 1, "{said:?}");
            assert_eq!(lints(Some((1, 5))), []);
            assert_eq!(lints(Some((0, 0))), [], "nobody is told at all");
            whats(&said)[0].to_owned()
        };
        assert_eq!(
            staged("canary = \"1%\""),
            "nobody is told first: 1% of 5 people is 0; everybody waits for the pause of PT15M, and nothing is learnt in it"
        );
        assert!(
            staged("canary_groups = [\"it\"]").contains("of 5 people who are to be told 0 are")
        );
    }
}
