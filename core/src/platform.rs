//! The platforms a device can run and a package id can belong to.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The operating system family. iPadOS counts as iOS: both take the same bundle ids.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, PartialOrd, Ord, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    Ios,
    Android,
    Macos,
    Windows,
    Linux,
}

impl Platform {
    pub const ALL: [Platform; 5] = [
        Platform::Ios,
        Platform::Android,
        Platform::Macos,
        Platform::Windows,
        Platform::Linux,
    ];

    /// The word that files, commands and JSON use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Platform::Ios => "ios",
            Platform::Android => "android",
            Platform::Macos => "macos",
            Platform::Windows => "windows",
            Platform::Linux => "linux",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no platform; write one of ios, android, macos, windows, linux")]
pub struct UnknownPlatform {
    pub given: String,
}

impl FromStr for Platform {
    type Err = UnknownPlatform;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        Platform::ALL
            .into_iter()
            .find(|platform| platform.as_str().eq_ignore_ascii_case(given.trim()))
            .ok_or_else(|| UnknownPlatform {
                given: given.to_owned(),
            })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_in_any_letter_case() {
        for platform in Platform::ALL {
            assert_eq!(platform.to_string().parse(), Ok(platform));
            assert_eq!(platform.as_str().to_uppercase().parse(), Ok(platform));
            assert_eq!(
                serde_json::to_string(&platform).unwrap(),
                format!("\"{platform}\"")
            );
        }
        assert_eq!(" iOS ".parse(), Ok(Platform::Ios));
    }

    #[test]
    fn a_wrong_word_says_which_are_right() {
        let error = "symbian".parse::<Platform>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`symbian` is no platform; write one of ios, android, macos, windows, linux"
        );
    }
}
