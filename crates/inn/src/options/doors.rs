//! Which doors are open, where, and to whom: flags and configuration put together and checked.

use super::{ListenAddress, misuse};
use crate::{
    config::{DoorConfig, DoorsConfig, VmmDoorConfig},
    failure::Failure,
};
use innkeeper_auth::Role;
use innkeeper_doors::Door;
use innkeeper_model::{ImageName, Refusal};
use std::{collections::BTreeSet, str::FromStr};

/// The command line of a kernel whose VM's request has none.
const BOOT_ARGS: &str = "console=ttyS0 reboot=k panic=1 root=/dev/vda rw";

/// The doors that are open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DoorOptions {
    /// Those whose protocol has no credential.
    pub anonymous: Vec<AnonymousDoor>,
    /// The VMM service's.
    pub vmm: Option<VmmDoor>,
}

/// An open door whose protocol has no credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnonymousDoor {
    /// Which.
    pub door: Door,
    /// Where it listens: on a loopback address, or with TLS.
    pub listen: ListenAddress,
    /// What callers of this host may do who show no credential; without a role none is let in. On an address that is
    /// not loopback there is none.
    pub role: Option<Role>,
    /// What a wallet's token must name, where it is not what it must over TCP.
    pub audience: Option<String>,
    /// The local users who are let in so.
    pub uids: BTreeSet<u32>,
}

/// The VMM service's door, open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmmDoor {
    /// Where it listens: on a loopback address, or with TLS.
    pub listen: ListenAddress,
    /// What a wallet's token must name, where it is not what it must over TCP.
    pub audience: Option<String>,
    /// The image of a kernel that a request does not name.
    pub kernel: Option<ImageName>,
    /// The image of a first disk that a request does not name.
    pub rootfs: Option<ImageName>,
    /// The command line of a kernel that a request does not give.
    pub boot_args: String,
}

/// `--door NAME=ADDR[,tls][,anonymous=ROLE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DoorFlag {
    door: Door,
    listen: String,
    anonymous: Option<Role>,
}

impl FromStr for DoorFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write NAME=ADDR, and after it ,tls or ,anonymous=ROLE or both";
        let (door, rest) = text.split_once('=').ok_or(form)?;
        let mut parts = rest.split(',');
        let mut listen = parts.next().unwrap_or_default().to_owned();
        let mut anonymous = None;
        for part in parts {
            match part.strip_prefix("anonymous=") {
                Some(role) if anonymous.is_none() => anonymous = Some(role.parse::<Role>()?),
                None if part == "tls" && !listen.ends_with(",tls") => listen.push_str(",tls"),
                _ => return Err(form.into()),
            }
        }
        Ok(Self { door: door.parse()?, listen, anonymous })
    }
}

/// Puts flags over the configuration. Users are root and `daemon_uid`, where nobody says who.
///
/// # Errors
/// An address that is neither loopback nor has TLS, a door that lets nobody in for want of a stated role, or one with
/// a role where there is none.
pub(super) fn resolve(
    flags: Vec<DoorFlag>,
    mut config: DoorsConfig,
    daemon_uid: u32,
) -> Result<DoorOptions, Failure> {
    let mut named = BTreeSet::new();
    for flag in flags {
        let DoorFlag { door, listen, anonymous } = flag;
        if !named.insert(door) {
            let problem = "is named twice: a door has one address";
            return Err(misuse(Refusal::invalid("door", door, problem)));
        }
        let section = match door {
            Door::Vminfod => &mut config.vminfod,
            Door::Chypervisord => &mut config.chypervisord,
            Door::Virtx => &mut config.virtx,
            Door::Vmm => {
                if let Some(role) = anonymous {
                    return Err(takes_no_role(role));
                }
                config.vmm.get_or_insert_default().listen = Some(listen);
                continue;
            }
        };
        let section = section.get_or_insert_default();
        section.listen = Some(listen);
        section.anonymous = anonymous.or(section.anonymous);
    }
    let DoorsConfig { vminfod, vmm, chypervisord, virtx } = config;
    let sections =
        [(Door::Vminfod, vminfod), (Door::Chypervisord, chypervisord), (Door::Virtx, virtx)];
    let anonymous = sections
        .into_iter()
        .filter_map(|(door, section)| Some(opened(door, section?, daemon_uid)))
        .collect::<Result<_, _>>()?;
    Ok(DoorOptions { anonymous, vmm: vmm.map(vmm_opened).transpose()? })
}

