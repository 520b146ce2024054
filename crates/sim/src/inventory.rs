//! What tests may see and do behind Welkin's back.

use crate::{
    Config,
    vendor::{
        Body, Cloud, Code, DiskEdit, GroupPeer, GroupRule, Item, NewDisk, NewInstance, NewNatGateway, NewNetwork, NewRouteTable, NewSecurityGroup, NewSubnet, NewZone, Refusal,
    },
};
use ipnet::IpNet;
use std::{collections::BTreeMap, sync::Arc};
use welkin_core::{Managed as _, RecordId, RecordSet, RecordSetSpec};

/// An object of the vendor, with what no read shows yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorObject {
    /// The vendor's id.
    pub id: String,
    /// `network`, `gateway`, `subnet`, `security_group`, `instance`, `address`, `disk`, `zone`, `records`, `nat_gateway`, `route_table`, `load_balancer`,
    /// `pool`, `instance_group` or `template`.
    pub object_type: &'static str,
    /// Where it is.
    pub region: String,
    /// Its tags, also those that reads do not show yet.
    pub tags: BTreeMap<String, String>,
    /// How often it was rebooted; 0 for everything but instances.
    pub reboots: u64,
}

/// What can be made behind Welkin's back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Planted {
    /// A network.
    Network {
        /// Its range.
        cidr: IpNet,
    },
    /// A subnet in the region's first zone.
    Subnet {
        /// The network's vendor id.
        network: String,
        /// Its range.
        cidr: IpNet,
    },
    /// A security group without rules.
    SecurityGroup {
        /// The network's vendor id.
        network: String,
    },
    /// A rule in a security group that is there; it has no id of its own here.
    Rule {
        /// The group's vendor id.
        group: String,
        /// TCP to this port.
        port: u16,
        /// From this range.
        cidr: IpNet,
    },
    /// A running instance of the smallest type.
    Instance {
        /// The subnet's vendor id.
        subnet: String,
        /// The image's vendor id.
        image: String,
    },
    /// An address that leads nowhere.
    Address,
    /// A disk that is attached to nothing.
    Disk {
        /// Its zone; None for the region's first.
        zone: Option<String>,
    },
    /// A private NAT gateway.
    NatGateway {
        /// The subnet's vendor id.
        subnet: String,
    },
    /// An internal load balancer without listeners, which leads nowhere.
    LoadBalancer {
        /// The subnet's vendor id.
        subnet: String,
    },
    /// An instance group without a template, so without instances.
    InstanceGroup {
        /// The subnet's vendor id.
        subnet: String,
    },
    /// A route table without routes.
    RouteTable {
        /// The network's vendor id.
        network: String,
    },
    /// A route in a route table that is there, as the cloud itself puts them there; it has no id of its own.
    PropagatedRoute {
        /// The table's vendor id.
        route_table: String,
        /// Its destination.
        destination: IpNet,
    },
    /// Records in a zone that is there.
    Records {
        /// The zone's vendor id.
        zone: String,
        /// Their name and type.
        id: RecordId,
        /// Their values.
        values: Vec<String>,
    },
    /// A public zone of the domain name system, whatever the region.
    Zone {
        /// Its name.
        dns_name: String,
    },
}

