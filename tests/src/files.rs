//! The limit of open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises this process's limit of open files, which its children inherit, as far as it may.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    // A refusal shows later, as a connection that cannot be opened.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
