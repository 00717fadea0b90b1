//! Keeps what was compiled, under names: without them the next run's leftovers and anybody's can't be told apart.

use std::time::Duration;

use anyhow::Result;

use crate::place::{PROJECT, Place};

/// The stages of the Dockerfile that compile.
const STAGES: [&str; 3] = ["dependencies", "build", "build-kapso-sim"];

/// They have just been built: it takes a moment.
const MOMENT: Duration = Duration::from_secs(600);

/// Names the stages; what had a name before and is not used any more goes.
pub(crate) async fn keep(place: &Place) -> Result<()> {
    // BuildKit keeps and forgets by itself.
    if place.engine.plugin {
        return Ok(());
    }
    let dir = place.dir.display().to_string();
    let argument = format!("CARGO_CONFIG={}", place.compose.cargo_config());
    for stage in STAGES {
        let name = format!("{PROJECT}-{stage}");
        let before = place.engine.image(&name).await;
        let args = ["build", "-q", "-f", "deploy/Dockerfile", "--target", stage, "-t", &name];
        let file = format!("{dir}/deploy/Dockerfile");
        let args = args.map(|arg| if arg == "deploy/Dockerfile" { file.as_str() } else { arg });
        place.engine.docker_within(MOMENT, args.into_iter().chain(["--build-arg", &argument, &dir])).await?;
        let now = place.engine.image(&name).await;
        let id = |image: &Option<serde_json::Value>| Some(image.as_ref()?["Id"].as_str()?.to_owned());
        if let Some(old) = id(&before)
            && id(&now) != id(&before)
        {
            // It stays where something else was made from it.
            place.engine.docker(["rmi", &old]).await.ok();
        }
    }
    Ok(())
}
