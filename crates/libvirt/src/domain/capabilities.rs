//! What a host can do, from libvirt's XML of its capabilities.

use super::described::parse;

/// What runs guests' instructions: `kvm` where any of the machines there are can have it, else `tcg`.
pub(crate) fn accelerator(xml: &str) -> &'static str {
    let Ok(document) = parse(xml) else { return "tcg" };
    let mut domains = document.descendants().filter(|node| node.has_tag_name("domain"));
    if domains.any(|domain| domain.attribute("type") == Some("kvm")) { "kvm" } else { "tcg" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kvm_where_some_machine_can_have_it() {
        let with = "<capabilities><guest><arch><domain type='qemu'/><domain type='kvm'/></arch></guest></capabilities>";
        let without =
            "<capabilities><guest><arch><domain type='qemu'/></arch></guest></capabilities>";
        assert_eq!(
            (accelerator(with), accelerator(without), accelerator("?")),
            ("kvm", "tcg", "tcg")
        );
    }
}
