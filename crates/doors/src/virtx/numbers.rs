//! The protocol's enumerations: numbers on the wire, in requests and answers.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident { $zero:ident = 0 $(, $variant:ident = $value:literal)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[repr(i16)]
        pub(super) enum $name {
            #[default]
            $zero = 0,
            $($variant = $value),+
        }

        impl $name {
            const ALL: &[Self] = &[Self::$zero $(, Self::$variant)+];
            const NAMES: &[&str] = &[stringify!($zero) $(, stringify!($variant))+];
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_i16(*self as i16)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = i16::deserialize(deserializer)?;
                let found = Self::ALL.iter().find(|known| **known as i16 == number);
                found.copied().ok_or_else(|| {
                    let name = stringify!($name);
                    de::Error::custom(format_args!("{number} is no {name}"))
                })
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let numbers = Self::ALL.iter().map(|known| *known as i16);
                let named = numbers.clone().zip(Self::NAMES);
                let named: Vec<_> = named.map(|(number, name)| format!("{number} {name}")).collect();
                ObjectBuilder::new()
                    .schema_type(Type::Integer)
                    .enum_values(Some(numbers))
                    .description(Some(named.join(", ")))
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+};
}

numbers! {
    /// What a VM is doing.
    Vmrunstate {
        None = 0, Deleted = 1, Poweroff = 2, Startup = 3, Running = 4, Paused = 5, Migrating = 6,
        Terminating = 7, Pmsuspended = 8, Crashed = 9
    }
    /// What is known of a host.
    Cstate { Invalid = 0, Active = 1, Left = 2, Failed = 3 }
    /// Whether a VM runs while it moves.
    MigrationType { Cold = 0, Live = 1 }
    /// How far a migration has come.
    MigrationState {
        None = 0, Setup = 1, Cancelling = 2, Cancelled = 3, Active = 4, Preswitch = 5, Device = 6,
        WaitUnplug = 7, Completed = 8, Failed = 9
    }
    /// What a disk pretends to be.
    DiskDevice { Disk = 0, Cdrom = 1, Lun = 2 }
    /// How a disk is attached.
    DiskBus { VirtioBlk = 0, VirtioScsi = 1, Sata = 2, Scsi = 3 }
    /// Whether a disk lives and dies with its VM.
    DiskManMode { Unmanaged = 0, Managed = 1 }
    /// How a disk's file is made.
    DiskProvMode { None = 0, Thin = 1, Thick = 2 }
    /// What a network interface is connected to.
    NetType { Libvirt = 0, Bridge = 1 }
    /// What a network interface pretends to be.
    NetModel { Virtio = 0, E1000e = 1, E1000 = 2 }
    /// The kind of firmware.
    FirmwareType { Bios = 0, Uefi = 1 }
    /// How a VM is made to stop.
    Force { Ask = 0, End = 1, EndAtOnce = 2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;
    use std::fmt::Debug;

    /// The words of an enumeration in the order of their numbers, which begin with 0.
    fn words<T: DeserializeOwned + Debug>() -> String {
        let all = (0..).map_while(|number: u8| serde_json::from_value::<T>(number.into()).ok());
        all.map(|value| format!("{value:?}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_word_has_virtxs_number() {
        let runstates = "None Deleted Poweroff Startup Running Paused Migrating Terminating Pmsuspended Crashed";
        assert_eq!(words::<Vmrunstate>(), runstates);
        assert_eq!(words::<Cstate>(), "Invalid Active Left Failed");
        assert_eq!(words::<MigrationType>(), "Cold Live");
        let migrations =
            "None Setup Cancelling Cancelled Active Preswitch Device WaitUnplug Completed Failed";
        assert_eq!(words::<MigrationState>(), migrations);
        assert_eq!(words::<DiskDevice>(), "Disk Cdrom Lun");
        assert_eq!(words::<DiskBus>(), "VirtioBlk VirtioScsi Sata Scsi");
        assert_eq!(words::<DiskManMode>(), "Unmanaged Managed");
        assert_eq!(words::<DiskProvMode>(), "None Thin Thick");
        assert_eq!(words::<NetType>(), "Libvirt Bridge");
        assert_eq!(words::<NetModel>(), "Virtio E1000e E1000");
        assert_eq!(words::<FirmwareType>(), "Bios Uefi");
    }

    #[test]
    fn they_are_numbers_and_out_of_range_is_none_of_them() {
        assert_eq!(serde_json::to_string(&Vmrunstate::Crashed).unwrap(), "9");
        assert_eq!(serde_json::from_str::<Vmrunstate>("8").unwrap(), Vmrunstate::Pmsuspended);
        for text in ["10", "-1", "70000", "\"RUNNING\"", "1.5"] {
            assert!(serde_json::from_str::<Vmrunstate>(text).is_err(), "{text}");
        }
    }
}
