use super::{
    addresses,
    cloud::{Action, Cloud, Draw, changed},
    disks,
    item::{Condition, ConsoleLine, Instance, Item, Shown, Subnet, Tags},
    networks::expect_version,
    pools, quotas,
    refusal::{Code, Refusal},
    state::{Edit, Region},
    subnets::{hosts, subnet_of},
    table::{Filter, Listed},
};
use ipnet::IpNet;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// What a new instance should be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewInstance {
    pub(crate) subnet: String,
    pub(crate) zone: Option<String>,
    pub(crate) machine_type: String,
    pub(crate) image: String,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) public_ip: Option<bool>,
    pub(crate) ipv6: bool,
    pub(crate) identity: Option<String>,
    pub(crate) disk_gib: Option<u32>,
    pub(crate) disk_type: Option<String>,
    pub(crate) disk_encrypted: Option<bool>,
    pub(crate) forwards: bool,
    pub(crate) groups: Vec<String>,
    pub(crate) protected: bool,
    pub(crate) spot: bool,
    pub(crate) tags: Tags,
}
/// What an instance is to be from now on; what is None stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct InstanceEdit {
    pub(crate) machine_type: Option<String>,
    pub(crate) forwards: Option<bool>,
    pub(crate) groups: Option<Vec<String>>,
    pub(crate) protected: Option<bool>,
}
/// What hangs on an instance and is no part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Hung {
    pub(crate) disks: Vec<String>,
    pub(crate) public_ips: Vec<Ipv4Addr>,
}
fn hung(region: &Region, instance: Shown<Instance>) -> (Shown<Instance>, Hung) {
    let disks = region.disks.children(instance.id()).map(|d| d.id.clone()).collect();
    let public_ips = region.addresses.children(instance.id()).map(|a| a.body.ip).collect();
    (instance, Hung { disks, public_ips })
}
/// With an idempotency token, where the cloud knows them.
#[derive(Debug, Clone)]
pub(crate) struct LaunchRequest {
    pub(crate) new: NewInstance,
    pub(crate) token: Option<String>,
}

pub(super) fn instance_of<'a>(region: &'a Region, id: &str, now_ms: u64) -> Result<&'a Arc<Item<Instance>>, Refusal> {
    region.instances.get(id).filter(|i| !i.body.is_gone(now_ms)).ok_or_else(|| unknown(id))
}
fn unknown(id: &str) -> Refusal {
    Refusal::new(Code::InstanceNotFound, format!("there is no instance {id:?}"))
}

