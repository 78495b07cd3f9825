//! The kinds of operations: one list, by the names that tasks, plans, the audit and the page about operations
//! (docs/operations.md) have for them.

macro_rules! kinds {
    ($($kind:ident => $name:literal,)+) => {
        /// What an operation is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Kind {
            $($kind,)+
        }

        impl Kind {
            /// Every kind that there is.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$kind,)+];

            /// Its name.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }
    };
}

kinds! {
    Create => "create",
    Clone => "clone",
    Import => "import",
    Edit => "edit",
    Delete => "delete",
    Start => "start",
    Stop => "stop",
    Kill => "kill",
    Reboot => "reboot",
    Reset => "reset",
    Pause => "pause",
    Resume => "resume",
    Suspend => "suspend",
    Preserve => "preserve",
    PutAway => "put-away",
    NicAdd => "nic-add",
    NicRemove => "nic-remove",
    NicChange => "nic-change",
    Adopt => "adopt",
    ImageAdd => "image-add",
    ImageRemove => "image-remove",
    NetworkCreate => "network-create",
    NetworkEdit => "network-edit",
    NetworkDelete => "network-delete",
    SubnetCreate => "subnet-create",
    SubnetDelete => "subnet-delete",
    SubnetReserve => "subnet-reserve",
    SubnetRelease => "subnet-release",
}
