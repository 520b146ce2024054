use std::{fmt, time::Duration};

macro_rules! codes {
    ($($code:ident,)*) => {
        /// The vendor's error codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Code { $($code,)* }
        impl Code {
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$code,)*];
            pub(crate) const fn as_str(self) -> &'static str { match self { $(Self::$code => stringify!($code),)* } }
        }
    };
}
codes! {
    AddressAssociated, AddressHeld, AddressInUse, AddressNotFound, AddressOutOfRange, ConnectionLost, DeletionProtected, DependencyViolation, DiskAttached, DiskNotFound, DiskNumbersNotTaken, DiskShrinks, DiskTypeNotFound, DuplicateRule, GatewayAlreadyAttached, GatewayNotFound, GroupNotFound, GroupOfAnotherNetwork, IdempotentParameterMismatch, ImageArchitecture, ImageNotFound,
    IncorrectState, InstanceOfAnotherZone, InsufficientCapacity, InvalidAddressRange, InvalidNextToken, InvalidZone, MachineTypeNotFound, NatGatewayNotFound, NetworkNotFound, NoWayToTheInternet, RouteExists, RouteNotFound, RouteTableNotFound, RouteTargetNotFound, RouteTargetOfAnotherNetwork, SubnetAssociated, SubnetOfAnotherNetwork, PeerNotFound, PeerOfAnotherNetwork, PrivateAddressNotFound, QuotaExceeded, RangeConflict, RangeExhausted,
    RangeOutsideNetwork, SecurityGroupNotFound, ServiceUnavailable, StorageFailure, SubnetNotFound, InstanceNotFound, Throttling, UnknownRegion, VersionMismatch, DiskTooSmall, ZoneMismatch,
    AddressCount, ListenerExists, ListenerNotFound, LoadBalancerNotFound, NameTaken, SubnetsShareZone, TargetPoolNotFound, TargetOutsideNetwork, TooManyTargets,
    LastNetwork, ZoneConflict, ZoneIsPublic, ZoneNetworkNotFound, ZoneNotFound, ZoneNotEmpty,
    BelowMinimum, InstanceGroupNotFound, NotAMember, RefreshInProgress, SizeOutOfRange, TemplateNotFound,
    AliasTargetNotFound, RecordConflict, RecordExists, RecordMismatch, RecordMisplaced, RecordNotFound, TooManyValues,
}

/// The vendor said no, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) request_id: Option<String>,
}
impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None, request_id: None }
    }
}
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}
impl std::error::Error for Refusal {}