pub(crate) fn of(cloud: &Cloud) -> Vec<VendorObject> {
    fn row<T: Body>(object_type: &'static str, region: &str, item: &Arc<Item<T>>, reboots: u64) -> VendorObject {
        VendorObject { id: item.id.clone(), object_type, region: region.to_owned(), tags: item.tags.clone(), reboots }
    }
    cloud.everything(|name, region, now_ms| {
        let networks = region.networks.iter().map(|i| row("network", name, i, 0));
        let gateways = region.gateways.iter().map(|i| row("gateway", name, i, 0));
        let subnets = region.subnets.iter().map(|i| row("subnet", name, i, 0));
        let instances = region.instances.iter().filter(|i| !i.body.is_gone(now_ms)).map(|i| row("instance", name, i, i.body.reboots));
        let groups = region.security_groups.iter().map(|i| row("security_group", name, i, 0));
        let addresses = region.addresses.iter().map(|i| row("address", name, i, 0));
        let disks = region.disks.iter().map(|i| row("disk", name, i, 0));
        let zones = region.zones.iter().map(|i| row("zone", name, i, 0));
        let records = region.records.iter().flat_map(|(zone, all)| all.keys().map(move |id| format!("{zone}/{id}")));
        let records = records.map(|id| VendorObject { id, object_type: "records", region: name.to_owned(), tags: BTreeMap::new(), reboots: 0 });
        let nat_gateways = region.nat_gateways.iter().filter(|i| !i.body.is_gone(now_ms)).map(|i| row("nat_gateway", name, i, 0));
        let route_tables = region.route_tables.iter().map(|i| row("route_table", name, i, 0));
        let load_balancers = region.load_balancers.iter().filter(|i| !i.body.is_gone(now_ms)).map(|i| row("load_balancer", name, i, 0));
        let pools = region.pools.iter().map(|i| row("pool", name, i, 0));
        let templates = region.templates.iter().map(|i| row("template", name, i, 0));
        let instance_groups = region.instance_groups.iter().map(|i| row("instance_group", name, i, 0));
        let ranged = networks.chain(gateways).chain(subnets).chain(groups).chain(templates).chain(instance_groups);
        ranged.chain(instances).chain(addresses).chain(disks).chain(zones).chain(records).chain(nat_gateways).chain(route_tables).chain(load_balancers).chain(pools).collect()
    })
}

pub(crate) fn plant(cloud: &Cloud, region: &str, planted: Planted, tags: BTreeMap<String, String>) -> Result<String, Refusal> {
    match planted {
        Planted::Network { cidr } => cloud.plant_network(region, NewNetwork { cidrs: vec![cidr], assign_ipv6: false, tags }),
        Planted::Subnet { network, cidr } => {
            let [zone, ..] = Config::zones(region);
            cloud.plant_subnet(region, NewSubnet { network, zone, cidrs: vec![cidr], assign_ipv6: false, public_ips: false, tags })
        }
        Planted::SecurityGroup { network } => cloud.plant_security_group(region, NewSecurityGroup { network, description: "planted".into(), restrict_egress: false, tags }),
        Planted::Rule { group, port, cidr } => {
            let peer = GroupPeer::Cidr(cidr);
            let rule = GroupRule { id: String::new(), is_egress: false, protocol: "tcp".into(), ports: Some((port, port)), peer, description: String::new(), tags };
            cloud.plant_rule(region, &group, rule).map(|()| group)
        }
        Planted::Instance { subnet, image } => {
            let new = NewInstance {
                subnet,
                zone: None,
                machine_type: "small".into(),
                image,
                addresses: Vec::new(),
                public_ip: None,
                ipv6: false,
                identity: None,
                disk_gib: None,
                disk_type: None,
                disk_encrypted: None,
                forwards: false,
                groups: Vec::new(),
                protected: false,
                spot: false,
                tags,
            };
            cloud.plant_instance(region, new)
        }
        Planted::Address => cloud.plant_address(region, tags),
        Planted::Disk { zone } => {
            let [first, ..] = Config::zones(region);
            let new = NewDisk { zone: zone.unwrap_or(first), size_gib: 8, edit: DiskEdit::default(), encrypted: None, encryption_key: None, tags };
            cloud.plant_disk(region, new)
        }
        Planted::Records { zone, id, values } => {
            let mut says = RecordSetSpec { values, ..RecordSetSpec::default() };
            let wrong = RecordSet::canonical(&id, &mut says);
            wrong.first().map_or(Ok(()), |v| Err(Refusal::new(Code::RecordMisplaced, v.description.clone())))?;
            cloud.plant_records(&zone, id, says)
        }
        Planted::Zone { dns_name } => cloud.plant_zone(NewZone { dns_name, networks: Vec::new(), comment: String::new(), tags }),
        Planted::RouteTable { network } => cloud.plant_route_table(region, NewRouteTable { network, routes: Vec::new(), subnets: Vec::new(), tags }),
        Planted::LoadBalancer { subnet } => cloud.plant_load_balancer(region, &subnet, tags),
        Planted::InstanceGroup { subnet } => cloud.plant_instance_group(region, &subnet, tags),
        Planted::PropagatedRoute { route_table, destination } => cloud.plant_route(region, &route_table, destination).map(|()| route_table),
        Planted::NatGateway { subnet } => cloud.plant_nat_gateway(region, NewNatGateway { subnet, address: None, tags }),
    }
}
