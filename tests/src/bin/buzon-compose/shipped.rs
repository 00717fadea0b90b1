//! What the shipped files say, as far as it has to be known here.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

/// The images of others that the compose file and the Dockerfile name.
pub(crate) fn images(checkout: &Path) -> Result<Vec<String>> {
    let read = |file: &str| {
        std::fs::read_to_string(checkout.join(file)).with_context(|| format!("can't read {file}"))
    };
    Ok(images_of(&read("deploy/Dockerfile")?, &read("docker-compose.yml")?))
}

fn images_of(dockerfile: &str, compose: &str) -> Vec<String> {
    let built_on = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")?.split(' ').next());
    let run = compose.lines().filter_map(|line| line.trim().strip_prefix("image: "));
    // Ours and the Dockerfile's own stages have no tag.
    let tagged = built_on.chain(run).filter(|name| name.contains(':') && !name.contains("${"));
    tagged.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }

    #[test]
    fn names_the_images_of_others() -> Result<()> {
        let found = images(checkout())?;
        let names: Vec<&str> = found.iter().filter_map(|image| image.split(':').next()).collect();
        assert_eq!(names, ["caddy", "debian", "postgres", "rabbitmq", "rust"]);
        Ok(())
    }

    /// Compose passes a container what the file names, and nothing else.
    #[test]
    fn every_setting_reaches_a_container() -> Result<()> {
        let example = std::fs::read_to_string(checkout().join(".env.example"))?;
        let compose = std::fs::read_to_string(checkout().join("docker-compose.yml"))?;
        let settings: Vec<&str> = example
            .lines()
            .filter_map(|line| line.trim_start_matches('#').split_once('='))
            .map(|(name, _)| name)
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
            .collect();
        assert!(settings.len() > 40, "{settings:?}");
        let named = |name: &str| {
            compose.lines().any(|line| {
                let line = line.trim_start();
                line.strip_prefix(name).is_some_and(|rest| rest.starts_with(": "))
                    || line.contains(&format!("${{{name}:"))
            })
        };
        let forgotten: Vec<_> = settings.into_iter().filter(|name| !named(name)).collect();
        assert!(forgotten.is_empty(), "docker-compose.yml does not pass {forgotten:?}");
        Ok(())
    }
}
