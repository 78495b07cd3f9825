//! The reference page of the configuration, made from the comments in [`super`].

#[cfg(test)]
mod tests {
    use crate::config::{
        AuditConfig, CapacityConfig, Config, DoorConfig, HooksConfig, LibvirtConfig, LimitsConfig,
        NetworksConfig, OidcConfig, OidcGrantConfig, ProxiesConfig, QemuConfig, QuotaConfig,
        SimConfig, StorageConfig, TlsConfig, VmmDoorConfig, WalletsConfig,
    };
    use std::{fmt::Write, path::Path};
    use utoipa::{
        PartialSchema,
        openapi::{RefOr, schema::Schema},
    };

    const HEAD: &str = "# Configuration

<!-- Made from crates/inn/src/config.rs by its test; change it there, then run
     UPDATE_DOCS=1 cargo test -p inn configuration -->

The daemon reads `/etc/innkeeper/config.toml`, or for users other than root
`$XDG_CONFIG_HOME/innkeeper/config.toml` (else `~/.config/innkeeper/config.toml`), if it is there;
`inn serve --config FILE` names another. With `--state-dir DIR` none of these is read but the one that
`--config` names, and specs, run folder, socket and token are all under `DIR`, whatever it says. Flags
outrank the file. Every key may be left out; a key that is not known is refused, with its place.

Sizes have a unit (`\"512MiB\"`, `\"10GiB\"`). Paths are absolute.
";

    fn properties<T: PartialSchema>() -> Vec<(String, String)> {
        let RefOr::T(Schema::Object(object)) = T::schema() else {
            panic!("a section of the configuration is an object");
        };
        object.properties.iter().map(|(key, schema)| (key.clone(), described(schema))).collect()
    }

    fn described(schema: &RefOr<Schema>) -> String {
        let (own, parts): (Option<&String>, &[RefOr<Schema>]) = match schema {
            RefOr::Ref(reference) => (Some(&reference.description), &[]),
            RefOr::T(Schema::Object(object)) => (object.description.as_ref(), &[]),
            RefOr::T(Schema::Array(array)) => (array.description.as_ref(), &[]),
            RefOr::T(Schema::OneOf(one)) => (one.description.as_ref(), &one.items),
            RefOr::T(Schema::AllOf(all)) => (all.description.as_ref(), &all.items),
            RefOr::T(_) => (None, &[]),
        };
        match own {
            Some(own) => own.clone(),
            // Of what may be absent, the part that may be there is described.
            None => parts.iter().map(described).find(|text| !text.is_empty()).unwrap_or_default(),
        }
    }

    /// A section of the page; `unsaid` stands for a default that is not a value.
    fn section<T: PartialSchema>(
        page: &mut String,
        heading: &str,
        defaults: &toml::Table,
        unsaid: &str,
    ) {
        write!(page, "\n## {heading}\n\n").unwrap();
        let about = described(&T::schema()).replace('\n', " ");
        write!(page, "{about}\n\n").unwrap();
        page.push_str("| key | default | meaning |\n|---|---|---|\n");
        for (key, meaning) in properties::<T>() {
            let default = match defaults.get(&key) {
                Some(toml::Value::Table(_)) => continue,
                Some(value) => format!("`{value}`"),
                None => unsaid.into(),
            };
            assert!(!meaning.is_empty(), "{key} has no description");
            let meaning = meaning.replace('\n', " ");
            writeln!(page, "| `{key}` | {default} | {meaning} |").unwrap();
        }
    }

    fn render() -> String {
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        let table = |key: &str| defaults[key].as_table().unwrap();
        let mut page = String::from(HEAD);
        let see = "see there";
        section::<Config>(&mut page, "At the top", &defaults, see);
        section::<QemuConfig>(&mut page, "`[qemu]`", table("qemu"), see);
        section::<StorageConfig>(&mut page, "`[storage]`", table("storage"), see);
        section::<LimitsConfig>(&mut page, "`[limits]`", table("limits"), see);
        section::<AuditConfig>(&mut page, "`[audit]`", table("audit"), see);
        section::<CapacityConfig>(&mut page, "`[capacity]`", table("capacity"), see);
        section::<QuotaConfig>(
            &mut page,
            "`[quota.PROJECT]`, `[default_quota]`",
            table("quota"),
            "without bound",
        );
        section::<NetworksConfig>(&mut page, "`[networks]`", table("networks"), see);
        section::<DoorConfig>(&mut page, "`[door.NAME]`", table("door"), see);
        section::<VmmDoorConfig>(&mut page, "`[door.vmm]`", table("door"), see);
        section::<WalletsConfig>(&mut page, "`[wallets]`", table("wallets"), see);
        section::<TlsConfig>(&mut page, "`[tls]`", table("tls"), see);
        section::<ProxiesConfig>(&mut page, "`[proxies]`", table("proxies"), see);
        let oidc = "user = 'sub'\nmax_age = '24h'\nallow_http = false\ngrant = {}".parse().unwrap();
        section::<OidcConfig>(&mut page, "`[[oidc]]`", &oidc, "none");
        let grant = "privileged = false".parse().unwrap();
        section::<OidcGrantConfig>(&mut page, "`[[oidc.grant]]`", &grant, "none");
        section::<LibvirtConfig>(&mut page, "`[libvirt]`", table("libvirt"), see);
        section::<HooksConfig>(&mut page, "`[hooks]`", table("hooks"), see);
        section::<SimConfig>(&mut page, "`[sim]`", table("sim"), see);
        let sections = defaults.values().filter(|value| value.is_table()).count();
        assert_eq!(sections, 15, "a section is missing from this page");
        page
    }

    #[test]
    fn the_page_about_the_configuration_is_current() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let page = render();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &page).unwrap();
        }
        let stored = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(stored == page, "out of date: UPDATE_DOCS=1 cargo test -p inn configuration");
    }
}
