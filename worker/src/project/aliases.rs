//! From the names in events to the ids in tables, with the facts that link them kept.
//!
//! The alias tables only ever gain links. Which id a name means is decided by all links
//! known ([`super::names`]), never by which came first; when a new link makes two known
//! ids one, their rows are merged ([`super::merge`]), alone ([`Lock::Exclusive`]).
//!
//! Why a plain insert is enough to find out: two names of one thing meet in the row of one of
//! them, whose primary key makes two transactions that disagree wait for each other there.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

use super::{
    Lock, ProjectError,
    names::{Better, Union, better_contact, better_message, is_kapso_message},
    registers::Party,
};

/// One kind of thing that has names.
pub(super) struct Named {
    better: Better,
    /// Whether a name has a row even while it means itself. The others get theirs when they
    /// turn out to mean another id, and until then cost nothing.
    has_row: fn(&str) -> bool,
    /// A join and no `= ANY($1)`: a plan that was made while the table was small is kept until it is analyzed, and then
    /// compares each row with each name.
    select: &'static str,
    insert: &'static str,
    update: &'static str,
}

/// Contacts: even a phone number can be one of two of the same person.
pub(super) const CONTACTS: Named = Named {
    better: better_contact,
    has_row: |_| true,
    select: "SELECT alias, id FROM UNNEST($1::text[]) AS asked (name) JOIN contact_aliases ON alias = name",
    insert: "INSERT INTO contact_aliases (alias, id) SELECT * FROM UNNEST($1::text[], $2::text[]) \
             ON CONFLICT DO NOTHING",
    update: "UPDATE contact_aliases SET id = $2 WHERE id = $1",
};

/// Messages: a wamid means itself, unless Kapso sent one message of its own under two.
pub(super) const MESSAGES: Named = Named {
    better: better_message,
    has_row: is_kapso_message,
    select: "SELECT alias, id FROM UNNEST($1::text[]) AS asked (name) JOIN message_aliases ON alias = name",
    insert: "INSERT INTO message_aliases (alias, id) SELECT * FROM UNNEST($1::text[], $2::text[]) \
             ON CONFLICT DO NOTHING",
    update: "UPDATE message_aliases SET id = $2 WHERE id = $1",
};

/// What the names of a slice mean.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    ids: BTreeMap<String, String>,
    /// Ids that are none any more, with those that they are now.
    pub(super) merged: Vec<(String, String)>,
}

impl Resolved {
    /// The id that a set of names means; none for no names.
    pub(super) fn id(&self, names: &[String]) -> Option<String> {
        let first = names.first()?;
        Some(self.ids.get(first).unwrap_or(first).clone())
    }

    /// The best of a set of names, with the id that they mean; none for no names.
    pub(super) fn party(&self, names: &[String]) -> Option<Party> {
        Some(Party { alias: names.first()?.clone(), id: self.id(names)? })
    }
}

/// What sets of names mean where nothing is known beside them.
pub(super) fn alone(sets: &[Vec<String>], named: &Named) -> Resolved {
    Resolved { ids: linked(sets, &BTreeMap::new()).ids(named.better), merged: Vec::new() }
}

/// Resolves sets of names, each of them the names of one thing, and keeps the links.
pub(super) async fn resolve(
    tx: &mut PgConnection,
    named: &Named,
    sets: Vec<Vec<String>>,
    held: Lock,
) -> Result<Resolved, ProjectError> {
    let asked: BTreeSet<&str> = sets.iter().flatten().map(String::as_str).collect();
    if asked.is_empty() {
        return Ok(Resolved::default());
    }
    loop {
        let asked: Vec<&str> = asked.iter().copied().collect();
        let known: BTreeMap<String, String> =
            sqlx::query_as(named.select).bind(&asked).fetch_all(&mut *tx).await?.into_iter().collect();
        let ids = linked(&sets, &known).ids(named.better);
        let meant = |name: &str| ids.get(name).cloned().unwrap_or_else(|| name.to_owned());

        // What has no row means itself so far: there may be things under that name.
        let unknown = |name: &&&str| !known.contains_key(**name);
        let rowless = asked.iter().filter(unknown).filter(|name| !(named.has_row)(name));
        let olds = known.values().map(String::as_str).chain(rowless.copied());
        let merged: BTreeSet<(String, String)> =
            olds.map(|old| (old.to_owned(), meant(old))).filter(|(old, new)| old != new).collect();
        if !merged.is_empty() && held == Lock::Shared {
            return Err(ProjectError::NeedsExclusive);
        }
        for (old, new) in &merged {
            sqlx::query(named.update).bind(old).bind(new).execute(&mut *tx).await?;
            sqlx::query(named.insert).bind([old]).bind([new]).execute(&mut *tx).await?;
        }
        let new: Vec<&str> =
            asked.iter().filter(unknown).copied().filter(|name| (named.has_row)(name)).collect();
        let new_ids: Vec<String> = new.iter().map(|name| meant(name)).collect();
        let kept = if new.is_empty() {
            0
        } else {
            sqlx::query(named.insert).bind(&new).bind(&new_ids).execute(&mut *tx).await?.rows_affected()
        };
        // Fewer: somebody else has just committed one of them. Look again at what it means.
        if usize::try_from(kept).is_ok_and(|kept| kept == new.len()) {
            return Ok(Resolved { ids, merged: merged.into_iter().collect() });
        }
    }
}

fn linked(sets: &[Vec<String>], known: &BTreeMap<String, String>) -> Union {
    let mut union = Union::default();
    for set in sets {
        for name in set {
            union.join(set.first().unwrap_or(name), name);
        }
    }
    for (alias, id) in known {
        union.join(alias, id);
    }
    union
}
