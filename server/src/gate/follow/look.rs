//! What the doctor sees of a gate-only server's following: it asks the main server as that one does.

use std::path::Path;

use hyper::Method;

use super::super::feed::media_type;
use super::{Caller, EVERYTHING, after, no_view};
use crate::config::FollowConfig;
use crate::live::disk::Disk;
use crate::live::part::Part;

/// A main server that gives its view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Followed {
    /// Of which version the view on disk is; `None` where there is none that can be read.
    pub on_disk: Option<i64>,
    /// The view on disk is of another installation.
    pub is_anothers: bool,
}

/// Asks for what changed after the view on disk, and changes nothing there. An error is what is wrong.
pub async fn look(config: &FollowConfig, view: &Path) -> Result<Followed, String> {
    let mut caller = Caller::new(config)?;
    // What is wrong with the file its server says at its start, and a new one is fetched.
    let stored = Disk::look(view).ok().flatten();
    let last = stored.and_then(|stored| stored.parts.last().map(Part::head));
    let question = last.as_ref().map_or(EVERYTHING.to_owned(), after);
    let reply = caller.call(Method::GET, &question, Vec::new()).await;
    let reply = reply.map_err(|error| error.to_string())?;
    let part = match reply.status {
        204 if reply.age.is_some() => None,
        200 if reply.age.is_some() && reply.media_type == media_type() => {
            let part = Part::decode(&reply.body);
            Some(part.map_err(|error| caller.error(error.to_string()).to_string())?)
        }
        _ => return Err(caller.error(no_view(&reply)).to_string()),
    };
    let is_anothers = match (&part, &last) {
        (Some(part), Some(last)) => part.installation != last.installation,
        _ => false,
    };
    Ok(Followed {
        on_disk: last.map(|last| last.version),
        is_anothers,
    })
}
