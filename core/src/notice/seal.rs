//! The key with which an installation seals what it sends, so that it knows its own again: the links in
//! notices (`token`), and the marks that come back with bounces (`mark`).

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::Kind;

/// Made once, and kept in the installation's database.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

impl SealKey {
    pub fn new(bytes: [u8; 32]) -> SealKey {
        SealKey(bytes)
    }

    /// A name of the installation that tells nothing of the key. `since` is the number of its last new beginning.
    pub fn name_of_installation(&self, since: u64) -> String {
        let mac = self.mac("installation").chain_update(since.to_be_bytes());
        crate::hex::encode(&mac.finalize().into_bytes()[..16])
    }

    /// Nothing sealed for one purpose is worth anything for another.
    pub(super) fn mac(&self, purpose: &str) -> Hmac<Sha256> {
        // A key shorter than a block stands for itself filled up with zeros (RFC 2104).
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.0);
        Hmac::<Sha256>::new(&block.into())
            .chain_update(b"countermand ")
            .chain_update(purpose)
            .chain_update(b" 1\0")
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

/// A kind in two bytes.
pub(super) fn tag(kind: Kind) -> [u8; 2] {
    match kind {
        Kind::Correction => [0, 0],
        Kind::Blocked => [1, 0],
        Kind::Reminder(n) => [2, n],
        Kind::Order => [3, 0],
    }
}

/// The kind of a tag; `None` for what is none.
pub(super) fn tagged(tag: [u8; 2]) -> Option<Kind> {
    match tag {
        [0, 0] => Some(Kind::Correction),
        [1, 0] => Some(Kind::Blocked),
        [2, n] => Some(Kind::Reminder(n)),
        [3, 0] => Some(Kind::Order),
        _ => None,
    }
}
