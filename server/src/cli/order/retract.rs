//! `order retract`: what it did.

use countermand_core::order::RetractAnswer;
use countermand_core::words::thousands;

use super::super::{Exit, Open, Place, Result, print};

pub(super) async fn run(
    place: &Place,
    open: &Open,
    id: &str,
    reason: &str,
    cause: &str,
) -> Result<Exit> {
    let app = &open.app;
    let answer = app.retract_knowing(&open.actor, id, reason, cause).await?;
    place.print.answer(&answer, || words(place, id, &answer))?;
    Ok(Exit::Done)
}

fn words(place: &Place, id: &str, answer: &RetractAnswer) -> String {
    let count = |what: &str, n: u64| vec![what.to_owned(), thousands(n)];
    let table = print::table(
        &["what it did", "count"],
        &[1],
        [
            count(
                "devices that mail is open to again",
                answer.devices_restored,
            ),
            count("notices that will never be sent", answer.cancelled),
            count("notices on their way as it was retracted", answer.in_flight),
            count("notices that were accepted", answer.accepted),
            count("notices that may have arrived", answer.unknown),
            count("corrections to send", answer.corrections_planned),
        ],
    );
    let mut text = format!(
        "The order is {}: doors answer as if it had never been.\n\n{table}\n",
        place.print.word("retracted")
    );
    if !answer.channels.is_empty() {
        let channels = answer.channels.join(", ");
        text += &format!("\nTo be corrected at channels, too: {channels}\n");
    }
    if !answer.exports_outstanding.is_empty() {
        let exports = answer.exports_outstanding.join(", ");
        text += &format!("\nTo be undone in systems that hold state of their own: {exports}\n");
    }
    if answer.corrections_planned > 0 || !answer.channels.is_empty() {
        text += &format!(
            "\nCorrections go out ahead of everything else. Where no server runs: {}\nHow they stand: {}\n",
            place.command("notices send --until-idle"),
            place.command(&format!("notices status {id}"))
        );
    }
    text
}
