//! What a provider implements.

use crate::{
    Address, Capabilities, Change, Cursor, Cx, Disk, DnsZone, FieldPath, Image, Instance, InstanceGroup, Kind, LoadBalancer, Location, MachineType, Managed, NatGateway, Network,
    Object, Page, Query, Quota, RecordSet, Result, Resume, RouteTable, SecurityGroup, Shard, Step, Subnet, Target,
};
use async_trait::async_trait;
use std::{collections::BTreeSet, fmt::Debug};

/// Reads one kind. Reads have no effect, and each may be dropped at any time.
#[async_trait]
pub trait Reader<K: Kind>: Debug + Send + Sync {
    /// What has to be listed to answer `query`, one entry for each paged list of the vendor. No call is made.
    fn shards(&self, query: &Query<K>) -> Vec<Shard>;

    /// Reads one object, by the vendor's id where the target has it, else by our mark (owner and id).
    ///
    /// One vendor call where the vendor can answer in one.
    ///
    /// # Errors
    /// `NotFound` only where the vendor said so for this very resource in a complete and successful read. Anything else is another error, and
    /// no other error means that it is gone.
    async fn get(&self, cx: &Cx, target: &Target<K>) -> Result<Object<K>>;

    /// Reads one page of one shard.
    ///
    /// # Errors
    /// `InvalidArgument` for a cursor that the vendor does not accept. A failed page is an error, never a shorter list.
    async fn list(&self, cx: &Cx, query: &Query<K>, shard: &Shard, from: Option<&Cursor>) -> Result<Page<K>>;
}

/// Changes one kind.
///
/// Every mutation is a step function: each call does what can be done now and answers `Done` or `Wait`; the engine calls again. A driver
/// never sleeps and never polls in a loop. A step makes at most one write that is neither keyed by a token nor made under a chosen name, so
/// that the journal can tell which one is unresolved.
///
/// Cancel safety: the engine may drop a step at any await. What was written is then unresolved at the next step.
///
/// # Errors
/// A step's error with `retry` After is repeated by the engine, with what is unresolved. Any other ends the operation; a create is then
/// followed by a delete of its uid.
#[async_trait]
pub trait Driver<K: Managed>: Reader<K> {
    /// All checks that need no write, the vendor's dry run where it has one.
    ///
    /// # Errors
    /// Those that the change itself would give.
    async fn check(&self, cx: &Cx, change: &Change<K>) -> Result<()>;

    /// Makes the resource, marked. Done means usable: running, active.
    ///
    /// # Errors
    /// See the trait.
    async fn create(&self, cx: &Cx, change: &Change<K>, spec: &K::Spec, resume: &Resume) -> Result<Step<Object<K>>>;

    /// Brings `paths` to what `desired` says. Repeating it is harmless.
    ///
    /// # Errors
    /// See the trait.
    async fn update(&self, cx: &Cx, change: &Change<K>, desired: &K::Spec, paths: &BTreeSet<FieldPath>, resume: &Resume) -> Result<Step<Object<K>>>;

    /// Removes every object that carries the change's uid, also where the main object is missing. Done means that none is left, and that
    /// nothing of an unresolved write can still appear.
    ///
    /// # Errors
    /// See the trait.
    async fn delete(&self, cx: &Cx, change: &Change<K>, resume: &Resume) -> Result<Step<()>>;

    /// Does one of the kind's own verbs. A verb without a fixed point (reboot) is never sent again when unresolved: it ends with effect Unknown.
    ///
    /// # Errors
    /// See the trait.
    async fn act(&self, cx: &Cx, change: &Change<K>, action: &K::Action, resume: &Resume) -> Result<Step<K::Outcome>>;

    /// Answers a question about one, ours or foreign, which is found as `get` finds it. A read: it has no effect, and may be dropped at any time.
    /// What it answers is neither kept nor logged, since it can hold secrets.
    ///
    /// # Errors
    /// Those of `get`, and `FailedPrecondition` where the vendor cannot tell in this state.
    async fn ask(&self, cx: &Cx, target: &Target<K>, question: &K::Question) -> Result<K::Answer>;
}