impl Cloud {
    pub(crate) async fn launch_instance(&self, region: &str, request: LaunchRequest) -> Result<Shown<Instance>, Refusal> {
        self.write(Action::LaunchInstance, region, |r, draw| self.launched(r, draw, request)).await
    }
    pub(crate) async fn dry_launch_instance(&self, region: &str, new: NewInstance) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| self.launched(r, draw, LaunchRequest { new, token: None })).await
    }
    pub(crate) fn plant_instance(&self, region: &str, new: NewInstance) -> Result<String, Refusal> {
        self.plant(region, |r, draw| {
            let (_, mut edits) = self.launched(r, draw, LaunchRequest { new, token: None })?;
            let Some(Edit::PutInstance(item)) = edits.first_mut() else { return Ok((String::new(), edits)) };
            (item.visible_ms, item.tagged_ms, item.body.settles_ms) = (draw.now_ms, draw.now_ms, draw.now_ms);
            Ok((item.id.clone(), edits))
        })
    }
    pub(crate) async fn dry_delete_instance(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| deleted(r, draw, id, 0)).await
    }
    pub(crate) async fn instance(&self, region: &str, id: &str) -> Result<Option<(Shown<Instance>, Hung)>, Refusal> {
        self.read(Action::DescribeInstances, region, |r, now| Ok(r.instances.show(id, now).filter(|i| !i.body().is_gone(now)).map(|i| hung(r, i)))).await
    }
    pub(crate) async fn instances(&self, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Result<(Vec<(Shown<Instance>, Hung)>, Option<String>), Refusal> {
        let size = size.min(self.config().page_size);
        self.read(Action::DescribeInstances, region, |r, now| {
            let Listed { items, next } = r.instances.list(&filter, after, size, now, |i| !i.body.is_gone(now))?;
            Ok((items.into_iter().map(|i| hung(r, i)).collect(), next))
        })
        .await
    }
    /// What it has written on its console, the newest last.
    pub(crate) async fn console(&self, region: &str, id: &str) -> Result<Vec<ConsoleLine>, Refusal> {
        self.read(Action::GetConsoleOutput, region, |r, now| {
            let shown = r.instances.show(id, now).filter(|i| !i.body().is_gone(now));
            Ok(shown.ok_or_else(|| unknown(id))?.body().console.clone())
        })
        .await
    }
    /// All of it or nothing. The machine type only while it is stopped.
    pub(crate) async fn modify_instance(&self, region: &str, id: &str, edit: InstanceEdit, expect: Option<u64>) -> Result<(), Refusal> {
        self.write(Action::ModifyInstance, region, |r, draw| {
            let item = instance_of(r, id, draw.now_ms)?;
            expect_version(item, expect)?;
            let mut body = item.body.clone();
            if let Some(groups) = edit.groups {
                body.groups = members_of(r, subnet_of(r, &body.subnet)?, groups)?;
            }
            if let Some(machine_type) = edit.machine_type.filter(|t| *t != body.machine_type) {
                self.fitting(region, &machine_type, &body.image)?;
                if body.goal != Condition::Stopped || !body.has_settled(draw.now_ms) {
                    return Err(Refusal::new(Code::IncorrectState, format!("the machine type of {id} can be changed only while it is stopped")));
                }
                body.machine_type = machine_type;
            }
            body.forwards = edit.forwards.unwrap_or(body.forwards);
            body.protected = edit.protected.unwrap_or(body.protected);
            Ok(((), vec![Edit::PutInstance(Box::new(changed(item, body)))]))
        })
        .await
    }
    pub(crate) async fn tag_instance(&self, region: &str, id: &str, tags: Tags, expect: Option<u64>) -> Result<(), Refusal> {
        self.write(Action::TagInstance, region, |r, draw| {
            let item = instance_of(r, id, draw.now_ms)?;
            expect_version(item, expect)?;
            Ok(((), vec![Edit::PutInstance(Box::new(Item { tags, ..changed(item, item.body.clone()) }))]))
        })
        .await
    }
    /// Fine where it runs or starts.
    pub(crate) async fn start_instance(&self, region: &str, id: &str) -> Result<(), Refusal> {
        let takes = self.config().creation_time_ms;
        self.write(Action::StartInstance, region, |r, draw| moved(r, draw, id, Condition::Running, takes)).await
    }
    /// Fine where it is stopped or stops.
    pub(crate) async fn stop_instance(&self, region: &str, id: &str) -> Result<(), Refusal> {
        let takes = self.config().transition_time_ms;
        self.write(Action::StopInstance, region, |r, draw| moved(r, draw, id, Condition::Stopped, takes)).await
    }
    /// Fine where it is on its way out, refused where it is protected. What hangs on it is let go.
    pub(crate) async fn delete_instance(&self, region: &str, id: &str) -> Result<(), Refusal> {
        let takes = self.config().transition_time_ms;
        self.write(Action::DeleteInstance, region, |r, draw| deleted(r, draw, id, takes)).await
    }
    /// Every call is one more reboot.
    pub(crate) async fn reboot_instance(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.write(Action::RebootInstance, region, |r, draw| {
            let item = instance_of(r, id, draw.now_ms)?;
            if item.body.goal != Condition::Running || !item.body.has_settled(draw.now_ms) {
                return Err(Refusal::new(Code::IncorrectState, format!("{id} does not run")));
            }
            // Not a new version: nothing that it is asked to be has changed.
            let mut body = Instance { reboots: item.body.reboots + 1, ..item.body.clone() };
            body.write(draw.now_ms, "rebooted");
            Ok(((), vec![Edit::PutInstance(Box::new(Item { body, ..Item::clone(item) }))]))
        })
        .await
    }

    pub(super) fn launched(&self, region: &Region, draw: &mut Draw<'_>, LaunchRequest { new, token }: LaunchRequest) -> Result<(Shown<Instance>, Vec<Edit>), Refusal> {
        let asked = blake3::hash(format!("{new:?}").as_bytes()).to_hex()[..16].to_owned();
        if let Some(item) = token.as_ref().and_then(|t| region.tokens.get(t)).and_then(|id| region.instances.get(id)) {
            if item.body.asked != asked {
                return Err(Refusal::new(Code::IdempotentParameterMismatch, "the token was used before with another request"));
            }
            return Ok((Shown::written(Arc::clone(item), draw.now_ms), Vec::new()));
        }
        let (machine, image) = self.fitting(draw.region, &new.machine_type, &new.image)?;
        let subnet = subnet_of(region, &new.subnet)?;
        if let Some(zone) = new.zone.filter(|z| *z != subnet.body.zone) {
            return Err(Refusal::new(Code::ZoneMismatch, format!("{} lies in {}, not in {zone:?}", subnet.id, subnet.body.zone)));
        }
        draw.has_room(region, &quotas::INSTANCES)?;
        if self.is_short(machine.name, &subnet.body.zone) {
            return Err(Refusal::new(Code::InsufficientCapacity, format!("there is no {} left in {}", machine.name, subnet.body.zone)));
        }
        let disk_gib = new.disk_gib.unwrap_or(image.min_disk_gib);
        if disk_gib < image.min_disk_gib {
            return Err(Refusal::new(Code::DiskTooSmall, format!("{} needs a root disk of at least {} GiB", image.name, image.min_disk_gib)));
        }
        let mut body = Instance {
            addresses: addresses(region, subnet, &new.addresses, new.ipv6)?,
            public_ip: if new.public_ip.unwrap_or(subnet.body.public_ips) { Some(public_ip(region, draw)?) } else { None },
            subnet: new.subnet,
            zone: subnet.body.zone.clone(),
            machine_type: new.machine_type,
            image: new.image,
            wants_ipv6: new.ipv6,
            identity: new.identity,
            disk_gib,
            disk_type: new.disk_type.unwrap_or_else(|| "standard".into()),
            disk_encrypted: new.disk_encrypted.unwrap_or(false),
            forwards: new.forwards,
            groups: members_of(region, subnet, new.groups)?,
            protected: new.protected,
            spot: new.spot,
            token,
            asked,
            reboots: 0,
            console: Vec::new(),
            goal: Condition::Running,
            settles_ms: draw.now_ms + draw.config.creation_time_ms,
        };
        body.write(draw.now_ms, format!("booted {}", image.name));
        let item = draw.item(new.tags, body);
        Ok((Shown::written(Arc::new(item.clone()), draw.now_ms), vec![Edit::PutInstance(Box::new(item))]))
    }
}

