//! Write and sync in groups: what the disk takes at the most.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::envelope;
use crate::part::Done;
use crate::traffic::{Stream, Traffic};

/// A file is begun anew at so many bytes, as the spool does.
const FILE_BYTES: usize = 8 * 1024 * 1024;

/// What is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Syncing {
    /// Where.
    pub dir: PathBuf,
    /// The webhooks.
    pub stream: Stream,
    /// How many are written with one call and synced once.
    pub group: u64,
    /// For how long.
    pub seconds: f64,
}

impl Syncing {
    /// Makes the groups, waits for `cue`, and writes.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub async fn run(self, cue: impl AsyncFnOnce() -> Result<()>) -> Result<Done> {
        const GROUPS: u64 = 64;
        let traffic = Traffic::of(self.stream)?;
        let group = |nth: u64| {
            let numbers = nth * self.group..(nth + 1) * self.group;
            numbers.flat_map(|number| envelope(&traffic, number).body.to_vec()).collect::<Vec<u8>>()
        };
        let groups: Vec<_> = (0..GROUPS).map(group).collect();
        std::fs::create_dir_all(&self.dir)?;
        cue().await?;
        let (start, mut count, mut written) = (Instant::now(), 0, 0);
        let path = self.dir.join("bare");
        let mut file = File::create(&path)?;
        for bytes in groups.iter().cycle() {
            if start.elapsed().as_secs_f64() >= self.seconds {
                break;
            }
            if written >= FILE_BYTES {
                (file, written) = (File::create(&path)?, 0);
            }
            file.write_all(bytes)?;
            file.sync_data()?;
            written += bytes.len();
            count += self.group;
        }
        std::fs::remove_file(&path)?;
        Ok(Done { count, seconds: start.elapsed().as_secs_f64() })
    }
}
