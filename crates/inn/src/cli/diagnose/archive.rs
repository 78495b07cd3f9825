//! One file with files in it (`.tar.gz`), in which no secret stands: what is known to be one is blanked
//! in whatever is put in.

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use std::io::{self, Write};
use tar::{Builder, Header};

/// What stands in a secret's place.
const BLANK: &str = "(left out)";
/// The part of a configuration whose texts are secrets; what is shown of them is a digest.
const SECRETS: &str = "cloud_init";
const DIGEST: &str = "sha256:";

/// The file in the making.
pub(super) struct Archive<W: Write> {
    builder: Builder<GzEncoder<W>>,
    /// The folder that everything in it is in.
    folder: String,
    /// When it is made, in seconds since 1970.
    made: u64,
    /// Texts that do not stand in it.
    secrets: Vec<String>,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(to: W, folder: String, made: u64, secrets: Vec<String>) -> Self {
        let builder = Builder::new(GzEncoder::new(to, Compression::default()));
        let secrets = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
        Self { builder, folder, made, secrets }
    }

    /// Puts a document in.
    ///
    /// # Errors
    /// The archive cannot be written.
    pub(super) fn document(&mut self, name: &str, mut document: Value) -> io::Result<()> {
        blank_secrets(&mut document);
        let mut text = serde_json::to_string_pretty(&document)?;
        text.push('\n');
        self.file(name, text.into_bytes())
    }

    /// Puts a file in.
    ///
    /// # Errors
    /// The archive cannot be written.
    pub(super) fn file(&mut self, name: &str, mut content: Vec<u8>) -> io::Result<()> {
        for secret in &self.secrets {
            content = replaced(content, secret.as_bytes());
        }
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(self.made);
        let path = format!("{}/{name}", self.folder);
        self.builder.append_data(&mut header, path, &*content)
    }

    /// Ends it, and returns what it was written to.
    ///
    /// # Errors
    /// The archive cannot be written.
    pub(super) fn finish(self) -> io::Result<W> {
        self.builder.into_inner()?.finish()
    }
}

/// Blanks every text of a secret part that is not a digest, wherever such a part is.
fn blank_secrets(document: &mut Value) {
    match document {
        Value::Array(elements) => elements.iter_mut().for_each(blank_secrets),
        Value::Object(members) => {
            for (key, member) in members {
                if key == SECRETS { blank_texts(member) } else { blank_secrets(member) }
            }
        }
        _ => {}
    }
}

fn blank_texts(value: &mut Value) {
    match value {
        Value::String(text) if !text.starts_with(DIGEST) => *text = BLANK.into(),
        Value::Array(elements) => elements.iter_mut().for_each(blank_texts),
        Value::Object(members) => members.values_mut().for_each(blank_texts),
        _ => {}
    }
}

fn replaced(content: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    let Some(mut at) = find(&content, secret) else { return content };
    let (mut clean, mut rest) = (Vec::with_capacity(content.len()), &content[..]);
    loop {
        clean.extend_from_slice(&rest[..at]);
        clean.extend_from_slice(BLANK.as_bytes());
        rest = &rest[at + secret.len()..];
        match find(rest, secret) {
            Some(next) => at = next,
            None => break,
        }
    }
    clean.extend_from_slice(rest);
    clean
}

fn find(content: &[u8], secret: &[u8]) -> Option<usize> {
    content.windows(secret.len()).position(|window| window == secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use serde_json::json;
    use std::{collections::BTreeMap, io::Read};

    fn read(archive: &[u8]) -> BTreeMap<String, String> {
        let mut archive = tar::Archive::new(GzDecoder::new(archive));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().mode().unwrap(), 0o600);
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (entry.path().unwrap().display().to_string(), text)
        });
        entries.collect()
    }

    #[test]
    fn what_is_put_in_comes_out_without_secrets() {
        let mut archive = Archive::new(Vec::new(), "d".into(), 0, vec!["t0ken".into(), "".into()]);
        archive.file("a.log", b"t0kent0ken and \xff t0ke".to_vec()).unwrap();
        archive.file("b.log", Vec::new()).unwrap();
        let vm = json!([{"spec": {"config": {"name": "web", "cloud_init": {
            "user_data": "hunter2", "meta_data": "sha256:00", "more": {"list": ["hunter3"]},
        }}}}]);
        archive.document("vms.json", vm).unwrap();
        let written = archive.finish().unwrap();
        // Of text that is not UTF-8, the rest is as it was.
        let mut files = tar::Archive::new(GzDecoder::new(&*written));
        let mut first = Vec::new();
        files.entries().unwrap().next().unwrap().unwrap().read_to_end(&mut first).unwrap();
        assert_eq!(first, b"(left out)(left out) and \xff t0ke");

        let mut archive = Archive::new(Vec::new(), "d".into(), 0, vec!["t0ken".into()]);
        archive
            .document("x.json", json!({"cloud_init": {"user_data": "hunter2"}, "a": "t0ken"}))
            .unwrap();
        let files = read(&archive.finish().unwrap());
        let text = &files["d/x.json"];
        assert!(!text.contains("hunter2") && !text.contains("t0ken"), "{text}");
    }

    #[test]
    fn digests_and_names_stay() {
        let mut document = json!({"name": "web", "cloud_init": {"user_data": "sha256:ab"}});
        let before = document.clone();
        blank_secrets(&mut document);
        assert_eq!(document, before);
    }
}
