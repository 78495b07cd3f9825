//! A QEMU's command line, as somebody else wrote it. Pure, and never sure: what is not understood is
//! left out.

use innkeeper_model::{ByteSize, Mebibytes};
use serde_json::Value;
use std::path::PathBuf;

/// What a command line says of its machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) name: Option<String>,
    pub(crate) machine: Option<String>,
    pub(crate) cpu_model: Option<String>,
    pub(crate) accelerator: Option<String>,
    pub(crate) cpus: Option<u16>,
    pub(crate) memory: Option<Mebibytes>,
    /// The first QMP socket that it listens on.
    pub(crate) qmp: Option<PathBuf>,
    /// The first serial line's socket, likewise.
    pub(crate) serial: Option<PathBuf>,
    /// The host's interfaces that its NICs are connected to, as far as they have a name there.
    pub(crate) taps: Vec<String>,
}

impl Described {
    pub(crate) fn of(argv: &[String]) -> Self {
        let options = options(argv);
        let machine = first(&options, &["machine", "M"]);
        let machine_field = |key: &str| machine.as_ref().and_then(|fields| fields.get(key));
        let word = |name: &str, key: &str| {
            let fields = first(&options, &[name])?;
            fields.get(key).or_else(|| fields.get("")).map(ToOwned::to_owned)
        };
        Self {
            name: word("name", "guest"),
            machine: machine_field("type").or_else(|| machine_field("")).map(ToOwned::to_owned),
            cpu_model: word("cpu", ""),
            accelerator: word("accel", "accel")
                .or_else(|| machine_field("accel").map(ToOwned::to_owned))
                .or_else(|| has(&options, "enable-kvm").then(|| "kvm".into())),
            cpus: word("smp", "cpus").and_then(|cpus| cpus.parse().ok()),
            memory: word("m", "size").and_then(|size| memory(&size)),
            qmp: qmp(&options),
            serial: serial(&options),
            taps: taps(&options),
        }
    }
}

/// One option and its value.
pub(super) type Argument<'a> = (&'a str, Option<&'a str>);

/// The options of a command line. A word that no option precedes is a disk, as it is for QEMU.
pub(super) fn options(argv: &[String]) -> Vec<Argument<'_>> {
    let mut options = Vec::new();
    let mut arguments = argv.iter().skip(1).map(String::as_str).peekable();
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) {
            Some(name) if !name.is_empty() => {
                let value = arguments.next_if(|next| !next.starts_with('-') || *next == "-");
                options.push((name, value));
            }
            _ => options.push(("hda", Some(argument))),
        }
    }
    options
}

/// The value of an option, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// `word,key=value,flag` or a JSON object. The first word without a key has the key "".
    pub(super) fn parse(value: &str) -> Self {
        if let Ok(Value::Object(object)) = serde_json::from_str(value) {
            let mut fields = Vec::new();
            flatten("", &Value::Object(object), &mut fields);
            return Self(fields);
        }
        let parts = split(value);
        let field = |(index, part): (usize, String)| match part.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None if index == 0 => (String::new(), part),
            // The older way to say `wait=off` and `server=on`.
            None => match part.strip_prefix("no") {
                Some(flag) => (flag.to_owned(), "off".into()),
                None => (part, "on".into()),
            },
        };
        Self(parts.into_iter().enumerate().map(field).collect())
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str())
    }

    pub(super) fn is_on(&self, key: &str) -> bool {
        matches!(self.get(key), Some("on" | "yes" | "true"))
    }
}

/// The scalars in a JSON value, by their paths.
fn flatten(path: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, into);
            }
        }
        Value::Bool(flag) => into.push((path.into(), if *flag { "on" } else { "off" }.into())),
        Value::String(text) => into.push((path.into(), text.clone())),
        Value::Number(number) => into.push((path.into(), number.to_string())),
        Value::Null | Value::Array(_) => {}
    }
}

/// Splits at commas; a doubled one belongs to the value.
fn split(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == ',' && letters.next_if_eq(&',').is_none() {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    parts
}

/// All values of an option.
pub(super) fn all<'a>(
    options: &'a [Argument<'a>],
    name: &'a str,
) -> impl Iterator<Item = Fields> + 'a {
    let named = options.iter().filter(move |(found, _)| *found == name);
    named.filter_map(|(_, value)| value.map(Fields::parse))
}

