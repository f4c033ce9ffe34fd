//! Runs tools and keeps what they said for the error.

use std::io;
use std::process::{Command, Stdio};

use thiserror::Error;

/// So much of a tool's output stands in an error: the end, where compilers sum up.
const SHOWN_LINES: usize = 60;

/// Why a tool did not do its work.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("start {program}: {source}")]
    Start {
        /// Its name or path.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It said no.
    #[error("run {program} ({status}):\n{output}")]
    Failed {
        /// Its name or path.
        program: String,
        /// How it ended.
        status: String,
        /// The last lines of what it wrote.
        output: String,
    },
}

/// Runs a tool to its end and returns what it wrote to standard output.
pub(crate) fn run(command: &mut Command) -> Result<String, ProcessError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = match command.stdin(Stdio::null()).output() {
        Ok(done) => done,
        Err(source) => return Err(ProcessError::Start { program, source }),
    };
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() {
        return Ok(said);
    }
    let output = format!("{said}{}", String::from_utf8_lossy(&done.stderr));
    let lines: Vec<&str> = output.lines().collect();
    let output = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default().join("\n");
    Err(ProcessError::Failed { program, status: done.status.to_string(), output })
}

/// Says whether a program starts and knows its version.
pub(crate) fn has(program: &str) -> bool {
    let asked = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    asked.is_ok_and(|done| done.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_tool_is_quoted_by_its_end() {
        let mut command = Command::new("sh");
        command.args(["-c", "seq 100; echo broken >&2; exit 3"]);
        let error = run(&mut command).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("100\nbroken"), "{error}");
        assert!(!error.contains("\n41\n"), "{error}");
    }

    #[test]
    fn a_missing_tool_is_named() {
        let error = run(&mut Command::new("no-such-tool-here")).unwrap_err().to_string();
        assert!(error.starts_with("start no-such-tool-here: "), "{error}");
    }
}
