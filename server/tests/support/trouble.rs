//! Gates that are gone, silent or somebody else's: what a door may find in Countermand's place.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use axum::body::Body;
use axum::http::Response;

use super::free_port;
use super::gate::FakeGate;

/// What stands where Countermand should be.
#[derive(Debug)]
pub enum Trouble {
    Gone(u16),
    /// Takes connections and never says a word.
    Silent(TcpListener),
    /// Not even HTTP.
    Rubbish(u16),
    Answers(FakeGate),
}

impl Trouble {
    pub fn port(&self) -> u16 {
        match self {
            Trouble::Gone(port) | Trouble::Rubbish(port) => *port,
            Trouble::Silent(listener) => listener.local_addr().unwrap().port(),
            Trouble::Answers(gate) => gate.port,
        }
    }

    pub fn gone() -> Trouble {
        Trouble::Gone(free_port())
    }

    pub fn silent() -> Trouble {
        Trouble::Silent(TcpListener::bind(("127.0.0.1", 0)).unwrap())
    }

    pub fn rubbish() -> Trouble {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(b"\x03\x01\x6a\x00 220 rubbish ready\r\n\r\n");
            }
        });
        Trouble::Rubbish(port)
    }

    pub fn answers(status: u16, headers: &'static [(&'static str, &'static str)]) -> Trouble {
        Trouble::Answers(FakeGate::start(move |_| {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            response.body(Body::from("somebody else")).unwrap()
        }))
    }
}
