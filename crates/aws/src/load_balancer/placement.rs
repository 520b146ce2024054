//! Where a load balancer stands: in which subnets, at which addresses there, and of which families its addresses are.
//!
//! Subnets are one set that is replaced, so that every write can be repeated
//! (<https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_SetSubnets.html>). What is kept of it keeps its addresses.

use super::write::arn;
use crate::{
    client::Region,
    mark::filter,
    resource::Kept,
    step::{answered, told},
};
use aws_sdk_elasticloadbalancingv2::types::{EnablePrefixForIpv6SourceNatEnum, IpAddressType, LoadBalancer as Vendors, SubnetMapping};
use std::collections::{BTreeMap, BTreeSet};
use welkin_core::{Cx, Error, ErrorKind, Listener, ListenerProtocol, LoadBalancerSpec, Reason, Result, Subnet};

/// Has AWS choose the range of a subnet that UDP's senders are translated into (API_SubnetMapping).
const CHOSEN: &str = "auto_assigned";

/// An address of a subnet that somebody has chosen, and the range that senders are translated into there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Chosen {
    private_v4: Option<String>,
    v6: Option<String>,
    range: Option<String>,
}
/// Where one stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placement {
    /// Its subnets, each with the kept address that it is reached at there.
    subnets: BTreeMap<String, Option<String>>,
    chosen: BTreeMap<String, Chosen>,
    is_dual: bool,
    /// The senders of UDP over IPv6 are translated, which there has to be for it
    /// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/network/create-network-load-balancer.html>: "you can't add a UDP listener unless Enable
    /// prefix for IPv6 source NAT is On").
    translates: bool,
}
/// One write that changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Write {
    Subnets(Placement),
    /// Both families, or IPv4 alone.
    Families(bool),
}

fn has_udp(listeners: &[Listener]) -> bool {
    listeners.iter().any(|l| l.protocol == ListenerProtocol::Udp)
}

impl Placement {
    /// Of a new one.
    pub(super) fn new(spec: &LoadBalancerSpec) -> Result<Self> {
        Ok(Self { subnets: spec.places(&BTreeMap::new())?, chosen: BTreeMap::new(), is_dual: spec.dual_stack, translates: spec.dual_stack && has_udp(&spec.listeners) })
    }
    pub(super) fn shown(balancer: &Vendors) -> Self {
        let owned = |text: Option<&str>| told(text).map(ToOwned::to_owned);
        let (mut subnets, mut chosen) = (BTreeMap::new(), BTreeMap::new());
        for zone in balancer.availability_zones() {
            let Some(subnet) = owned(zone.subnet_id()) else { continue };
            let at = zone.load_balancer_addresses();
            let one = Chosen {
                private_v4: at.iter().find_map(|a| owned(a.private_ipv4_address())),
                v6: at.iter().find_map(|a| owned(a.ipv6_address())),
                range: zone.source_nat_ipv6_prefixes().iter().find_map(|range| owned(Some(range))),
            };
            subnets.insert(subnet.clone(), at.iter().find_map(|a| owned(a.allocation_id())));
            chosen.insert(subnet, one);
        }
        Self {
            subnets,
            chosen,
            is_dual: balancer.ip_address_type().is_some_and(|t| *t != IpAddressType::Ipv4),
            translates: balancer.enable_prefix_for_ipv6_source_nat() == Some(&EnablePrefixForIpv6SourceNatEnum::On),
        }
    }
    /// How it has to be for this, where the update has asked for something in these fields. Once there is a translation it stays for as long as both families
    /// do, as nobody misses the range and it takes a write to give it back.
    pub(super) fn after(&self, spec: &LoadBalancerSpec, has: &dyn Fn(&str) -> bool) -> Result<Self> {
        let is_dual = if has("dual_stack") { spec.dual_stack } else { self.is_dual };
        let subnets = if has("subnets") || has("addresses") { spec.places(&self.subnets)? } else { self.subnets.clone() };
        let chosen = self.chosen.iter().filter(|(subnet, _)| subnets.contains_key(*subnet)).map(|(subnet, at)| (subnet.clone(), at.clone())).collect();
        Ok(Self { subnets, chosen, is_dual, translates: is_dual && (self.translates || has("listeners") && has_udp(&spec.listeners)) })
    }
    /// Does it give up a family, for which nothing may be led to that any more?
    pub(super) fn gives_up(&self, wanted: &Self) -> bool {
        self.is_dual && !wanted.is_dual
    }
    /// What AWS does not do in one update: `before` and `after` are its listeners.
    ///
    /// # Errors
    /// `FailedPrecondition` with the field. Of what was written already nothing is refused any more, so this is asked first.
    pub(super) async fn refuse(&self, wanted: &Self, region: &Region, cx: &Cx, before: &Vendors, listeners: (&[Listener], &[Listener])) -> Result<()> {
        let wrong = |field: &str, why: String| Err(Error::new(ErrorKind::FailedPrecondition, Reason::WrongState, why).with_field(field));
        // https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-target-groups.html#target-group-ip-address-type: UDP leads to IPv4 with
        // IPv4 alone, and to IPv6 with both, so that no listener of it fits what there is before the change and what there is after it.
        let is_in_the_way = if self.gives_up(wanted) { has_udp(listeners.1) } else { !self.is_dual && wanted.is_dual && has_udp(listeners.0) };
        if is_in_the_way {
            return wrong("dual_stack", "no listener for UDP outlasts a change of the families on AWS: let it go first, and make it anew afterwards".into());
        }
        let (new, old): (Vec<&String>, Vec<&String>) =
            (wanted.subnets.keys().filter(|s| !self.subnets.contains_key(*s)).collect(), self.subnets.keys().filter(|s| !wanted.subnets.contains_key(*s)).collect());
        if new.is_empty() || old.is_empty() {
            return Ok(());
        }
        let zone_of = |subnet: &str| before.availability_zones().iter().find(|z| z.subnet_id() == Some(subnet)).and_then(|z| told(z.zone_name()));
        let left: BTreeSet<&str> = old.iter().filter_map(|subnet| zone_of(subnet)).collect();
        for subnet in Subnet::many(region, cx, vec![filter("subnet-id", new.iter().map(|s| s.as_str()))]).await? {
            let (id, zone) = (answered(told(subnet.subnet_id()), "SubnetId")?, told(subnet.availability_zone()).unwrap_or_default());
            if left.contains(zone) {
                return wrong("subnets", format!("{id} is in {zone}, as one that goes: AWS takes another subnet of a zone only after an update that leaves the zone"));
            }
        }
        Ok(())
    }

