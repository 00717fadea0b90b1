//! What each example says, as `worker/tests/snapshots` shows it.
//!
//! After a change that is meant: `INSTA_UPDATE=always cargo test -p worker --test decode`,
//! and read the difference. A snapshot that is new, differs, or has lost its example fails.

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use insta::{Settings, assert_snapshot};
use worker::decode::decode;

use crate::{received, shown::shown};

#[test]
fn each_example_says_what_its_snapshot_shows() {
    let mut settings = Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut wrong = Vec::new();
    for example in payloads::all().unwrap() {
        let name = file_name(&example.name);
        let shown = shown(&decode(&received::example(&example)));
        // All of them are compared before the test fails: a change shows in many.
        let compare = || settings.bind(|| assert_snapshot!(name.clone(), shown));
        let compared = catch_unwind(AssertUnwindSafe(compare));
        if compared.is_err() {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "these differ from their snapshots: {wrong:#?}");
    each_snapshot_has_its_example();
}

fn each_snapshot_has_its_example() {
    let wanted: BTreeSet<String> =
        payloads::all().unwrap().iter().map(|example| format!("{}.snap", file_name(&example.name))).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let there: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        // What insta leaves beside one that differs.
        .filter(|name| !name.ends_with(".snap.new"))
        .collect();
    let alone: Vec<_> = there.symmetric_difference(&wanted).collect();
    assert!(alone.is_empty(), "these have no example, or no snapshot: {alone:#?}");
}

fn file_name(example: &str) -> String {
    example.replace('/', "__")
}
