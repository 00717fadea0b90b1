//! The cases of `tests/fixtures/cases`, and what must come of each.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::case::{
    Address, Api, Case, Is, On, Want, Webhook, answered, answered_at, contact, message, no_message,
    no_status, not_answered, not_marked, one_contact, other_lane, taken_over,
};
use crate::play::{Order, play};

/// Reads the webhooks of a case: a `.json` file each, with `.headers` beside some.
fn webhooks(folder: &str) -> Result<Vec<Webhook>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cases").join(folder);
    let files = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<_> = files.map(|file| Ok(file?.path())).collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|it| it == "json"));
    files.sort();
    ensure!(!files.is_empty(), "no webhooks in {}", folder.display());
    files
        .into_iter()
        .map(|file| {
            let headers = file.with_extension("headers");
            let headers = if headers.exists() { fs::read_to_string(headers)? } else { String::new() };
            let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.into(), value.into()));
            Ok(Webhook {
                headers: headers.lines().filter_map(header).collect(),
                template: fs::read_to_string(file)?.trim_end().to_owned(),
            })
        })
        .collect()
}

/// All of them.
fn cases() -> Result<Vec<Case>> {
    let mut cases = vec![early_and_fresh()?];
    for (folder, any_order, wants) in
        people().into_iter().chain(silence()).chain(takeovers()).chain(changes())
    {
        let case = Case::new(folder, webhooks(folder)?, wants);
        cases.push(if any_order { case.any_order() } else { case });
    }
    Ok(cases)
}

