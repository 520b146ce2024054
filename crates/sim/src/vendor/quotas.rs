//! How much a region may hold.

use super::{
    Answer,
    cloud::{Action, Cloud, Draw, GLOBAL},
    refusal::{Code, Refusal},
    state::{Edit, Region},
};
use crate::Quotas;

/// What is bounded.
#[derive(Debug)]
pub(crate) struct Bound {
    /// The vendor's name of what it counts.
    pub(crate) name: &'static str,
    is_global: bool,
    limit: fn(&Quotas) -> Option<usize>,
    used: fn(&Region) -> usize,
}

macro_rules! bounds {
    ($($bound:ident: $name:literal, $is_global:literal, $table:ident <= $quota:ident;)*) => {
        $(pub(super) const $bound: Bound = Bound { name: $name, is_global: $is_global, limit: |q| q.$quota, used: |r| r.$table.len() };)*
        const ALL: &[Bound] = &[$($bound),*];
    };
}
bounds! {
    ADDRESSES: "addresses", false, addresses <= addresses;
    DISKS: "disks", false, disks <= disks;
    INSTANCE_GROUPS: "instance-groups", false, instance_groups <= instance_groups;
    INSTANCES: "instances", false, instances <= instances;
    LOAD_BALANCERS: "load-balancers", false, load_balancers <= load_balancers;
    NAT_GATEWAYS: "nat-gateways", false, nat_gateways <= nat_gateways;
    NETWORKS: "networks", false, networks <= networks;
    ROUTE_TABLES: "route-tables", false, route_tables <= route_tables;
    SECURITY_GROUPS: "security-groups", false, security_groups <= security_groups;
    SUBNETS: "subnets", false, subnets <= subnets;
    ZONES: "dns-zones", true, zones <= dns_zones;
}

/// How things stand with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) name: &'static str,
    pub(crate) limit: Option<usize>,
    pub(crate) used: usize,
}

impl Draw<'_> {
    /// Is there room for one more?
    pub(super) fn has_room(&self, region: &Region, bound: &Bound) -> Answer<()> {
        match (bound.limit)(&self.config.quotas) {
            Some(max) if (bound.used)(region) >= max => Err(Refusal::new(Code::QuotaExceeded, format!("this region may hold {max} {}", bound.name.replace('-', " ")))),
            _ => Ok(()),
        }
    }
}

impl Cloud {
    /// What a region may hold and holds, or what lies in none.
    pub(crate) async fn describe_quotas(&self, region: &str) -> Answer<Vec<Quota>> {
        let (is_global, quotas) = (region == GLOBAL, self.config().quotas);
        let here = ALL.iter().filter(|bound| bound.is_global == is_global);
        self.look(Action::DescribeQuotas, is_global, region, |r, now_ms| {
            let gone = r.swept(now_ms);
            // Nobody has swept it away yet, and the next creation will.
            let used = |bound: &Bound| (bound.used)(r) - gone.iter().filter(|edit| swept_from(edit) == bound.name).count();
            Ok(here.map(|bound| Quota { name: bound.name, limit: (bound.limit)(&quotas), used: used(bound) }).collect())
        })
        .await
    }
}

fn swept_from(edit: &Edit) -> &'static str {
    match edit {
        Edit::RemoveInstance(_) => INSTANCES.name,
        Edit::RemoveLoadBalancer(_) => LOAD_BALANCERS.name,
        Edit::RemoveNatGateway(_) => NAT_GATEWAYS.name,
        _ => "",
    }
}
