//! VMs as people write them down: YAML, TOML or JSON.
//!
//! A document is kept as it was written rather than as a [`VmConfig`]: the config shows of a secret
//! only its digest, so what is sent must not go through it.
//!
//! Of a whole VM, as `inn get` prints it, what was asked for is taken, which is in `spec.config`.

use crate::failure::{Exit, Failure};
use innkeeper_model::{ProjectName, Refusal, VmConfig};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::{
    fs,
    io::{self, Read},
    path::Path,
};

/// The largest file that is read, in bytes; the daemon refuses less.
const MAX_FILE: u64 = 4 << 20;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    Yaml,
    Toml,
    Json,
}

/// One VM, as it was written down.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Document(pub(crate) Map<String, Value>);

impl Document {
    /// Reads a file; its extension says how it is written. `-` is the standard input, as YAML, of
    /// which JSON is a part.
    ///
    /// # Errors
    /// The file cannot be read, or is not written as its name says.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let value = Self::read_value(file)?;
        Self::of(value).map_err(|failure| failure.of(&file.display().to_string()))
    }

    /// Reads a file, whatever it describes.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn read_value(file: &Path) -> Result<Value, Failure> {
        let (syntax, text) = if file == Path::new("-") {
            (Syntax::Yaml, read_text(io::stdin().lock()))
        } else {
            (Syntax::of(file)?, fs::File::open(file).and_then(read_text))
        };
        let text = text.map_err(|error| {
            Failure::usage(format!("cannot read {}", file.display())).because(&error)
        })?;
        value(&text, syntax).map_err(|failure| failure.of(&file.display().to_string()))
    }

    /// Reads a text.
    ///
    /// # Errors
    /// It is not written so, or is not one object.
    pub(crate) fn parse(text: &str, syntax: Syntax) -> Result<Self, Failure> {
        Self::of(value(text, syntax)?)
    }

    /// What describes a VM, or is a whole one.
    ///
    /// # Errors
    /// It is not one object, or a whole VM that says of itself two things.
    pub(crate) fn of(value: Value) -> Result<Self, Failure> {
        match value {
            Value::Object(fields)
                if fields.contains_key("facts") || fields.contains_key("spec") =>
            {
                of_whole_vm(fields)
            }
            Value::Object(fields) => Ok(Self(fields)),
            Value::Array(mut several) if several.len() == 1 => Self::of(several.remove(0)),
            Value::Array(several) if several.len() > 1 => {
                let message = format!("describes {} VMs: give them one at a time", several.len());
                Err(Failure::usage(message))
            }
            _ => Err(Failure::usage("describes no VM: it should have a field `name` at least")),
        }
    }

    /// Checks all that can be checked without the daemon, and fills in the defaults. Secrets are
    /// digests in what is returned.
    ///
    /// # Errors
    /// A field is unknown or has a value that is not allowed.
    pub(crate) fn check(&self) -> Result<VmConfig, Failure> {
        let config: VmConfig = config_of(&self.clone().into_value())?;
        config.validate().map_err(senseless)?;
        Ok(config)
    }

    /// What is sent.
    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// What is described, if it can be one of these.
///
/// # Errors
/// It cannot: in which field, with which value, as the daemon would say it.
pub(crate) fn config_of<T: DeserializeOwned>(value: &Value) -> Result<T, Failure> {
    innkeeper_api::decode_value(value).map_err(senseless)
}

/// What would be refused, seen before any daemon was asked: a file or the command line makes no sense.
pub(crate) fn senseless(refusal: Refusal) -> Failure {
    Failure { exit: Exit::Usage, code: None, ..refusal.into() }
}

fn value(text: &str, syntax: Syntax) -> Result<Value, Failure> {
    let value = match syntax {
        Syntax::Yaml => serde_yaml_ng::from_str(text).map_err(|error| error.to_string()),
        Syntax::Toml => toml::from_str(text).map_err(|error| error.to_string()),
        Syntax::Json => serde_json::from_str(text).map_err(|error| error.to_string()),
    };
    value.map_err(|problem| Failure::usage(problem.trim_end()))
}

/// What was asked for, of a VM as the API shows it.
fn of_whole_vm(mut vm: Map<String, Value>) -> Result<Document, Failure> {
    let config = vm.get_mut("spec").and_then(|spec| spec.get_mut("config")).map(Value::take);
    let Some(Value::Object(config)) = config else {
        return Err(Failure::usage("is a whole VM, but has no spec.config, which says what it is"));
    };
    // Both are shown twice. Whoever changed the one that does not count should hear of it.
    for (key, unsaid) in [("name", ""), ("project", ProjectName::default().as_str())] {
        let meant = config.get(key).and_then(Value::as_str).unwrap_or(unsaid);
        let shown = vm.get(key).and_then(Value::as_str).unwrap_or(meant);
        if shown != meant {
            let message = format!("{key}: is {shown:?}, but {meant:?} in spec.config");
            return Err(Failure::usage(message).with_hint(format!(
                "change {key} in spec.config; the rest of a whole VM is not looked at"
            )));
        }
    }
    Ok(Document(config))
}

