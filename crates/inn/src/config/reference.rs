//! The reference page of the configuration, made from the comments in [`super`].

#[cfg(test)]
mod tests {
    use crate::config::{Config, LimitsConfig, QemuConfig, StorageConfig};
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
        let described = |schema: &RefOr<Schema>| match schema {
            RefOr::Ref(reference) => reference.description.clone(),
            RefOr::T(Schema::Object(object)) => object.description.clone().unwrap_or_default(),
            RefOr::T(Schema::Array(array)) => array.description.clone().unwrap_or_default(),
            RefOr::T(Schema::OneOf(one)) => one.description.clone().unwrap_or_default(),
            RefOr::T(Schema::AllOf(all)) => all.description.clone().unwrap_or_default(),
            RefOr::T(_) => String::new(),
        };
        object.properties.iter().map(|(key, schema)| (key.clone(), described(schema))).collect()
    }

    fn section<T: PartialSchema>(page: &mut String, heading: &str, defaults: &toml::Table) {
        write!(page, "\n## {heading}\n\n| key | default | meaning |\n|---|---|---|\n").unwrap();
        for (key, meaning) in properties::<T>() {
            let default = match defaults.get(&key) {
                Some(toml::Value::Table(_)) => continue,
                Some(value) => format!("`{value}`"),
                None => "see there".into(),
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
        section::<Config>(&mut page, "At the top", &defaults);
        section::<QemuConfig>(&mut page, "`[qemu]`", table("qemu"));
        section::<StorageConfig>(&mut page, "`[storage]`", table("storage"));
        section::<LimitsConfig>(&mut page, "`[limits]`", table("limits"));
        let sections = defaults.values().filter(|value| value.is_table()).count();
        assert_eq!(sections, 3, "a section is missing from this page");
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