fn first(options: &[Argument<'_>], names: &[&str]) -> Option<Fields> {
    let named = options.iter().find(|(found, _)| names.contains(found));
    named.and_then(|(_, value)| value.map(Fields::parse))
}

pub(super) fn has(options: &[Argument<'_>], name: &str) -> bool {
    options.iter().any(|(found, _)| *found == name)
}

/// A size of memory; a bare number is in MiB.
fn memory(size: &str) -> Option<Mebibytes> {
    let bare = size.parse().ok().map(Mebibytes);
    bare.or_else(|| size.parse().ok().map(|ByteSize(bytes)| Mebibytes(bytes >> 20)))
}

fn qmp(options: &[Argument<'_>]) -> Option<PathBuf> {
    let direct = ["qmp", "qmp-pretty"].into_iter().flat_map(|name| all(options, name));
    let direct = direct.filter_map(|fields| unix_address(&fields));
    let monitors = all(options, "mon").filter(|monitor| monitor.get("mode") == Some("control"));
    let monitors = monitors.filter_map(|monitor| {
        let chardev = monitor.get("chardev").or_else(|| monitor.get(""))?.to_owned();
        listening_chardev(options, &chardev)
    });
    direct.chain(monitors).next()
}

fn serial(options: &[Argument<'_>]) -> Option<PathBuf> {
    let direct = all(options, "serial").filter_map(|fields| {
        let chardev = fields.get("").and_then(|word| word.strip_prefix("chardev:"));
        match chardev {
            Some(chardev) => listening_chardev(options, chardev),
            None => unix_address(&fields),
        }
    });
    let devices = all(options, "device")
        .filter(|device| device.get("driver").or_else(|| device.get("")) == Some("isa-serial"));
    let devices = devices.filter_map(|device| listening_chardev(options, device.get("chardev")?));
    direct.chain(devices).next()
}

fn taps(options: &[Argument<'_>]) -> Vec<String> {
    let of = |name: &'static str| all(options, name);
    let backends = ["netdev", "nic", "net"].into_iter().flat_map(of);
    let is_tap = |fields: &Fields| fields.get("type").or_else(|| fields.get("")) == Some("tap");
    backends.filter(is_tap).filter_map(|fields| fields.get("ifname").map(Into::into)).collect()
}

/// The path of `unix:PATH,server=on`.
fn unix_address(fields: &Fields) -> Option<PathBuf> {
    let path = fields.get("")?.strip_prefix("unix:")?;
    fields.is_on("server").then(|| path.into())
}

/// The path that the chardev of this id listens on, where it is a unix socket.
fn listening_chardev(options: &[Argument<'_>], id: &str) -> Option<PathBuf> {
    let is_it = |fields: &Fields| fields.get("id") == Some(id) && fields.is_on("server");
    let fields = all(options, "chardev").find(is_it)?;
    fields.get("path").map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(line: &str) -> Described {
        let argv: Vec<String> = line.split(' ').map(Into::into).collect();
        Described::of(&argv)
    }

    #[test]
    fn a_person_writes_it_short() {
        let found = described(
            "qemu-system-x86_64 -enable-kvm -M q35 -cpu host,-vmx -m 2G -smp 4 --name web \
             -qmp unix:/tmp/qmp,server,nowait -serial unix:/tmp/tty,server=on,wait=off \
             -nic tap,ifname=tap0,script=no disk.img",
        );
        let expected = Described {
            name: Some("web".into()),
            machine: Some("q35".into()),
            cpu_model: Some("host".into()),
            accelerator: Some("kvm".into()),
            cpus: Some(4),
            memory: Some(Mebibytes(2048)),
            qmp: Some("/tmp/qmp".into()),
            serial: Some("/tmp/tty".into()),
            taps: vec!["tap0".into()],
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_program_writes_it_long() {
        let found = described(
            "/usr/bin/kvm -name guest=w,,eb,debug-threads=on -machine pc-q35-9.2,accel=tcg \
             -m size=4194304k,slots=16 -smp 8,sockets=2 \
             -chardev socket,id=mon0,path=/run/mon,server=on,wait=off -mon chardev=mon0,mode=control \
             -chardev socket,id=s0,path=/run/tty,server=on \
             -device {\"driver\":\"isa-serial\",\"chardev\":\"s0\",\"index\":0} \
             -netdev {\"type\":\"tap\",\"id\":\"a\",\"ifname\":\"vnet7\"} -netdev user,id=b -netdev tap,id=c,fd=3",
        );
        assert_eq!(found.name.as_deref(), Some("w,eb"));
        assert_eq!(found.machine.as_deref(), Some("pc-q35-9.2"));
        assert_eq!(found.accelerator.as_deref(), Some("tcg"));
        assert_eq!((found.cpus, found.memory), (Some(8), Some(Mebibytes(4096))));
        assert_eq!(found.qmp, Some("/run/mon".into()));
        assert_eq!(found.serial, Some("/run/tty".into()));
        assert_eq!(found.taps, ["vnet7"]);
    }

    #[test]
    fn what_has_no_path_or_does_not_listen_cannot_be_reached() {
        for line in [
            "qemu -qmp unix:/tmp/qmp",
            "qemu -qmp tcp:localhost:4444,server=on",
            "qemu -chardev socket,id=m,fd=3,server=on -mon chardev=m,mode=control",
            "qemu -chardev socket,id=m,path=/tmp/m,server=on -mon chardev=m,mode=readline",
            "qemu -monitor unix:/tmp/hmp,server=on",
        ] {
            assert_eq!(described(line).qmp, None, "{line}");
        }
    }

    #[test]
    fn nonsense_is_left_out() {
        let found = described("qemu -m lots -smp many -name - -cpu");
        assert_eq!((found.cpus, found.memory, found.cpu_model), (None, None, None));
    }
}
