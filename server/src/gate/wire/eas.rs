//! The request line of Exchange ActiveSync, in both forms of MS-ASHTTP 2.2.1.1.1: plain parameters, or one
//! base64 value.
//!
//! What cannot be read for certain is an error and never a guess: were the door to read one device id and the
//! mail server another, a refused phone would get in.

use base64::Engine as _;

use super::{BASE64, decoded, unescaped};

/// Longest query that is read. Real ones stay under 300 bytes.
const LONGEST: usize = 4096;
const PATH: &str = "microsoft-server-activesync";

/// MS-ASHTTP 2.2.1.1.1.1.2, in the spelling of the plain form.
const COMMANDS: [(u8, &str); 20] = [
    (0, "Sync"),
    (1, "SendMail"),
    (2, "SmartForward"),
    (3, "SmartReply"),
    (4, "GetAttachment"),
    (9, "FolderSync"),
    (10, "FolderCreate"),
    (11, "FolderDelete"),
    (12, "FolderUpdate"),
    (13, "MoveItems"),
    (14, "GetItemEstimate"),
    (15, "MeetingResponse"),
    (16, "Search"),
    (17, "Settings"),
    (18, "Ping"),
    (19, "ItemOperations"),
    (20, "Provision"),
    (21, "ResolveRecipients"),
    (22, "ValidateCert"),
    (23, "Find"),
];

