//! What a refused ActiveSync device is answered.
//!
//! From protocol 14.0 on, a status in the command's own document: phones then say that the device is blocked,
//! and do not ask for the password again. Older ones know no such status and get HTTP 403.

/// MS-ASCMD 2.2.2: the device is blocked for this user. The neighbouring 140 asks the phone to wipe itself, so
/// the status is a constant and never a parameter, and no wipe element is in the table below.
const BLOCKED: &[u8] = b"129";

/// WBXML 1.3, public id unknown, UTF-8, no string table.
const HEADER: [u8; 4] = [0x03, 0x01, 0x6A, 0x00];
const SWITCH_PAGE: u8 = 0x00;
const END: u8 = 0x01;
const INLINE_STRING: u8 = 0x03;
const HAS_CONTENT: u8 = 0x40;

/// Where each command's status lives, after MS-ASWBXML 2.1.2.1: code page, the elements from the root down, the
/// status. MoveItems and MeetingResponse only know a status one level down.
const COMMANDS: [(&str, u8, &[u8], u8); 19] = [
    ("Sync", 0, &[0x05], 0x0E),
    ("MoveItems", 5, &[0x05, 0x0A], 0x0B),
    ("GetItemEstimate", 6, &[0x05], 0x0E),
    ("FolderCreate", 7, &[0x13], 0x0C),
    ("FolderDelete", 7, &[0x14], 0x0C),
    ("FolderUpdate", 7, &[0x15], 0x0C),
    ("FolderSync", 7, &[0x16], 0x0C),
    ("MeetingResponse", 8, &[0x07, 0x0A], 0x0B),
    ("ResolveRecipients", 10, &[0x05], 0x07),
    ("ValidateCert", 11, &[0x05], 0x0A),
    ("Ping", 13, &[0x05], 0x07),
    ("Provision", 14, &[0x05], 0x0B),
    ("Search", 15, &[0x05], 0x0C),
    ("Settings", 18, &[0x05], 0x06),
    ("ItemOperations", 20, &[0x05], 0x0D),
    ("SendMail", 21, &[0x05], 0x12),
    ("SmartForward", 21, &[0x06], 0x12),
    ("SmartReply", 21, &[0x07], 0x12),
    ("Find", 25, &[0x05], 0x0A),
];

/// The media type that goes with [`EasRefusal::Wbxml`].
pub const MEDIA_TYPE: &str = "application/vnd.ms-sync.wbxml";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EasRefusal {
    /// For devices that know no status for it, and requests without a document of their own.
    Http403,
    /// HTTP 200 with this body.
    Wbxml(Vec<u8>),
}

pub fn refusal(command: &str, protocol: Option<(u8, u8)>) -> EasRefusal {
    let known = COMMANDS
        .iter()
        .find(|(name, ..)| name.eq_ignore_ascii_case(command));
    match known {
        Some((_, page, elements, status)) if protocol >= Some((14, 0)) => {
            EasRefusal::Wbxml(document(*page, elements, *status))
        }
        _ => EasRefusal::Http403,
    }
}

fn document(page: u8, elements: &[u8], status: u8) -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    if page != 0 {
        bytes.extend([SWITCH_PAGE, page]);
    }
    for element in elements.iter().chain([&status]) {
        bytes.push(element | HAS_CONTENT);
    }
    bytes.push(INLINE_STRING);
    bytes.extend(BLOCKED);
    bytes.push(0);
    bytes.resize(bytes.len() + elements.len() + 1, END);
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const V14: Option<(u8, u8)> = Some((14, 0));

    fn body(command: &str) -> Vec<u8> {
        match refusal(command, V14) {
            EasRefusal::Wbxml(body) => body,
            EasRefusal::Http403 => panic!("{command} has a document of its own"),
        }
    }

    /// A reader written apart from the writer: (page, token) of each element in order of opening, and the text.
    fn read(body: &[u8]) -> (Vec<(u8, u8)>, String) {
        assert_eq!(body[..4], [0x03, 0x01, 0x6A, 0x00]);
        let (mut page, mut open, mut elements, mut text) = (0, 0, Vec::new(), String::new());
        let mut rest = body[4..].iter().copied();
        while let Some(token) = rest.next() {
            match token {
                0x00 => page = rest.next().unwrap(),
                0x01 => open -= 1,
                0x03 => text.extend(rest.by_ref().take_while(|byte| *byte != 0).map(char::from)),
                _ => {
                    assert_eq!(token & 0xC0, 0x40, "content, no attributes");
                    open += 1;
                    elements.push((page, token & 0x3F));
                }
            }
        }
        assert_eq!(open, 0, "every element is closed");
        (elements, text)
    }

    #[test]
    fn folder_sync_byte_by_byte() {
        let expected = b"\x03\x01\x6A\x00\x00\x07\x56\x4C\x03129\x00\x01\x01";
        assert_eq!(body("FolderSync"), expected);
        assert_eq!(body("Sync"), b"\x03\x01\x6A\x00\x45\x4E\x03129\x00\x01\x01");
    }

    #[test]
    fn every_command_gets_its_own_document_with_status_129_and_nothing_else() {
        for (command, page, path, status) in COMMANDS {
            let (elements, text) = read(&body(command));
            assert_eq!(text, "129", "{command}");
            let expected: Vec<_> = path
                .iter()
                .chain([&status])
                .map(|token| (page, *token))
                .collect();
            assert_eq!(elements, expected, "{command}");
        }
    }

    #[test]
    fn no_answer_ever_asks_a_phone_to_wipe_itself() {
        for (command, ..) in COMMANDS {
            let (elements, text) = read(&body(command));
            assert_ne!(text, "140");
            // Provision: RemoteWipe and AccountOnlyRemoteWipe.
            assert!(
                !elements.contains(&(14, 0x0C)) && !elements.contains(&(14, 0x3B)),
                "{command}"
            );
        }
    }

    #[test]
    fn old_protocols_and_requests_without_a_document_get_403() {
        for protocol in [None, Some((2, 5)), Some((12, 1)), Some((13, 9))] {
            assert_eq!(refusal("FolderSync", protocol), EasRefusal::Http403);
        }
        for command in ["GetAttachment", "OPTIONS", "", "Teleport"] {
            assert_eq!(refusal(command, V14), EasRefusal::Http403, "{command}");
        }
    }

    #[test]
    fn letter_case_does_not_matter() {
        assert_eq!(
            refusal("foldersync", Some((16, 1))),
            EasRefusal::Wbxml(body("FolderSync"))
        );
    }
}
