//! A mark names a receipt to who holds the installation's key. It travels with a notice and comes
//! back with its bounce.
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
pub const LENGTH: usize = 32;

/// Kind (2), person (4).
const FACTS: usize = 6;
const PROOF: usize = 10;

/// The receipt's mark.
pub fn write(key: &Key, seal: &SealKey) -> String {
    let mut bytes = tag(key.kind).to_vec();
    bytes.extend(key.person.0.to_be_bytes());
    let proof = proof(seal, key.order, &bytes).finalize().into_bytes();
    bytes.extend(&proof[..PROOF]);
    hex::encode(&bytes)
}

fn proof(seal: &SealKey, order: OrderId, facts: &[u8]) -> Hmac<Sha256> {
    let mac = seal.mac("mark");
    mac.chain_update(order.0.as_bytes()).chain_update(facts)
}

/// The receipt that a mark names, of one of these orders; `None` for what we did not write.
pub fn read(mark: &str, seal: &SealKey, orders: impl IntoIterator<Item = OrderId>) -> Option<Key> {
    let mark = mark.to_ascii_lowercase();
    if mark.len() != LENGTH {
        return None;
    }
    let bytes = hex::decode(&mark)?;
    let (facts, shown) = bytes.split_at_checked(FACTS)?;
    let kind = tagged(facts.get(..2)?.try_into().ok()?)?;
    let person = PersonId(u32::from_be_bytes(facts.get(2..)?.try_into().ok()?));
    let is_of = |order: &OrderId| {
        proof(seal, *order, facts)
            .verify_truncated_left(shown)
            .is_ok()
    };
    let order = orders.into_iter().find(is_of)?;
    Some(Key {
        order,
        person,
        kind,
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
            let mark = write(&key(kind), &one());
            assert_eq!(mark.len(), LENGTH);
            let orders = || (1..9).map(order);
            assert_eq!(read(&mark, &one(), orders()), Some(key(kind)));
            let shouted = mark.to_ascii_uppercase();
            assert_eq!(read(&shouted, &one(), orders()), Some(key(kind)));
        }
    }

    #[test]
    fn a_mark_is_worth_nothing_with_another_key_order_person_or_kind() {
        let mark = write(&key(Kind::Order), &one());
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
