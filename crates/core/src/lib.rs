#![doc = include_str!("../README.md")]

mod capability;
mod dns;
mod error;
mod gate;
mod kind;
mod kinds;
mod name;
mod object;
mod path;
mod provider;
mod time;

pub use capability::{Capabilities, FieldCapability, KindCapabilities, Mutability, Scope, Support, VerbName};
pub use dns::{
    BatchSize, Batches, ChangeMode, DnsName, RecordChange, RecordChanges, RecordData, RecordEdit, RecordId, RecordOutcome, RecordOutcomes, RecordType, RecordWork, RecordsThere,
};
pub use error::{Effect, Error, ErrorKind, Reason, Result, Retry, VendorError, Violation};
pub use gate::{Api, Cx, Gate, OpenGate, Permit};
pub use kind::{AnyName, AnyRef, Child, Condition, Data, Kind, Managed, NoAction, Parent, Ref, Segment, VendorConfig, rename, unresolve};
pub use kinds::address::{Address, AddressSpec, AddressState, AddressStatus};
pub use kinds::disk::{Disk, DiskSpec, DiskState, DiskStatus};
pub use kinds::dns_zone::{DnsZone, DnsZoneAction, DnsZoneSpec, DnsZoneState, DnsZoneStatus};
pub use kinds::image::{Image, ImageSpec, ImageStatus};
pub use kinds::instance::{Alternative, ConsoleOutput, Instance, InstanceAction, InstanceQuestion, InstanceSpec, InstanceState, InstanceStatus, RootDisk};
pub use kinds::instance_group::{
    ChosenInstances, GroupHealth, GroupMember, HealthSource, InstanceGroup, InstanceGroupAction, InstanceGroupQuestion, InstanceGroupSpec, InstanceGroupState, InstanceGroupStatus,
    InstanceOutcome, InstanceOutcomes, InstanceTemplate, MemberState, Replacement, TemplateDisk,
};
pub use kinds::load_balancer::{
    Backend, BackendChanges, BackendDelta, BackendsChanged, HealthCheck, HealthProtocol, Listener, ListenerChanges, ListenerProtocol, LoadBalancer, LoadBalancerAction,
    LoadBalancerQuestion, LoadBalancerSpec, LoadBalancerState, LoadBalancerStatus, LoadBalancerWish, Scheme, TargetHealth, TargetState,
};
pub use kinds::location::{Location, LocationSpec, LocationStatus};
pub use kinds::machine_type::{Architecture, MachineType, MachineTypeSpec, MachineTypeStatus};
pub use kinds::nat_gateway::{Connectivity, NatGateway, NatGatewaySpec, NatGatewayState, NatGatewayStatus};
pub use kinds::network::{Network, NetworkSpec, NetworkState, NetworkStatus};
pub use kinds::quota::{Quota, QuotaSpec, QuotaStatus};
pub use kinds::record_set::{FailoverRole, RecordAlias, RecordItem, RecordSet, RecordSetSpec, RecordSetStatus, Routing};
pub use kinds::route_table::{Route, RouteChanges, RouteTable, RouteTableSpec, RouteTableState, RouteTableStatus};
pub use kinds::security_group::{Direction, Peer, PeerRule, Protocol, SecurityGroup, SecurityGroupSpec, SecurityGroupState, SecurityGroupStatus, SecurityRule};
pub use kinds::subnet::{Subnet, SubnetSpec, SubnetState, SubnetStatus};
pub use kinds::{Labels, Secret};
pub use name::{Digest, IdShape, LocationId, LocationName, Name, Owner, ProviderId, ResourceId, Root, Uid, VendorId, check_chosen_id, relative};
pub use object::{Change, Cursor, Etag, Handle, Mark, Object, Page, Past, Query, Resume, Revision, Shard, Step, Target, Verb};
pub use path::{FieldPath, changed_paths, merge, set_fields};
pub use provider::{COLLECTIONS, CloudProvider, Driver, Reader};
pub use time::unix_millis;
