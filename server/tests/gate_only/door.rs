//! A real nginx before a gate-only server: the last view is what it answers from, and then the door's own choice.

use countermand::gate::wire::wbxml;

use crate::house::{House, SECRET};
use crate::support::http::{Reply, send};
use crate::support::nginx::{Nginx, NginxConfig};

/// Some password each.
const ALICE: (&str, &str) = ("Authorization", "Basic YWxpY2VAY29ycC50ZXN0OnNlY3JldA==");
const BOB: (&str, &str) = ("Authorization", "Basic Ym9iQGNvcnAudGVzdDpzZWNyZXQ=");

fn sync(nginx: &Nginx, who: (&str, &str), device: &str) -> Reply {
    let uri = format!(
        "/Microsoft-Server-ActiveSync?Cmd=FolderSync&User=u&DeviceId={device}&DeviceType=iPhone"
    );
    let headers = [who, ("MS-ASProtocolVersion", "14.1")];
    send(nginx.port, "POST", &uri, &headers, b"")
}

fn is_in(reply: &Reply) -> bool {
    reply.text().starts_with("mail server: ")
}

#[test]
fn a_door_goes_on_with_the_last_view_and_does_as_chosen_when_that_is_too_old() {
    let house = House::new();
    let main = house.main(&[]);
    let gate = house.gate(&[]);
    let start = |open_without_verdict| {
        Nginx::start(NginxConfig {
            gate_port: house.gate_port,
            gate_secret: SECRET,
            open_without_verdict,
        })
    };
    let (Some(closed), Some(open)) = (start(false), start(true)) else {
        return;
    };
    house.follows(&gate);
    assert!(is_in(&sync(&closed, ALICE, "DEV7F3A")));
    house.publish();
    gate.await_that("refuse as the main server does", || {
        !is_in(&sync(&closed, ALICE, "DEV7F3A"))
    });
    drop(main);
    for nginx in [&closed, &open] {
        let refused = sync(nginx, ALICE, "DEV7F3A");
        let media_type = refused.header("content-type");
        assert_eq!((refused.status, media_type), (200, Some(wbxml::MEDIA_TYPE)));
        assert!(is_in(&sync(nginx, BOB, "DEVB0B")), "the last view");
    }
    drop(gate);
    assert_eq!(sync(&closed, BOB, "DEVB0B").status, 503, "nobody is there");
    assert!(is_in(&sync(&open, ALICE, "DEV7F3A")));

    let gate = house.gate(&[("GATE__MAX_VIEW_AGE", "PT1S")]);
    gate.await_that("have too old a view", || {
        sync(&closed, BOB, "DEVB0B").status == 503
    });
    assert!(is_in(&sync(&open, ALICE, "DEV7F3A")));
    assert!(is_in(&sync(&open, BOB, "DEVB0B")));
}
