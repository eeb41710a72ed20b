//! From a claim to a mail: the letter, and what it answers.

use std::fmt;
use std::sync::Arc;

use countermand_core::notice::{Key, Kind, ReceiptState};

use super::bounces::report::MARK_HEADER;
use super::lease::Lease;
use super::message::{MessageError, NoticeMail, Sender};
use super::office::{Brief, Office};
use super::transport::Outgoing;
use crate::clock::Clock;
use crate::store::{Claim, Store};

/// Writes the mails of one sender.
pub struct Desk {
    pub(super) store: Arc<Store>,
    pub(super) office: Arc<dyn Office>,
    pub(super) clock: Arc<dyn Clock>,
    /// Under which its sender holds what it sends.
    pub(super) lease: Lease,
    from: Sender,
    domain: String,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// Mails that were written before their claims were begun.
#[derive(Clone, Debug, Default)]
pub struct Drafts {
    /// Of the office, before the first was written.
    version: i64,
    mails: Vec<(Claim, Outgoing)>,
}

impl Drafts {
    /// The draft, if it is what would be written now.
    pub fn take(&mut self, desk: &Desk, claim: &Claim) -> Option<Outgoing> {
        let at = self.mails.iter().position(|(of, _)| of == claim)?;
        let (_, mail) = self.mails.swap_remove(at);
        let holds =
            self.version == desk.office.version() && desk.office.too_late(&claim.key).is_none();
        holds.then_some(mail)
    }
}

/// Why there is no mail.
#[derive(Debug)]
pub enum NoMail {
    /// There never will be one.
    Never(String),
    /// It has outlived what it is about.
    TooLate(&'static str),
    /// Something failed that may work later.
    NotNow(String),
}

impl Desk {
    /// `from` is the mailbox of the config, `IT Security <it@example.test>`.
    pub fn new(
        store: Arc<Store>,
        office: Arc<dyn Office>,
        clock: Arc<dyn Clock>,
        from: String,
    ) -> Result<Desk, MessageError> {
        let from = Sender::parse(&from)?;
        let domain = from.address().rsplit('@').next().unwrap_or_default();
        let domain = domain.to_owned();
        Ok(Desk {
            store,
            office,
            clock,
            lease: Lease::default(),
            from,
            domain,
        })
    }

    /// Writes ahead what depends on nothing but the office's view. A correction also says whether a door refused its
    /// person, and the others answer what that person got: these are asked for once they are begun.
    pub async fn drafts(&self, claims: &[Claim]) -> Drafts {
        let mut drafts = Drafts {
            version: self.office.version(),
            mails: Vec::with_capacity(claims.len()),
        };
        for claim in claims {
            if claim.key.kind == Kind::Order
                && let Ok(mail) = self.mail(claim).await
            {
                drafts.mails.push((*claim, mail));
            }
        }
        drafts
    }

    /// The mail of a claim that is begun: its draft, where that still holds.
    pub async fn finished(&self, drafts: &mut Drafts, claim: &Claim) -> Result<Outgoing, NoMail> {
        match drafts.take(self, claim) {
            Some(draft) => Ok(draft),
            None => self.mail(claim).await,
        }
    }

