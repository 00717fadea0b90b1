//! Reading the examples.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// One example: a request's body, and its headers.
#[derive(Clone, Debug)]
pub struct Example {
    /// Its place among the examples, such as `kapso-v2/project.event`.
    pub name: String,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// The headers, by lower-case name.
    pub headers: Vec<(String, String)>,
}

impl Example {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }
}

/// Every example, by name.
///
/// # Errors
/// When they can't be read.
pub fn all() -> io::Result<Vec<Example>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/payloads");
    let mut examples = Vec::new();
    for folder in sorted(&root)?.iter().filter(|path| path.is_dir()) {
        for path in sorted(folder)?.iter().filter(|path| path.extension().is_some_and(|it| it == "json")) {
            let part = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let name = format!("{}/{}", part(folder), part(&path.with_extension("")));
            let headers = fs::read_to_string(path.with_extension("headers")).unwrap_or_default();
            examples.push(Example { name, body: fs::read(path)?, headers: parsed(&headers) });
        }
    }
    Ok(examples)
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn parsed(headers: &str) -> Vec<(String, String)> {
    let pair =
        |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    headers.lines().filter_map(pair).collect()
}
