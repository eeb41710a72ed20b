//! Whose a device is, for the helpdesk, and having an unknown one recognised. It shows no apps.

use askama::Template;

use super::{Shell, When};

#[derive(Debug, Clone, Template)]
#[template(path = "devices.html")]
pub struct Devices {
    pub shell: Shell,
    /// What was looked for: an address, a device key or a reference.
    pub asked: String,
    /// What went wrong, with what was looked for or with the form.
    pub error: Option<String>,
    pub found: Option<Found>,
    /// What the form holds.
    pub word: WordFields,
}

#[derive(Debug, Clone)]
pub struct Found {
    pub refusals: Vec<RefusalRow>,
    pub devices: Vec<DeviceRow>,
    pub claims: Vec<ClaimRow>,
}

impl Found {
    pub fn is_empty(&self) -> bool {
        self.refusals.is_empty() && self.devices.is_empty() && self.claims.is_empty()
    }
}

#[derive(Debug, Clone)]
pub struct RefusalRow {
    pub reference: String,
    pub person: String,
    pub keys: String,
    pub last: When,
    pub times: String,
    /// `This device is not known.`
    pub why: String,
}

#[derive(Debug, Clone)]
pub struct DeviceRow {
    pub person: String,
    /// `phone (ios)`
    pub what: String,
    pub keys: String,
    /// `None`: known by somebody's word alone.
    pub last_report: Option<When>,
}

#[derive(Debug, Clone)]
pub struct ClaimRow {
    pub key: String,
    pub person: String,
    pub when: When,
    pub first: bool,
}

#[derive(Debug, Clone, Default)]
pub struct WordFields {
    pub key: String,
    pub person: String,
    pub same_as: String,
    pub reason: String,
}
