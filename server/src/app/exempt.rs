//! Exemptions: asked for by one person, approved by another, ended by anyone who may.

use countermand_core::actor::{Act, Actor};
use countermand_core::change::Change;
use countermand_core::exemption::{Exempted, Exemption};
use countermand_core::fleet::{DeviceKey, fold};
use countermand_core::id::ExemptionId;
use jiff::Timestamp;

use super::{App, AppError, Result};

/// Whom an exemption is asked for, by the names that operators use.
#[derive(Clone, Debug)]
pub enum Whom {
    Person(String),
    Group(String),
    Device(String),
}

impl App {
    pub async fn exempt_add(
        &self,
        actor: &Actor,
        whom: &Whom,
        order: Option<&str>,
        until: Timestamp,
        reason: &str,
    ) -> Result<Exemption> {
        self.authorise(actor, Act::Exempt).await?;
        if reason.trim().is_empty() {
            return Err(AppError::Input("an exemption needs a reason".into()));
        }
        if until <= self.now() {
            return Err(AppError::Input(format!(
                "the exemption would end at {until}, which is past; give a time to come"
            )));
        }
        let order = match order {
            Some(id) => Some(self.store.order_called(id).await?.order.id),
            None => None,
        };
        let who = self.find(whom)?;
        let exemption = Exemption {
            id: ExemptionId(self.ids.uuid()),
            order,
            who,
            reason: reason.trim().to_owned(),
            until,
            asked_by: fold(actor.name()),
            asked_at: self.now(),
            approved: None,
            ended: None,
        };
        self.commit(
            actor,
            Change::Exemption {
                was: None,
                exemption: exemption.clone(),
                step: "add",
            },
        )
        .await?;
        Ok(exemption)
    }

    fn find(&self, whom: &Whom) -> Result<Exempted> {
        let view = self.live.view();
        match whom {
            Whom::Person(address) => view
                .person_called(address)
                .map(|p| Exempted::Person(p.id))
                .ok_or_else(|| AppError::Input(format!("there is no person «{address}»"))),
            Whom::Group(name) if view.knows_group(name) => Ok(Exempted::Group(name.clone())),
            Whom::Group(name) => Err(AppError::Input(format!(
                "there is nobody in a group «{name}»"
            ))),
            Whom::Device(key) => {
                let key: DeviceKey =
                    key.parse()
                        .map_err(|e: countermand_core::fleet::DeviceKeyError| {
                            AppError::Input(e.to_string())
                        })?;
                let fits: Vec<_> = view.devices_called(&key).map(|d| d.id).collect();
                match fits.as_slice() {
                    [one] => Ok(Exempted::Device(*one)),
                    [] => Err(AppError::Input(format!("no device goes by «{key}»"))),
                    _ => Err(AppError::Input(format!(
                        "more than one device goes by «{key}»; give a key that fits one"
                    ))),
                }
            }
        }
    }

    pub async fn exempt_approve(&self, actor: &Actor, id: &str) -> Result<Exemption> {
        self.authorise(actor, Act::Approve).await?;
        let was = self.exemption(id)?;
        let mut exemption = was.clone();
        let by = fold(actor.name());
        if self.same_person(&by).await?.contains(&exemption.asked_by) {
            return Err(AppError::Policy(format!(
                "{by} asked for this exemption; another person approves it"
            )));
        }
        if exemption.approved.is_some() || exemption.ended.is_some() {
            return Err(AppError::Input(format!(
                "the exemption {} is approved or ended already",
                exemption.id.short()
            )));
        }
        exemption.approved = Some((by, self.now()));
        self.commit(
            actor,
            Change::Exemption {
                was: Some(Box::new(was)),
                exemption: exemption.clone(),
                step: "approve",
            },
        )
        .await?;
        Ok(exemption)
    }

    pub async fn exempt_end(&self, actor: &Actor, id: &str) -> Result<Exemption> {
        self.authorise(actor, Act::Exempt).await?;
        let was = self.exemption(id)?;
        let mut exemption = was.clone();
        if exemption.ended.is_some() {
            return Err(AppError::Input(format!(
                "the exemption {} has ended already",
                exemption.id.short()
            )));
        }
        exemption.ended = Some((fold(actor.name()), self.now()));
        self.commit(
            actor,
            Change::Exemption {
                was: Some(Box::new(was)),
                exemption: exemption.clone(),
                step: "end",
            },
        )
        .await?;
        Ok(exemption)
    }

    pub async fn exemptions(&self, actor: &Actor) -> Result<Vec<Exemption>> {
        // The list names people, and their reasons. Whoever sits at the machine may read it too.
        let act = match actor {
            Actor::Local(_) => Act::LookUp,
            _ => Act::Exempt,
        };
        self.authorise(actor, act).await?;
        Ok(self.live.view().exemptions().cloned().collect())
    }

    fn exemption(&self, id: &str) -> Result<Exemption> {
        let view = self.live.view();
        let mut fits = view.exemptions().filter(|e| e.id.is_called(id.trim()));
        match (fits.next(), fits.next()) {
            (Some(one), None) => Ok(one.clone()),
            (Some(_), Some(_)) => Err(AppError::Input(format!(
                "«{id}» fits more than one exemption; give the whole id"
            ))),
            (None, _) => Err(AppError::Input(format!(
                "there is no exemption «{id}»; `countermand exempt list` shows all"
            ))),
        }
    }

    /// Whom an exemption is for, in words.
    pub fn whom(&self, exempted: &Exempted) -> String {
        let view = self.live.view();
        match exempted {
            Exempted::Person(id) => view
                .person(*id)
                .map_or_else(|| format!("person {id}"), |p| p.email.clone()),
            Exempted::Group(name) => format!("group {name}"),
            Exempted::Device(id) => view
                .device(*id)
                .and_then(|d| d.keys.first().map(ToString::to_string))
                .unwrap_or_else(|| format!("device {id}")),
        }
    }
}
