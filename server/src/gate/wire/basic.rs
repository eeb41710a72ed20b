//! The user of an HTTP Basic header. The password is not wanted: decoding stops at the colon before it.

use base64::Engine as _;

use super::{BASE64, decoded, plain_name};

const LONGEST: usize = 8192;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BasicError {
    #[error("the Authorization header is {0} bytes long; at most {LONGEST} are read")]
    TooLong(usize),
    #[error("the Basic Authorization header is not base64 of USER:PASSWORD")]
    NotBasic,
    #[error("the user in the Basic Authorization header is not readable text")]
    NotText,
}

/// The user, or `None` for another scheme than Basic and for an empty user.
pub fn user(header: &[u8]) -> Result<Option<String>, BasicError> {
    if header.len() > LONGEST {
        return Err(BasicError::TooLong(header.len()));
    }
    let header = header.trim_ascii();
    let end = header
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(header.len());
    let (scheme, credentials) = header.split_at(end);
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return Ok(None);
    }
    let mut user = Vec::new();
    for group in credentials.trim_ascii().chunks(4) {
        let group = BASE64.decode(group).map_err(|_| BasicError::NotBasic)?;
        if let Some(colon) = group.iter().position(|byte| *byte == b':') {
            user.extend_from_slice(&group[..colon]);
            return named(&user);
        }
        user.extend_from_slice(&group);
    }
    Err(BasicError::NotBasic)
}

fn named(user: &[u8]) -> Result<Option<String>, BasicError> {
    if user.is_empty() {
        return Ok(None);
    }
    plain_name(&decoded(user))
        .map(|user| Some(user.to_owned()))
        .ok_or(BasicError::NotText)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn written(user: &str, password: &str) -> String {
        let text = format!("{user}:{password}");
        format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(text)
        )
    }

    #[test]
    fn the_user_as_seen_through_nginx() {
        assert_eq!(
            user(b"Basic YWxpY2VAY29ycC50ZXN0OnNlY3JldA=="),
            Ok(Some("alice@corp.test".into()))
        );
        assert_eq!(
            user(b"basic  YWxpY2VAY29ycC50ZXN0OnNlY3JldA"),
            Ok(Some("alice@corp.test".into()))
        );
    }

    #[test]
    fn another_scheme_names_nobody() {
        for header in ["Bearer abc", "", "Basicly", "Negotiate YII="] {
            assert_eq!(user(header.as_bytes()), Ok(None), "{header}");
        }
        assert_eq!(user(written("", "secret").as_bytes()), Ok(None));
    }

    #[test]
    fn what_is_no_basic_header_is_an_error() {
        assert_eq!(user(b"Basic"), Err(BasicError::NotBasic));
        assert_eq!(user(b"Basic !!!!"), Err(BasicError::NotBasic));
        assert_eq!(user(b"Basic YWxpY2U="), Err(BasicError::NotBasic));
        assert_eq!(
            user(&[b'a'; LONGEST + 1]),
            Err(BasicError::TooLong(LONGEST + 1))
        );
        assert_eq!(
            user(written("a\r\nb", "x").as_bytes()),
            Err(BasicError::NotText)
        );
        assert_eq!(user(b"Basic /Dp4"), Ok(Some("ü".into())), "Latin-1");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = user(&bytes);
            let _ = user(&[b"Basic ".as_slice(), &bytes].concat());
        }

        #[test]
        fn the_user_is_what_stands_before_the_first_colon(name in "[a-zäé@.\\\\+]{1,40}", password in ".*") {
            prop_assert_eq!(user(written(&name, &password).as_bytes()), Ok(Some(name)));
        }
    }
}
