//! The threads that all work of the program shares.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// A wake from the database's thread comes by the queue that all share. Looked at only now and then, as is usual, each
/// of its answers waits for whatever the sessions have to do: a tenth of the sender's pace.
const BETWEEN_LOOKS_AT_SHARED_QUEUE: u32 = 1;

pub fn start() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .global_queue_interval(BETWEEN_LOOKS_AT_SHARED_QUEUE)
        .build()
}
