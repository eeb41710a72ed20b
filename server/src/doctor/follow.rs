//! A gate-only server's way to the main one: whether that gives its view, whether the view here is of it, and
//! what waits to be handed over.

use countermand_core::words::counted;

use super::Visit;
use super::report::Report;
use crate::gate::follow;
use crate::gate::spool::{self, Contents};
use crate::live::disk;

pub async fn look(visit: &Visit, report: &mut Report) {
    main_server(visit, report).await;
    let folder = visit.data.join(spool::FOLDER);
    let place = folder.display().to_string();
    match spool::look(&folder) {
        Ok(contents) => waiting(&place, &contents, report),
        Err(error) => report.failed(
            "spool",
            place,
            [
                &format!("what waits for the main server can't be seen: {error}"),
                "a folder of the user that serve --gate-only runs as",
                "run doctor as that user, and see that the folder is theirs",
            ],
        ),
    }
}

async fn main_server(visit: &Visit, report: &mut Report) {
    let (config, view) = (&visit.config.follow, visit.data.join(disk::FILE));
    let place = config.url.as_str();
    let followed = match follow::look(config, &view).await {
        Ok(followed) => followed,
        Err(why) => {
            return report.failed(
                "follow",
                place,
                [
                    &why,
                    "its view, for who shows the secret; until then doors answer from the last one, up to max_view_age",
                    "start the main server, or correct [follow] url, secret and ca_file",
                ],
            );
        }
    };
    let file = view.display().to_string();
    match followed.on_disk {
        _ if followed.is_anothers => report.failed(
            "follow.view",
            file,
            [
                "the view on disk is of another installation, or of before a backup took the database's place",
                "that of the main server, within a second",
                "restart serve --gate-only, and see its log",
            ],
        ),
        None => report.warning(
            "follow.view",
            file,
            [
                "there is no view on disk that can be read: a start while the main server is away would leave the doors without a verdict",
                "one, a second after serve --gate-only has started",
                "see the log of serve --gate-only, and whether there is room on the disk",
            ],
        ),
        Some(version) => {
            let what = format!("gives its view, and takes the secret; the view on disk is of commit {version}");
            report.ok("follow", place, what);
        }
    }
}

fn waiting(place: &str, contents: &Contents, report: &mut Report) {
    let files = |n: usize| counted(n as u64, "file", "files");
    let waits = files(contents.waiting);
    if contents.full {
        report.failed(
            "spool",
            place,
            [
                &format!("it is full: {waits}, {} bytes. Further refusals wait in memory, and are lost if the machine goes down", contents.bytes),
                "refusals that the main server takes within a second",
                "let the main server be reached; what it took makes room",
            ],
        );
    } else if contents.aside.is_empty() {
        report.ok("spool", place, format!("{waits} to hand over"));
    }
    if let Some(newest) = contents.aside.last() {
        report.warning(
            "spool.aside",
            place,
            [
                &format!(
                    "{} put aside, the last is {newest}: {}",
                    files(contents.aside.len()),
                    contents.why.join("; ")
                ),
                "none: the references in it can't be looked up, and no retraction corrects its people",
                "read it, tell who is concerned, and remove it",
            ],
        );
    }
}
