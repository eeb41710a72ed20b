//! A mark names a receipt, and the attempt, to who holds the installation's key. It travels with a notice
//! and comes back with its bounce. A correction whose first attempt may have arrived is sent again, and a
//! late bounce of the first says nothing of the second.
//!
//! A Message-ID would be no proof that somebody ever had the notice: it follows from order, person
//! and kind, of which the statement's address shows the first, and the others are small numbers. So
//! whoever may mail the bounce address could have anybody taken for unreached, who then is warned
//! where they would be refused. A mark holds ten bytes of an HMAC, that only the key can make.
//! What stays possible is that a person who got a notice answers it with a bounce of their own
//! making: it concerns nobody else, and shows them among those to be told by another way.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::Key;
use super::seal::{SealKey, tag, tagged};
use crate::hex;
use crate::id::{OrderId, PersonId};

/// Of a mark, in characters: lower-case hex, since mail servers may fold the left side of an address.
pub const LENGTH: usize = 36;

/// Kind (2), person (4), attempt (2).
const FACTS: usize = 8;
const PROOF: usize = 10;

/// What a mark names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marked {
    pub key: Key,
    /// How many attempts came before; `None` where it was more than a mark can hold.
    pub attempt: Option<u32>,
}

/// The mark of one attempt, before which there were so many.
pub fn write(key: &Key, attempt: u32, seal: &SealKey) -> String {
    let mut bytes = tag(key.kind).to_vec();
    bytes.extend(key.person.0.to_be_bytes());
    bytes.extend(u16::try_from(attempt).unwrap_or(u16::MAX).to_be_bytes());
    let proof = proof(seal, key.order, &bytes).finalize().into_bytes();
    bytes.extend(&proof[..PROOF]);
    hex::encode(&bytes)
}

fn proof(seal: &SealKey, order: OrderId, facts: &[u8]) -> Hmac<Sha256> {
    let mac = seal.mac("mark");
    mac.chain_update(order.0.as_bytes()).chain_update(facts)
}

/// What a mark names, of one of these orders; `None` for what we did not write.
pub fn read(
    mark: &str,
    seal: &SealKey,
    orders: impl IntoIterator<Item = OrderId>,
) -> Option<Marked> {
    let mark = mark.to_ascii_lowercase();
    if mark.len() != LENGTH {
        return None;
    }
    let bytes = hex::decode(&mark)?;
    let (facts, shown) = bytes.split_at_checked(FACTS)?;
    let kind = tagged(facts.get(..2)?.try_into().ok()?)?;
    let person = PersonId(u32::from_be_bytes(facts.get(2..6)?.try_into().ok()?));
    let attempt = u16::from_be_bytes(facts.get(6..)?.try_into().ok()?);
    let is_of = |order: &OrderId| {
        proof(seal, *order, facts)
            .verify_truncated_left(shown)
            .is_ok()
    };
    let order = orders.into_iter().find(is_of)?;
    Some(Marked {
        key: Key {
            order,
            person,
            kind,
        },
        attempt: (attempt < u16::MAX).then_some(u32::from(attempt)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::Kind;
    use uuid::Uuid;

    fn one() -> SealKey {
        SealKey::new([1; 32])
    }

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
            let mark = write(&key(kind), 3, &one());
            assert_eq!(mark.len(), LENGTH);
            let orders = || (1..9).map(order);
            let marked = |attempt| {
                Some(Marked {
                    key: key(kind),
                    attempt,
                })
            };
            assert_eq!(read(&mark, &one(), orders()), marked(Some(3)));
            let shouted = mark.to_ascii_uppercase();
            assert_eq!(read(&shouted, &one(), orders()), marked(Some(3)));
            let after_very_many = write(&key(kind), 70_000, &one());
            assert_eq!(read(&after_very_many, &one(), orders()), marked(None));
        }
    }

    #[test]
    fn a_mark_is_worth_nothing_with_another_key_order_person_or_kind() {
        let mark = write(&key(Kind::Order), 0, &one());
        assert_eq!(read(&mark, &SealKey::new([2; 32]), [order(7)]), None);
        assert_eq!(read(&mark, &one(), [order(8)]), None);
        for at in 0..LENGTH {
            let mut forged = mark.clone().into_bytes();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8_lossy(&forged).into_owned();
            assert_eq!(read(&forged, &one(), [order(7)]), None, "{forged}");
        }
        for odd in [
            "",
            "ü",
            &mark[1..],
            &format!("{mark}0"),
            &"z".repeat(LENGTH),
        ] {
            assert_eq!(read(odd, &one(), [order(7)]), None);
        }
    }
}
