//! `attest`: a person's own word.

use clap::{Args, ValueHint};

use super::{Exit, Place, Result, print};

/// Take a person's word that the apps of an order are gone, where no source can see
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand --as cy@example.test attest eve@example.test 7Q2M")]
pub struct Attest {
    /// Mail address of the person
    #[arg(value_name = "PERSON", value_hint = ValueHint::EmailAddress)]
    person: String,
    /// The order, by its id or short form
    #[arg(value_name = "ORDER")]
    order: String,
}

impl Attest {
    pub async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        let done = open
            .app
            .attest(&open.actor, &self.person, &self.order)
            .await?;
        place.print.answer(&done, || {
            format!(
                "Written down: {} says that the apps are gone. It holds until {}, or until a report shows one.",
                done.person,
                print::time(done.until, None)
            )
        })?;
        Ok(Exit::Done)
    }
}
