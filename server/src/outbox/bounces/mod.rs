//! Bounces: the organisation's mail server hands over what came back, into a maildir or over LMTP.
//! Here it is fetched and read; whose notice it was, and what follows, the app knows.

mod config;
pub mod lmtp;
pub mod maildir;
pub mod report;

pub use config::BouncesConfig;

/// A longer mail is read so far: a bounce says in its first parts what it has to say.
pub const LARGEST: usize = 1 << 20;

/// A mail as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// Whom the envelope names, where there is one.
    pub to: Vec<String>,
    pub bytes: Vec<u8>,
}

/// Who reads the mails.
pub trait Intake: Send + Sync + 'static {
    /// When this says yes, whatever follows from the mails is on disk. The same mail may come again.
    fn take(&self, mails: Vec<Mail>) -> impl Future<Output = Result<(), String>> + Send;
}