fn opened(door: Door, config: DoorConfig, daemon_uid: u32) -> Result<AnonymousDoor, Failure> {
    let DoorConfig { listen, anonymous, audience, uids } = config;
    let listen = address(door, listen)?;
    match anonymous {
        Some(role) if !listen.address.ip().is_loopback() => {
            let problem = "is for callers of this host: others say who they are";
            return Err(misuse(Refusal::invalid("anonymous", role, problem).with_hint(format!(
                "leave it out: --door {door}={listen}; callers show a token or a certificate then"
            ))));
        }
        Some(Role::Owner) => {
            let problem = "is somebody of a project, and without a credential nobody says of which";
            let hint =
                "an owner shows a token: inn token create NAME --role owner --project PROJECT";
            return Err(misuse(Refusal::invalid("anonymous", "owner", problem).with_hint(hint)));
        }
        None if !listen.tls => {
            let problem = "has no credential in its protocol: nobody said what its callers may do";
            return Err(misuse(Refusal::invalid("door", door, problem).with_hint(format!(
                "say --door {door}={listen},anonymous=viewer (or operator, or admin), or `anonymous` in \
                 [door.{door}]; then processes of root and of the daemon's user are let in"
            ))));
        }
        Some(_) | None => {}
    }
    let uids = uids.map_or_else(|| BTreeSet::from([0, daemon_uid]), BTreeSet::from_iter);
    Ok(AnonymousDoor { door, listen, role: anonymous, audience, uids })
}

fn vmm_opened(config: VmmDoorConfig) -> Result<VmmDoor, Failure> {
    let VmmDoorConfig { listen, audience, kernel, rootfs, boot_args } = config;
    Ok(VmmDoor {
        listen: address(Door::Vmm, listen)?,
        audience,
        kernel: image("door.vmm.kernel", kernel)?,
        rootfs: image("door.vmm.rootfs", rootfs)?,
        boot_args: boot_args.unwrap_or_else(|| BOOT_ARGS.into()),
    })
}

fn address(door: Door, listen: Option<String>) -> Result<ListenAddress, Failure> {
    match listen {
        Some(text) => ListenAddress::read(&format!("door.{door}.listen"), &text),
        None => Ok(door.usual_address().into()),
    }
}

fn image(key: &str, name: Option<String>) -> Result<Option<ImageName>, Failure> {
    let Some(name) = name else { return Ok(None) };
    name.parse().map(Some).map_err(|problem| misuse(Refusal::invalid(key, &name, problem)))
}

fn takes_no_role(role: Role) -> Failure {
    let problem = "is not for the door vmm: its callers show a token";
    misuse(Refusal::invalid("anonymous", role, problem).with_hint("leave it out: --door vmm=ADDR"))
}

