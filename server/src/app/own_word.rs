//! A person's own word that a device which was refused is theirs.
//!
//! Two things prove who speaks: the notice came to a device that reads the person's mail, and the reference
//! stands on the device that was refused, and nowhere in the notice. It must not whitewash: a phone with the
//! app that took another name is an unknown device, too. So where a device of theirs is known to have an app
//! that is forbidden them, and after the first word by an order, it is the helpdesk's to look.

use countermand_core::actor::Actor;
use countermand_core::change::{Change, OwnWord};
use countermand_core::duration::Length;
use countermand_core::fleet::{DeviceKey, Recognition};
use countermand_core::id::{OrderId, typed_ref};
use countermand_core::notice::Kind;
use countermand_core::notice::token::Said;
use countermand_core::order::Order;
use countermand_core::verdict::{Channel, Fallback, Question};
use jiff::Timestamp;

use super::devices::{Recognised, address, refused};
use super::{App, AppError, Result};
use crate::store::{StoreError, StoredRefusal};

/// For so long after a refusal its person may say that the device is theirs.
const WITHIN: Length = Length::days(7);

impl App {
    /// Takes the person's word for the device that was refused under that reference.
    pub async fn recognise_own(
        &self,
        order: &Order,
        said: &Said,
        reference: &str,
    ) -> Result<Recognised> {
        const TRIES: u32 = 20;
        let unknown = || {
            AppError::Input(format!(
                "no device of yours was refused as unknown under «{}» in the last days; look at the device for its reference, or ask the helpdesk",
                reference.trim()
            ))
        };
        if !self.was_refused_unknown(order, said).await? {
            return Err(unknown());
        }
        let now = self.now();
        let found = self.store.refusals_called(reference).await?;
        let key = found
            .iter()
            .filter(|r| r.person == Some(said.person) && now < WITHIN.after(r.last_at))
            .find_map(unknown_key)
            .ok_or_else(unknown)?;
        let reason = format!(
            "their own word, by the notice of «{}» and the reference {}",
            order.title(),
            typed_ref(reference)
        );
        for _ in 0..TRIES {
            let as_of = self.live.version();
            let person = self.nothing_speaks_against(order.id, said, &key, now)?;
            let recognition = Recognition {
                key: key.clone(),
                person: said.person,
                same_as: None,
                platform: None,
                form_factor: None,
                reason: reason.clone(),
            };
            let change = Change::OwnWord(OwnWord {
                recognition: recognition.clone(),
                order: order.id,
                as_of,
            });
            match self.commit_at(&Actor::Person(person), now, change).await {
                Ok(()) => return Ok(self.recognised(recognition, now)),
                // Somebody else's commit may speak against it: judged once more.
                Err(StoreError::Conflict) => self.live.follow().await?,
                Err(other) => return Err(other.into()),
            };
        }
        Err(AppError::Failed(
            "very much is being changed just now; try again in a moment".to_owned(),
        ))
    }

    /// Whether who got that notice may have a device that was refused recognised by it.
    pub async fn may_be_own(&self, order: &Order, said: &Said) -> Result<bool> {
        Ok(self.was_refused_unknown(order, said).await?
            && !self.store.gave_own_word(order.id, said.person).await?)
    }

    async fn was_refused_unknown(&self, order: &Order, said: &Said) -> Result<bool> {
        let stands = order.in_force(self.now()).is_some();
        Ok(said.kind == Kind::Blocked
            && stands
            && self.store.was_unknown_device(order.id, said.person).await?)
    }

    /// The address of the person, whose word may be taken as far as the view knows.
    fn nothing_speaks_against(
        &self,
        order: OrderId,
        said: &Said,
        key: &DeviceKey,
        now: Timestamp,
    ) -> Result<String> {
        let view = self.live.view();
        let order = view.order(order);
        if order.is_none_or(|order| order.in_force(now).is_none()) {
            return Err(AppError::Input(
                "the order no longer holds, so there is nothing to say; try the device again"
                    .to_owned(),
            ));
        }
        let question = Question {
            person: None,
            keys: vec![key.clone()],
            channel: Channel::Web,
        };
        if view.is_anothers(&question, said.person) {
            return Err(AppError::Policy(
                "somebody else came with that device before you; ask the helpdesk".to_owned(),
            ));
        }
        // Not which app, nor on which device: the notice may have been passed on.
        if view.has_forbidden_app(said.person, now) {
            return Err(AppError::Policy(
                "your word alone is not enough here; ask the helpdesk, and give them the reference"
                    .to_owned(),
            ));
        }
        address(&view, said.person).ok_or_else(|| {
            AppError::Input(
                "you are not on the list of staff any more; ask the helpdesk".to_owned(),
            )
        })
    }
}

/// The key of a refusal that a door vouched for and that was of an unknown device.
fn unknown_key(refusal: &StoredRefusal) -> Option<DeviceKey> {
    let known = refused(refusal);
    let unknown = known.fallback == Some(Fallback::UnknownDevice);
    known
        .keys
        .into_iter()
        .next()
        .filter(|_| unknown && known.vouched)
}
