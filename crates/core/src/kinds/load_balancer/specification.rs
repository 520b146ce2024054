//! What a load balancer should be: its specification and what that is made of.

use crate::{
    Address, AnyRef, Error, Instance, InstanceGroup, Network, Protocol, Ref, Subnet, VendorConfig,
    kinds::{Labels, api_enum},
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// What a load balancer should be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadBalancerSpec {
    /// The network that it and its backends are in. Required.
    pub network: Option<Ref<Network>>,
    /// Where it stands in that network. Required: at least one, on zonal clouds one of each zone that it serves.
    pub subnets: Vec<Ref<Subnet>>,
    /// For whom it is. Required.
    pub scheme: Scheme,
    /// What it takes. Required: at least one, no two for one port and protocol.
    pub listeners: Vec<Listener>,
    /// Over what it spreads that. Required: at least one; all of them instances, or instance groups, or addresses.
    pub backends: Vec<Backend>,
    /// How it finds out which of them work.
    pub health_check: HealthCheck,
    /// Whose connections it takes. None: everybody's.
    pub source_ranges: Vec<IpNet>,
    /// All connections of one client go to one backend, for as long as that works.
    pub client_ip_affinity: bool,
    /// The backends see the client's address as the sender. What is left open is the cloud's choice.
    pub preserve_client_ip: Option<bool>,
    /// The backends are told the client's address by a header of PROXY protocol version 2 before everything else.
    pub proxy_protocol: bool,
    /// Each of its zones serves the backends of all of them.
    pub cross_zone: bool,
    /// A connection on which nothing goes for this long is forgotten.
    pub idle_timeout_s: Option<u32>,
    /// Kept addresses that it is reached at, where it is public; as many as the cloud wants (AWS: one for each subnet). None: the cloud's own.
    pub addresses: Vec<Ref<Address>>,
    /// It is reached at IPv6 addresses too.
    pub dual_stack: bool,
    /// A delete is refused, by the cloud itself.
    pub deletion_protection: bool,
    /// A user's own labels.
    pub labels: Labels,
    /// The vendor's extension.
    pub provider_config: Option<VendorConfig>,
}
impl LoadBalancerSpec {
    /// Puts what has no order in order, and leaves out what says nothing, so that two that mean the same are the same. What a driver answers is so.
    pub fn settle(&mut self) {
        for listener in &mut self.listeners {
            listener.target_port = listener.target_port.filter(|target| Some(*target) != listener.port);
        }
        self.listeners.sort_by_key(Listener::key);
        self.backends.sort_unstable();
        self.source_ranges.sort_unstable();
        self.subnets.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.addresses.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    }
    /// Which kept address it is reached at in each subnet, by the vendor's ids, where `there` is how that is now: empty of a new one. A subnet that stays keeps
    /// its own, because no cloud moves one; new subnets and new addresses meet in the order in which they are named.
    ///
    /// # Errors
    /// `InvalidArgument` with `addresses` where these cannot be theirs; `Internal` where nobody resolved what it refers to.
    pub fn places(&self, there: &BTreeMap<String, Option<String>>) -> Result<BTreeMap<String, Option<String>>, Error> {
        let subnets = self.subnets.iter().map(|r| r.vendor_id().map(ToString::to_string)).collect::<Result<Vec<_>, _>>()?;
        let addresses = self.addresses.iter().map(|r| r.vendor_id().map(ToString::to_string)).collect::<Result<Vec<_>, _>>()?;
        let (stay, new): (Vec<String>, Vec<String>) = subnets.into_iter().partition(|subnet| there.contains_key(subnet));
        let mut places: BTreeMap<_, _> = stay.into_iter().filter_map(|subnet| there.get(&subnet).cloned().map(|at| (subnet, at))).collect();
        let kept: BTreeSet<&String> = places.values().flatten().collect();
        let left: Vec<&String> = addresses.iter().filter(|at| !kept.contains(at)).collect();
        if kept.iter().any(|at| !addresses.contains(at)) || left.len() != if addresses.is_empty() { 0 } else { new.len() } {
            return Err(Error::invalid("addresses", "a subnet that stays keeps its address, or none: each new one takes one of the others, where there are any"));
        }
        let mut left = left.into_iter().cloned();
        places.extend(new.into_iter().map(|subnet| (subnet, left.next())));
        Ok(places)
    }
    /// What its backends have to let in from it, each once: what listeners lead there, and the checks, which are TCP whatever the listener takes.
    #[must_use]
    pub fn openings(&self) -> BTreeSet<(Protocol, u16)> {
        let led = self.listeners.iter().filter_map(|l| Some((l.protocol.transport()?, l.leads_to()?)));
        led.flat_map(|(transport, port)| [(transport, port), (Protocol::TCP, self.health_check.port.unwrap_or(port))]).collect()
    }
}

