//! A mark names a receipt to who holds the installation's secret. It travels with a notice and comes
//! back with its bounce.
//!
//! A Message-ID would be no proof that somebody ever had the notice: it follows from order, person
//! and kind, of which the statement's address shows the first, and the others are small numbers. So
//! whoever may mail the bounce address could have anybody taken for unreached, who then is warned
//! where they would be refused. A mark holds ten bytes of an HMAC, that only the secret can make.
//! What stays possible is that a person who got a notice answers it with a bounce of their own
//! making: it concerns nobody else, and shows them among those to be told by another way.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{Key, Kind};
use crate::hex;
use crate::id::{OrderId, PersonId};

/// Of a mark, in characters: lower-case hex, since mail servers may fold the left side of an address.
pub const LENGTH: usize = 32;

const PROOF: usize = 10;

/// What only this installation knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// 64 characters of hex.
    pub fn from_hex(text: &str) -> Option<Secret> {
        Some(Secret(hex::decode(text)?.try_into().ok()?))
    }

    /// HMAC-SHA256 (RFC 2104).
    fn hmac(&self, message: &[u8]) -> [u8; 32] {
        let pad = |with: u8| {
            let mut block = [with; 64];
            block.iter_mut().zip(self.0).for_each(|(b, k)| *b ^= k);
            block
        };
        let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message);
        let outer = Sha256::new().chain_update(pad(0x5c));
        outer.chain_update(inner.finalize()).finalize().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

fn kind_bytes(kind: Kind) -> [u8; 2] {
    match kind {
        Kind::Correction => [0, 0],
        Kind::Blocked => [1, 0],
        Kind::Reminder(n) => [2, n],
        Kind::Order => [3, 0],
    }
}

/// The receipt's mark.
pub fn write(key: &Key, secret: &Secret) -> String {
    let mut bytes = kind_bytes(key.kind).to_vec();
    bytes.extend(key.person.0.to_be_bytes());
    let proof = secret.hmac(&[key.order.0.as_bytes().as_slice(), &bytes].concat());
    bytes.extend(&proof[..PROOF]);
    hex::encode(&bytes)
}

/// The receipt that a mark names, of one of these orders; `None` for what we did not write.
pub fn read(mark: &str, secret: &Secret, orders: impl IntoIterator<Item = OrderId>) -> Option<Key> {
    let mark = mark.to_ascii_lowercase();
    if mark.len() != LENGTH {
        return None;
    }
    let bytes = hex::decode(&mark)?;
    let kind = match bytes.get(..2)? {
        [0, 0] => Kind::Correction,
        [1, 0] => Kind::Blocked,
        [2, n] => Kind::Reminder(*n),
        [3, 0] => Kind::Order,
        _ => return None,
    };
    let person = PersonId(u32::from_be_bytes(bytes.get(2..6)?.try_into().ok()?));
    orders
        .into_iter()
        .map(|order| Key {
            order,
            person,
            kind,
        })
        .find(|key| write(key, secret) == mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ONE: Secret = Secret([1; 32]);

    fn order(n: u128) -> OrderId {
        OrderId(Uuid::from_u128(n))
    }

    fn key(kind: Kind) -> Key {
        Key {
            order: order(7),
            person: PersonId(25_000),
            kind,
        }
    }

    #[test]
    fn a_mark_reads_back_whatever_its_case() {
        for kind in [
            Kind::Order,
            Kind::Correction,
            Kind::Blocked,
            Kind::Reminder(200),
        ] {
            let mark = write(&key(kind), &ONE);
            assert_eq!(mark.len(), LENGTH);
            let orders = || (1..9).map(order);
            assert_eq!(read(&mark, &ONE, orders()), Some(key(kind)));
            let shouted = mark.to_ascii_uppercase();
            assert_eq!(read(&shouted, &ONE, orders()), Some(key(kind)));
        }
    }

    #[test]
    fn a_mark_is_worth_nothing_with_another_secret_order_person_or_kind() {
        let mark = write(&key(Kind::Order), &ONE);
        assert_eq!(read(&mark, &Secret([2; 32]), [order(7)]), None);
        assert_eq!(read(&mark, &ONE, [order(8)]), None);
        for at in 0..LENGTH {
            let mut forged = mark.clone().into_bytes();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8_lossy(&forged).into_owned();
            assert_eq!(read(&forged, &ONE, [order(7)]), None, "{forged}");
        }
        for odd in [
            "",
            "ü",
            &mark[1..],
            &format!("{mark}0"),
            &"z".repeat(LENGTH),
        ] {
            assert_eq!(read(odd, &ONE, [order(7)]), None);
        }
    }

    #[test]
    fn the_hmac_is_that_of_rfc_2104() {
        // Case 2 of RFC 4231, whose key is shorter and so the same with zeros behind it.
        let mut secret = [0; 32];
        secret[..4].copy_from_slice(b"Jefe");
        assert_eq!(
            hex::encode(&Secret(secret).hmac(b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
