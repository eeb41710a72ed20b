//! What a browser is shown when it was refused. How it looks is the business of whoever puts the
//! program together: the gate hands out what may be said.

use countermand_core::fleet::FormFactor;
use countermand_core::platform::Platform;
use countermand_core::verdict::Fallback;
use jiff::Timestamp;

use super::Gate;
use super::ask::Answer;

/// Draws the page.
pub type RefusedPage = Box<dyn Fn(&RefusedInfo) -> String + Send + Sync>;

/// The page has styles of its own, and neither script nor form.
pub const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// What may be said. Where nobody vouches for the person, that is the line and the reference; the
/// rest is empty (invariant 37).
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedInfo {
    pub reference: String,
    /// Why and what to do, in one line of ASCII.
    pub line: String,
    pub because: Vec<RefusedFor>,
    pub fallback: Option<Fallback>,
    pub orders: Vec<RefusingOrder>,
    /// Of the device, where it is certain.
    pub platform: Option<Platform>,
}

/// An app that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedFor {
    pub app: String,
    pub device: Option<(Platform, FormFactor)>,
    pub seen_at: Timestamp,
    pub source: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RefusingOrder {
    pub title: String,
    /// The address of its statement.
    pub statement: String,
}

impl RefusedInfo {
    pub(super) fn of(gate: &Gate, answer: &Answer) -> Self {
        let mut info = RefusedInfo {
            reference: answer.reference.clone().unwrap_or_default(),
            line: answer.line.clone(),
            because: Vec::new(),
            fallback: None,
            orders: Vec::new(),
            platform: None,
        };
        if !answer.personal {
            return info;
        }
        let verdict = &answer.verdict;
        let view = gate.live.view();
        info.fallback = verdict.fallback;
        info.platform = verdict
            .device
            .and_then(|d| view.device(d))
            .map(|d| d.platform);
        for reason in verdict
            .because
            .iter()
            .filter(|r| r.decision == verdict.decision)
        {
            if let Some(seen) = &reason.seen {
                let device = reason.device.and_then(|d| view.device(d));
                info.because.push(RefusedFor {
                    app: seen.app_name.clone(),
                    device: device.map(|d| (d.platform, d.form_factor)),
                    seen_at: seen.seen_at,
                    source: seen.source.clone(),
                });
            }
            let order = RefusingOrder {
                title: reason.title.clone(),
                statement: format!("{}/o/{}", gate.public_url, reason.order),
            };
            if !info.orders.contains(&order) {
                info.orders.push(order);
            }
        }
        info
    }
}

/// The page at its plainest.
pub fn plain(info: &RefusedInfo) -> String {
    let mut orders = String::new();
    for order in &info.orders {
        orders += &format!(
            "<li><a href=\"{}\">{}</a></li>\n",
            escaped(&order.statement),
            escaped(&order.title)
        );
    }
    if !orders.is_empty() {
        orders = format!("<p>What is in force, and since when:</p>\n<ul>\n{orders}</ul>\n");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Mail is closed to this device</title></head>\n<body>\n\
         <h1>Mail is closed to this device for now</h1>\n<p>{}</p>\n{orders}\
         <p>Reference {}</p>\n</body>\n</html>\n",
        escaped(&info.line),
        escaped(&info.reference),
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_page_lets_no_title_become_markup() {
        let html = plain(&RefusedInfo {
            reference: "R-7Q2M-4F".into(),
            line: "<script>alert(1)</script>".into(),
            because: Vec::new(),
            fallback: None,
            orders: vec![RefusingOrder {
                title: "\"><img src=x>".into(),
                statement: "http://mail.example.test/o/1".into(),
            }],
            platform: None,
        });
        assert!(
            !html.contains("<script>") && !html.contains("<img"),
            "{html}"
        );
        assert!(html.contains("R-7Q2M-4F"));
    }
}
