//! Where the servers' programs are, and how they get there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::account;

const POSTGRES: &str = "/usr/lib/postgresql";
const RABBITMQ: &str = "/usr/lib/rabbitmq/bin";

/// Postgres' programs: of that major version, or the newest that is installed.
///
/// # Errors
///
/// When there are none.
pub fn postgres(version: Option<u32>) -> Result<PathBuf> {
    let newest =
        installed_postgres().into_iter().filter(|found| version.is_none_or(|wanted| wanted == *found)).max();
    let wanted = version.map_or("postgresql".to_owned(), |version| format!("postgresql-{version}"));
    let newest = newest.with_context(|| missing(&wanted, POSTGRES))?;
    Ok(Path::new(POSTGRES).join(newest.to_string()).join("bin"))
}

fn installed_postgres() -> Vec<u32> {
    let Ok(versions) = std::fs::read_dir(POSTGRES) else { return Vec::new() };
    versions
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| Path::new(POSTGRES).join(version.to_string()).join("bin/postgres").exists())
        .collect()
}

/// `RabbitMQ`'s own scripts (the ones in `/usr/sbin` switch user).
///
/// # Errors
///
/// When there are none.
pub fn rabbitmq() -> Result<PathBuf> {
    let dir = PathBuf::from(RABBITMQ);
    dir.join("rabbitmq-server").exists().then_some(dir).with_context(|| missing("rabbitmq-server", RABBITMQ))
}

fn missing(package: &str, place: &str) -> String {
    format!("nothing in {place}: apt-get install {package} (Debian), or set DATABASE_URL and AMQP_URL")
}

/// Installs what is missing of the two; returns the names of what it installed.
///
/// # Errors
///
/// When it may not (neither root nor sudo without a password), or apt-get fails.
pub fn install_missing() -> Result<Vec<&'static str>> {
    let found = [("postgresql", postgres(None).is_ok()), ("rabbitmq-server", rabbitmq().is_ok())];
    let missing: Vec<&str> =
        found.into_iter().filter(|(_, there)| !there).map(|(package, _)| package).collect();
    if missing.is_empty() {
        return Ok(missing);
    }
    let names = missing.join(" ");
    if !(account::is_root() || quietly("sudo", &["-n", "true"])) {
        bail!("{names} missing, and neither root nor sudo without a password: sudo apt-get install {names}");
    }
    let install = [&["install", "-y", "--no-install-recommends"], &*missing].concat();
    // The lists of a fresh machine or image are often empty: fetched when it does not work without.
    let installed = apt_get(&install) || (apt_get(&["update"]) && apt_get(&install));
    if !installed {
        bail!("apt-get could not install {names}: install it by hand, the package manager says why");
    }
    Ok(missing)
}

fn apt_get(args: &[&str]) -> bool {
    let rest = [&["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"], args].concat();
    if account::is_root() {
        quietly("env", &rest)
    } else {
        quietly("sudo", &[&["-n", "env"], &*rest].concat())
    }
}

fn quietly(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