/// Tag of the user among the trailing parameters of the base64 form.
const USER_TAG: u8 = 8;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EasRequest {
    /// In the spelling of the protocol where it is a known one; absent for OPTIONS and unknown codes.
    pub command: Option<String>,
    /// As the client claims it: `alice`, `alice@corp.test` or `CORP\alice`. Not authenticated.
    pub user: Option<String>,
    /// Its text if that is printable ASCII, else the hex of its bytes.
    pub device_id: Option<String>,
    pub device_type: Option<String>,
    /// Major and minor: `(14, 1)`.
    pub protocol: Option<(u8, u8)>,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EasError {
    #[error("the ActiveSync request line is {0} bytes long; at most {LONGEST} are read")]
    TooLong(usize),
    #[error(
        "the ActiveSync query is neither Cmd=…&User=…&DeviceId=…&DeviceType=… nor base64 as in MS-ASHTTP 2.2.1.1.1.1"
    )]
    NeitherForm,
    #[error("the base64 ActiveSync query ends within its {0}")]
    Truncated(&'static str),
    #[error("the ActiveSync {0} is not readable text")]
    NotText(&'static str),
    #[error("the ActiveSync query names two different values for {0}")]
    Twice(&'static str),
}

impl EasRequest {
    /// Reads a request URI; `None` if its path is not that of ActiveSync. `version` is the header
    /// `MS-ASProtocolVersion`, which only the plain form needs.
    pub fn parse(uri: &str, version: Option<&str>) -> Result<Option<Self>, EasError> {
        let uri = uri.split_once('#').map_or(uri, |(before, _)| before);
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        if !is_activesync(path) {
            return Ok(None);
        }
        if query.len() > LONGEST {
            return Err(EasError::TooLong(query.len()));
        }
        let mut request = if query.is_empty() {
            Self::default()
        } else if query.split('&').any(|pair| parameter(pair).is_some()) {
            Self::from_parameters(query)?
        } else {
            Self::from_base64(query)?
        };
        request.protocol = request
            .protocol
            .or_else(|| version.and_then(header_version));
        Ok(Some(request))
    }

    fn from_parameters(query: &str) -> Result<Self, EasError> {
        let mut request = Self::default();
        for (name, value) in query.split('&').filter_map(parameter) {
            let (slot, value) = match name {
                "Cmd" => (
                    &mut request.command,
                    text(&value, name)?.map(known_spelling),
                ),
                "User" => (&mut request.user, text(&value, name)?),
                "DeviceId" => (&mut request.device_id, device_id(&value)),
                _ => (&mut request.device_type, text(&value, name)?),
            };
            if slot.is_some() && *slot != value {
                return Err(EasError::Twice(name));
            }
            *slot = value;
        }
        Ok(request)
    }

    fn from_base64(query: &str) -> Result<Self, EasError> {
        let bytes = BASE64
            .decode(percent_decoded(query))
            .map_err(|_| EasError::NeitherForm)?;
        let mut rest = Bytes(&bytes);
        let version = rest.byte("protocol version")?;
        let code = rest.byte("command code")?;
        rest.take(2, "locale")?;
        let id = rest.counted("device id")?;
        rest.counted("policy key")?;
        let kind = rest.counted("device type")?;
        let mut user = None;
        while !rest.0.is_empty() {
            let tag = rest.byte("parameters")?;
            let value = rest.counted("parameters")?;
            if tag == USER_TAG {
                let value = text(value, "User")?;
                if user.is_some() && user != value {
                    return Err(EasError::Twice("User"));
                }
                user = value;
            }
        }
        Ok(Self {
            command: COMMANDS
                .iter()
                .find(|(known, _)| *known == code)
                .map(|(_, name)| (*name).to_owned()),
            user,
            device_id: device_id(id),
            device_type: text(kind, "DeviceType")?,
            protocol: Some((version / 10, version % 10)),
        })
    }
}

/// Whether the path is that of ActiveSync, in any letter case, below any prefix. Escapes are undone first, as
/// the proxy did when it chose its location.
fn is_activesync(path: &str) -> bool {
    percent_decoded(path)
        .split(|byte| *byte == b'/')
        // Some servers drop what follows a `;` in a segment (RFC 3986, 3.3).
        .filter_map(|segment| segment.split(|byte| *byte == b';').next())
        .any(|segment| segment.eq_ignore_ascii_case(PATH.as_bytes()))
}

/// A parameter of the plain form that matters here, under its protocol name.
fn parameter(pair: &str) -> Option<(&'static str, Vec<u8>)> {
    let (name, value) = pair.split_once('=')?;
    let name = percent_decoded(name);
    ["Cmd", "User", "DeviceId", "DeviceType"]
        .into_iter()
        .find(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        .map(|known| (known, percent_decoded(value)))
}

/// A plus sign stays one: these queries don't use it for a space.
fn percent_decoded(text: &str) -> Vec<u8> {
    unescaped(text, b'%')
}

fn known_spelling(command: String) -> String {
    COMMANDS
        .iter()
        .find(|(_, name)| name.eq_ignore_ascii_case(&command))
        .map_or(command, |(_, name)| (*name).to_owned())
}

fn text(bytes: &[u8], field: &'static str) -> Result<Option<String>, EasError> {
    let text = decoded(bytes);
    if text.chars().any(char::is_control) {
        return Err(EasError::NotText(field));
    }
    Ok((!text.is_empty()).then(|| text.into_owned()))
}

fn device_id(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() {
        return None;
    }
    if bytes.iter().all(u8::is_ascii_graphic) {
        return Some(String::from_utf8_lossy(bytes).into_owned());
    }
    Some(bytes.iter().map(|byte| format!("{byte:02X}")).collect())
}

/// `14.1`, as the header `MS-ASProtocolVersion` gives it.
fn header_version(text: &str) -> Option<(u8, u8)> {
    let (major, minor) = text.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], EasError> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(EasError::Truncated(field))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self, field: &'static str) -> Result<u8, EasError> {
        let (first, rest) = self.0.split_first().ok_or(EasError::Truncated(field))?;
        self.0 = rest;
        Ok(*first)
    }

    fn counted(&mut self, field: &'static str) -> Result<&'a [u8], EasError> {
        let count = self.byte(field)?;
        self.take(usize::from(count), field)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn parse(uri: &str) -> EasRequest {
        EasRequest::parse(uri, Some("14.1")).unwrap().unwrap()
    }

    fn seen(command: &str) -> EasRequest {
        EasRequest {
            command: Some(command.into()),
            user: Some("alice@corp.test".into()),
            device_id: Some("DEV7F3A".into()),
            device_type: Some("iPhone".into()),
            protocol: Some((14, 1)),
        }
    }

    #[test]
    fn the_plain_form_as_seen_through_nginx() {
        for command in ["FolderSync", "Sync", "Ping", "SendMail", "Provision"] {
            let uri = format!(
                "/Microsoft-Server-ActiveSync?Cmd={command}&User=alice%40corp.test&DeviceId=DEV7F3A&DeviceType=iPhone"
            );
            assert_eq!(parse(&uri), seen(command));
        }
    }

    #[test]
    fn the_base64_form_as_seen_through_nginx() {
        let expected = EasRequest {
            user: None,
            ..seen("FolderSync")
        };
        let uri = "/Microsoft-Server-ActiveSync?jQkJBAdERVY3RjNBBAAAAAAGaVBob25l";
        assert_eq!(EasRequest::parse(uri, None), Ok(Some(expected)));
    }

    #[test]
    fn a_bare_request_names_nothing() {
        assert_eq!(
            EasRequest::parse("/Microsoft-Server-ActiveSync", None),
            Ok(Some(EasRequest::default()))
        );
    }

    #[test]
    fn another_path_is_no_activesync_request() {
        for uri in [
            "/SOGo/",
            "/",
            "",
            "/SOGo/?next=/Microsoft-Server-ActiveSync",
            "/Microsoft-Server-ActiveSyncX",
        ] {
            assert_eq!(EasRequest::parse(uri, None), Ok(None), "{uri}");
        }
    }

    #[test]
    fn letter_case_prefix_and_escapes_hide_nothing() {
        for path in [
            "/microsoft-server-activesync",
            "/MICROSOFT-SERVER-ACTIVESYNC/",
            "/SOGo/Microsoft-Server-ActiveSync",
            "/%4Dicrosoft%2DServer-ActiveSync",
            "//Microsoft-Server-ActiveSync/default.eas",
            "https://mail.corp.test/Microsoft-Server-ActiveSync",
        ] {
            let uri = format!(
                "{path}?cmd=foldersync&USER=alice@corp.test&deviceid=DEV7F3A&%44eviceType=iPhone"
            );
            assert_eq!(parse(&uri), seen("FolderSync"), "{path}");
        }
    }

    #[test]
    fn a_windows_login_and_an_old_clients_umlaut_are_read() {
        let uri =
            "/Microsoft-Server-ActiveSync?Cmd=Sync&User=CORP%5Calice&DeviceId=D&DeviceType=WP8";
        assert_eq!(parse(uri).user.as_deref(), Some("CORP\\alice"));
        let latin = "/Microsoft-Server-ActiveSync?Cmd=Sync&User=j%FCrgen";
        assert_eq!(parse(latin).user.as_deref(), Some("jürgen"));
    }

    #[test]
    fn two_device_ids_are_an_error_and_two_equal_ones_are_not() {
        let twice = "/Microsoft-Server-ActiveSync?Cmd=Sync&DeviceId=GOOD&deviceid=BAD";
        assert_eq!(
            EasRequest::parse(twice, None),
            Err(EasError::Twice("DeviceId"))
        );
        assert_eq!(
            parse("/Microsoft-Server-ActiveSync?DeviceId=A&DeviceId=A")
                .device_id
                .as_deref(),
            Some("A")
        );
    }

    #[test]
    fn a_raw_device_id_becomes_hex() {
        assert_eq!(device_id(&[0xAB, 0x00, 0x7F]).as_deref(), Some("AB007F"));
        assert_eq!(
            device_id(b"with space").as_deref(),
            Some("77697468207370616365")
        );
        assert_eq!(device_id(b""), None);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let at = |query: &str| {
            EasRequest::parse(&format!("/Microsoft-Server-ActiveSync?{query}"), None).unwrap_err()
        };
        assert_eq!(at(&"A".repeat(LONGEST + 1)), EasError::TooLong(LONGEST + 1));
        assert_eq!(at("foo=bar"), EasError::NeitherForm);
        assert_eq!(at("jQkJBAdERVY3"), EasError::Truncated("device id"));
        assert_eq!(at("Cmd=Sync&User=a%0D%0Ab"), EasError::NotText("User"));
    }

    #[test]
    fn an_unknown_command_code_keeps_the_device() {
        let query = BASE64.encode([160, 99, 9, 4, 1, b'D', 0, 1, b'T']);
        let request = parse(&format!("/Microsoft-Server-ActiveSync?{query}"));
        assert_eq!(request.command, None);
        assert_eq!(request.device_id.as_deref(), Some("D"));
        assert_eq!(request.protocol, Some((16, 0)));
    }

    /// Writes the base64 form, with or without padding and escapes.
    fn written(request: &EasRequest, id: &[u8], escaped: bool, padded: bool) -> String {
        let (major, minor) = request.protocol.unwrap();
        let command = request.command.as_deref().unwrap();
        let code = COMMANDS
            .iter()
            .find(|(_, name)| *name == command)
            .unwrap()
            .0;
        let mut bytes = vec![major * 10 + minor, code, 0x09, 0x04];
        let counted = |bytes: &mut Vec<u8>, field: &[u8]| {
            bytes.push(u8::try_from(field.len()).unwrap());
            bytes.extend_from_slice(field);
        };
        counted(&mut bytes, id);
        counted(&mut bytes, &[1, 2, 3, 4]);
        counted(
            &mut bytes,
            request.device_type.as_deref().unwrap_or("").as_bytes(),
        );
        bytes.push(7);
        counted(&mut bytes, &[1]);
        if let Some(user) = &request.user {
            bytes.push(USER_TAG);
            counted(&mut bytes, user.as_bytes());
        }
        let mut query = base64::engine::general_purpose::STANDARD.encode(bytes);
        if !padded {
            query = query.trim_end_matches('=').to_owned();
        }
        if escaped {
            query = query
                .replace('+', "%2B")
                .replace('/', "%2f")
                .replace('=', "%3D");
        }
        format!("/Microsoft-Server-ActiveSync?{query}")
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(uri in ".*", version in proptest::option::of(".*")) {
            let _ = EasRequest::parse(&uri, version.as_deref());
        }

        #[test]
        fn any_query_is_read_or_refused(query in prop_oneof![".*", "(Cmd|User|DeviceId)=[%0-9a-zA-Z&=]*"]) {
            let _ = EasRequest::parse(&format!("/Microsoft-Server-ActiveSync?{query}"), None);
        }

        #[test]
        fn any_bytes_in_base64_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let query = base64::engine::general_purpose::STANDARD.encode(bytes);
            let _ = EasRequest::parse(&format!("/Microsoft-Server-ActiveSync?{query}"), None);
        }

        #[test]
        fn the_base64_form_is_read_as_it_was_written(
            id in proptest::collection::vec(any::<u8>(), 0..=16),
            command in proptest::sample::select(COMMANDS.to_vec()),
            user in proptest::option::of("[a-zä\\\\@.]{1,20}"),
            device_type in proptest::option::of("[A-Za-z0-9]{1,16}"),
            protocol in proptest::sample::select(vec![(2, 5), (12, 1), (14, 0), (14, 1), (16, 1)]),
            escaped: bool,
            padded: bool,
        ) {
            let request = EasRequest {
                command: Some(command.1.to_owned()),
                user,
                device_id: device_id(&id),
                device_type,
                protocol: Some(protocol),
            };
            prop_assert_eq!(parse(&written(&request, &id, escaped, padded)), request);
        }
    }
}
