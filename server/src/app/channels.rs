//! Channels: whether an order's are known here, what is announced, and how that stands.

use std::collections::BTreeSet;

use countermand_core::catalogue::nearest_of;
use countermand_core::id::PersonId;
use countermand_core::index::Index;
use countermand_core::notice::channel::colleagues;
use countermand_core::notice::render::{Context, render};
use countermand_core::notice::{Kind, ReceiptState};
use countermand_core::order::{Order, Problem};
use jiff::Timestamp;
use roaring::RoaringBitmap;
use serde::Serialize;

use super::{App, AppError, Result};
use crate::outbox::office::{Announcement, Brief};

/// How an order stands at one channel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AtChannel {
    pub name: String,
    /// As of a receipt, or `planned`.
    pub announcement: &'static str,
    /// The same, of a retracted order that was announced there or may have been.
    pub correction: Option<&'static str>,
    /// What the channel's server said last.
    pub detail: String,
}

impl AtChannel {
    /// Nothing is under way or about to be.
    pub fn is_finished(&self) -> bool {
        let waits = |state: &str| matches!(state, "planned" | "claimed" | "in_flight");
        !waits(self.announcement) && !self.correction.is_some_and(waits)
    }
}

impl App {
    /// Whoever signs an order signs where it is announced; so that has to be known here.
    pub(super) fn channel_problems(&self, order: &Order) -> Vec<Problem> {
        let known: Vec<&str> = self
            .config
            .notices
            .channels
            .iter()
            .map(|c| c.name.as_str())
            .collect();
        let named = &order.revision.file.announce.channels;
        let unknown = named.iter().filter(|name| !known.contains(&name.as_str()));
        let say = |name: &String| {
            let mend = match nearest_of(name, known.iter().copied()) {
                Some(nearest) => format!("did you mean «{nearest}»?"),
                None if known.is_empty() => {
                    "there is none; [[notices.channel]] makes one, or leave [announce] out"
                        .to_owned()
                }
                None => format!("there are {}", known.join(", ")),
            };
            // A name may well be a word of the title.
            let mut lines = (1..)
                .zip(order.revision.text.lines())
                .skip_while(|(_, line)| {
                    let line = line.trim_start().trim_start_matches('[');
                    !line.starts_with("announce")
                });
            Problem {
                line: lines
                    .find(|(_, line)| line.contains(name.as_str()))
                    .map(|(number, _)| number),
                what: format!(
                    "announce.channels names «{name}», and this server's config has no channel of that name; {mend}"
                ),
            }
        };
        unknown.map(say).collect()
    }

    pub(super) fn has_channel(&self, name: &str) -> bool {
        let channels = &self.config.notices.channels;
        channels.iter().any(|channel| channel.name == name)
    }

    /// Fails where a channel of the order is not known.
    pub(super) fn need_channels(&self, order: &Order) -> Result<()> {
        match self.channel_problems(order) {
            problems if problems.is_empty() => Ok(()),
            problems => Err(AppError::Problems(problems)),
        }
    }

    /// The words of an announcement: those that a mail would have, for nobody in particular.
    pub(super) fn announcement(&self, brief: &Brief) -> std::result::Result<Announcement, String> {
        let view = self.live.view();
        let order = view
            .order(brief.key.order)
            .ok_or("the order is not known here")?;
        let channel = order
            .channel(brief.key.person)
            .ok_or("the channel is not known here")?;
        let kind = brief.key.kind;
        let still_forbidden = match kind {
            Kind::Correction => others_on(&view, order, self.now()),
            _ => Vec::new(),
        };
        let link = self.config.statement_link(order.id);
        let context = Context {
            order,
            person: &colleagues(brief.key.person),
            devices: Vec::new(),
            link: link.clone(),
            was_refused: false,
            missing: None,
            still_forbidden,
        };
        let words = render(kind, &context).map_err(|e| e.to_string())?;
        Ok(Announcement {
            channel: channel.to_owned(),
            title: order.title().to_owned(),
            subject: words.subject,
            text: words.text,
            html: words.html,
            link,
        })
    }

    /// How the order stands at each of its channels.
    pub(super) async fn at_channels(&self, order: &Order) -> Result<Vec<AtChannel>> {
        if order.channels.is_empty() {
            return Ok(Vec::new());
        }
        let receipts = self.store.channel_receipts(order.id).await?;
        let to_correct = match order.retraction() {
            Some(_) => self.store.to_correct(order.id).await?,
            None => Default::default(),
        };
        let ended = order.in_force(self.now()).is_none();
        let at = |(name, number): (&String, &u16)| {
            let channel = PersonId::channel(*number);
            let of = |correction: bool| {
                receipts
                    .iter()
                    .find(|r| r.channel == channel && (r.kind == Kind::Correction) == correction)
            };
            let (announced, corrected) = (of(false), of(true));
            let correction = match corrected {
                Some(receipt) => Some(receipt.state.as_str()),
                None => to_correct.contains(channel.0).then_some("planned"),
            };
            let not_begun = if ended {
                ReceiptState::Cancelled.as_str()
            } else {
                "planned"
            };
            let announcement = announced.map_or(not_begun, |r| r.state.as_str());
            let detail = corrected.or(announced).map(|r| r.detail.clone());
            let waits = matches!(correction.unwrap_or(announcement), "planned" | "claimed");
            AtChannel {
                name: name.clone(),
                announcement,
                correction,
                detail: match detail {
                    _ if waits && !self.has_channel(name) => format!(
                        "this server's config has no [[notices.channel]] «{name}»; a server that has it sends, or put it back"
                    ),
                    detail => detail.unwrap_or_default(),
                },
            }
        };
        Ok(order.channels.iter().map(at).collect())
    }

    /// The channels among the recipients of its notices, by name.
    pub(super) fn channels_in(order: &Order, recipients: &RoaringBitmap) -> Vec<String> {
        let channels = order.channels.iter();
        channels
            .filter(|(_, number)| recipients.contains(PersonId::channel(**number).0))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

/// Titles of other orders in force that forbid some of the same apps: to some reader of a channel one
/// of them may well apply. Takes the view that its caller holds, as `notices` says why.
fn others_on(view: &Index, order: &Order, now: Timestamp) -> Vec<String> {
    let apps: BTreeSet<&String> = order.revision.pins.ids.iter().map(|pin| &pin.app).collect();
    let shares = |other: &Order| {
        other
            .revision
            .pins
            .ids
            .iter()
            .any(|pin| apps.contains(&pin.app))
    };
    view.orders()
        .filter(|other| other.id != order.id && other.in_force(now).is_some() && shares(other))
        .map(|other| other.title().to_owned())
        .collect()
}
