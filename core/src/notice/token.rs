//! What a notice carries in its link, so that whoever holds it can ask whether it is genuine: which
//! kind of notice it is, to whom, and by when it said to comply, under a seal that only this
//! installation can make. The order is the link's own; nothing in it can be read as a name.

use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

use super::seal::{SealKey, tag, tagged};
use super::{Key as Receipt, Kind};
use crate::id::{PersonId, crockford, crockford_value};
use crate::order::Order;

/// What a notice said, as its token tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Said {
    pub kind: Kind,
    pub person: PersonId,
    /// The deadline that it named, in whole seconds, as people read it.
    pub comply_by: Timestamp,
}

impl Said {
    /// What a notice of that kind to that person says now.
    pub fn now(order: &Order, person: PersonId, kind: Kind) -> Said {
        let seconds = order.comply_by().at().as_second();
        Said {
            kind,
            person,
            comply_by: Timestamp::from_second(seconds).unwrap_or(Timestamp::MIN),
        }
    }

    /// The receipt that tells whether it was sent.
    pub fn receipt(&self, order: &Order) -> Receipt {
        Receipt {
            order: order.id,
            person: self.person,
            kind: self.kind,
        }
    }
}

/// Kind (2), person (4), deadline (8).
const FACTS: usize = 14;

/// Half of a SHA-256 is what RFC 2104 advises to keep at least, and nobody guesses it.
const SEAL: usize = 16;

/// Five bytes are eight letters.
const LETTERS: usize = (FACTS + SEAL) / 5 * 8;

/// The token of a notice. Letters and digits only: the dash and underscore of base64 are emphasis to
/// Markdown, and an end of a link to many a mail program.
pub fn seal(key: &SealKey, order: &Order, said: &Said) -> String {
    let mut bytes = facts(said).to_vec();
    bytes.extend_from_slice(&mac(key, order, &bytes).finalize().into_bytes()[..SEAL]);
    let number = |five: &[u8]| five.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    bytes
        .chunks(5)
        .map(|five| crockford(number(five), 8))
        .collect()
}

/// What the notice said, if the token is one that this installation made for that very text of that
/// order. Takes the same time whatever is wrong with the seal.
pub fn open(key: &SealKey, order: &Order, token: &str) -> Option<Said> {
    let bytes = bytes(token)?;
    let (facts, seal) = bytes.split_at(FACTS);
    mac(key, order, facts).verify_truncated_left(seal).ok()?;
    let facts: &[u8; FACTS] = facts.try_into().ok()?;
    let [t0, t1, p0, p1, p2, p3, seconds @ ..] = *facts;
    Some(Said {
        kind: tagged([t0, t1])?,
        person: PersonId(u32::from_be_bytes([p0, p1, p2, p3])),
        comply_by: Timestamp::from_second(i64::from_be_bytes(seconds)).ok()?,
    })
}

fn facts(said: &Said) -> [u8; FACTS] {
    let [t0, t1] = tag(said.kind);
    let [p0, p1, p2, p3] = said.person.0.to_be_bytes();
    let [s0, s1, s2, s3, s4, s5, s6, s7] = said.comply_by.as_second().to_be_bytes();
    [t0, t1, p0, p1, p2, p3, s0, s1, s2, s3, s4, s5, s6, s7]
}

/// Over the order and the hash of its text too: a token vouches for one text of one order.
fn mac(key: &SealKey, order: &Order, facts: &[u8]) -> Hmac<Sha256> {
    key.mac("notice")
        .chain_update(order.id.0.as_bytes())
        .chain_update(facts)
        .chain_update(&order.revision.hash)
}

fn bytes(token: &str) -> Option<[u8; FACTS + SEAL]> {
    let token = token.as_bytes();
    if token.len() != LETTERS {
        return None;
    }
    let mut bytes = [0; FACTS + SEAL];
    for (letters, five) in token.chunks(8).zip(bytes.chunks_mut(5)) {
        let mut number: u64 = 0;
        for letter in letters {
            number = number << 5 | crockford_value(*letter)?;
        }
        five.copy_from_slice(&number.to_be_bytes()[3..]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::id::OrderId;
    use crate::order::{OrderFile, Pins, Revision};

    const EXAMPLE: &str = include_str!("../../../docs/example-order.toml");

    fn order(id: u128, text: &str) -> Order {
        let file = OrderFile::parse(text).unwrap();
        let revision = Revision::new(1, "ana", Timestamp::UNIX_EPOCH, text, file, Pins::default());
        Order::draft(OrderId(Uuid::from_u128(id)), revision)
    }

    fn key(n: u8) -> SealKey {
        SealKey::new([n; 32])
    }

    fn said() -> impl Strategy<Value = Said> {
        let kind = prop_oneof![
            Just(Kind::Order),
            Just(Kind::Blocked),
            Just(Kind::Correction),
            any::<u8>().prop_map(Kind::Reminder),
        ];
        (kind, any::<u32>(), 0..4_102_444_800_i64).prop_map(|(kind, person, at)| Said {
            kind,
            person: PersonId(person),
            comply_by: Timestamp::from_second(at).unwrap(),
        })
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_as_it_was(said in said()) {
            let order = order(7, EXAMPLE);
            let token = seal(&key(1), &order, &said);
            prop_assert_eq!(open(&key(1), &order, &token), Some(said));
            // Somebody may type it from paper.
            prop_assert_eq!(open(&key(1), &order, &token.to_lowercase()), Some(said));
            prop_assert!(token.bytes().all(|b| b.is_ascii_alphanumeric()), "{}", token);
        }

        #[test]
        fn no_other_token_key_order_or_text_opens(said in said(), at in 0..LETTERS, letter in 1..32_usize) {
            let order = order(7, EXAMPLE);
            let token = seal(&key(1), &order, &said);
            prop_assert_eq!(open(&key(2), &order, &token), None);
            prop_assert_eq!(open(&key(1), &self::order(8, EXAMPLE), &token), None);
            let edited = format!("{EXAMPLE}\n# another thought\n");
            prop_assert_eq!(open(&key(1), &self::order(7, &edited), &token), None);
            let mut wrong = token.clone().into_bytes();
            let value = crockford_value(wrong[at]).unwrap() as usize;
            wrong[at] = crockford(((value + letter) % 32) as u64, 1).as_bytes()[0];
            prop_assert_eq!(open(&key(1), &order, std::str::from_utf8(&wrong).unwrap()), None);
            prop_assert_eq!(open(&key(1), &order, &token[..at]), None);
        }

        #[test]
        fn no_text_breaks_the_reading(text in ".{0,60}") {
            prop_assert_eq!(open(&key(1), &order(7, EXAMPLE), &text), None);
        }
    }

    #[test]
    fn a_notice_names_the_deadline_in_force_and_the_key_is_never_shown() {
        let order = order(7, EXAMPLE);
        let said = Said::now(&order, PersonId(3), Kind::Order);
        assert_eq!(said.comply_by, order.comply_by().at());
        assert_eq!(said.receipt(&order).person, PersonId(3));
        assert_eq!(format!("{:?}", key(7)), "SealKey(…)");
    }
}