impl DoorOptions {
    /// The same as a configuration.
    pub(super) fn as_config(&self) -> DoorsConfig {
        let section = |door: Door| {
            let found = self.anonymous.iter().find(|open| open.door == door)?;
            Some(DoorConfig {
                listen: Some(found.listen.to_string()),
                anonymous: found.role,
                audience: found.audience.clone(),
                uids: Some(found.uids.iter().copied().collect()),
            })
        };
        let vmm = self.vmm.as_ref().map(|vmm| VmmDoorConfig {
            listen: Some(vmm.listen.to_string()),
            audience: vmm.audience.clone(),
            kernel: vmm.kernel.as_ref().map(ToString::to_string),
            rootfs: vmm.rootfs.as_ref().map(ToString::to_string),
            boot_args: Some(vmm.boot_args.clone()),
        });
        DoorsConfig {
            vminfod: section(Door::Vminfod),
            vmm,
            chypervisord: section(Door::Chypervisord),
            virtx: section(Door::Virtx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(text: &str) -> DoorFlag {
        text.parse().unwrap()
    }

    fn config(text: &str) -> DoorsConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn no_door_is_open_until_it_is_named() {
        assert_eq!(resolve(vec![], DoorsConfig::default(), 7).unwrap(), DoorOptions::default());
    }

    #[test]
    fn a_door_without_a_credential_needs_a_stated_role() {
        for door in ["vminfod", "chypervisord", "virtx"] {
            let failure = resolve(vec![flag(&format!("{door}=127.0.0.1:1"))], config(""), 7);
            let text = failure.unwrap_err().to_string();
            assert!(text.contains(door) && text.contains("credential"), "{text}");
            let open = flag(&format!("{door}=127.0.0.1:1,anonymous=operator"));
            let open = resolve(vec![open], config(""), 7).unwrap().anonymous;
            assert_eq!((open[0].role, &open[0].uids), (Some(Role::Operator), &[0, 7].into()));
        }
    }

    #[test]
    fn nobody_is_an_owner_without_a_credential() {
        let open = flag("virtx=127.0.0.1:1,anonymous=owner");
        let text = resolve(vec![open], config(""), 7).unwrap_err().to_string();
        assert!(text.contains("project") && text.contains("inn token create"), "{text}");
    }

    #[test]
    fn the_door_with_a_credential_takes_no_role() {
        let failure = resolve(vec![flag("vmm=127.0.0.1:1,anonymous=admin")], config(""), 7);
        assert!(failure.unwrap_err().to_string().contains("token"));
        assert!(toml::from_str::<DoorsConfig>("[vmm]\nanonymous = 'admin'").is_err());
        let open = resolve(vec![flag("vmm=127.0.0.1:1")], config(""), 7).unwrap();
        assert_eq!(open.vmm.unwrap().boot_args, BOOT_ARGS);
    }

    #[test]
    fn flags_outrank_the_file_and_addresses_have_defaults() {
        let written = config(
            "[virtx]\nanonymous = 'viewer'\naudience = 'a'\nuids = [3]\n[vmm]\nkernel = 'k'",
        );
        let open = resolve(vec![flag("virtx=[::1]:5")], written.clone(), 7).unwrap();
        let virtx = &open.anonymous[0];
        assert_eq!((virtx.listen.to_string(), virtx.role), ("[::1]:5".into(), Some(Role::Viewer)));
        assert_eq!((&virtx.uids, virtx.audience.as_deref()), (&[3].into(), Some("a")));
        let open = resolve(vec![], written, 7).unwrap();
        assert_eq!(open.anonymous[0].listen, Door::Virtx.usual_address().into());
        assert_eq!(open.vmm.as_ref().unwrap().listen, Door::Vmm.usual_address().into());
        assert_eq!(resolve(vec![], open.as_config(), 7).unwrap(), open);
    }

    #[test]
    fn what_is_no_door_or_reachable_from_outside_is_refused() {
        for text in [
            "vminfod",
            "xen=127.0.0.1:1",
            "vmm=127.0.0.1:1,role=admin",
            "virtx=a,anonymous=x",
            "vmm=a,tls,tls",
        ] {
            assert!(text.parse::<DoorFlag>().is_err(), "{text}");
        }
        let twice = ["127.0.0.1:1", "127.0.0.1:2"].map(|to| flag(&format!("vmm={to}"))).to_vec();
        let text = resolve(twice, config(""), 7).unwrap_err().to_string();
        assert!(text.contains("named twice"), "{text}");
        let far = flag("vminfod=0.0.0.0:9090,anonymous=viewer");
        let text = resolve(vec![far], config(""), 7).unwrap_err().to_string();
        assert!(text.contains("door.vminfod.listen") && text.contains("loopback"), "{text}");
    }

    #[test]
    fn a_door_that_others_reach_has_tls_and_callers_who_say_who_they_are() {
        let open = |text: &str| resolve(vec![flag(text)], config(""), 7);
        let virtx = open("virtx=0.0.0.0:8080,tls").unwrap();
        assert_eq!((virtx.anonymous[0].role, virtx.anonymous[0].listen.tls), (None, true));
        assert_eq!(resolve(vec![], virtx.as_config(), 7).unwrap(), virtx);
        assert!(open("vmm=0.0.0.0:3002,tls").unwrap().vmm.unwrap().listen.tls);
        let text = open("virtx=0.0.0.0:8080,tls,anonymous=viewer").unwrap_err().to_string();
        assert!(text.contains("--door virtx=0.0.0.0:8080,tls;"), "{text}");
        let local = open("virtx=127.0.0.1:8080,anonymous=viewer,tls").unwrap();
        assert_eq!(
            (local.anonymous[0].role, local.anonymous[0].listen.tls),
            (Some(Role::Viewer), true)
        );
    }
}