pub(super) fn moved(region: &Region, draw: &Draw<'_>, id: &str, goal: Condition, takes_ms: u64) -> Result<((), Vec<Edit>), Refusal> {
    let item = instance_of(region, id, draw.now_ms)?;
    if item.body.goal == goal {
        return Ok(((), Vec::new()));
    }
    if item.body.goal == Condition::Gone {
        return Err(Refusal::new(Code::IncorrectState, format!("{id} is being deleted")));
    }
    let mut edits = Vec::new();
    if goal == Condition::Gone {
        edits.extend(addresses::let_go(region, id));
        edits.extend(disks::let_go(region, id));
        edits.extend(pools::let_go(region, id));
        if takes_ms == 0 {
            edits.push(Edit::RemoveInstance(id.to_owned()));
            return Ok(((), edits));
        }
    }
    // A state is no part of what it is asked to be, so this is not a new version.
    let mut body = Instance { goal, settles_ms: draw.now_ms + takes_ms, ..item.body.clone() };
    body.write(draw.now_ms, if goal == Condition::Running { "started" } else { "stopping" });
    edits.push(Edit::PutInstance(Box::new(Item { body, ..Item::clone(item) })));
    Ok(((), edits))
}
fn deleted(region: &Region, draw: &Draw<'_>, id: &str, takes_ms: u64) -> Result<((), Vec<Edit>), Refusal> {
    let item = instance_of(region, id, draw.now_ms)?;
    if item.body.protected && item.body.goal != Condition::Gone {
        return Err(Refusal::new(Code::DeletionProtected, format!("{id} is protected from deletion: take the protection off first")));
    }
    moved(region, draw, id, Condition::Gone, takes_ms)
}

