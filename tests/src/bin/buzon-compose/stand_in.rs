//! The images to build and run on. What is there is used; what is not is pulled; what can't be pulled is built from
//! Debian's packages, under the same name (`deploy/stand-ins`).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::engine;
use crate::place::Place;
use crate::shipped;

/// On every stand-in. It stays until somebody removes it.
const LABEL: &str = "buzon.stand-in";

/// Where a machine trusts an authority of its own, this is where Debian keeps it.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How long a pull, and the making of a stand-in, may take.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Sees to it that every image is there, and says which are stand-ins.
pub(crate) async fn provide(place: &Place) -> Result<String> {
    let mut images = shipped::images(&place.dir)?;
    // The others are made from it.
    images.sort_by_key(|name| !name.starts_with("debian:"));
    let mut can_pull = true;
    let mut said = Vec::new();
    for name in images {
        let of = match place.engine.image(&name).await {
            Some(image) if image["Config"]["Labels"][LABEL].is_string() => "a stand-in",
            Some(_) => "the official image",
            None if can_pull && pull(place, &name).await => "the official image, pulled",
            None => {
                can_pull = false;
                make(place, &name).await.with_context(|| format!("no stand-in for {name}"))?;
                "a stand-in, made now"
            }
        };
        said.push(format!("{name} is {of}"));
    }
    Ok(said.join(", "))
}

async fn pull(place: &Place, name: &str) -> bool {
    place.engine.docker_within(PATIENCE, ["pull", "-q", name]).await.is_ok()
}

fn repository(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

/// The stand-ins' own files, of those that belong to this one: `debian`, `caddy.Dockerfile`, `postgres-entrypoint`.
fn files(place: &Place, repository: &str) -> Result<Vec<PathBuf>> {
    let dir = place.dir.join("deploy/stand-ins");
    let mut files: Vec<PathBuf> = fs::read_dir(&dir)?.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.split(['.', '-']).next() == Some(repository)
    });
    files.sort();
    ensure!(!files.is_empty(), "nothing in deploy/stand-ins is for {repository}");
    Ok(files)
}

async fn make(place: &Place, name: &str) -> Result<()> {
    let label = format!("{LABEL}=1");
    if repository(name) == "debian" {
        if !Path::new("/usr/sbin/debootstrap").exists() {
            bail!(
                "it can't be pulled, and for a stand-in debootstrap is missing (apt-get install debootstrap)"
            );
        }
        let mut import = engine::command("docker");
        import.args(["import", "-c", &format!("LABEL {label}"), "-c", "CMD [\"bash\"]", "-", name]);
        engine::pipe(&place.dir.join("deploy/stand-ins/debian"), &mut import, PATIENCE).await?;
        return Ok(());
    }
    let context = place.dir.with_file_name("stand-in");
    if context.exists() {
        fs::remove_dir_all(&context)?;
    }
    fs::create_dir_all(&context)?;
    for file in files(place, repository(name))? {
        let of = file.file_name().context("a file has a name")?;
        fs::copy(&file, context.join(of))?;
    }
    if repository(name) == "rust" {
        lay_toolchain(&context).await?;
    }
    let dir = context.display().to_string();
    let file = format!("{dir}/{}.Dockerfile", repository(name));
    let args = ["build", "-q", "--label", &label, "-t", name, "-f", &file, &dir];
    place.engine.docker_within(PATIENCE, args).await?;
    fs::remove_dir_all(&context)?;
    Ok(())
}

/// The machine's own toolchain, without its documentation and what only a person needs.
async fn lay_toolchain(context: &Path) -> Result<()> {
    let minute = Duration::from_secs(60);
    let mut rustc = engine::command("rustc");
    let sysroot = PathBuf::from(engine::run(rustc.args(["--print", "sysroot"]), minute).await?.trim());
    let toolchain = context.join("toolchain");
    for (from, to) in [("bin/cargo", "bin"), ("bin/rustc", "bin"), ("lib", "")] {
        let to = toolchain.join(to);
        fs::create_dir_all(&to)?;
        let mut copy = engine::command("cp");
        engine::run(copy.arg("-a").arg("--reflink=auto").arg(sysroot.join(from)).arg(to), PATIENCE).await?;
    }
    fs::remove_dir_all(toolchain.join("lib/rustlib/src")).ok();
    fs::copy(AUTHORITIES, context.join("ca-certificates.crt")).context(AUTHORITIES)?;
    Ok(())
}
