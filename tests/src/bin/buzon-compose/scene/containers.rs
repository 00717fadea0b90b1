//! What the containers are, by the engine's own word and by trying.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Scene;
use crate::compose::Container;
use crate::place::PROJECT;

/// Our own programs.
const PROGRAMS: [&str; 3] = ["ingest", "worker", "kapso-sim"];

/// The largest that an image of ours may be, in bytes.
const LARGEST: u64 = 100_000_000;

/// What lies on volumes, by service.
const VOLUMES: [(&str, &[&str]); 4] = [
    ("rabbitmq", &["/var/lib/rabbitmq"]),
    ("postgres", &["/var/lib/postgresql/data"]),
    ("ingest", &["/var/lib/buzon/spool"]),
    ("caddy", &["/data", "/config"]),
];

/// What is published on the loopback alone.
const PUBLISHED: [&str; 2] = ["ingest", "kapso-sim"];

impl Scene<'_> {
    /// Looks at every container that there is.
    pub(crate) async fn containers(&self) -> Result<String> {
        let all = self.compose.containers("").await?;
        for container in &all {
            let name = container.service();
            self.looks_well(container).with_context(|| format!("the container of {name}"))?;
        }
        let mut sizes = Vec::new();
        for program in PROGRAMS {
            self.is_shut(program).await.with_context(|| format!("the container of {program}"))?;
            let image = format!("{PROJECT}-{program}");
            let found = self.place.engine.image(&image).await.with_context(|| format!("no image {image}"))?;
            let size = found["Size"].as_u64().context("an image has a size")?;
            ensure!(size <= LARGEST, "the image of {program} has {size} bytes");
            self.needs_no_shell(program, &image).await?;
            sizes.push(format!("{program} {:.1} MB", size as f64 / 1e6));
        }
        Ok(format!("images: {}", sizes.join(", ")))
    }

    fn looks_well(&self, container: &Container) -> Result<()> {
        let (host, config) = (&container.0["HostConfig"], &container.0["Config"]);
        let service = container.service();
        let options = host["SecurityOpt"].to_string();
        ensure!(options.contains("no-new-privileges"), "it can gain privileges: {options}");
        ensure!(host["Privileged"] == false, "it is privileged");
        self.ports(container)?;
        let named = volumes(container);
        if let Some((_, wanted)) = VOLUMES.iter().find(|(of, _)| *of == service) {
            for place in *wanted {
                let volume =
                    named.get(*place).with_context(|| format!("{place} is on no volume: {named:?}"))?;
                ensure!(
                    volume.starts_with(PROJECT),
                    "{place} is on a volume without a name, which `down` forgets"
                );
            }
        }
        if PROGRAMS.contains(&service) || service == "migrate" {
            let user = config["User"].as_str().unwrap_or_default();
            ensure!(!user.is_empty() && !user.starts_with('0') && user != "root", "it runs as {user:?}");
            ensure!(host["ReadonlyRootfs"] == true, "it can write to its file system");
            ensure!(host["CapDrop"].to_string().contains("ALL"), "it has capabilities");
            ensure!(container.0["Path"] == program(service), "it starts {}", container.0["Path"]);
            // `CMD` is a program; `CMD-SHELL` would be a shell's.
            ensure!(config["Healthcheck"]["Test"][0] != "CMD-SHELL", "its health check needs a shell");
        }
        Ok(())
    }

    /// Published on the loopback or not at all; Caddy's are where `.env` has put them.
    fn ports(&self, container: &Container) -> Result<()> {
        let service = container.service();
        let ports = container.0["HostConfig"]["PortBindings"].as_object();
        let bound: Vec<&Value> = ports.into_iter().flat_map(|ports| ports.values()).collect();
        let all = bound.iter().filter_map(|port| port.as_array()).flatten();
        for port in all.clone() {
            ensure!(port["HostIp"] == "127.0.0.1", "published on {} {}", port["HostIp"], port["HostPort"]);
        }
        let may = PUBLISHED.contains(&service) || service == "caddy";
        ensure!(may || all.count() == 0, "it is published: {bound:?}");
        Ok(())
    }

    /// By trying: nothing can be written, not even by the user that it runs as.
    async fn is_shut(&self, service: &str) -> Result<()> {
        let id = self.compose.inside(service, &["id", "-u"]).await?;
        ensure!(id.trim() == "65532", "its user is {id}");
        for place in ["/tmp/x", "/x", "/usr/local/bin/x"] {
            let tried = self.compose.inside(service, &["touch", place]).await;
            ensure!(tried.is_err(), "{place} can be written");
        }
        if service == "ingest" {
            let place = "/var/lib/buzon/spool/of-the-test";
            self.compose.inside(service, &["touch", place]).await.context("the spool can't be written")?;
            self.compose.inside(service, &["rm", place]).await?;
        }
        Ok(())
    }

    /// It starts where the shells are empty files.
    async fn needs_no_shell(&self, program: &str, image: &str) -> Result<()> {
        let nothing = self.place.dir.join("no-shell");
        std::fs::write(&nothing, "")?;
        let hide = |shell: &str| format!("{}:{shell}:ro", nothing.display());
        let (dash, bash) = (hide("/usr/bin/dash"), hide("/usr/bin/bash"));
        let label = format!("com.docker.compose.project={PROJECT}");
        let run = ["run", "--rm", "--network", "none", "--label", &label, "-v", &dash, "-v", &bash];
        let shell = ["--entrypoint", "/bin/sh", image, "-c", "true"];
        let tried = self.place.engine.docker(run.iter().chain(&shell)).await;
        ensure!(tried.is_err(), "the shell of {program} is still there");
        self.place.engine.docker(run.iter().chain(&[image, "--help"])).await?;
        Ok(())
    }
}

/// The program that a service starts.
fn program(service: &str) -> &str {
    if service == "migrate" { "worker" } else { service }
}

/// Names of volumes by the place where they are mounted.
fn volumes(container: &Container) -> BTreeMap<String, String> {
    let mounts = container.0["Mounts"].as_array().into_iter().flatten();
    let volumes = mounts.filter(|mount| mount["Type"] == "volume");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    volumes.map(|mount| (text(&mount["Destination"]), text(&mount["Name"]))).collect()
}