impl Syntax {
    fn of(file: &Path) -> Result<Self, Failure> {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("yaml" | "yml") => Ok(Self::Yaml),
            Some("toml") => Ok(Self::Toml),
            Some("json") => Ok(Self::Json),
            _ => Err(Failure::usage(format!(
                "{}: cannot tell how this is written: name it .yaml, .toml or .json",
                file.display()
            ))
            .with_hint("or give it as `-` on the standard input, in YAML or JSON")),
        }
    }
}

fn read_text(from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    let length = from.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if length as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 4 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_ways_to_write_a_vm_say_the_same() {
        let yaml = "name: web\ncpus: 2\nboot: {firmware: uefi}\n";
        let toml = "name = 'web'\ncpus = 2\n[boot]\nfirmware = 'uefi'\n";
        let json = r#"{"name": "web", "cpus": 2, "boot": {"firmware": "uefi"}}"#;
        let read = |text, syntax| Document::parse(text, syntax).unwrap();
        let expected = read(json, Syntax::Json);
        assert_eq!(read(yaml, Syntax::Yaml), expected);
        assert_eq!(read(toml, Syntax::Toml), expected);
        assert_eq!(expected.check().unwrap().cpus, 2);
    }

    #[test]
    fn a_secret_is_sent_as_written_and_checked_as_its_digest() {
        let text = "name: web\ncloud_init: {user_data: '#cloud-config'}\n";
        let document = Document::parse(text, Syntax::Yaml).unwrap();
        let checked = serde_json::to_value(document.check().unwrap()).unwrap();
        assert!(checked["cloud_init"]["user_data"].as_str().unwrap().starts_with("sha256:"));
        assert_eq!(document.into_value()["cloud_init"]["user_data"], "#cloud-config");
    }

    #[test]
    fn of_a_whole_vm_what_was_asked_for_is_taken() {
        let whole = "name: web\nproject: default\nstate: running\nfacts: {machine: running}\n\
                     spec: {revision: 3, config: {name: web, cpus: 2}}\n";
        let plain = Document::parse("name: web\ncpus: 2\n", Syntax::Yaml).unwrap();
        assert_eq!(Document::parse(whole, Syntax::Yaml).unwrap(), plain);
        let list = format!("- {}", whole.replace('\n', "\n  "));
        assert_eq!(Document::parse(&list, Syntax::Yaml).unwrap(), plain);
        for (wrong, expected) in [
            (whole.replacen("web", "www", 1), "\"www\", but \"web\" in spec.config"),
            (whole.replace("default", "other"), "project"),
            (whole.replace("config", "confug"), "no spec.config"),
            ("name: web\nfacts: {}\n".into(), "no spec.config"),
            ("[{name: a}, {name: b}]".into(), "2 VMs"),
        ] {
            let failure = Document::parse(&wrong, Syntax::Yaml).unwrap_err();
            assert!(failure.to_string().contains(expected), "{failure}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let problem = |text| {
            let document = Document::parse(text, Syntax::Yaml);
            document.and_then(|document| document.check()).unwrap_err().to_string()
        };
        assert!(problem("name: web\nmemroy: 1GiB").contains("memroy"));
        assert!(problem("name: web\ncpus: 0").contains("cpus"));
        assert!(problem("name: [").contains("line"));
        assert!(problem("- 1").contains("no VM") && problem("[]").contains("no VM"));
        assert!(problem("cpus: 1").contains("name"));
    }

    #[test]
    fn a_wrong_value_is_told_with_its_field_and_nothing_was_refused_by_a_daemon() {
        for (text, syntax, field) in [
            ("name: web\nmemory: lots\n", Syntax::Yaml, "memory: \"lots\" is not a size"),
            ("name = 'web'\nmemory = 5\n", Syntax::Toml, "memory: invalid type: integer `5`"),
            (
                r#"{"name": "web", "disks": [{"name": "root", "size": "1XB"}]}"#,
                Syntax::Json,
                "disks[0].size: \"1XB\" is not a size",
            ),
            ("name: web\ncpus: 0\n", Syntax::Yaml, "cpus: \"0\" is not in"),
        ] {
            let failure = Document::parse(text, syntax).unwrap().check().unwrap_err();
            assert!(failure.to_string().starts_with(field), "{failure}");
            assert_eq!((failure.exit, failure.code), (Exit::Usage, None), "{failure}");
        }
        let secret = "name: web\ncloud_init: {user_data: [hunter2]}\n";
        let failure = Document::parse(secret, Syntax::Yaml).unwrap().check().unwrap_err();
        assert!(!failure.to_string().contains("hunter2"), "{failure}");
    }
}
