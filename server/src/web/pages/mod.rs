//! The pages as plain structs: each derives its template, and knows no store, session or
//! clock. Whoever fills them has already asked the use cases, formatted the times and
//! decided what the operator may do.
//!
//! A page of the console carries a [`Shell`]; the pages for everybody (statement, refusal,
//! sign-in) stand alone.

mod account;
mod acts;
mod audit;
mod confirm;
mod devices;
mod doors;
mod edit;
pub mod format;
mod mailbox;
mod notices;
mod order;
mod orders;
mod parts;
mod preview;
mod refused;
mod sample;
mod statement;

pub use account::{DemoOperator, ErrorPage, SetUp, SignIn};
pub use acts::{Act, Situation, fitting};
pub use audit::{Audit, AuditRow, Verified};
pub use confirm::{Confirm, Done, Effect};
pub use devices::{ClaimRow, DeviceRow, Devices, Found, RefusalRow, WordFields};
pub use doors::{Doors, GateRow};
pub use edit::{Edit, Problem};
pub use format::{Count, When};
pub use mailbox::{Mail, MailRow, Mailbox};
pub use notices::{ChannelRow, KindRow, Notices, Untold};
pub use order::{Figure, Order, Pinned, RefusedAt, Rule, Wrong};
pub use orders::{OrderRow, Orders};
pub use parts::{Bar, Pager, Part, Pill, Receipts, SafeHtml, Step, StepState, Tone};
pub use preview::{Decision, Letter, Preview, PreviewFacts, Tally};
pub use refused::{Fallback, Handset, Refused, RefusedFor, RefusingOrder};
pub use sample::{Choice, Hint, Rehearse, SamplePage, Sampled};
pub use statement::{
    AsItWas, HistoryRow, NoticeCheck, RecognisedPage, Reported, Statement, StatementState,
};

/// What every page of the console shows around its own matter.
#[derive(Debug, Clone)]
pub struct Shell {
    pub who: Who,
    /// The token of this session, carried by every form as `csrf`.
    pub csrf: String,
    /// The installation computes verdicts, and every door lets in.
    pub observing: bool,
    /// Break glass: who opened the doors, since when and why.
    pub doors_open: Option<DoorsOpen>,
    /// What the last action did, shown once.
    pub flash: Option<Flash>,
    /// What cannot wait: fewer than two can approve, none can retract.
    pub warnings: Vec<String>,
    /// The transport is the mailbox in the data directory.
    pub has_mailbox: bool,
    /// Whoever may look up people and devices.
    pub may_look_up: bool,
}

#[derive(Debug, Clone)]
pub struct Who {
    pub name: String,
    /// `responder, viewer`
    pub roles: String,
}

#[derive(Debug, Clone)]
pub struct DoorsOpen {
    pub since: When,
    pub by: String,
    pub reason: String,
}

#[derive(Debug, Clone)]
pub struct Flash {
    pub tone: Tone,
    pub text: String,
}
