//! The whole cloud, and the edits that lead from one state to the next. An edit is what the disk keeps.

use super::{
    item::{Address, Disk, Gateway, Instance, InstanceGroup, Item, LoadBalancer, NatGateway, Network, Pool, RouteTable, SecurityGroup, Subnet, Template, Zone},
    table::Table,
};
use crate::vendor::Condition;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};
use welkin_core::{RecordId, RecordSetSpec};

/// One change of one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Edit {
    PutNetwork(Box<Item<Network>>),
    PutGateway(Box<Item<Gateway>>),
    PutSubnet(Box<Item<Subnet>>),
    PutSecurityGroup(Box<Item<SecurityGroup>>),
    PutInstance(Box<Item<Instance>>),
    PutAddress(Box<Item<Address>>),
    PutDisk(Box<Item<Disk>>),
    PutZone(Box<Item<Zone>>),
    /// The records of one name and type in a zone.
    PutRecords(String, RecordId, Box<RecordSetSpec>),
    PutNatGateway(Box<Item<NatGateway>>),
    PutRouteTable(Box<Item<RouteTable>>),
    PutLoadBalancer(Box<Item<LoadBalancer>>),
    PutPool(Box<Item<Pool>>),
    PutTemplate(Box<Item<Template>>),
    PutInstanceGroup(Box<Item<InstanceGroup>>),
    RemoveNetwork(String),
    RemoveGateway(String),
    RemoveSubnet(String),
    RemoveSecurityGroup(String),
    RemoveInstance(String),
    RemoveAddress(String),
    RemoveDisk(String),
    RemoveZone(String),
    RemoveRecords(String, RecordId),
    RemoveNatGateway(String),
    RemoveRouteTable(String),
    RemoveLoadBalancer(String),
    RemovePool(String),
    RemoveTemplate(String),
    RemoveInstanceGroup(String),
}

/// What one call of the vendor did: all of it or nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) region: String,
    /// How many random values were ever drawn, so that none comes twice.
    pub(crate) drawn: u64,
    pub(crate) edits: Vec<Edit>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) regions: BTreeMap<String, Region>,
    pub(crate) drawn: u64,
}
impl State {
    pub(crate) fn apply(&mut self, record: Record) {
        self.drawn = self.drawn.max(record.drawn);
        let region = self.regions.entry(record.region).or_default();
        for edit in record.edits {
            region.apply(edit);
        }
    }
    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        let of = |r: &Region| {
            let networks = r.networks.len() + r.gateways.len() + r.subnets.len() + r.security_groups.len();
            let global = r.zones.len() + r.records.values().map(BTreeMap::len).sum::<usize>();
            let groups = r.templates.len() + r.instance_groups.len();
            networks
                + global
                + groups
                + r.instances.len()
                + r.addresses.len()
                + r.disks.len()
                + r.nat_gateways.len()
                + r.route_tables.len()
                + r.load_balancers.len()
                + r.pools.len()
        };
        self.regions.values().map(of).sum()
    }
    /// The shortest history that leads here, an item at a time: nobody holds the whole of it beside the tables.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        // Also of a region without items: what was drawn is not forgotten with the last one.
        let edits = |region| std::iter::once(Vec::new()).chain(Region::edits(region).map(|edit| vec![edit]));
        self.regions.iter().flat_map(move |(name, region)| edits(region).map(|edits| Record { region: name.clone(), drawn: self.drawn, edits }))
    }
}

/// The addresses of one subnet that are in use.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    ips: BTreeSet<IpAddr>,
    v4: usize,
}
impl Taken {
    fn insert(&mut self, ip: IpAddr) {
        self.v4 += usize::from(self.ips.insert(ip) && ip.is_ipv4());
    }
    fn remove(&mut self, ip: &IpAddr) {
        self.v4 -= usize::from(self.ips.remove(ip) && ip.is_ipv4());
    }
    pub(crate) fn contains(&self, ip: &IpAddr) -> bool {
        self.ips.contains(ip)
    }
    /// How many of IPv4.
    pub(crate) fn count_v4(&self) -> usize {
        self.v4
    }
    /// The last one in `range`: what follows is free.
    pub(crate) fn last(&self, range: &IpNet) -> Option<&IpAddr> {
        self.ips.range(range.network()..=range.broadcast()).next_back()
    }
}

