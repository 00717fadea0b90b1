//! Compares what came of a case with what must.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::case::{Address, Case, Is, On, Want};
use crate::dialects::OUR_NUMBER;
use crate::road::Road;

/// Everything that is wrong with a case.
pub(crate) async fn of(road: &Road, case: &Case) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for want in &case.wants {
        faults.extend(check(road, want).await.err().map(|error| format!("{error:#}")));
    }
    let addresses = case.addresses(OUR_NUMBER)?;
    let sends = road.sends().into_iter().filter(|(address, _)| addresses.contains(address));
    let sends: Vec<Value> = sends.map(|(_, body)| body).collect();
    let expected = case.sends(road.api);
    if !expected.contains(&sends.len()) {
        faults.push(format!("{} sends were asked for, and not {expected:?}: {sends:?}", sends.len()));
    }
    Ok(faults)
}

async fn check(road: &Road, want: &Want) -> Result<()> {
    match want {
        Want::Message(id, columns) => {
            let row = road.row("SELECT * FROM messages WHERE id = $1", id).await?;
            holds(&format!("message {id}"), row.as_ref(), columns)
        }
        Want::NoMessage(id) => {
            let row = road.row("SELECT * FROM messages WHERE id = $1", id).await?;
            ensure!(row.is_none(), "{id} has a row of its own: {row:?}");
            Ok(())
        }
        Want::NoStatus(id, status) => {
            let found = "SELECT * FROM message_statuses WHERE message_id = $1";
            let found = road.row(&format!("{found} AND status = '{status}'"), id).await?;
            ensure!(found.is_none(), "{id} has the status {status}");
            Ok(())
        }
        Want::OneContact { names, messages } => one_contact(road, names, messages).await,
        Want::Contact(name, columns) => {
            let named = "id = (SELECT id FROM contact_aliases WHERE alias = $1)";
            let row = road.row(&format!("SELECT * FROM contacts WHERE {named}"), name).await?;
            holds(&format!("contact {name}"), row.as_ref(), columns)
        }
        Want::Answered { message, on, address } => answered(road, message, *on, address.as_ref()).await,
        Want::MayBeAnswered(_) => Ok(()),
        Want::NotAnswered(message) => {
            let replies = road.effects(message, "send_text").await?;
            let wrong = replies.iter().find(|reply| reply.state != "discarded");
            ensure!(wrong.is_none(), "{message} owes a reply: {wrong:?}");
            Ok(())
        }
        Want::TakenOver { message, on } => taken_over(road, message, *on).await,
        Want::NotMarked(message) => {
            let marks = road.effects(message, "mark_read").await?;
            let wrong = marks.iter().find(|mark| mark.state != "discarded");
            ensure!(wrong.is_none(), "{message} owes a mark: {wrong:?}");
            ensure!(!road.was_marked(message), "{message} was marked as read");
            Ok(())
        }
        Want::OtherLane(one, other) => {
            let (one, other) = (lanes(road, one).await?, lanes(road, other).await?);
            ensure!(one.is_disjoint(&other), "they share a lane: {one:?}, {other:?}");
            Ok(())
        }
    }
}

fn holds(what: &str, row: Option<&Value>, columns: &[(&str, Is)]) -> Result<()> {
    let Some(row) = row else { anyhow::bail!("{what} has no row") };
    let wrong: Vec<String> = columns
        .iter()
        .filter_map(|(column, is)| {
            let Some(found) = row.get(*column) else { return Some(format!("there is no column {column}")) };
            let right = match is {
                Is::Text(text) => found == text,
                Is::Null => found.is_null(),
                Is::Set => !found.is_null(),
            };
            (!right).then(|| format!("{column} is {found}, and not {is:?}"))
        })
        .collect();
    ensure!(wrong.is_empty(), "{what}: {}", wrong.join(", "));
    Ok(())
}

async fn one_contact(road: &Road, names: &[String], messages: &[String]) -> Result<()> {
    let means =
        "SELECT DISTINCT aliases.id FROM unnest($1) name LEFT JOIN contact_aliases aliases ON alias = name";
    let ids: Vec<Option<String>> = sqlx::query_scalar(means).bind(names).fetch_all(&road.pool).await?;
    let [Some(id)] = ids.as_slice() else { anyhow::bail!("{names:?} mean {ids:?}") };
    let rows = "SELECT id FROM contacts WHERE id = ANY($1) OR phone_number = ANY($1) OR bsuid = ANY($1)";
    let rows: Vec<String> = sqlx::query_scalar(rows).bind(names).fetch_all(&road.pool).await?;
    ensure!(rows == [id.clone()], "{names:?} are the contacts {rows:?}");
    for message in messages {
        let of = "SELECT contact_id FROM messages WHERE id = $1";
        let of: Option<Option<String>> =
            sqlx::query_scalar(of).bind(message).fetch_optional(&road.pool).await?;
        ensure!(of.as_ref() == Some(&Some(id.clone())), "{message} is of {of:?}, and not of {id}");
    }
    Ok(())
}

async fn answered(road: &Road, message: &str, on: On, address: Option<&Address>) -> Result<()> {
    let replies = road.effects(message, "send_text").await?;
    let done = replies.iter().filter(|reply| reply.state == "done").count();
    let expected = usize::from(on.includes(road.api));
    ensure!(replies.len() == 1 && done == expected, "{message} has the replies {replies:?}");
    let (field, name) = match address {
        Some(Address::To(name)) => ("to", name),
        Some(Address::Recipient(name)) => ("recipient", name),
        None => return Ok(()),
    };
    if road.api == crate::case::Api::MetaProxy {
        let sends = road.sends();
        ensure!(sends.iter().any(|(_, body)| body[field] == **name), "nothing was sent with {field} {name}");
    }
    Ok(())
}

async fn taken_over(road: &Road, message: &str, on: On) -> Result<()> {
    let replies = road.effects(message, "send_text").await?;
    ensure!(replies.iter().all(|reply| reply.state != "done"), "{message} was answered: {replies:?}");
    if on.includes(road.api) {
        let told = |reply: &crate::road::Effect| {
            reply.state == "discarded"
                && reply.outcome.as_deref().is_some_and(|why| why.contains("taken over"))
        };
        ensure!(replies.len() == 1 && replies.iter().all(told), "{message} has the replies {replies:?}");
    }
    Ok(())
}

async fn lanes(road: &Road, message: &str) -> Result<BTreeSet<String>> {
    let mut lanes = BTreeSet::new();
    for kind in ["send_text", "mark_read"] {
        lanes.extend(road.effects(message, kind).await?.into_iter().map(|effect| effect.lane));
    }
    Ok(lanes)
}
