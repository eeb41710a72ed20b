//! The command line from outside: what is printed, as which document, with which status.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "cli/bounced.rs"]
mod bounced;
#[path = "cli/devices.rs"]
mod devices;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/shop.rs"]
mod shop;
#[path = "cli/statuses.rs"]
mod statuses;
#[path = "cli/stops.rs"]
mod stops;
#[path = "cli/story.rs"]
mod story;
mod support;
#[path = "cli/texts.rs"]
mod texts;

#[test]
fn transcripts() {
    trycmd::TestCases::new()
        .env("COUNTERMAND_NOW", "2020-07-10T18:00:00Z")
        .env("USER", "tester")
        .env("NO_COLOR", "1")
        .case("tests/cmd/*.trycmd");
}
