//! Signals, sent by the shell's own `kill`: it is on every machine, and needs no unsafe code here.

use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

/// A signal that the harness sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT.
    Interrupt,
    /// SIGHUP: read the configuration again.
    HangUp,
    /// SIGQUIT: for Postgres, stop at once and recover at the next start.
    Quit,
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
    /// SIGSTOP: alive, and silent.
    Freeze,
    /// SIGCONT.
    Thaw,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "INT",
            Self::HangUp => "HUP",
            Self::Quit => "QUIT",
            Self::Terminate => "TERM",
            Self::Kill => "KILL",
            Self::Freeze => "STOP",
            Self::Thaw => "CONT",
        }
    }
}

/// Sends a signal to a process that no handle of ours is for.
///
/// # Errors
///
/// When there is none, or it is somebody else's.
pub fn send(signal: Signal, pid: u32) -> Result<()> {
    let sent = Command::new("/bin/sh")
        .args(["-c", r#"kill -s "$0" "$1""#, signal.name(), &pid.to_string()])
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&sent.stderr);
    ensure!(sent.status.success(), "can't send SIG{} to {pid}: {}", signal.name(), said.trim());
    Ok(())
}
