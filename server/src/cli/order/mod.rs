//! `order`: a rule's whole life, from the file to the retraction.

mod retract;
pub(super) mod show;
pub(super) mod steps;
pub(super) mod text;

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};
use countermand_core::order::when::When;

use super::{Exit, Place, Result};

/// Write, check, approve, publish, hold and take back orders
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: countermand order list")]
pub enum Order {
    /// Print the JSON Schema of order files, for editors
    #[command(after_help = "Example: countermand order schema > order.schema.json")]
    Schema,
    /// Say whether an order file is right, or what is wrong first, with its line
    #[command(after_help = "Example: countermand order check order.toml")]
    Check {
        /// Order file
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Tell which people and devices an order would hit, and which it can't see; changes nothing
    #[command(after_help = "Example: countermand order preview order.toml")]
    Preview {
        /// Order file, or the id of an order
        #[arg(value_name = "FILE-or-ID", value_hint = ValueHint::FilePath)]
        which: String,
    },
    /// Take an order file in as a draft
    #[command(after_help = "Example: countermand --as ann@example.test order draft order.toml")]
    Draft {
        /// Order file
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Give a draft a new text; an approval that it had is void
    #[command(
        after_help = "Example: countermand --as ann@example.test order revise 7Q2M order.toml"
    )]
    Revise {
        /// The order, by its id or short form
        #[arg(value_name = "ID")]
        id: String,
        /// Order file
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Hand a draft to another person for approval
    #[command(after_help = "Example: countermand --as ann@example.test order submit 7Q2M")]
    Submit {
        /// The order, by its id or short form
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Take an order back from review; an approval that it had is void
    #[command(after_help = "Example: countermand --as ann@example.test order withdraw 7Q2M")]
    Withdraw {
        /// The order, by its id or short form
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Give an order in review back to its author
    #[command(
        after_help = "Example: countermand --as bo@example.test order send-back 7Q2M --reason \"Say it in German too\""
    )]
    SendBack {
        /// The order, by its id or short form
        #[arg(value_name = "ID")]
        id: String,
        /// What is to be mended
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        reason: String,
    },
    /// Sign an order that others wrote: its text, its package ids and its list of people
    #[command(after_help = "Example: countermand --as bo@example.test order approve 7Q2M")]
    Approve {
        /// The order, by its id or short form
        #[arg(value_name = "ID")]
        id: String,
        /// The digest of the preview that you saw; if anything has changed since, nothing is signed
        #[arg(long, value_name = "DIGEST")]
        digest: Option<String>,
    },
    /// Put an approved order in force; from here on people are told
    #[command(after_help = "Example: countermand --as ann@example.test order publish 7Q2M")]
    Publish {
        /// The order, by its id or short form
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Stop an order's notices and turn its refusals into warnings, at once
    #[command(
        after_help = "Example: countermand --as cy@example.test order hold 7Q2M --reason \"Is this right?\""
    )]
    Hold {
        /// The order, by its id or short form
        #[arg(value_name = "ID")]
        id: String,
        /// Why, for the record
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        reason: String,
    },
    /// Let an order go on that is held, or whose notices stopped by themselves
    #[command(after_help = "Example: countermand --as cy@example.test order resume 7Q2M")]
    Resume {
        /// The order, by its id or short form
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Move the deadline of a published order, later only
    #[command(
        after_help = "Example: countermand --as cy@example.test order extend 7Q2M --to 2020-07-12T23:59:00[America/Los_Angeles]"
    )]
    Extend {
        /// The order, by its id or short form
        #[arg(value_name = "ID")]
        id: String,
        /// The new deadline, as RFC 3339 with or without [Zone]
        #[arg(long, value_name = "TIME")]
        to: When,
    },
    /// Take an order back: doors are as if it had never been, and whoever got it gets the correction
    #[command(
        after_help = "Example: countermand --as cy@example.test order retract 7Q2M --reason \"Sent in error\""
    )]
    Retract {
        /// The order, by its id or short form
        #[arg(value_name = "ID")]
        id: String,
        /// Why; it stands in every correction and on the statement
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// How it came to the mistake, if that is known yet; `order cause` says it later
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        cause: String,
    },
    /// Say how a retracted order came to be wrong; it stands on the statement from then on
    #[command(
        after_help = "Example: countermand --as cy@example.test order cause 7Q2M \"A draft was published in place of the reminder to update\""
    )]
    Cause {
        /// The order, by its id or short form
        #[arg(value_name = "ID")]
        id: String,
        /// The cause, for everyone to read
        #[arg(value_name = "TEXT")]
        cause: String,
    },
    /// List all orders
    #[command(after_help = "Example: countermand order list --json")]
    List,
    /// Show how an order stands, and what can be done next
    #[command(after_help = "Example: countermand order show 7Q2M")]
    Show {
        /// The order, by its id or short form
        #[arg(value_name = "ID")]
        id: String,
    },
}

impl Order {
    pub async fn run(self, place: &Place) -> Result<Exit> {
        if matches!(self, Order::Schema) {
            return text::schema(place);
        }
        let open = place.open().await?;
        let (app, actor) = (&open.app, &open.actor);
        let order = match self {
            Order::Schema => return text::schema(place),
            Order::Check { file } => return text::check(place, &open, &file).await,
            Order::Preview { which } => return text::preview(place, &open, &which).await,
            Order::Draft { file } => return text::draft(place, &open, &file).await,
            Order::Revise { id, file } => return text::revise(place, &open, &id, &file).await,
            Order::Retract { id, reason, cause } => {
                return retract::run(place, &open, &id, &reason, &cause).await;
            }
            Order::List => return show::list(place, &open).await,
            Order::Show { id } => return show::one(place, &open, &id).await,
            Order::Submit { id } => app.submit(actor, &id).await,
            Order::Withdraw { id } => app.withdraw(actor, &id).await,
            Order::SendBack { id, reason } => app.send_back(actor, &id, &reason).await,
            Order::Approve { id, digest } => app.approve(actor, &id, digest.as_deref()).await,
            Order::Publish { id } => app.publish(actor, &id).await,
            Order::Hold { id, reason } => app.hold(actor, &id, &reason).await,
            Order::Resume { id } => {
                let order = app.resume(actor, &id).await?;
                return steps::resumed(place, &open, &order).await;
            }
            Order::Extend { id, to } => app.extend(actor, &id, &to).await,
            Order::Cause { id, cause } => app.say_cause(actor, &id, &cause).await,
        }?;
        steps::tell(place, &open, &order).await
    }
}
