//! Hints for author and approver. They keep nobody from submitting.

use countermand_core::catalogue::Catalogue;
use countermand_core::notice::lint::{self, Crowd, Lint};
use countermand_core::notice::render::zone_of;
use countermand_core::order::Order;
use countermand_core::order::file::Stages;

use super::App;

impl App {
    /// What an author should know and may want to change, while it can be changed.
    pub fn lints(&self, order: &Order) -> Vec<Lint> {
        if order.published().is_some() {
            return Vec::new();
        }
        let mut crowd = self.crowd(order);
        let stages = order.revision.file.stages.as_ref();
        if stages.is_some_and(Stages::has_canary)
            && let Ok(preview) = self.preview(order)
        {
            crowd.canary = preview.canary.map(|first| (first, preview.to_tell));
        }
        lint::lints(order, Catalogue::embedded(), &crowd, self.now())
    }

    /// Whom the order speaks to, by what their notices depend on.
    fn crowd(&self, order: &Order) -> Crowd {
        let view = self.live.view();
        let mut crowd = Crowd::default();
        // A group that is not known is a fault of its own, and said elsewhere.
        let Ok(audience) = view.audience(order) else {
            return crowd;
        };
        for person in view.people().filter(|p| audience.0.contains(p.id.0)) {
            count(&mut crowd.zones, zone_of(person, order));
            count(&mut crowd.locales, &person.locale);
        }
        crowd
    }
}

/// Without a new name for each person: there are few names and many people.
fn count(counts: &mut std::collections::BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(n) => *n += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}