/// One region. What is not a table follows from the tables.
#[derive(Debug, Default)]
pub(crate) struct Region {
    pub(crate) networks: Table<Network>,
    pub(crate) gateways: Table<Gateway>,
    pub(crate) subnets: Table<Subnet>,
    pub(crate) security_groups: Table<SecurityGroup>,
    pub(crate) instances: Table<Instance>,
    pub(crate) addresses: Table<Address>,
    pub(crate) disks: Table<Disk>,
    /// In `global` alone.
    pub(crate) zones: Table<Zone>,
    /// What is answered in each zone; a zone without records is not in it.
    pub(crate) records: BTreeMap<String, BTreeMap<RecordId, RecordSetSpec>>,
    pub(crate) nat_gateways: Table<NatGateway>,
    pub(crate) route_tables: Table<RouteTable>,
    pub(crate) load_balancers: Table<LoadBalancer>,
    pub(crate) pools: Table<Pool>,
    pub(crate) templates: Table<Template>,
    pub(crate) instance_groups: Table<InstanceGroup>,
    /// Addresses in use, by subnet.
    pub(crate) taken: HashMap<String, Taken>,
    pub(crate) public_ips: HashSet<Ipv4Addr>,
    /// Which instance, disk or NAT gateway a token has made.
    pub(crate) tokens: HashMap<String, String>,
    /// Which load balancer, pool, template or instance group has a name.
    pub(crate) names: HashMap<String, String>,
    /// Instances, NAT gateways and load balancers that are on their way out.
    pub(crate) leaving: Vec<String>,
}
impl Region {
    fn apply(&mut self, edit: Edit) {
        match edit {
            Edit::PutNetwork(i) => self.networks.put(*i),
            Edit::PutGateway(i) => self.gateways.put(*i),
            Edit::PutSubnet(i) => self.subnets.put(*i),
            Edit::PutSecurityGroup(i) => self.security_groups.put(*i),
            Edit::PutInstance(i) => self.put_instance(*i),
            Edit::PutAddress(i) => self.put_address(*i),
            Edit::PutDisk(i) => self.put_disk(*i),
            Edit::PutZone(i) => self.zones.put(*i),
            Edit::PutRecords(zone, id, says) => _ = self.records.entry(zone).or_default().insert(id, *says),
            Edit::RemoveRecords(zone, id) => self.remove_records(&zone, &id),
            Edit::PutNatGateway(i) => self.put_nat_gateway(*i),
            Edit::PutRouteTable(i) => self.route_tables.put(*i),
            Edit::PutLoadBalancer(i) => self.put_load_balancer(*i),
            Edit::PutPool(i) => self.put_pool(*i),
            Edit::PutTemplate(i) => self.put_template(*i),
            Edit::PutInstanceGroup(i) => self.put_instance_group(*i),
            Edit::RemoveNetwork(id) => drop(self.networks.remove(&id)),
            Edit::RemoveGateway(id) => drop(self.gateways.remove(&id)),
            Edit::RemoveSubnet(id) => drop(self.subnets.remove(&id)),
            Edit::RemoveSecurityGroup(id) => drop(self.security_groups.remove(&id)),
            Edit::RemoveInstance(id) => self.remove_instance(&id),
            Edit::RemoveAddress(id) => self.remove_address(&id),
            Edit::RemoveDisk(id) => self.remove_disk(&id),
            Edit::RemoveZone(id) => drop(self.zones.remove(&id)),
            Edit::RemoveNatGateway(id) => self.remove_nat_gateway(&id),
            Edit::RemoveRouteTable(id) => drop(self.route_tables.remove(&id)),
            Edit::RemoveLoadBalancer(id) => self.remove_load_balancer(&id),
            Edit::RemovePool(id) => self.remove_pool(&id),
            Edit::RemoveTemplate(id) => self.remove_template(&id),
            Edit::RemoveInstanceGroup(id) => self.remove_instance_group(&id),
        }
    }
    fn put_instance(&mut self, item: Item<Instance>) {
        self.remove_instance(&item.id);
        self.take(&item.body.subnet, &item.body.addresses);
        self.public_ips.extend(item.body.public_ip);
        if let Some(token) = &item.body.token {
            self.tokens.insert(token.clone(), item.id.clone());
        }
        if item.body.goal == Condition::Gone {
            self.leaving.push(item.id.clone());
        }
        self.instances.put(item);
    }
    fn remove_instance(&mut self, id: &str) {
        let Some(item) = self.instances.remove(id) else { return };
        self.give_back(&item.body.subnet, &item.body.addresses);
        if let Some(ip) = &item.body.public_ip {
            self.public_ips.remove(ip);
        }
        if let Some(token) = &item.body.token {
            self.tokens.remove(token);
        }
        self.leaving.retain(|l| l != id);
    }
    fn take(&mut self, subnet: &str, ips: &[IpAddr]) {
        if !ips.is_empty() {
            let taken = self.taken.entry(subnet.to_owned()).or_default();
            ips.iter().for_each(|ip| taken.insert(*ip));
        }
    }
    fn give_back(&mut self, subnet: &str, ips: &[IpAddr]) {
        let Some(taken) = self.taken.get_mut(subnet) else { return };
        ips.iter().for_each(|ip| taken.remove(ip));
        if taken.ips.is_empty() {
            self.taken.remove(subnet);
        }
    }
    fn remove_records(&mut self, zone: &str, id: &RecordId) {
        if let Some(records) = self.records.get_mut(zone) {
            records.remove(id);
            if records.is_empty() {
                self.records.remove(zone);
            }
        }
    }
    fn put_nat_gateway(&mut self, item: Item<NatGateway>) {
        self.remove_nat_gateway(&item.id);
        self.take(&item.body.subnet, &item.body.private_ip.map(IpAddr::V4).into_iter().collect::<Vec<_>>());
        if let Some(token) = &item.body.token {
            self.tokens.insert(token.clone(), item.id.clone());
        }
        if item.body.leaves {
            self.leaving.push(item.id.clone());
        }
        self.nat_gateways.put(item);
    }
    fn remove_nat_gateway(&mut self, id: &str) {
        let Some(item) = self.nat_gateways.remove(id) else { return };
        self.give_back(&item.body.subnet, &item.body.private_ip.map(IpAddr::V4).into_iter().collect::<Vec<_>>());
        if let Some(token) = &item.body.token {
            self.tokens.remove(token);
        }
        self.leaving.retain(|l| l != id);
    }
    fn put_load_balancer(&mut self, item: Item<LoadBalancer>) {
        self.remove_load_balancer(&item.id);
        for place in &item.body.places {
            self.take(&place.subnet, &place.private_ips);
            self.public_ips.extend(place.public_ip);
        }
        self.names.insert(item.body.name.clone(), item.id.clone());
        if item.body.leaves {
            self.leaving.push(item.id.clone());
        }
        self.load_balancers.put(item);
    }
    fn remove_load_balancer(&mut self, id: &str) {
        let Some(item) = self.load_balancers.remove(id) else { return };
        for place in &item.body.places {
            self.give_back(&place.subnet, &place.private_ips);
            // One that is kept is its address's.
            if let (Some(ip), None) = (&place.public_ip, &place.address) {
                self.public_ips.remove(ip);
            }
        }
        self.names.remove(&item.body.name);
        self.leaving.retain(|l| l != id);
    }
    fn put_pool(&mut self, item: Item<Pool>) {
        self.names.insert(item.body.name.clone(), item.id.clone());
        self.pools.put(item);
    }
    fn remove_pool(&mut self, id: &str) {
        if let Some(item) = self.pools.remove(id) {
            self.names.remove(&item.body.name);
        }
    }
    fn put_template(&mut self, item: Item<Template>) {
        self.names.insert(item.body.name.clone(), item.id.clone());
        self.templates.put(item);
    }
    fn remove_template(&mut self, id: &str) {
        if let Some(item) = self.templates.remove(id) {
            self.names.remove(&item.body.name);
        }
    }
    fn put_instance_group(&mut self, item: Item<InstanceGroup>) {
        self.names.insert(item.body.name.clone(), item.id.clone());
        self.instance_groups.put(item);
    }
    fn remove_instance_group(&mut self, id: &str) {
        if let Some(item) = self.instance_groups.remove(id) {
            self.names.remove(&item.body.name);
        }
    }
    fn put_address(&mut self, item: Item<Address>) {
        self.public_ips.insert(item.body.ip);
        self.addresses.put(item);
    }
    fn remove_address(&mut self, id: &str) {
        if let Some(item) = self.addresses.remove(id) {
            self.public_ips.remove(&item.body.ip);
        }
    }
    fn put_disk(&mut self, item: Item<Disk>) {
        if let Some(token) = &item.body.token {
            self.tokens.insert(token.clone(), item.id.clone());
        }
        self.disks.put(item);
    }
    fn remove_disk(&mut self, id: &str) {
        if let Some(token) = self.disks.remove(id).as_ref().and_then(|item| item.body.token.as_ref()) {
            self.tokens.remove(token);
        }
    }
    /// Removes what has been gone for a while: nobody calls when its time comes.
    pub(crate) fn swept(&self, now_ms: u64) -> Vec<Edit> {
        let gone = |id: &String| match (self.nat_gateways.get(id), self.load_balancers.get(id)) {
            (Some(gateway), _) => gateway.body.is_gone(now_ms).then(|| Edit::RemoveNatGateway(id.clone())),
            (None, Some(balancer)) => balancer.body.is_gone(now_ms).then(|| Edit::RemoveLoadBalancer(id.clone())),
            (None, None) => self.instances.get(id).is_none_or(|i| i.body.is_gone(now_ms)).then(|| Edit::RemoveInstance(id.clone())),
        };
        self.leaving.iter().filter_map(gone).collect()
    }
    fn edits(&self) -> impl Iterator<Item = Edit> {
        fn boxed<T: Clone>(item: &Arc<Item<T>>) -> Box<Item<T>> {
            Box::new(Item::clone(item))
        }
        let networks = self.networks.iter().map(|i| Edit::PutNetwork(boxed(i)));
        let gateways = self.gateways.iter().map(|i| Edit::PutGateway(boxed(i)));
        let subnets = self.subnets.iter().map(|i| Edit::PutSubnet(boxed(i)));
        let groups = self.security_groups.iter().map(|i| Edit::PutSecurityGroup(boxed(i)));
        let instances = self.instances.iter().map(|i| Edit::PutInstance(boxed(i)));
        let addresses = self.addresses.iter().map(|i| Edit::PutAddress(boxed(i)));
        let disks = self.disks.iter().map(|i| Edit::PutDisk(boxed(i)));
        let zones = self.zones.iter().map(|i| Edit::PutZone(boxed(i)));
        let records = self.records.iter().flat_map(|(zone, all)| all.iter().map(|(id, says)| Edit::PutRecords(zone.clone(), id.clone(), Box::new(says.clone()))));
        let nat_gateways = self.nat_gateways.iter().map(|i| Edit::PutNatGateway(boxed(i)));
        let route_tables = self.route_tables.iter().map(|i| Edit::PutRouteTable(boxed(i)));
        let load_balancers = self.load_balancers.iter().map(|i| Edit::PutLoadBalancer(boxed(i)));
        let pools = self.pools.iter().map(|i| Edit::PutPool(boxed(i)));
        let templates = self.templates.iter().map(|i| Edit::PutTemplate(boxed(i)));
        let instance_groups = self.instance_groups.iter().map(|i| Edit::PutInstanceGroup(boxed(i)));
        let ranged = networks.chain(gateways).chain(subnets).chain(groups).chain(templates).chain(instance_groups);
        ranged.chain(instances).chain(addresses).chain(disks).chain(zones).chain(records).chain(nat_gateways).chain(route_tables).chain(load_balancers).chain(pools)
    }
}
