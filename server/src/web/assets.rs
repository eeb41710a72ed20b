//! The stylesheet, script and icon of the console, carried in the program.
//!
//! Each is served under a name with the hash of its content, so a browser may keep it
//! for ever and still never shows new pages in an old dress.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse as _;
use countermand_core::hex;
use sha2::{Digest, Sha256};

use super::errors::{Answer, Fault};

struct Asset {
    stem: &'static str,
    ending: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const ASSETS: [Asset; 3] = [
    Asset {
        stem: "style",
        ending: "css",
        content_type: "text/css; charset=utf-8",
        bytes: include_bytes!("../../assets/style.css"),
    },
    Asset {
        stem: "live",
        ending: "js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../../assets/live.js"),
    },
    Asset {
        stem: "icon",
        ending: "svg",
        content_type: "image/svg+xml",
        bytes: include_bytes!("../../assets/icon.svg"),
    },
];

/// The hashed names, in the order of [`ASSETS`].
static NAMES: LazyLock<[String; 3]> = LazyLock::new(|| {
    ASSETS.each_ref().map(|asset| {
        let hash = hex::encode(&Sha256::digest(asset.bytes)[..8]);
        format!("{}.{hash}.{}", asset.stem, asset.ending)
    })
});

/// Content type and bytes of what stands under `/assets/PATH`. Only the present hash is
/// known: the answer may be cached as immutable.
pub fn asset(path: &str) -> Option<(&'static str, &'static [u8])> {
    let at = NAMES.iter().position(|name| name == path)?;
    ASSETS
        .get(at)
        .map(|asset| (asset.content_type, asset.bytes))
}

/// `style.css` → `/assets/style.HASH.css`. A name that is no asset comes back unhashed,
/// and answers 404.
pub fn asset_url(name: &str) -> String {
    let known = ASSETS
        .iter()
        .position(|asset| {
            name.strip_prefix(asset.stem)
                .and_then(|rest| rest.strip_prefix('.'))
                == Some(asset.ending)
        })
        .and_then(|at| NAMES.get(at));
    format!("/assets/{}", known.map_or(name, String::as_str))
}

/// The hash is in the name, so what stands under it never changes.
pub(super) async fn serve(Path(name): Path<String>) -> Answer {
    let (content_type, bytes) =
        asset(&name).ok_or_else(|| Fault::nothing_here("There is no such file."))?;
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, bytes).into_response())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_is_served_under_the_url_given_for_it() {
        for (name, content_type) in [
            ("style.css", "text/css"),
            ("live.js", "text/javascript"),
            ("icon.svg", "image/svg"),
        ] {
            let url = asset_url(name);
            let (found, bytes) = asset(url.strip_prefix("/assets/").unwrap()).unwrap();
            assert!(found.starts_with(content_type));
            assert!(!bytes.is_empty());
            assert_ne!(url, format!("/assets/{name}"));
        }
    }

    #[test]
    fn a_stale_hash_or_foreign_name_is_not_served() {
        assert!(asset("style.css").is_none());
        assert!(asset("style.0000000000000000.css").is_none());
        assert!(asset("../Cargo.toml").is_none());
    }
}