    /// The parameters of its subnets: plain ones, or each with what it has there.
    pub(super) fn mappings(&self) -> (Option<Vec<String>>, Option<Vec<SubnetMapping>>) {
        let one = |(subnet, address): (&String, &Option<String>)| {
            let chosen = self.chosen.get(subnet).cloned().unwrap_or_default();
            let range = self.translates.then(|| chosen.range.unwrap_or_else(|| CHOSEN.to_owned()));
            let mapping = SubnetMapping::builder().subnet_id(subnet).set_allocation_id(address.clone()).set_private_ipv4_address(chosen.private_v4);
            mapping.set_ipv6_address(chosen.v6.filter(|_| self.is_dual)).set_source_nat_ipv6_prefix(range).build()
        };
        let all: Vec<SubnetMapping> = self.subnets.iter().map(one).collect();
        if all.iter().all(|m| SubnetMapping::builder().set_subnet_id(m.subnet_id.clone()).build() == *m) {
            (Some(self.subnets.keys().cloned().collect()), None)
        } else {
            (None, Some(all))
        }
    }
    /// Whether senders are translated, where AWS can be told.
    pub(super) fn translation(&self) -> Option<EnablePrefixForIpv6SourceNatEnum> {
        self.is_dual.then_some(if self.translates { EnablePrefixForIpv6SourceNatEnum::On } else { EnablePrefixForIpv6SourceNatEnum::Off })
    }
    fn is_elsewhere(&self, wanted: &Self) -> bool {
        self.subnets != wanted.subnets
    }
    /// In their order: new subnets come before the second family, and it goes before subnets come that may not have it. The translation is a matter of both.
    fn writes(&self, wanted: &Self) -> Vec<Write> {
        let mut out = Vec::new();
        let mut now = self.clone();
        if self.is_dual == wanted.is_dual {
            now = Self { subnets: wanted.subnets.clone(), translates: wanted.translates, ..now };
        } else if wanted.is_dual {
            now.subnets.clone_from(&wanted.subnets);
        } else {
            now.translates = false;
        }
        if self.is_elsewhere(&now) || self.translates != now.translates {
            now.chosen.clone_from(if self.is_elsewhere(&now) { &wanted.chosen } else { &self.chosen });
            out.push(Write::Subnets(now.clone()));
        }
        if now.is_dual != wanted.is_dual {
            out.push(Write::Families(wanted.is_dual));
        }
        if now.is_elsewhere(wanted) || now.translates != wanted.translates {
            out.push(Write::Subnets(wanted.clone()));
        }
        out
    }
    /// Has it stand so; what the answers show of it is shown by `balancer`.
    pub(super) async fn becomes(&self, wanted: &Self, region: &Region, cx: &Cx, balancer: &mut Vendors) -> Result<()> {
        let id = arn(balancer)?.to_owned();
        for write in self.writes(wanted) {
            match write {
                Write::Subnets(placement) => {
                    let (subnets, mappings) = placement.mappings();
                    let call = region.elb.set_subnets().load_balancer_arn(&id).set_subnets(subnets).set_subnet_mappings(mappings);
                    let answer = region.elb.write(cx, "SetSubnets", call.set_enable_prefix_for_ipv6_source_nat(placement.translation()).send()).await?;
                    balancer.availability_zones = answer.availability_zones;
                }
                Write::Families(is_dual) => {
                    let families = if is_dual { IpAddressType::Dualstack } else { IpAddressType::Ipv4 };
                    region.elb.write(cx, "SetIpAddressType", region.elb.set_ip_address_type().load_balancer_arn(&id).ip_address_type(families.clone()).send()).await?;
                    balancer.ip_address_type = Some(families);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(subnets: &[(&str, Option<&str>)], is_dual: bool, translates: bool) -> Placement {
        let subnets = subnets.iter().map(|(subnet, at)| ((*subnet).to_owned(), at.map(ToOwned::to_owned))).collect();
        Placement { subnets, chosen: BTreeMap::new(), is_dual, translates }
    }

    /// Each is one word: the number of subnets, with what of both families goes with them.
    fn words(now: &Placement, wanted: &Placement) -> Vec<String> {
        let one = |write: Write| match write {
            Write::Subnets(p) => format!("{}{}{}", p.subnets.len(), if p.is_dual { "d" } else { "" }, if p.translates { "t" } else { "" }),
            Write::Families(is_dual) => if is_dual { "dual" } else { "v4" }.to_owned(),
        };
        now.writes(wanted).into_iter().map(one).collect()
    }
    #[test]
    fn a_family_is_there_only_with_subnets_that_have_it() {
        let (one, two) = ([("a", None)], [("a", None), ("b", None)]);
        let at = |subnets: &[(&str, Option<&str>)], is_dual, translates| placement(subnets, is_dual, translates);
        for (now, wanted, writes) in [
            (at(&one, false, false), at(&one, false, false), vec![]),
            (at(&one, true, true), at(&one, true, true), vec![]),
            (at(&one, false, false), at(&two, false, false), vec!["2"]),
            (at(&one, false, false), at(&one, true, false), vec!["dual"]),
            (at(&one, false, false), at(&two, true, false), vec!["2", "dual"]),
            (at(&one, false, false), at(&two, true, true), vec!["2", "dual", "2dt"]),
            (at(&one, true, false), at(&one, true, true), vec!["1dt"]),
            (at(&one, true, false), at(&two, true, true), vec!["2dt"]),
            (at(&two, true, true), at(&two, false, false), vec!["2d", "v4"]),
            (at(&two, true, true), at(&one, false, false), vec!["2d", "v4", "1"]),
            (at(&two, true, false), at(&one, false, false), vec!["v4", "1"]),
        ] {
            assert_eq!(words(&now, &wanted), writes, "{now:?} {wanted:?}");
        }
    }
    #[test]
    fn what_a_subnet_has_is_sent_with_it() {
        assert_eq!(placement(&[("a", None), ("b", None)], true, false).mappings(), (Some(vec!["a".into(), "b".into()]), None));
        let one = |with: &Placement| with.mappings().1.unwrap().remove(0);
        assert_eq!(one(&placement(&[("a", Some("eipalloc-1"))], false, false)), SubnetMapping::builder().subnet_id("a").allocation_id("eipalloc-1").build());
        let mut chosen = placement(&[("a", None)], true, true);
        assert_eq!(one(&chosen), SubnetMapping::builder().subnet_id("a").source_nat_ipv6_prefix("auto_assigned").build());
        chosen.chosen.insert("a".into(), Chosen { private_v4: Some("10.0.0.9".into()), v6: Some("2001:db8::9".into()), range: Some("2001:db8:0:0:1::/80".into()) });
        let all = SubnetMapping::builder().subnet_id("a").private_ipv4_address("10.0.0.9");
        assert_eq!(one(&chosen), all.clone().ipv6_address("2001:db8::9").source_nat_ipv6_prefix("2001:db8:0:0:1::/80").build());
        assert_eq!(one(&Placement { is_dual: false, translates: false, ..chosen }), all.build());
    }
}
