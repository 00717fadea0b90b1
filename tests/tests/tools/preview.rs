//! A dry run shows what would change, and changes nothing.

use anyhow::{Result, ensure};

use crate::scene::{Scene, guides};

#[tokio::test]
async fn a_dry_run_leaves_no_trace() -> Result<()> {
    let scene = Scene::new().await?;
    scene.stores(&guides(600)).await?;
    scene.run("DELETE FROM messages WHERE id = 'msg-1'").await?;
    scene.run("UPDATE messages SET body = NULL, body_rank = 0 WHERE id = 'msg-2'").await?;
    scene.run("INSERT INTO contacts (id, name) VALUES ('56955512345', 'Nadie')").await?;
    scene.run("ALTER TABLE messages ADD CONSTRAINT no_poison CHECK (id <> 'msg-599') NOT VALID").await?;
    scene.run("DELETE FROM effects WHERE message_id = 'msg-3'").await?;
    let before = scene.dump().await?;
    // A rebuild would take away what nobody told of, and what is refused by now.
    for args in [
        &["replay", "--all", "--dry-run"][..],
        &["replay", "--all", "--dry-run", "--effects"],
        &["replay", "--rebuild", "--dry-run"],
    ] {
        let said = scene.tool_with(args, &["KAPSO_API_TOKEN"]).await?.fine()?;
        ensure!(said.out.contains("Nothing was changed."), "{said:?}");
        ensure!(said.out.contains("messages: 1 new, 1 changed"), "{said:?}");
        ensure!(said.out.contains("dead_letters: 1 new"), "{said:?}");
        ensure!(said.out.contains("effects: ") == args.contains(&"--effects"), "{said:?}");
        ensure!(said.out.contains("contacts: 2 gone") == args.contains(&"--rebuild"), "{said:?}");
        ensure!(said.out.contains(" gone") == args.contains(&"--rebuild"), "{said:?}");
        ensure!(!said.out.contains("dice") && !said.out.contains("Nadie"), "{said:?}");
        ensure!(!said.out.contains("56955512345") && !said.out.contains("5691000"), "{said:?}");
        let after = scene.dump().await?;
        ensure!(before == after, "{args:?} left something");
    }
    Ok(())
}

#[tokio::test]
async fn it_shows_what_changes_and_texts_when_asked() -> Result<()> {
    let scene = Scene::new().await?;
    scene.stores(&guides(3)).await?;
    scene.run("UPDATE messages SET body = NULL, body_rank = 0 WHERE id = 'msg-2'").await?;
    let masked = scene.tool(&["replay", "--all", "--dry-run"]).await?.fine()?;
    ensure!(
        masked.out.contains("\nmessages msg-2 (changed)\n    body: nothing → 6 characters\n"),
        "{masked:?}"
    );
    let open = scene.tool(&["replay", "--all", "--dry-run", "--show-text"]).await?.fine()?;
    ensure!(open.out.contains("    body: nothing → dice 2\n"), "{open:?}");
    let json = scene.tool(&["replay", "--all", "--dry-run", "--json"]).await?.fine()?.json()?;
    ensure!(json["preview"]["tables"]["messages"]["changed"] == 1, "{json}");
    ensure!(json["preview"]["rows"][0]["after"]["body"] == "6 characters", "{json}");
    let none = scene.tool(&["replay", "--all", "--dry-run", "--rows", "0"]).await?.fine()?;
    ensure!(!none.out.contains("msg-2") && none.out.contains("… and 1 more"), "{none:?}");
    scene.tool(&["replay", "--all"]).await?.fine()?;
    let same = scene.tool(&["replay", "--all", "--dry-run"]).await?.fine()?;
    ensure!(same.out.contains("No row would change."), "{same:?}");
    Ok(())
}