/// Calls a macro with the one list of kinds: `then! { [args] managed { field: Type, .. } catalogue { field: Type, .. } }`.
///
/// A new kind is one line here; the compiler then lists everything that has to know it.
#[macro_export]
macro_rules! kinds {
    ($then:ident $($args:tt)*) => {
        $then! {
            [$($args)*]
            managed {
                networks: Network,
                subnets: Subnet,
                security_groups: SecurityGroup,
                instances: Instance,
                addresses: Address,
                disks: Disk,
                dns_zones: DnsZone,
                nat_gateways: NatGateway,
                route_tables: RouteTable,
                record_sets: RecordSet,
                load_balancers: LoadBalancer,
                instance_groups: InstanceGroup
            }
            catalogue { locations: Location, machine_types: MachineType, images: Image, quotas: Quota }
        }
    };
}

/// Evaluates an expression with a type name standing for the kind of a collection:
/// `with_kind!(collection, K => run::<K>().await, else Err(unknown()))`. Only managed kinds count; `with_any_kind!` takes the catalogue too.
#[macro_export]
macro_rules! with_kind {
    ($($args:tt)*) => {{
        #[allow(unused_imports, reason = "inside core the macro is in textual scope already")]
        use $crate::__with_kind;
        $crate::kinds!(__with_kind managed_only $($args)*)
    }};
}
/// As [`with_kind!`], with the catalogue.
#[macro_export]
macro_rules! with_any_kind {
    ($($args:tt)*) => {{
        #[allow(unused_imports, reason = "inside core the macro is in textual scope already")]
        use $crate::__with_kind;
        $crate::kinds!(__with_kind any $($args)*)
    }};
}
#[doc(hidden)]
#[macro_export]
macro_rules! __with_kind {
    ([managed_only $collection:expr, $K:ident => $body:expr, else $other:expr] managed { $($f:ident: $k:ident),* } catalogue { $($g:ident: $c:ident),* }) => {
        match $collection {
            $(<$crate::$k as $crate::Kind>::COLLECTION => { type $K = $crate::$k; $body })*
            _ => $other,
        }
    };
    ([any $collection:expr, $K:ident => $body:expr, else $other:expr] managed { $($f:ident: $k:ident),* } catalogue { $($g:ident: $c:ident),* }) => {
        match $collection {
            $(<$crate::$k as $crate::Kind>::COLLECTION => { type $K = $crate::$k; $body })*
            $(<$crate::$c as $crate::Kind>::COLLECTION => { type $K = $crate::$c; $body })*
            _ => $other,
        }
    };
}

macro_rules! contract {
    ([] managed { $($f:ident: $k:ident),* } catalogue { $($g:ident: $c:ident),* }) => {
        /// A cloud: one account or project at one vendor.
        ///
        /// There are no default methods: a provider that forgets a kind does not compile.
        pub trait CloudProvider: Debug + Send + Sync + 'static {
            /// What this cloud can do. No call is made.
            fn capabilities(&self) -> &Capabilities;
            $(#[doc = concat!("Drives [`", stringify!($k), "`]; None where this cloud does not offer it.")]
            fn $f(&self) -> Option<&dyn Driver<$k>>;)*
            $(#[doc = concat!("Reads [`", stringify!($c), "`]; None where this cloud does not offer it.")]
            fn $g(&self) -> Option<&dyn Reader<$c>>;)*
        }
        /// The collections of every kind, managed ones first.
        pub const COLLECTIONS: &[&str] = &[$(<$k as Kind>::COLLECTION,)* $(<$c as Kind>::COLLECTION,)*];
    };
}
kinds!(contract);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_finds_its_kind() {
        let any = |c: &str| crate::with_any_kind!(c, K => Some(K::KIND), else None);
        let managed = |c: &str| crate::with_kind!(c, K => Some(K::KIND), else None);
        assert_eq!((any("instances"), managed("instances")), (Some("Instance"), Some("Instance")));
        assert_eq!((any("machineTypes"), managed("machineTypes"), any("nonsense")), (Some("MachineType"), None, None));
        assert!(COLLECTIONS.iter().all(|c| any(c).is_some()));
    }
}
