//! Whether a text that is announced to nobody in particular speaks to one person by address.

use super::Lint;
use super::source::Source;
use crate::order::Order;

pub(super) fn lints(order: &Order, sources: &[Source<'_>]) -> Vec<Lint> {
    if order.revision.file.announce.channels.is_empty() {
        return Vec::new();
    }
    sources
        .iter()
        .filter(|s| matches!(s.kind, "notice" | "correction") && s.names("email"))
        .map(|source| Lint {
            section: source.section(),
            line: source.head(),
            what: "the text names person.email, which at a channel reads «colleagues», as person.name does".to_owned(),
            mend: "leave the address out, or announce the order nowhere".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{EXAMPLE, order};
    use super::*;

    #[test]
    fn an_address_is_no_word_for_a_crowd() {
        let of = |text: &str| {
            let order = order(text);
            lints(&order, &Source::all(&order)).len()
        };
        let personal = EXAMPLE.replace("{{ person.name }}", "{{ person.email }}");
        let announced = |text: &str| format!("{text}\n[announce]\nchannels = [\"ops\"]\n");
        assert_ne!(personal, EXAMPLE);
        assert_eq!(of(&personal), 0, "to nobody but the person");
        assert_eq!(of(&announced(EXAMPLE)), 0);
        assert!(of(&announced(&personal)) > 0);
    }
}
