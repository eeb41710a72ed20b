//! The line between a door and the gate behind it: whatever becomes of the gate's answers on the way.

use std::fs::Permissions;
use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    #[default]
    Pass,
    /// It waits until answers pass again.
    Hold,
    /// The gate hangs up before it has said anything.
    Lose,
    /// Half of it comes, then nothing.
    Half,
    /// Its last byte does not come.
    AllButOne,
    Garble,
    /// Its first line comes, and then byte upon byte without an end.
    Drip,
}

#[derive(Debug, Default)]
struct State {
    fate: Fate,
    /// Answers that wait now, or waited since the last [`Line::put`].
    held: usize,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// Its threads end with the test's process.
#[derive(Debug)]
pub struct Line {
    pub port: u16,
    gate_port: u16,
    shared: Arc<Shared>,
}

impl Line {
    /// From a port of its own.
    pub fn to(gate_port: u16) -> Line {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::<Shared>::default();
        let line = Line {
            port,
            gate_port,
            shared,
        };
        line.carry(move || listener.accept().map(|(door, _)| door));
        line
    }

    /// And from a Unix socket that its group may use.
    pub fn also_from(&self, socket: &Path) {
        let listener = UnixListener::bind(socket).unwrap();
        std::fs::set_permissions(socket, Permissions::from_mode(0o660)).unwrap();
        self.carry(move || listener.accept().map(|(door, _)| door));
    }

    fn carry<S: Stream + Send + 'static>(
        &self,
        accept: impl Fn() -> io::Result<S> + Send + 'static,
    ) {
        let (gate_port, shared) = (self.gate_port, self.shared.clone());
        thread::spawn(move || {
            while let Ok(door) = accept() {
                let shared = shared.clone();
                thread::spawn(move || connected(&door, gate_port, &shared));
            }
        });
    }

    /// For all answers that have not passed yet.
    pub fn put(&self, fate: Fate) {
        *self.shared.state.lock().unwrap() = State { fate, held: 0 };
        self.shared.changed.notify_all();
    }

    /// Until so many answers wait.
    pub fn await_held(&self, answers: usize) {
        let state = self.shared.state.lock().unwrap();
        let waits = |state: &mut State| state.held < answers;
        let patience = Duration::from_secs(30);
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, patience, waits)
            .unwrap()
            .1;
        assert!(!waited.timed_out(), "{answers} doors never asked");
    }
}

/// A door's end.
trait Stream: Sync {
    fn read(&self, room: &mut [u8]) -> io::Result<usize>;
    fn write(&self, bytes: &[u8]) -> io::Result<()>;
    fn hang_up(&self);
}

macro_rules! stream {
    ($stream:ty) => {
        impl Stream for $stream {
            fn read(&self, room: &mut [u8]) -> io::Result<usize> {
                io::Read::read(&mut &*self, room)
            }

            fn write(&self, bytes: &[u8]) -> io::Result<()> {
                io::Write::write_all(&mut &*self, bytes)
            }

            fn hang_up(&self) {
                let _ = self.shutdown(Shutdown::Both);
            }
        }
    };
}

stream!(TcpStream);
stream!(UnixStream);

/// One connection of a door's, and the gate's end of it. Whichever ends, both do.
fn connected(door: &impl Stream, gate_port: u16, shared: &Shared) {
    let Ok(gate) = TcpStream::connect((Ipv4Addr::LOCALHOST, gate_port)) else {
        return;
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = questions(door, &gate);
            gate.hang_up();
        });
        let _ = answers(&gate, door, shared);
        gate.hang_up();
        door.hang_up();
    });
}

fn questions(door: &impl Stream, gate: &impl Stream) -> io::Result<()> {
    let mut room = vec![0; 1 << 16];
    loop {
        let length = door.read(&mut room)?;
        if length == 0 {
            return Ok(());
        }
        gate.write(&room[..length])?;
    }
}

/// What the gate writes at once is an answer: all of ours are small.
fn answers(gate: &impl Stream, door: &impl Stream, shared: &Shared) -> io::Result<()> {
    let mut room = vec![0; 1 << 16];
    loop {
        let length = gate.read(&mut room)?;
        let answer = &room[..length];
        if answer.is_empty() {
            return Ok(());
        }
        match shared.fate() {
            Fate::Pass | Fate::Hold => door.write(answer)?,
            Fate::Lose => return Ok(()),
            Fate::Half => return door.write(&answer[..length / 2]),
            Fate::AllButOne => return door.write(&answer[..length - 1]),
            Fate::Garble => {
                let garbled: Vec<u8> = answer.iter().map(|byte| byte ^ 0x55).collect();
                return door.write(&garbled);
            }
            Fate::Drip => {
                let line = answer.iter().position(|byte| *byte == b'\n');
                door.write(&answer[..=line.unwrap_or(0)])?;
                while shared.state.lock().unwrap().fate == Fate::Drip {
                    door.write(b"x")?;
                    thread::sleep(Duration::from_millis(100));
                }
                return Ok(());
            }
        }
    }
}

impl Shared {
    /// Of the answer that has come now; one that must wait waits here.
    fn fate(&self) -> Fate {
        let mut state = self.state.lock().unwrap();
        if state.fate == Fate::Hold {
            state.held += 1;
            self.changed.notify_all();
            let held = |state: &mut State| state.fate == Fate::Hold;
            state = self.changed.wait_while(state, held).unwrap();
        }
        state.fate
    }
}
