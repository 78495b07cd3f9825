//! What a domain is made of, from libvirt's XML.
//!
//! The XML may be hostile, like all that comes from the socket: there are no entities and nothing is
//! fetched, and what would make a parser slow or large is refused before it is parsed. What is missing
//! or strange is left out: a domain that is described badly is still a domain.

use innkeeper_model::{ManagedDisk, ManagedNic, Mebibytes, nic::MacAddress};
use roxmltree::{Document, Node, ParsingOptions};

/// The longest description, in bytes. One of a machine with 200 devices has 100 KiB.
const MAX_XML: usize = 1 << 20;
/// How many elements, attributes and texts it has at most.
const MAX_NODES: u32 = 1 << 15;
/// The longest tag with the text after it, in bytes: a parser compares every attribute with every other.
const MAX_TAG: usize = 64 << 10;
/// How many names of namespaces it declares at most: each element below a declaration keeps them all.
const MAX_NAMESPACES: usize = 64;
/// How many disks, and how many NICs, are shown at most.
const MAX_DEVICES: usize = 1_024;
/// How much of a title is shown, in characters.
const MAX_TITLE: usize = 1_024;

/// What a domain is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) title: Option<String>,
    pub(crate) cpus: u16,
    pub(crate) memory: Mebibytes,
    pub(crate) disks: Vec<ManagedDisk>,
    pub(crate) nics: Vec<ManagedNic>,
}

/// Why a description cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotADescription {
    /// It is larger than any.
    #[error("it is larger than any description: {0}")]
    TooLarge(&'static str),
    /// It is no XML, or has what no description needs.
    #[error("it is no XML")]
    NotXml(#[from] roxmltree::Error),
}

impl Described {
    /// Reads libvirt's XML.
    pub(crate) fn of(xml: &str) -> Result<Self, NotADescription> {
        let document = parse(xml)?;
        let domain = document.root_element();
        let devices = child(domain, "devices");
        let all = |kind| devices.into_iter().flat_map(move |devices| children(devices, kind));
        Ok(Self {
            title: text(domain, "title").map(|title| title.chars().take(MAX_TITLE).collect()),
            cpus: child(domain, "vcpu").map_or(0, cpus),
            memory: child(domain, "memory").map_or(Mebibytes(0), memory),
            disks: all("disk").map(disk).take(MAX_DEVICES).collect(),
            nics: all("interface").filter_map(nic).take(MAX_DEVICES).collect(),
        })
    }
}

/// Parses XML that may be hostile.
pub(super) fn parse(xml: &str) -> Result<Document<'_>, NotADescription> {
    use NotADescription::TooLarge;
    if xml.len() > MAX_XML {
        return Err(TooLarge("its bytes"));
    }
    if xml.split('<').any(|tag| tag.len() > MAX_TAG) {
        return Err(TooLarge("a tag of it"));
    }
    if xml.matches("xmlns").count() > MAX_NAMESPACES {
        return Err(TooLarge("its namespaces"));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..Default::default() };
    Ok(Document::parse_with_options(xml, options)?)
}

fn children<'a, 'x>(node: Node<'a, 'x>, name: &str) -> impl Iterator<Item = Node<'a, 'x>> {
    node.children().filter(move |child| child.has_tag_name(name))
}

fn child<'a, 'x>(node: Node<'a, 'x>, name: &str) -> Option<Node<'a, 'x>> {
    children(node, name).next()
}

fn text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)?.text().map(str::trim).filter(|text| !text.is_empty())
}

/// How many CPUs it has now, where it may get more.
fn cpus(vcpu: Node<'_, '_>) -> u16 {
    let most = || vcpu.text().map(str::trim);
    let count = vcpu.attribute("current").or_else(most).and_then(|count| count.parse().ok());
    count.unwrap_or(0)
}

/// A size with its unit, rounded up; KiB where there is none.
fn memory(memory: Node<'_, '_>) -> Mebibytes {
    let count = memory.text().and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0);
    let unit: u64 = match memory.attribute("unit").unwrap_or("KiB") {
        "b" | "bytes" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "M" | "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "G" | "GiB" => 1 << 30,
        "TB" => 1_000_000_000_000,
        "T" | "TiB" => 1 << 40,
        _ => 1 << 10,
    };
    Mebibytes(count.saturating_mul(unit).div_ceil(1 << 20))
}

fn disk(disk: Node<'_, '_>) -> ManagedDisk {
    let device = disk.attribute("device").unwrap_or("disk");
    let target = child(disk, "target").and_then(|target| target.attribute("dev"));
    ManagedDisk {
        target: target.unwrap_or(device).into(),
        source: child(disk, "source").and_then(source),
        // The description does not say.
        size: None,
        read_only: device == "cdrom" || child(disk, "readonly").is_some(),
    }
}

/// Where a disk's bytes are: a file, device or folder, a volume of a pool, or something on a network.
fn source(source: Node<'_, '_>) -> Option<String> {
    let is = |name| source.attribute(name);
    if let Some(path) = is("file").or_else(|| is("dev")).or_else(|| is("dir")) {
        return Some(path.into());
    }
    if let (Some(pool), Some(volume)) = (is("pool"), is("volume")) {
        return Some(format!("{pool}/{volume}"));
    }
    let protocol = is("protocol")?;
    Some(is("name").map_or_else(|| protocol.into(), |name| format!("{protocol}:{name}")))
}

/// libvirt gives every NIC an address; what has none cannot be shown as one.
fn nic(nic: Node<'_, '_>) -> Option<ManagedNic> {
    let mac: MacAddress = child(nic, "mac")?.attribute("address")?.parse().ok()?;
    let source = child(nic, "source");
    let named = |name| source.and_then(|source| source.attribute(name));
    let network = named("network").or_else(|| named("bridge")).or_else(|| named("dev"));
    let interface = child(nic, "target").and_then(|target| target.attribute("dev"));
    Some(ManagedNic {
        mac,
        network: network.or_else(|| nic.attribute("type")).map(Into::into),
        interface: interface.map(Into::into),
    })
}

#[cfg(test)]
#[path = "described_tests.rs"]
mod tests;
