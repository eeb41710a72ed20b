//! Notices that stopped by themselves, as a responder sees them.

use countermand::store::Outcome;
use countermand_core::actor::Actor;

use crate::support::house::{ANA, BEN, House, MIA, RITA, SAM, TITLE, Visitor, order_file};

#[tokio::test]
async fn inv_14_the_page_says_why_the_notices_stopped_and_a_responder_resumes_them() {
    let house = House::build().await;
    let of = |email: &str| Actor::Operator(email.to_owned());
    let text = order_file(TITLE)
        .replace("[deadline]", "tell = \"everyone\"\n[deadline]")
        .replace(
            "[forbid]",
            "[stages]\nhold_at = { rejected = \"50%\", looks_wrong = 9 }\n[forbid]",
        );
    let order = house.app.draft(&of(ANA), &text).await.unwrap().id;
    let id = order.to_string();
    house.app.submit(&of(ANA), &id).await.unwrap();
    house.app.approve(&of(BEN), &id, None).await.unwrap();
    house.app.publish(&of(BEN), &id).await.unwrap();
    let mia = house.app.live.view().person_called(MIA).unwrap().id;
    assert!(house.app.looks_wrong(order, mia).await.unwrap());
    for (email, detail) in [(MIA, "550 no"), (SAM, "550 no such user")] {
        house.sent(&id, email, Outcome::Rejected, detail).await;
    }
    assert!(house.app.stop_if_needed(order).await.unwrap());
    assert!(!house.app.stop_if_needed(order).await.unwrap(), "once");

    let rita = Visitor::signed_in(&house, RITA).await;
    let home = format!("/orders/{}", order.short());
    let page = rita.get(&home).await.body;
    for words in [
        "Published, notices stopped",
        "Notices stopped",
        "by themselves",
        "2 notices were rejected, and 0 people were told in all: the notices stop above 50% rejected",
        "1 notice waits",
        "Look into it, then resume the notices, hold the order, or retract it.",
        "1 person says that it looks wrong.",
    ] {
        assert!(page.contains(words), "{words}");
    }
    let resume = format!("{home}/resume");
    assert!(page.contains(&resume));
    let ana = Visitor::signed_in(&house, ANA).await;
    assert!(
        !ana.get(&home).await.body.contains(&resume),
        "a responder's"
    );
    assert_eq!(ana.post(&resume, &[]).await.status, 403);
    let before = rita.get(&resume).await.body;
    assert!(before.contains("refusals never stopped"));
    assert!(before.contains("What is counted by now stops them no more"));
    assert_eq!(rita.post(&resume, &[]).await.status, 303);
    let after = rita.get(&home).await.body;
    assert!(after.contains("Resumed: its notices go on."));
    assert!(!after.contains(&resume) && !after.contains("notices stopped"));
    // To readers of the statement nothing has happened: the order held all the time.
    let statement = Visitor::of(&house).get(&house.statement(&id).await).await;
    assert!(!statement.body.contains("Resumed"), "{}", statement.body);
}