/// Groups of the network that the subnet lies in, in the vendor's order.
pub(super) fn members_of(region: &Region, subnet: &Item<Subnet>, mut groups: Vec<String>) -> Result<Vec<String>, Refusal> {
    for id in &groups {
        let group = region.security_groups.get(id).ok_or_else(|| Refusal::new(Code::GroupNotFound, format!("there is no security group {id:?}")))?;
        if group.body.network != subnet.body.network {
            return Err(Refusal::new(Code::GroupOfAnotherNetwork, format!("{id} is in {}, and {} in {}", group.body.network, subnet.id, subnet.body.network)));
        }
    }
    groups.sort();
    groups.dedup();
    Ok(groups)
}

/// The addresses asked for, and the first free ones for what was left open: one of IPv4 where the subnet has a range, one of IPv6 where wanted.
pub(super) fn addresses(region: &Region, subnet: &Item<Subnet>, asked: &[IpAddr], ipv6: bool) -> Result<Vec<IpAddr>, Refusal> {
    let taken = region.taken.get(&subnet.id);
    let is_taken = |ip: &IpAddr| taken.is_some_and(|t| t.contains(ip));
    let mut out = Vec::new();
    for v4 in [true, false] {
        let is_family = |range: &&IpNet| range.addr().is_ipv4() == v4;
        let range = subnet.body.ranges().find(is_family);
        let before = out.len();
        for ip in asked.iter().filter(|ip| ip.is_ipv4() == v4) {
            let Some(range) = range.filter(|range| range.contains(ip)) else {
                return Err(Refusal::new(Code::AddressOutOfRange, format!("{ip} is in no range of {}", subnet.id)));
            };
            if is_taken(ip) {
                return Err(Refusal::new(Code::AddressInUse, format!("{ip} is in use")));
            }
            if is_reserved(range, ip) {
                return Err(Refusal::new(Code::AddressInUse, format!("{ip} is reserved: the first four addresses of {range} and the last are")));
            }
            out.push(*ip);
        }
        match range {
            _ if out.len() > before => {}
            Some(range) if v4 || ipv6 => {
                // The one after the last is nearly always free; looking from the start is for what has been given back.
                let last = taken.and_then(|t| t.last(range));
                let free = hosts(range, last).chain(hosts(range, None)).find(|ip| !is_taken(ip));
                out.push(free.ok_or_else(|| Refusal::new(Code::RangeExhausted, format!("every address of {range} is in use")))?);
            }
            None if !v4 && ipv6 => return Err(Refusal::new(Code::AddressOutOfRange, format!("{} has no IPv6 range", subnet.id))),
            _ => {}
        }
    }
    Ok(out)
}
fn is_reserved(range: &IpNet, ip: &IpAddr) -> bool {
    let number = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => u128::from(u32::from(*ip)),
        IpAddr::V6(ip) => u128::from(*ip),
    };
    number(ip) - number(&range.network()) < 4 || *ip == range.broadcast()
}
/// One of the range for benchmarks (RFC 2544), so that nobody takes it for a real one.
pub(super) fn public_ip(region: &Region, draw: &mut Draw<'_>) -> Result<Ipv4Addr, Refusal> {
    const TRIES: usize = 1000;
    for _ in 0..TRIES {
        let ip = Ipv4Addr::from((198 << 24) | (18 << 16) | (u32::try_from(draw.random() & 0x1_ffff).unwrap_or_default()));
        if !region.public_ips.contains(&ip) {
            return Ok(ip);
        }
    }
    Err(Refusal::new(Code::RangeExhausted, "there is no public address left"))
}
