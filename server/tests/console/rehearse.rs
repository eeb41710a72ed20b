//! Hints, anybody's notice, and a test to oneself, by the pages.

use countermand_core::actor::{Actor, Role};

use super::order_in;
use super::support::house::{ANA, BEN, House, RITA, TITLE, Visitor, order_file};

async fn drafted(ana: &Visitor) -> String {
    let text = order_file(TITLE);
    let got = ana
        .post("/orders/new", &[("text", &text), ("do", "save")])
        .await;
    assert_eq!(got.status, 303, "{}", got.body);
    order_in(got.header("location"))
}

#[tokio::test]
async fn hints_stand_where_the_text_is_written_and_where_it_is_approved() {
    let house = House::build().await;
    let ana = Visitor::signed_in(&house, ANA).await;
    let text = order_file(TITLE);
    let hint = "The text says nowhere whom to ask.";
    let page = ana
        .post("/orders/new", &[("text", &text), ("do", "preview")])
        .await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains(hint), "{}", page.body);
    let id = drafted(&ana).await;
    let ben = Visitor::signed_in(&house, BEN).await;
    let page = ben.get(&format!("/orders/{id}/preview")).await;
    assert!(page.body.contains(hint), "{}", page.body);
    // Once it is published there is nothing to change.
    let id = house.published("Remove it").await;
    let page = ben.get(&format!("/orders/{id}/preview")).await;
    assert!(!page.body.contains(hint), "{}", page.body);
}

#[tokio::test]
async fn anybodys_notice_is_a_page_that_changes_nothing() {
    let house = House::build().await;
    let ana = Visitor::signed_in(&house, ANA).await;
    let id = drafted(&ana).await;
    let before = house.entries().await;
    let path = |query: &str| format!("/orders/{id}/letter{query}");
    let preview = ana.get(&format!("/orders/{id}/preview")).await;
    assert!(preview.body.contains("Send me a test"), "{}", preview.body);
    let page = ana
        .get(&path("?person=mia@corp.test&kind=correction"))
        .await;
    assert_eq!(page.status, 200);
    for words in [
        "CORRECTION: you may keep TikTok",
        "As if it were retracted now",
        "is left out",
        "As if it were published now.",
    ] {
        assert!(page.body.contains(words), "{words} in {}", page.body);
    }
    assert_eq!(ana.get(&path("")).await.status, 200, "the form alone");
    let nobody = ana.get(&path("?person=nobody%40corp.test")).await;
    assert_eq!(nobody.status, 422);
    assert!(nobody.body.contains("There is nobody called"));
    assert_eq!(ana.get(&path("?person=x&kind=praise")).await.status, 422);
    let rita = Visitor::signed_in(&house, RITA).await;
    let page = rita
        .get(&path("?person=mia@corp.test&kind=correction"))
        .await;
    assert!(!page.body.contains("is left out"), "{}", page.body);
    assert_eq!(house.entries().await, before);
}

#[tokio::test]
async fn inv_37_a_viewer_sees_no_persons_notice_and_sends_no_test() {
    let house = House::build().await;
    let ana = Visitor::signed_in(&house, ANA).await;
    let id = drafted(&ana).await;
    let shell = Actor::Local("test".to_owned());
    // Who was an author a moment ago is a viewer now.
    let roles = [Role::Viewer].into();
    house.app.put_operator(&shell, ANA, roles).await.unwrap();
    let page = ana.get(&format!("/orders/{id}/preview")).await;
    assert!(!page.body.contains("Send me a test"), "{}", page.body);
    let asked = format!("/orders/{id}/letter?person=mia@corp.test");
    assert_eq!(ana.get(&asked).await.status, 403);
    let before = house.entries().await;
    let sent = ana
        .post(&format!("/orders/{id}/test"), &[("kind", "order")])
        .await;
    assert_eq!(sent.status, 403, "{}", sent.body);
    assert_eq!(house.entries().await, before);
}

#[tokio::test]
async fn inv_11_the_button_sends_a_test_and_nothing_else() {
    let house = House::build().await;
    let ana = Visitor::signed_in(&house, ANA).await;
    let id = drafted(&ana).await;
    let got = ana
        .post(&format!("/orders/{id}/test"), &[("kind", "order")])
        .await;
    assert_eq!(got.status, 303, "{}", got.body);
    let page = ana.get(got.header("location")).await;
    assert!(page.body.contains("“TEST: Remove TikTok"), "{}", page.body);
    let mails = |folder: &str| {
        countermand::outbox::maildir::list(&house.data.path().join(folder), 9).unwrap()
    };
    let tests = mails("test-mailbox");
    assert_eq!(tests.len(), 1);
    assert!(tests[0].to.contains(ANA) && tests[0].subject.starts_with("TEST: "));
    assert!(mails("mailbox").is_empty());
}
