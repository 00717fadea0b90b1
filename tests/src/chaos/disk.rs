//! The disk of ingest's spool: a small file system of its own where that can be mounted, so that it can be full.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::product::Settings;

/// Room for what comes in during the longest outage of a run; memory, as far as it is used.
const SIZE: &str = "size=256m";

/// Where nothing can be mounted, the spool may not take more than this, in bytes: an outage fills it.
const QUOTA: u64 = 4 << 20;

/// The spool's disk. Dropped, it is unmounted.
#[derive(Debug)]
pub(super) struct Disk {
    /// What is mounted.
    root: PathBuf,
    mounted: bool,
}

impl Disk {
    /// Mounts it, if this user may mount.
    pub(super) fn mount(root: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&root).with_context(|| format!("can't make {}", root.display()))?;
        let mounted = succeeds("mount", &["-t", "tmpfs", "-o", SIZE, "buzon-chaos"], &root);
        let disk = Self { root, mounted };
        std::fs::create_dir_all(disk.spool())?;
        Ok(disk)
    }

    /// How it will be filled.
    pub(super) fn describe(&self) -> &'static str {
        if self.mounted { "a file system of its own" } else { "a quota: only root can mount" }
    }

    /// What ingest is told.
    pub(super) fn settings(&self) -> Settings {
        let mut settings = Settings::new();
        settings.insert("BUZON_SPOOL_DIR".to_owned(), self.spool().display().to_string());
        if !self.mounted {
            settings.insert("BUZON_SPOOL_MAX_BYTES".to_owned(), QUOTA.to_string());
        }
        settings
    }

    /// Leaves no byte free. Behind a quota the load does that.
    pub(super) async fn fill(&self) -> Result<()> {
        if self.mounted {
            let ballast = self.ballast();
            tokio::task::spawn_blocking(move || fill(&ballast)).await??;
        }
        Ok(())
    }

    /// Ends what [`Self::fill`] began.
    pub(super) fn free(&self) {
        // It is not there where nothing was filled.
        std::fs::remove_file(self.ballast()).ok();
    }

    fn spool(&self) -> PathBuf {
        self.root.join("spool")
    }

    fn ballast(&self) -> PathBuf {
        self.root.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily: a program that is being killed may still have a file open.
            succeeds("umount", &["--lazy"], &self.root);
        }
    }
}

fn fill(ballast: &Path) -> Result<()> {
    let mut ballast = File::create(ballast)?;
    for size in [1 << 20, 4096, 1] {
        let block = vec![0; size];
        while ballast.write_all(&block).is_ok() {}
    }
    ensure!(ballast.metadata()?.len() > 0, "nothing could be written to the spool's disk");
    Ok(())
}

fn succeeds(program: &str, args: &[&str], path: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(args).arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