    pub async fn mail(&self, claim: &Claim) -> Result<Outgoing, NoMail> {
        let key = claim.key;
        let (mut earlier, mut was_refused, mut missing) = (Vec::new(), false, None);
        if key.kind != Kind::Order {
            let failed = |e: crate::store::StoreError| NoMail::NotNow(e.to_string());
            earlier = self
                .store
                .receipts_of(key.order, key.person)
                .await
                .map_err(failed)?;
            let refused = self.store.was_refused(key.order, key.person).await;
            was_refused = refused.map_err(failed)?;
            if key.kind == Kind::Blocked {
                let known = self.store.missing_when_refused(key.order, key.person).await;
                missing = known.map_err(failed)?;
            }
        }
        self.heard_of(&key).map_err(NoMail::NotNow)?;
        if let Some(why) = self.office.too_late(&key) {
            return Err(NoMail::TooLate(why));
        }
        let brief = Brief {
            key,
            was_refused,
            missing,
        };
        let letter = self.office.write(&brief).map_err(NoMail::Never)?;
        let answers = answers(&key, &earlier).map(|kind| self.message_id(&Key { kind, ..key }));
        let mut headers = vec![
            ("Content-Language", letter.language),
            ("X-Countermand-Order", key.order.to_string()),
            ("X-Countermand-Kind", key.kind.to_string()),
        ];
        let mark = self.office.mark(&key, claim.attempt);
        headers.extend(mark.iter().map(|mark| (MARK_HEADER, mark.text.clone())));
        let mail = NoticeMail {
            from: self.from.clone(),
            to_name: letter.to_name,
            to_address: letter.to_address.clone(),
            subject: letter.subject,
            text: letter.text,
            html: letter.html,
            message_id: self.message_id(&key),
            references: answers.clone().into_iter().collect(),
            in_reply_to: answers,
            date: self.clock.now(),
            headers,
        };
        let bytes = mail.encode().map_err(|e| NoMail::Never(e.to_string()))?;
        Ok(Outgoing::of(
            claim,
            mark.map_or_else(|| self.from.address().to_owned(), |mark| mark.envelope_from),
            letter.to_address,
            bytes,
        ))
    }

    /// `Err` while the office is behind: nothing can be written then.
    pub(super) fn heard_of(&self, key: &Key) -> Result<(), String> {
        match self.office.knows(key) {
            true => Ok(()),
            false => Err("this process has not yet heard of what the notice is about".to_owned()),
        }
    }

    fn message_id(&self, key: &Key) -> String {
        format!("<{}>", self.id_of(key))
    }

    /// A Message-ID without its brackets.
    pub(super) fn id_of(&self, key: &Key) -> String {
        key.message_id(&self.domain)
    }
}

/// Which earlier notice of the same order this one answers: the first that the person got, or else
/// the first that may have reached them (invariant 29).
fn answers(key: &Key, earlier: &[(Kind, ReceiptState)]) -> Option<Kind> {
    let others = |kind: &Kind| *kind != key.kind && *kind != Kind::Correction;
    let first = |state: ReceiptState| {
        let of_state = earlier
            .iter()
            .filter(|(kind, s)| *s == state && others(kind))
            .map(|(kind, _)| *kind);
        // The order itself, where it is one of them, opens the thread.
        let order = of_state.clone().find(|kind| *kind == Kind::Order);
        order.or_else(|| of_state.clone().next())
    };
    first(ReceiptState::Accepted)
        .or_else(|| first(ReceiptState::Unknown))
        .or_else(|| first(ReceiptState::InFlight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use countermand_core::id::{OrderId, PersonId};
    use uuid::Uuid;

    #[test]
    fn inv_29_an_answer_goes_to_the_first_notice_that_the_person_got() {
        use ReceiptState::{Accepted, Cancelled, InFlight, Rejected, Unknown};
        let key = Key {
            order: OrderId(Uuid::from_u128(7)),
            person: PersonId(1),
            kind: Kind::Correction,
        };
        let (order, reminder) = (Kind::Order, Kind::Reminder(1));
        for (earlier, expected) in [
            (vec![], None),
            (vec![(order, Accepted), (reminder, Accepted)], Some(order)),
            (vec![(order, Unknown), (reminder, Accepted)], Some(reminder)),
            (vec![(order, Unknown), (reminder, InFlight)], Some(order)),
            (vec![(order, Rejected), (reminder, Unknown)], Some(reminder)),
            (vec![(order, Rejected), (reminder, Cancelled)], None),
            (
                vec![(order, Unknown), (Kind::Correction, Accepted)],
                Some(order),
            ),
        ] {
            assert_eq!(answers(&key, &earlier), expected, "{earlier:?}");
        }
    }
}
