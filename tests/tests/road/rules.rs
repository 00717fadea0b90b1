//! The rule book: read at the start, and again when the worker is told to.

use std::{fs, path::PathBuf};

use anyhow::{Result, ensure};
use harness::{process::Signal, wait};
use kapso_sim::{InboundMessage, SentIds};

use crate::scene::{PATIENCE, Road, number};

/// A rule that answers `keyword`, as a whole word, with `reply`.
fn rule(keyword: &str, reply: &str) -> String {
    format!(
        "[[rule]]\nname = \"a rule\"\nkeywords = [\"{keyword}\"]\nmatch = \"word\"\nreply = \"{reply}\"\n"
    )
}

impl Road {
    /// Puts a book where the next worker reads it.
    fn book(&mut self, text: &str) -> Result<PathBuf> {
        let file = self.stage.dir().join("rules.toml");
        fs::write(&file, text)?;
        self.stage.set("BUZON_CONFIG", file.to_string_lossy());
        Ok(file)
    }

    /// Says a text, and tells what it was answered with once it is settled.
    async fn answer_to(&self, contact: usize, text: &str) -> Result<Vec<String>> {
        let ids = self.sim.inbound(InboundMessage::text(number(contact), text));
        self.effect_becomes(&ids.message_id, "mark_read", "done").await?;
        Ok(self.replies_to(&ids))
    }

    fn replies_to(&self, ids: &SentIds) -> Vec<String> {
        let sends = self.sim.accepted_sends().into_iter();
        sends
            .filter(|send| send.conversation_id == ids.conversation_id)
            .filter_map(|send| send.text)
            .collect()
    }
}

#[tokio::test]
async fn a_rule_book_is_read_at_the_start_and_again_on_a_hang_up() -> Result<()> {
    let mut road = Road::new().await?;
    let file = road.book(&rule("précio", "Desde $10"))?;
    let [_ingest, mut worker] = road.open().await?;
    // Replies go before marks: when the mark is done, so is the reply.
    assert_eq!(road.answer_to(1, "¿Precio?").await?, ["Desde $10"]);
    assert!(road.answer_to(2, "precios").await?.is_empty(), "no whole word");
    assert!(road.answer_to(3, "ayuda").await?.is_empty(), "the guide's rule is not in the book");

    for (text, told, reply) in [
        (rule("precio", "Desde $12"), "rules read again", "Desde $12"),
        (rule("precio", ""), "rules.toml, line 5: the rule \\\"a rule\\\" has an empty reply", "Desde $12"),
        (rule("precio", "Desde $14"), "rules read again", "Desde $14"),
    ] {
        let times = worker.log().matches(told).count();
        fs::write(&file, text)?;
        worker.process().signal(Signal::HangUp)?;
        wait::until("the book to be read", PATIENCE, async || {
            let log = worker.log();
            ensure!(log.matches(told).count() > times, "{log}");
            Ok(true)
        })
        .await?;
        assert_eq!(road.answer_to(4, "precio").await?.last().map(String::as_str), Some(reply));
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_does_not_start_with_a_book_that_is_wrong_or_missing() -> Result<()> {
    let mut road = Road::new().await?;
    let file = road.book("\n[[rules]]\n")?;
    let refused = road.stage.finish("worker", &["run"]).await?;
    assert_eq!(refused.code, Some(64), "{}", refused.log);
    assert!(refused.log.contains("rules.toml, line 2: unknown field `rules`"), "{}", refused.log);

    fs::remove_file(file)?;
    let refused = road.stage.finish("worker", &["run"]).await?;
    assert_eq!(refused.code, Some(64), "{}", refused.log);
    assert!(refused.log.contains("BUZON_CONFIG can't be used"), "{}", refused.log);
    Ok(())
}

/// What one person is answered is counted by the book's guard.
#[tokio::test]
async fn the_guard_is_the_books() -> Result<()> {
    let mut road = Road::new().await?;
    road.book(&format!("[reply]\nat_most = {{ per_minute = 1 }}\n{}", rule("precio", "Desde $10")))?;
    let _programs = road.open().await?;
    let said: Vec<_> = (0..3).map(|_| road.sim.inbound(InboundMessage::text(number(1), "precio"))).collect();
    for ids in &said {
        road.effect_becomes(&ids.message_id, "mark_read", "done").await?;
    }
    assert_eq!(road.sim.accepted_sends().len(), 1);
    Ok(())
}
