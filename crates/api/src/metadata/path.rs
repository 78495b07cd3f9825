//! The paths that cloud-init asks for. Pure.

use super::SeedDocument;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The list of what there is.
    Index,
    /// A document, as the seed has it.
    Document(SeedDocument),
    /// Something of the meta-data.
    Item(Item),
}

/// Something of the meta-data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    List,
    InstanceId,
    LocalHostname,
    LocalIpv4,
    PublicKeys,
    /// What there is of one key.
    PublicKey(usize),
    OpenSshKey(usize),
}

impl Wanted {
    /// What a path stands for; `None` where that is nothing.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        // A folder may be asked for with its slash or without.
        let segments: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
        Some(match segments[..] {
            ["latest"] => Self::Index,
            ["latest", "user-data"] | ["nocloud", "user-data"] => {
                Self::Document(SeedDocument::UserData)
            }
            ["nocloud", "meta-data"] => Self::Document(SeedDocument::MetaData),
            ["nocloud", "network-config"] => Self::Document(SeedDocument::NetworkConfig),
            ["latest", "meta-data", ref item @ ..] => Self::Item(Item::parse(item)?),
            _ => return None,
        })
    }
}

impl Item {
    fn parse(segments: &[&str]) -> Option<Self> {
        let number = |text: &str| text.parse::<usize>().ok();
        Some(match *segments {
            [] => Self::List,
            ["instance-id"] => Self::InstanceId,
            ["local-hostname"] => Self::LocalHostname,
            ["local-ipv4"] => Self::LocalIpv4,
            ["public-keys"] => Self::PublicKeys,
            ["public-keys", key] => Self::PublicKey(number(key)?),
            ["public-keys", key, "openssh-key"] => Self::OpenSshKey(number(key)?),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_there_is_has_a_path() {
        for (path, wanted) in [
            ("/latest/", Wanted::Index),
            ("/latest/meta-data", Wanted::Item(Item::List)),
            ("/latest/meta-data/", Wanted::Item(Item::List)),
            ("/latest/meta-data/instance-id", Wanted::Item(Item::InstanceId)),
            ("/latest/meta-data/public-keys/", Wanted::Item(Item::PublicKeys)),
            ("/latest/meta-data/public-keys/0/", Wanted::Item(Item::PublicKey(0))),
            ("/latest/meta-data/public-keys/1/openssh-key", Wanted::Item(Item::OpenSshKey(1))),
            ("/latest/user-data", Wanted::Document(SeedDocument::UserData)),
            ("/nocloud/user-data", Wanted::Document(SeedDocument::UserData)),
            ("/nocloud/meta-data", Wanted::Document(SeedDocument::MetaData)),
            ("/nocloud/network-config", Wanted::Document(SeedDocument::NetworkConfig)),
        ] {
            assert_eq!(Wanted::parse(path), Some(wanted), "{path}");
        }
        for path in [
            "",
            "/",
            "*",
            "/latest/vendor-data",
            "/nocloud/vendor-data",
            "/nocloud",
            "/openstack",
            "/latest/meta-data/ami-id",
            "/latest/meta-data/public-keys/-1",
            "/latest/meta-data/public-keys/0/openssh-key/x",
            "/latest//user-data",
            "/latest/../nocloud/user-data",
        ] {
            assert_eq!(Wanted::parse(path), None, "{path}");
        }
    }
}