type Row = (&'static str, bool, Vec<crate::case::Want>);

/// One person, one contact.
fn people() -> Vec<Row> {
    vec![
        (
            "17-changed-number-meta",
            true,
            vec![
                message("wamid.EXT21C131B889A9DED06E0BDD0B", &[("type", Is::Text("system"))]),
                not_answered("wamid.EXT21C131B889A9DED06E0BDD0B"),
                one_contact(
                    &["56911100017", "56911100917"],
                    &["wamid.EXT6EC1D05CE38B74C28DC0736D", "wamid.EXT92E97C7D00DF79310150F73D"],
                ),
            ],
        ),
        (
            "18-changed-user-id-meta",
            true,
            vec![
                message("wamid.EXT9D085956E1D2151275EE3405", &[("type", Is::Text("system"))]),
                not_answered("wamid.EXT9D085956E1D2151275EE3405"),
                one_contact(
                    &["CO.EXT0018", "MX.EXT0918"],
                    &["wamid.EXT6F90E351B11F520A32AAFE02", "wamid.EXT43663F6EC7D1D7292C6D4C38"],
                ),
            ],
        ),
        (
            "41-user-id-update",
            true,
            vec![one_contact(
                &["56911100041", "CL.EXT41a", "CL.EXT41b"],
                &["wamid.EXT90003D621F5A4A8E2D03E494", "wamid.EXTFA2490059D888DA34082A47B"],
            )],
        ),
        (
            "20-two-forms-v2",
            true,
            vec![
                one_contact(&["5511987650020", "551187650020"], &["wamid.EXT5E131AE4E3A8FF168BB33646"]),
                Want::MayBeAnswered("wamid.EXT5E131AE4E3A8FF168BB33646".to_owned()),
            ],
        ),
        (
            "89-wa-id-other-form",
            true,
            vec![
                one_contact(
                    &["551187650089", "5511987650089", "BR.EXT89"],
                    &["wamid.EXT6BD6C3F7808391E8B74F5C2D", "wamid.EXTD614A5B3FF5779657EE6C3D0"],
                ),
                contact("BR.EXT89", &[("name", Is::Text("Cliente Prueba")), ("bsuid", Is::Text("BR.EXT89"))]),
            ],
        ),
        (
            "14-bsuid-in-from-meta",
            false,
            vec![
                one_contact(&["CL.EXT00140abc"], &["wamid.EXTDA3E66C0F911C13BC86284F8"]),
                contact("CL.EXT00140abc", &[("bsuid", Is::Text("CL.EXT00140abc"))]),
                answered_at(
                    "wamid.EXTDA3E66C0F911C13BC86284F8",
                    On::Proxy,
                    Address::Recipient("CL.EXT00140abc".to_owned()),
                ),
            ],
        ),
        ("27-user-preferences", false, vec![contact("56911100027", &[("marketing", Is::Text("stopped"))])]),
    ]
}

/// What no person wrote to us alone is not answered.
fn silence() -> Vec<Row> {
    const GROUP: &str = "Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZD";
    let groups = [
        ("meta", "56911100028", "wamid.EXT794342018332F653493B94F8", "wamid.EXTA6B66EF3080F3FA54E57FF6A"),
        ("v2", "56911100228", "wamid.EXTC3BB525649764CD9085930F0", "wamid.EXT784F7970A875B21624507AA7"),
    ];
    let groups = groups.map(|(dialect, member, in_group, private)| {
        let (folder, on) =
            if dialect == "v2" { ("28-group-v2", On::Both) } else { ("28-group-meta", On::Proxy) };
        let wants = vec![
            message(in_group, &[("group_id", Is::Text(GROUP)), ("direction", Is::Text("inbound"))]),
            not_answered(in_group),
            not_marked(in_group),
            other_lane(in_group, private),
            one_contact(&[member], &[in_group, private]),
            message(private, &[("group_id", Is::Null)]),
            answered(private, on),
        ];
        (folder, false, wants)
    });
    let of_guide = ["system", "image", "unsupported"].map(|kind| {
        let id = format!("msg-ext-66-{kind}");
        let folder = match kind {
            "system" => "66-guide-system",
            "image" => "66-guide-image",
            _ => "66-guide-unsupported",
        };
        (folder, false, vec![message(id.clone(), &[("type", Is::Text(kind))]), not_answered(id)])
    });
    let own = "wamid.EXT6208EF0F7750C111548CF90B";
    let own = (
        "58-own-number-meta",
        false,
        vec![message(own, &[("direction", Is::Text("outbound"))]), not_answered(own)],
    );
    groups.into_iter().chain(of_guide).chain([own]).collect()
}

/// A human agent wrote to the person under another name, or in another session.
fn takeovers() -> Vec<Row> {
    let cases = [
        ("62-takeover-v2", "wamid.EXTE4CC619FE1529BF62FCEC36F", ["5511987650062", "551187650062"], On::Both),
        (
            "62-takeover-meta",
            "wamid.EXTD276560F351299E324219043",
            ["5511987650262", "551187650262"],
            On::Proxy,
        ),
        ("62-takeover-v1", "wamid.EXT0D8A31549451D787AB07F531", ["5511987650063", "551187650063"], On::Both),
        (
            "62-takeover-session",
            "wamid.EXT21869A2F268A82AE56396858",
            ["5511987650067", "551187650067"],
            On::Both,
        ),
    ];
    let wants = |id: &str, forms: &[&str], on| vec![taken_over(id, on), one_contact(forms, &[id])];
    cases.into_iter().map(|(folder, id, forms, on)| (folder, false, wants(id, &forms, on))).collect()
}

/// What happens to a message after it was sent, and an early form.
fn changes() -> Vec<Row> {
    vec![
        (
            "03-edit-meta",
            true,
            vec![
                message(
                    "wamid.EXT9BBEC0D107E645444143A9D1",
                    &[
                        ("body", Is::Text("quiero 100 panes, ayuda")),
                        ("edited_at", Is::Set),
                        ("type", Is::Text("text")),
                    ],
                ),
                no_message("wamid.EXT5970B67F6E39833FF6011E32"),
                not_answered("wamid.EXT9BBEC0D107E645444143A9D1"),
                not_answered("wamid.EXT5970B67F6E39833FF6011E32"),
            ],
        ),
        (
            "05-revoke-meta",
            true,
            vec![
                message(
                    "wamid.EXTC5FFDB2C4117CA9CE65C29B4",
                    &[("deleted_at", Is::Set), ("type", Is::Text("text"))],
                ),
                no_message("wamid.EXT01106C03FEDA787EC6509621"),
                one_contact(&["56911100005", "CL.EXT0005"], &["wamid.EXTC5FFDB2C4117CA9CE65C29B4"]),
            ],
        ),
        (
            "97-revoke-first",
            false,
            vec![
                message("wamid.EXT659BC9DAE3F4BE40C965EB55", &[("deleted_at", Is::Set)]),
                not_answered("wamid.EXT659BC9DAE3F4BE40C965EB55"),
            ],
        ),
        (
            "97-revoke-beside",
            false,
            vec![
                message("wamid.EXT0899AC239D22C49C12CB36A1", &[("deleted_at", Is::Set)]),
                not_answered("wamid.EXT0899AC239D22C49C12CB36A1"),
            ],
        ),
        (
            "12-payment-meta",
            true,
            vec![
                message(
                    "wamid.EXT6B51D431DF5D7F141CBECECC",
                    &[("status", Is::Text("sent")), ("failed_at", Is::Null)],
                ),
                no_status("wamid.EXT6B51D431DF5D7F141CBECECC", "failed"),
            ],
        ),
        (
            "70-early-v2-flat",
            false,
            vec![message(
                "wamid.EXTE29FCE8FADAA7344764BA2D7",
                &[
                    ("body", Is::Text("campos planos")),
                    ("occurred_at", Is::Text("2025-08-04T19:33:20+00:00")),
                    ("direction", Is::Text("inbound")),
                    ("type", Is::Text("text")),
                ],
            )],
        ),
    ]
}

/// The early form again, fresh and with the keyword: answered like any message of that dialect.
fn early_and_fresh() -> Result<Case> {
    let mut webhooks = webhooks("70-early-v2-flat")?;
    for webhook in &mut webhooks {
        webhook.template = [
            ("1754336000", "{{now+0}}"),
            ("campos planos", "campos planos, ayuda"),
            ("wamid.EXTE29FCE8FADAA7344764BA2D7", "wamid.CASE-70-fresh"),
            ("56911100070", "56911100770"),
            ("c-ext-70", "c-ext-70-fresh"),
        ]
        .iter()
        .fold(webhook.template.clone(), |template, (from, to)| template.replace(from, to));
    }
    let wants = vec![
        message("wamid.CASE-70-fresh", &[("body", Is::Text("campos planos, ayuda"))]),
        answered_at("wamid.CASE-70-fresh", On::Both, Address::To("56911100770".to_owned())),
    ];
    Ok(Case::new("70-early-v2-flat, fresh", webhooks, wants))
}

#[tokio::test]
async fn the_conversation_api() -> Result<()> {
    play(Api::Conversation, Order::AsItHappened, cases()?).await
}

#[tokio::test]
async fn the_conversation_api_in_reverse() -> Result<()> {
    play(Api::Conversation, Order::Reversed, cases()?).await
}

#[tokio::test]
async fn the_meta_proxy() -> Result<()> {
    play(Api::MetaProxy, Order::AsItHappened, cases()?).await
}

#[tokio::test]
async fn the_meta_proxy_in_reverse() -> Result<()> {
    play(Api::MetaProxy, Order::Reversed, cases()?).await
}

#[tokio::test]
async fn the_second_webhook_first() -> Result<()> {
    play(Api::MetaProxy, Order::SecondFirst, cases()?).await
}
