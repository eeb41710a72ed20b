//! Typed ids. People and devices are dense numbers, so that sets of them are bitmaps; everything
//! that a person may have to type or forward is a UUID with a short form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Crockford's alphabet: no I, L, O or U, so that it survives a phone call.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

macro_rules! dense_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Four letters that people can say; unique among the few ids of one organisation, and
            /// looked up as such (an ambiguous one is an error).
            pub fn short(&self) -> String {
                crockford(self.0.as_u128() as u64, 4)
            }

            /// Whether `text` is this id: the whole UUID or its short form, in any letter case.
            pub fn is_called(&self, text: &str) -> bool {
                self.short().eq_ignore_ascii_case(text) || self.0.to_string().eq_ignore_ascii_case(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(Self(Uuid::parse_str(text)?))
            }
        }
    };
}

dense_id!(
    /// A person, numbered in the order of first sight and never reused.
    PersonId
);
dense_id!(
    /// A device, numbered in the order of first sight and never reused.
    DeviceId
);
dense_id!(
    /// A package as some source named it (see [`crate::evidence::Package`]).
    PackageNo
);
uuid_id!(
    /// An order.
    OrderId
);
uuid_id!(
    /// An exemption.
    ExemptionId
);

/// The low `letters × 5` bits of `bits` in Crockford's base 32.
pub fn crockford(bits: u64, letters: u32) -> String {
    (0..letters)
        .rev()
        .map(|i| char::from(CROCKFORD[((bits >> (i * 5)) & 31) as usize]))
        .collect()
}

/// The value of one such letter, in either case.
pub(crate) fn crockford_value(letter: u8) -> Option<u64> {
    let letter = letter.to_ascii_uppercase();
    let at = CROCKFORD.iter().position(|known| *known == letter)?;
    Some(at as u64)
}

/// What a refused person reads to the helpdesk: `R-7Q2M-4F`.
pub fn refusal_ref(fingerprint: u64) -> String {
    let code = crockford(fingerprint, 6);
    format!("R-{}-{}", &code[..4], &code[4..])
}

/// A reference as somebody read it aloud and somebody else typed it: in any case, without its dashes or its
/// R, with the letters that stand for digits (I, L, O). What can be none stays as it is.
pub fn typed_ref(typed: &str) -> String {
    let upper = typed.trim().to_uppercase();
    let letters: String = upper.chars().filter(char::is_ascii_alphanumeric).collect();
    let code = match letters.len() {
        6 => letters.as_str(),
        7 => letters.strip_prefix('R').unwrap_or_default(),
        _ => "",
    };
    let code: String = code
        .chars()
        .map(|letter| match letter {
            'I' | 'L' => '1',
            'O' => '0',
            other => other,
        })
        .collect();
    match code.split_at_checked(4) {
        Some((first, last)) if code.len() == 6 => format!("R-{first}-{last}"),
        _ => upper,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_form_and_the_whole_are_the_same_id() {
        let id = OrderId(Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_000f_ffff));
        assert_eq!(id.short(), "ZZZZ");
        assert!(id.is_called("zzzz"));
        assert!(id.is_called(&id.to_string()));
        assert!(!id.is_called("ZZZ"));
    }

    #[test]
    fn a_reference_is_found_however_it_was_heard() {
        for typed in [
            "R-70M1-4F",
            " r-70m1-4f ",
            "r70m14f",
            "70M1 4F",
            "R-7OML-4F",
            "7omi4f",
        ] {
            assert_eq!(typed_ref(typed), "R-70M1-4F", "{typed}");
        }
        assert_eq!(typed_ref("R-R0M1-4F"), "R-R0M1-4F");
        for odd in ["", "R-", "R-70M1-4FX", "nonsense", "\u{e4}"] {
            assert_eq!(typed_ref(odd), odd.to_uppercase(), "{odd}");
        }
    }

    #[test]
    fn a_refusal_reference_is_short_and_sayable() {
        assert_eq!(refusal_ref(0), "R-0000-00");
        assert_eq!(refusal_ref(u64::MAX), "R-ZZZZ-ZZ");
    }
}
