//! A disk that can be full.

use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::account;

/// A small file system in memory, for one server's data; only root can have one. Dropping it takes it away.
#[derive(Debug)]
pub struct SmallDisk {
    dir: PathBuf,
}

impl SmallDisk {
    /// Mounts one of so many megabytes at `dir`, which the server's user then owns.
    ///
    /// # Errors
    ///
    /// When it can't be mounted.
    pub fn mount(dir: &Path, megabytes: u32) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
        let size = format!("size={megabytes}m,mode=0700");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "buzon-small-disk"]).arg(dir))
            .context("only root can mount a small disk: run this test as root")?;
        let disk = Self { dir: dir.to_owned() };
        if let Some((uid, gid)) = account::for_postgres()? {
            chown(dir, Some(uid), Some(gid))?;
        }
        Ok(disk)
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Leaves no byte of it free.
    ///
    /// # Errors
    ///
    /// When the filler can't be written for another reason than that.
    pub fn fill(&self) -> Result<()> {
        let mut filler = File::create(self.filler())?;
        loop {
            match filler.write_all(&[0; 4096]) {
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                other => other?,
            }
        }
    }

    /// Ends what [`Self::fill`] began.
    ///
    /// # Errors
    ///
    /// When it is not full.
    pub fn free(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.dir.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has files open there keeps them until it ends.
        run(Command::new("umount").arg("-l").arg(&self.dir)).ok();
    }
}

fn run(command: &mut Command) -> Result<()> {
    let done = command.stdin(Stdio::null()).output()?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr).trim());
    Ok(())
}
