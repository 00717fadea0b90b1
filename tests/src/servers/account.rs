//! Which user of the system a server runs as.
//!
//! Postgres refuses to run as root. As root it runs as the user `postgres` that Debian's package makes, and that user
//! must be able to reach its data.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Is this root?
pub(super) fn is_root() -> bool {
    own_uid() == 0
}

fn own_uid() -> u32 {
    // A process owns its own entry there.
    std::fs::metadata("/proc/self").map_or(u32::MAX, |entry| entry.uid())
}

/// The user and group to run Postgres as; none means as oneself.
pub(super) fn for_postgres() -> Result<Option<(u32, u32)>> {
    if !is_root() {
        return Ok(None);
    }
    let passwd = std::fs::read_to_string("/etc/passwd").context("can't read /etc/passwd")?;
    let user = passwd.lines().find_map(|line| {
        let mut fields = line.strip_prefix("postgres:")?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    user.map(Some)
        .context("root can't run Postgres, and there is no user `postgres`: apt-get install postgresql")
}

/// A directory for servers: `wanted` (made if it is missing), or, where the user `postgres` can't reach that, one
/// below `/var/tmp` that is the same at every call.
///
/// # Errors
///
/// When neither can be made.
pub fn reachable_home(wanted: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(wanted).with_context(|| format!("can't make {}", wanted.display()))?;
    let Some(user) = for_postgres()? else { return Ok(wanted.to_owned()) };
    if can_reach(user, wanted) {
        return Ok(wanted.to_owned());
    }
    let mut hasher = DefaultHasher::new();
    wanted.hash(&mut hasher);
    let home = PathBuf::from(format!("/var/tmp/buzon-{:016x}", hasher.finish()));
    if !home.exists() {
        std::fs::DirBuilder::new().mode(0o755).create(&home)?;
    }
    // Everybody can write to /var/tmp: what lies there under our name may be somebody else's.
    let found = std::fs::symlink_metadata(&home)?;
    ensure!(
        found.is_dir() && found.uid() == own_uid(),
        "{} belongs to somebody else: remove it",
        home.display()
    );
    Ok(home)
}

/// Can this user enter the directory?
pub(super) fn can_reach((uid, gid): (u32, u32), dir: &Path) -> bool {
    Command::new("/bin/sh")
        .args(["-c", r#"cd "$0""#])
        .arg(dir)
        .current_dir("/")
        .uid(uid)
        .gid(gid)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
