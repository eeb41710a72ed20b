//! `operator`: who may act.

use std::collections::BTreeSet;

use clap::{Args, Subcommand, ValueHint};
use countermand_core::actor::{Act, Role};
use serde::Serialize;

use super::{Exit, Place, Result, email, print};

/// Who may act, and in which roles
#[derive(Debug, Subcommand)]
#[command(after_help = "Example: countermand operator add ann@example.test --role author")]
pub enum Operator {
    Add(Add),
    Invite(Invite),
    List(List),
}

/// Add an operator, or give one other roles
#[derive(Debug, Args)]
#[command(
    after_help = "Example: countermand operator add bo@example.test --role approver,responder"
)]
pub struct Add {
    /// Mail address, which is the operator's name
    #[arg(value_name = "EMAIL", value_parser = email, value_hint = ValueHint::EmailAddress)]
    email: String,
    /// Roles: viewer, helpdesk, author, approver, responder, admin
    #[arg(long, value_name = "ROLE", required = true, value_delimiter = ',')]
    role: Vec<Role>,
}

/// Print a one-time link by which an operator sets a password for the console
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand operator invite ann@example.test")]
pub struct Invite {
    /// Mail address of the operator
    #[arg(value_name = "EMAIL", value_parser = email, value_hint = ValueHint::EmailAddress)]
    email: String,
}

/// List operators with their roles
#[derive(Debug, Args)]
#[command(after_help = "Example: countermand operator list")]
pub struct List;

#[derive(Serialize)]
struct Link {
    email: String,
    link: String,
}

impl Operator {
    pub async fn run(self, place: &Place) -> Result<Exit> {
        let open = place.open().await?;
        let (app, actor) = (&open.app, &open.actor);
        match self {
            Operator::Add(add) => {
                let roles: BTreeSet<Role> = add.role.into_iter().collect();
                let operator = app.put_operator(actor, &add.email, roles).await?;
                place.print.answer(&operator, || {
                    format!(
                        "{} is an operator now: {}.\nA link to set a password for the console: {}",
                        operator.email,
                        roles_of(&operator.roles),
                        place.command(&format!("operator invite {}", operator.email))
                    )
                })?;
            }
            Operator::Invite(invite) => {
                let link = app.invite(actor, &invite.email).await?;
                let link = Link {
                    email: invite.email,
                    link,
                };
                place.print.answer(&link, || link.link.clone())?;
            }
            Operator::List(List) => {
                open.authorise(Act::Read).await?;
                let operators = app.store.operators().await?;
                place.print.answer(&operators, || {
                    if operators.is_empty() {
                        return format!(
                            "There is no operator yet; `{}` adds one.",
                            place.command("operator add EMAIL --role author")
                        );
                    }
                    let rows = operators
                        .iter()
                        .map(|o| vec![o.email.clone(), roles_of(&o.roles)]);
                    print::table(&["operator", "roles"], &[], rows)
                })?;
            }
        }
        Ok(Exit::Done)
    }
}

fn roles_of(roles: &BTreeSet<Role>) -> String {
    let words: Vec<&str> = roles.iter().map(|r| r.as_str()).collect();
    words.join(", ")
}
