//! The statements as a feed (RFC 4287), newest change first: of so many orders as [`super::facts::NEWEST`]
//! says, since anyone may ask for it as often as they like.

use jiff::Timestamp;

use super::facts::{Known, know_newest, organisation};
use super::html::note;
use super::xml::Xml;
use crate::web::Web;

pub(super) struct Feed {
    pub body: String,
    pub as_of: Option<Timestamp>,
}

pub(super) async fn in_atom(web: &Web) -> Feed {
    let all = know_newest(web).await;
    let as_of = all.iter().find_map(|known| known.as_of);
    let root = web.app.config.server.public_url.trim_end_matches('/');
    let own = format!("{root}/statements.atom");
    let organisation = organisation(web);
    let changed = all.first().map_or(Timestamp::UNIX_EPOCH, Known::changed);

    let mut xml = Xml::root(
        "feed",
        "xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"en\"",
    );
    xml.leaf("id", &own);
    xml.leaf("title", &format!("{organisation}: statements on orders"));
    if let Some(at) = as_of {
        let words = format!("As of {at}: the record can't be reached just now.");
        xml.leaf("subtitle", &words);
    }
    xml.leaf("updated", &changed.to_string());
    xml.empty(
        "link",
        &[
            ("rel", "self"),
            ("type", "application/atom+xml"),
            ("href", &own),
        ],
    );
    xml.open("author");
    xml.leaf("name", &organisation);
    xml.close("author");
    for known in &all {
        entry(&mut xml, web, known);
    }
    Feed {
        body: xml.end("feed"),
        as_of,
    }
}

fn entry(xml: &mut Xml, web: &Web, known: &Known) {
    let order = &known.order;
    let now = web.app.now();
    let page = web.app.config.statement_link(order.id);
    let cap = format!("{page}.cap.xml");
    xml.open("entry");
    xml.leaf("id", &format!("urn:uuid:{}", order.id));
    let state = known.state(now).text();
    xml.leaf("title", &format!("{state}: {}", order.title()));
    xml.leaf("updated", &known.changed().to_string());
    if let Some(published) = order.published() {
        xml.leaf("published", &published.at.to_string());
    }
    for (kind, address) in [("text/html", &page), ("application/cap+xml", &cap)] {
        xml.empty(
            "link",
            &[("rel", "alternate"), ("type", kind), ("href", address)],
        );
    }
    let mut summary = note(known, now);
    if let Some(retraction) = order.retraction() {
        let cause = retraction.cause.as_deref().unwrap_or("not yet known");
        summary += &format!(" Cause: {cause}");
    }
    xml.leaf("summary", &summary);
    xml.close("entry");
}