/// Connections that are taken, and where on a backend they lead.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listener {
    /// Of which protocol. Required. One port can have a listener for TCP and one for UDP.
    pub protocol: ListenerProtocol,
    /// At which port. Required.
    pub port: Option<u16>,
    /// The port of the backends; None: the same one.
    pub target_port: Option<u16>,
    /// With which certificate TLS ends here, by the vendor's id.
    pub certificate: Option<String>,
}
impl Listener {
    /// What tells one listener from another.
    #[must_use]
    pub fn key(&self) -> (ListenerProtocol, Option<u16>) {
        (self.protocol, self.port)
    }
    /// The port of the backends.
    #[must_use]
    pub fn leads_to(&self) -> Option<u16> {
        self.target_port.or(self.port)
    }
}

/// Where connections are led: exactly one of the three.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backend {
    /// To an instance of the network.
    pub instance: Option<Ref<Instance>>,
    /// To whatever instances a group has.
    pub instance_group: Option<Ref<InstanceGroup>>,
    /// To an address that the network leads to.
    pub address: Option<IpAddr>,
}
impl Backend {
    /// What it refers to, as the item at `path`.
    pub(super) fn refs(&mut self, path: String) -> impl Iterator<Item = AnyRef<'_>> {
        let group = self.instance_group.iter_mut().map({
            let path = format!("{path}.instance_group");
            move |r| r.any(path.clone())
        });
        self.instance.iter_mut().map(move |r| r.any(format!("{path}.instance"))).chain(group)
    }
    /// What it is at the vendor: an instance's or a group's id, or an address.
    ///
    /// # Errors
    /// `Internal` where nobody resolved what it refers to; `InvalidArgument` where it is nothing.
    pub fn vendor_id(&self) -> Result<String, Error> {
        match (&self.instance, &self.instance_group, self.address) {
            (Some(instance), _, _) => instance.vendor_id().map(ToString::to_string),
            (None, Some(group), _) => group.vendor_id().map(ToString::to_string),
            (None, None, Some(ip)) => Ok(ip.to_string()),
            (None, None, None) => Err(Error::invalid("backends", "a backend is an instance, an instance group or an address")),
        }
    }
}

/// How it is found out which backends work. What is left open is the cloud's choice.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthCheck {
    /// By a connection, or by a request over HTTP or HTTPS.
    pub protocol: HealthProtocol,
    /// At which port; None: the one that the listener leads to.
    pub port: Option<u16>,
    /// What is requested, over HTTP and HTTPS.
    pub path: Option<String>,
    /// How often.
    pub interval_s: Option<u32>,
    /// After how many that went well a backend works again.
    pub healthy_threshold: Option<u32>,
    /// After how many that failed it works no longer.
    pub unhealthy_threshold: Option<u32>,
}

api_enum! {
    /// For whom a load balancer is.
    Scheme {
        /// For the internet, at public addresses.
        Public = "PUBLIC",
        /// For its network and what is connected to that, at private addresses.
        Internal = "INTERNAL",
    }
}
api_enum! {
    /// What a listener takes.
    ListenerProtocol {
        /// TCP.
        Tcp = "TCP",
        /// UDP.
        Udp = "UDP",
        /// TLS over TCP, which ends at the load balancer.
        Tls = "TLS",
    }
}
impl ListenerProtocol {
    /// What a packet of it is on the wire.
    #[must_use]
    pub const fn transport(self) -> Option<Protocol> {
        match self {
            Self::Unspecified => None,
            Self::Tcp | Self::Tls => Some(Protocol::TCP),
            Self::Udp => Some(Protocol::UDP),
        }
    }
}
api_enum! {
    /// How a backend is asked whether it works.
    HealthProtocol {
        /// It takes a connection.
        Tcp = "TCP",
        /// It answers a request over HTTP well.
        Http = "HTTP",
        /// It answers a request over HTTPS well.
        Https = "HTTPS",
    }
}
