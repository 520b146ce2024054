//! Where load balancers stand, and of which families they are: what is written, in which order, and what is refused before that.

use crate::{
    balancers::{farm, listener, spec, to_address},
    cloud::Fault,
    journal::{World, create, name, then},
};
use std::collections::BTreeMap;
use welkin_core::{
    ListenerProtocol::{Tcp, Udp},
    *,
};

const FIRST: &str = "10.0.0.1";

fn to(ip: &str) -> Backend {
    Backend { address: Some(ip.parse().unwrap()), ..Backend::default() }
}
fn subnets(ids: &[&str]) -> Vec<Ref<Subnet>> {
    ids.iter().map(|id| Ref::resolved(name("s"), id.parse().unwrap())).collect()
}
fn addresses(ids: &[&str]) -> Vec<Ref<Address>> {
    ids.iter().map(|id| Ref::resolved(name("a"), id.parse().unwrap())).collect()
}
/// Two subnets in a zone each, and one beside the second: the third is without IPv6.
async fn zones() -> World {
    let world = farm(200).await;
    for (id, zone) in [("subnet-1", "a"), ("subnet-2", "b"), ("subnet-3", "b")] {
        world.cloud.plant_as(id, "subnet", &[("vpc", "vpc-1"), ("zone", zone)]);
        world.cloud.script(|s| s.balancing.zones.insert(id, zone));
    }
    world.cloud.script(|s| s.balancing.without_ipv6.insert("subnet-3"));
    world
}
/// One that is there, and what becomes of it.
struct Stood<'a> {
    world: &'a World,
    change: Change<LoadBalancer>,
    now: Object<LoadBalancer>,
}
impl<'a> Stood<'a> {
    async fn of(world: &'a World, asked: LoadBalancerSpec) -> Self {
        let change = create::<LoadBalancer>("web", asked);
        world.check(&change).await.unwrap();
        let now = world.run(&change).await.unwrap().object();
        let stood = Self { world, change, now };
        stood.is_shown().await;
        stood
    }
    async fn is_shown(&self) {
        let read = self.world.get(&self.change.target).await.unwrap();
        assert_eq!((&self.now.spec, &self.now.status), (&read.spec, &read.status));
    }
    fn update(&self, paths: &[&'static str], set: impl FnOnce(&mut LoadBalancerSpec)) -> Change<LoadBalancer> {
        let mut desired = self.now.spec.clone();
        set(&mut desired);
        then(&self.change, self.now.vendor_id.as_str(), Verb::Update { desired, paths: paths.iter().map(|p| FieldPath::from(*p)).collect() })
    }
    /// The writes that it took.
    async fn becomes(&mut self, paths: &[&'static str], set: impl FnOnce(&mut LoadBalancerSpec)) -> Vec<String> {
        let update = self.update(paths, set);
        self.world.cloud.script(|s| s.counted());
        self.world.check(&update).await.unwrap();
        let looks = self.world.cloud.script(|s| s.counted()).iter().filter(|c| c.starts_with("DescribeLoadBalancers ")).count();
        assert_eq!(looks, 1, "a check looks at it once: {paths:?}");
        self.now = self.world.run(&update).await.unwrap().object();
        let calls = self.world.cloud.script(|s| s.counted());
        let writes = calls.iter().filter(|c| !c.starts_with("Describe")).map(|c| c.split_whitespace().next().unwrap_or_default().to_owned()).collect();
        self.is_shown().await;
        // The same again is done already.
        let again = then(&self.change, self.now.vendor_id.as_str(), update.verb);
        self.world.run(&again).await.unwrap();
        assert_eq!(self.world.cloud.script(|s| s.counted()).iter().filter(|c| !c.starts_with("Describe")).count(), 0, "{paths:?}");
        writes
    }
    /// The field that is refused, by a check as by the change itself, which writes nothing.
    async fn refuses(&self, paths: &[&'static str], set: impl Fn(&mut LoadBalancerSpec)) -> (Reason, String) {
        let update = self.update(paths, set);
        self.world.cloud.script(|s| s.counted());
        let both = [self.world.check(&update).await.unwrap_err(), self.world.run(&update).await.unwrap_err()];
        assert_eq!(self.world.cloud.script(|s| s.counted()).iter().filter(|c| !c.starts_with("Describe")).count(), 0, "{paths:?}");
        let told = both.map(|e| (e.reason(), e.violations()[0].field.clone()));
        assert_eq!(told[0], told[1]);
        told[0].clone()
    }
    fn ids(&self) -> (Vec<String>, Vec<String>) {
        let sorted = |mut ids: Vec<String>| {
            ids.sort();
            ids
        };
        (
            sorted(self.now.spec.subnets.iter().map(|r| r.vendor_id().unwrap().to_string()).collect()),
            sorted(self.now.spec.addresses.iter().map(|r| r.vendor_id().unwrap().to_string()).collect()),
        )
    }
    fn is(&self) -> BTreeMap<String, String> {
        self.world.cloud.script(|s| s.balancing.balancers[0].is.clone())
    }
}

#[tokio::test]
async fn the_second_family_comes_and_goes() {
    let world = zones().await;
    let mut one = Stood::of(&world, spec(vec![listener(Tcp, 80)], vec![to(FIRST)])).await;
    assert_eq!(one.becomes(&["dual_stack"], |s| s.dual_stack = true).await, ["SetIpAddressType"]);
    assert!(one.now.spec.dual_stack);
    // Together with the subnets: those that have it come first, and it goes before those that do not.
    assert_eq!(one.becomes(&["dual_stack"], |s| s.dual_stack = false).await, ["SetIpAddressType"]);
    let both = one.becomes(&["dual_stack", "subnets"], |s| (s.dual_stack, s.subnets) = (true, subnets(&["subnet-1", "subnet-2"]))).await;
    assert_eq!(both, ["SetSubnets", "SetIpAddressType"]);
    assert_eq!(one.becomes(&["subnets"], |s| s.subnets = subnets(&["subnet-1"])).await, ["SetSubnets"]);
    let back = one.becomes(&["dual_stack", "subnets"], |s| (s.dual_stack, s.subnets) = (false, subnets(&["subnet-1", "subnet-3"]))).await;
    assert_eq!(back, ["SetIpAddressType", "SetSubnets"]);
    // A subnet without it is refused by AWS, as a change of families.
    let update = one.update(&["dual_stack"], |s| s.dual_stack = true);
    let e = world.run(&update).await.unwrap_err();
    assert_eq!((e.kind(), e.effect(), e.violations()[0].field.as_str()), (ErrorKind::InvalidArgument, Effect::None, "dual_stack"), "{e}");
    let new = create::<LoadBalancer>("new", LoadBalancerSpec { dual_stack: true, subnets: subnets(&["subnet-3"]), ..spec(vec![listener(Tcp, 80)], vec![to(FIRST)]) });
    assert_eq!(world.run_and_clean(&new).await.violations()[0].field, "dual_stack");
}

#[tokio::test]
async fn it_leads_to_addresses_of_one_family() {
    let world = zones().await;
    let v6 = ["2001:db8::1", "2001:db8::2"];
    let mut one = Stood::of(&world, LoadBalancerSpec { dual_stack: true, ..spec(vec![listener(Tcp, 80)], vec![to(v6[0])]) }).await;
    let groups = || world.cloud.script(|s| s.balancing.groups.iter().map(|g| (g.is.get("IpAddressType").cloned().unwrap_or_default(), g.targets.len())).collect::<Vec<_>>());
    assert_eq!((groups(), one.is()["IpAddressType"].as_str(), one.is()["EnablePrefixForIpv6SourceNat"].as_str()), (vec![("ipv6".to_owned(), 1)], "dualstack", "off"));
    assert_eq!(one.becomes(&["backends"], |s| s.backends = v6.map(to).to_vec()).await, ["RegisterTargets"]);
    // UDP has its senders translated, for which each subnet gives a range: before the listener is there.
    let writes = one.becomes(&["listeners"], |s| s.listeners = vec![listener(Tcp, 80), listener(Udp, 80), listener(Udp, 53)]).await;
    assert_eq!(
        writes.iter().position(|w| w == "SetSubnets"),
        writes.iter().position(|w| ["CreateListener", "ModifyListener", "CreateTargetGroup"].contains(&w.as_str())).map(|at| at - 1),
        "{writes:?}"
    );
    assert_eq!((one.is()["EnablePrefixForIpv6SourceNat"].as_str(), one.is()["SubnetMappings.member.1.SourceNatIpv6Prefix"].as_str()), ("on", "auto_assigned"));
    assert_eq!(one.becomes(&["subnets"], |s| s.subnets = subnets(&["subnet-1", "subnet-2"])).await, ["SetSubnets"]);
    assert_eq!(one.is()["SubnetMappings.member.1.SourceNatIpv6Prefix"], "2001:db8:0:0:1::/80");
    // No UDP outlasts the other family, and no address that is of it.
    assert_eq!(one.refuses(&["dual_stack"], |s| s.dual_stack = false).await, (Reason::InvalidField, "dual_stack".to_owned()));
    let to_v4 = |s: &mut LoadBalancerSpec| (s.dual_stack, s.backends) = (false, vec![to(FIRST)]);
    assert_eq!(one.refuses(&["dual_stack", "backends"], to_v4).await, (Reason::WrongState, "dual_stack".to_owned()));
    assert_eq!(one.refuses(&["backends"], |s| s.backends = vec![to(FIRST)]).await, (Reason::InvalidField, "listeners[1].protocol".to_owned()));
    let writes = one
        .becomes(&["dual_stack", "backends", "listeners"], |s| {
            to_v4(s);
            s.listeners = vec![listener(Tcp, 80)];
        })
        .await;
    let at = |write: &str| writes.iter().position(|w| w == write);
    assert!(at("DeleteListener") < at("SetSubnets") && at("SetSubnets") < at("SetIpAddressType") && at("SetIpAddressType") < at("DeleteTargetGroup"), "{writes:?}");
    assert_eq!((groups(), one.is()["EnablePrefixForIpv6SourceNat"].as_str()), (vec![(String::new(), 1)], "off"));
    // The way there, with IPv4's UDP before it.
    one.becomes(&["listeners"], |s| s.listeners = vec![listener(Udp, 53)]).await;
    let to_v6 = |s: &mut LoadBalancerSpec| (s.dual_stack, s.backends) = (true, vec![to(v6[0])]);
    assert_eq!(one.refuses(&["dual_stack", "backends"], to_v6).await, (Reason::WrongState, "dual_stack".to_owned()));
    one.becomes(&["listeners"], |s| s.listeners = vec![listener(Tcp, 53)]).await;
    let writes = one
        .becomes(&["dual_stack", "backends", "listeners"], |s| {
            to_v6(s);
            s.listeners = vec![listener(Udp, 53)];
        })
        .await;
    assert_eq!(writes.iter().filter(|w| w.starts_with("Set")).collect::<Vec<_>>(), ["SetIpAddressType", "SetSubnets"], "{writes:?}");
    world.run(&then(&one.change, one.now.vendor_id.as_str(), Verb::Delete)).await.unwrap();
    // All at once, from the start.
    let one = Stood::of(&world, LoadBalancerSpec { dual_stack: true, ..spec(vec![listener(Tcp, 53), listener(Udp, 53)], vec![to(v6[0])]) }).await;
    assert_eq!(one.is()["EnablePrefixForIpv6SourceNat"], "on");
}

#[tokio::test]
async fn what_stays_keeps_its_address() {
    let world = zones().await;
    let public = LoadBalancerSpec { scheme: Scheme::Public, addresses: addresses(&["eipalloc-1"]), ..spec(vec![listener(Tcp, 80)], vec![to(FIRST)]) };
    let mut one = Stood::of(&world, public).await;
    let (both, two) = (["subnet-1", "subnet-2"], ["eipalloc-2", "eipalloc-1"]);
    let wrong = (Reason::InvalidField, "addresses".to_owned());
    assert_eq!(one.refuses(&["addresses"], |s| s.addresses = addresses(&["eipalloc-2"])).await, wrong);
    assert_eq!(one.refuses(&["addresses"], |s| s.addresses.clear()).await, wrong);
    assert_eq!(one.refuses(&["subnets"], |s| s.subnets = subnets(&both)).await, wrong);
    assert_eq!(one.becomes(&["subnets", "addresses"], |s| (s.subnets, s.addresses) = (subnets(&both), addresses(&two))).await, ["SetSubnets"]);
    assert_eq!(one.ids(), (both.map(ToOwned::to_owned).to_vec(), ["eipalloc-1", "eipalloc-2"].map(ToOwned::to_owned).to_vec()));
    assert_eq!(one.is()["SubnetMappings.member.2.AllocationId"], "eipalloc-2");
    // A zone gets another subnet only once it has none.
    let another = |s: &mut LoadBalancerSpec| (s.subnets, s.addresses) = (subnets(&["subnet-1", "subnet-3"]), addresses(&["eipalloc-1", "eipalloc-3"]));
    assert_eq!(one.refuses(&["subnets", "addresses"], another).await, (Reason::WrongState, "subnets".to_owned()));
    assert_eq!(one.becomes(&["subnets", "addresses"], |s| (s.subnets, s.addresses) = (subnets(&["subnet-1"]), addresses(&["eipalloc-1"]))).await, ["SetSubnets"]);
    assert_eq!(one.becomes(&["subnets", "addresses"], another).await, ["SetSubnets"]);
    assert_eq!(one.ids().1, ["eipalloc-1", "eipalloc-3"]);
}

/// Whichever answer is lost, the next step writes the same again or nothing.
#[tokio::test]
async fn a_lost_answer_changes_nothing() {
    for call in ["SetSubnets", "SetIpAddressType"] {
        for fault in [Fault::Lost, Fault::Cut, Fault::Refuse("Throttling", 400)] {
            let world = zones().await;
            let mut one = Stood::of(&world, spec(vec![listener(Tcp, 80)], vec![to(FIRST)])).await;
            world.cloud.fault(call, fault, 1);
            let change = one.update(&["dual_stack", "subnets"], |s| (s.dual_stack, s.subnets) = (true, subnets(&["subnet-1", "subnet-2"])));
            one.now = world.run(&change).await.unwrap().object();
            one.is_shown().await;
            assert_eq!((one.now.spec.dual_stack, one.ids().0.len()), (true, 2), "{call} {fault:?}");
        }
    }
}

#[tokio::test]
async fn addresses_beyond_the_network_are_of_every_zone() {
    let world = farm(200).await;
    let beyond = to("192.168.7.1");
    let mut one = Stood::of(&world, spec(vec![listener(Tcp, 80)], vec![to_address(1), beyond.clone()])).await;
    let asked = || world.cloud.bodies().into_iter().filter(|b| b.contains("Action=DescribeVpcs")).count();
    let (before, sent) = (asked(), world.cloud.bodies().into_iter().rfind(|b| b.contains("Action=RegisterTargets")).unwrap());
    assert_eq!(sent.matches("AvailabilityZone=all").count(), 1, "{sent}");
    // Nothing is asked where there is nothing new, nor of what goes.
    assert_eq!(one.becomes(&["backends"], |s| s.backends = vec![to_address(1)]).await, ["DeregisterTargets"]);
    assert_eq!(asked(), before);
    assert_eq!(one.becomes(&["backends"], |s| s.backends.push(beyond.clone())).await, ["RegisterTargets"]);
    assert_eq!((asked(), one.now.spec.backends.len()), (before + 1, 2));
}

/// A subnet that is full is a quota, and not one that is not there.
#[tokio::test]
async fn a_full_subnet_is_told_as_one() {
    let world = farm(200).await;
    for (code, reason) in [
        ("InvalidSubnet: Not enough IP space available in subnet-1. ELB requires at least 8 free IP addresses in each subnet.", Reason::QuotaExceeded),
        ("InvalidSubnet: it is not valid", Reason::ReferenceNotFound),
    ] {
        world.cloud.fault("CreateLoadBalancer", Fault::Refuse(code, 400), 1);
        let e = world.run_and_clean(&create::<LoadBalancer>("web", spec(vec![listener(Tcp, 80)], vec![to(FIRST)]))).await;
        assert_eq!((e.reason(), e.violations()[0].field.as_str()), (reason, "subnets"), "{e}");
    }
}
