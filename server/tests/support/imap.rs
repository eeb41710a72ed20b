//! The least IMAP client: one command, its tagged response.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

#[derive(Debug)]
pub struct Imap {
    stream: BufReader<TcpStream>,
    pub greeting: String,
    commands: u32,
}

#[derive(Debug)]
pub struct Response {
    /// Without the tag: `OK …` or `NO [CODE] …`.
    pub tagged: String,
    pub untagged: Vec<String>,
}

impl Response {
    pub fn is_ok(&self) -> bool {
        self.tagged.starts_with("OK")
    }

    /// All that a mail app could show.
    pub fn text(&self) -> String {
        format!("{}\n{}", self.untagged.join("\n"), self.tagged)
    }
}

impl Imap {
    pub fn connect(port: u16) -> Self {
        Self::over(TcpStream::connect(("127.0.0.1", port)).unwrap())
    }

    pub fn over(stream: TcpStream) -> Self {
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut imap = Self {
            stream: BufReader::new(stream),
            greeting: String::new(),
            commands: 0,
        };
        imap.greeting = imap.line();
        imap
    }

    pub fn login(&mut self, user: &str, password: &str) -> Response {
        self.command(&format!("LOGIN \"{user}\" \"{password}\""))
    }

    pub fn command(&mut self, command: &str) -> Response {
        self.commands += 1;
        let tag = format!("t{}", self.commands);
        self.stream
            .get_mut()
            .write_all(format!("{tag} {command}\r\n").as_bytes())
            .unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Response {
        let tag = format!("t{}", self.commands);
        let mut untagged = Vec::new();
        loop {
            let line = self.line();
            if let Some(tagged) = line.strip_prefix(&format!("{tag} ")) {
                return Response {
                    tagged: tagged.to_owned(),
                    untagged,
                };
            }
            untagged.push(line);
        }
    }

    /// `IDLE`, up to the server's `+`.
    pub fn begin_idle(&mut self) {
        self.commands += 1;
        let command = format!("t{} IDLE\r\n", self.commands);
        self.stream.get_mut().write_all(command.as_bytes()).unwrap();
        let line = self.line();
        assert!(line.starts_with('+'), "{line}");
    }

    pub fn end_idle(&mut self) -> Response {
        self.stream.get_mut().write_all(b"DONE\r\n").unwrap();
        self.answer()
    }

    /// Waits for the server to say BYE or to hang up.
    pub fn is_ended(&mut self) -> bool {
        loop {
            let mut line = String::new();
            match self.stream.read_line(&mut line) {
                Ok(0) => return true,
                Ok(_) if line.starts_with("* BYE") => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(
            line.ends_with('\n'),
            "the IMAP server hung up after {line:?}"
        );
        line.trim_end().to_owned()
    }
}
