//! Signatures, by which a receiver tells our requests from others', and old ones from new.
//!
//! The signed text is `v1:TIMESTAMP:BODY`; the timestamp is in it so that nobody can send a request
//! again later under a new time. docs/channels.md says how to verify.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

/// `v1=HEX` for a body sent at `at`.
pub(super) fn signature(secret: &str, at: Timestamp, body: &[u8]) -> String {
    // HMAC takes keys of any length (RFC 2104), so this is never empty.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(format!("v1:{}:", at.as_second()).as_bytes());
    mac.update(body);
    let code = mac.finalize().into_bytes();
    format!("v1={}", countermand_core::hex::encode(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out with another program (Python's `hmac`): what a receiver would compute.
    #[test]
    fn a_signature_is_what_others_compute() {
        let at = Timestamp::from_second(1_594_407_600).unwrap();
        let body = br#"{"kind":"order"}"#;
        assert_eq!(
            signature("open sesame", at, body),
            "v1=6a30c6f602a24d035c134227297c863a6415fe9284d45dc66ce126bbf528ab90"
        );
        let later = Timestamp::from_second(1_594_407_601).unwrap();
        assert_ne!(
            signature("open sesame", at, body),
            signature("open sesame", later, body)
        );
        assert_ne!(
            signature("open sesame", at, body),
            signature("open sesamf", at, body)
        );
    }
}
