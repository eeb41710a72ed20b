//! Notices of a refusal for want of something: no app was seen, so none is what has to go.

use crate::verdict::Fallback;

/// Subject and body, where the author wrote none; `None` where an app is what has to go.
pub(super) fn text(missing: Fallback) -> Option<(&'static str, &'static str)> {
    Some(match missing {
        Fallback::UnknownDevice => (
            "Mail was refused to a device that is not known: {{ order.title }}",
            "Dear {{ person.name }},\n\nsomebody asked for your mail on a device that is not known here, and was refused: the order «{{ order.title }}» is in force ({{ apps }}), and what is on that device can't be told. Your other devices are not concerned.\n\nWhy: {{ order.reason }}",
        ),
        Fallback::NoDeviceKey => (
            "Mail was refused to a device that did not say which one it is: {{ order.title }}",
            "Dear {{ person.name }},\n\na device asked for your mail and did not say which of yours it is, so it was refused as the strictest of them would be: the order «{{ order.title }}» is in force ({{ apps }}).\n\nWhy: {{ order.reason }}",
        ),
        Fallback::AmbiguousKey => (
            "Mail was refused to a device whose name another one has, too: {{ order.title }}",
            "Dear {{ person.name }},\n\na device asked for your mail under a name by which more than one device goes, so it was refused as the strictest of them would be: the order «{{ order.title }}» is in force ({{ apps }}).\n\nWhy: {{ order.reason }}",
        ),
        Fallback::NoReport | Fallback::Invisible | Fallback::Stale => (
            "Mail was refused to a device on which nothing can be seen: {{ order.title }}",
            "Dear {{ person.name }},\n\nmail was refused to a device of yours. The order «{{ order.title }}» is in force ({{ apps }}), and whether the app is on that device can't be told now.\n\nWhy: {{ order.reason }}",
        ),
        Fallback::UnknownPerson | Fallback::DoorsOpen => return None,
    })
}

/// What stands in such a notice whatever its author wrote: what is the matter, and what to do. The reference
/// is not in it: only the refused device shows it, so this notice alone recognises nothing.
pub(super) fn what_to_do(missing: Fallback, link: &str) -> Option<String> {
    let (matter, ways, end) = match missing {
        Fallback::UnknownDevice => (
            "The device is **not known here**. If it is yours, have it recognised:",
            vec![
                "Enrol it as you did your others. It is known as soon as a report of it comes in.".to_owned(),
                format!("Or, on a device that shows you your mail, open <{link}> and give the reference that the refused device was shown. It looks like R-7Q2M-4F."),
                "Or give that reference to the helpdesk.".to_owned(),
            ],
            "If it is not yours, tell the helpdesk at once: somebody else knows your password.",
        ),
        Fallback::NoDeviceKey => (
            "The device **did not say which one it is**:",
            vec![
                "If a device of yours has the app, remove it there: mail works again at the next try.".to_owned(),
                "If none has, the device is to be recognised: ask the helpdesk how to set up mail on it so that it says which one it is. Give them the reference, if it was shown one; it looks like R-7Q2M-4F.".to_owned(),
            ],
            "If none of your devices was asking, tell the helpdesk at once: somebody else knows your password.",
        ),
        Fallback::AmbiguousKey => (
            "**More than one device goes by its name**, and which of them it was can't be told:",
            vec![
                "If the app is on it, remove it.".to_owned(),
                "If it is not, or mail stays closed, the device is to be recognised: ask the helpdesk to have it told from the other, and give them the reference that it was shown. It looks like R-7Q2M-4F.".to_owned(),
            ],
            "If none of your devices was asking, tell the helpdesk at once: somebody else knows your password.",
        ),
        Fallback::NoReport | Fallback::Invisible | Fallback::Stale => (
            "**What is on the device is not known**:",
            vec![
                "If the app is on it, remove it.".to_owned(),
                "Then let the device report: open the app of the device manager on it while it is online. Mail works again once a report shows that the app is not there.".to_owned(),
                "If there is no such app, or mail stays closed, ask the helpdesk, and give them the reference that the device was shown. It looks like R-7Q2M-4F.".to_owned(),
            ],
            "",
        ),
        Fallback::UnknownPerson | Fallback::DoorsOpen => return None,
    };
    let mut text = format!("\n\n---\n\n{matter}\n\n");
    for way in ways {
        text.push_str(&format!("- {way}\n"));
    }
    if !end.is_empty() {
        text.push_str(&format!("\n{end}"));
    }
    Some(text.trim_end().to_owned())
}
