//! What happens to instance groups by themselves. Nobody calls when its time comes, so every call first lets happen what was due by then: one thing after
//! another, each on disk like a call's own effect.

use super::{
    cloud::{Cloud, Draw},
    instance_groups::{GROUP_TAG, ended, instances, launch_of},
    instances::{LaunchRequest, NewInstance, moved},
    item::{Condition, Failure, Instance, InstanceGroup, Item, LaunchSpec, Member, RefreshState},
    refusal::Refusal,
    state::{Edit, Region},
};
use std::sync::Arc;

/// So long after an attempt that failed no other one is made.
const RETRY_MS: u64 = 1_000;
/// So many failures are told of.
const MOST_FAILURES: usize = 20;

type Active<'a> = (&'a Member, &'a Arc<Item<Instance>>);

impl Cloud {
    /// The next thing that is due in a region.
    pub(super) fn due(&self, region: &Region, draw: &mut Draw<'_>) -> Option<Vec<Edit>> {
        region.instance_groups.iter().find_map(|group| self.due_in(region, draw, group))
    }
    fn due_in(&self, region: &Region, draw: &mut Draw<'_>, group: &Arc<Item<InstanceGroup>>) -> Option<Vec<Edit>> {
        let (now, body, takes) = (draw.now_ms, &group.body, self.config().transition_time_ms);
        let end = |draw: &Draw<'_>, instance: &str| moved(region, draw, instance, Condition::Gone, takes).ok().map(|(_, edits)| edits);
        if instances(region, body, now).count() < body.members.len() {
            let members = instances(region, body, now).map(|(m, _)| m.clone()).collect();
            return Some(vec![put(group, InstanceGroup { members, ..body.clone() })]);
        }
        let stays = |(_, i): &Active<'_>| i.body.goal != Condition::Gone;
        if body.leaves {
            return match instances(region, body, now).find(stays) {
                Some((member, _)) => end(draw, &member.instance),
                None => body.members.is_empty().then(|| ended(region, &group.id).collect()),
            };
        }
        if let Some((member, _)) = instances(region, body, now).filter(stays).find(is_unhealthy) {
            return end(draw, &member.instance);
        }
        let active: Vec<Active<'_>> = instances(region, body, now).filter(stays).collect();
        let outdated: Vec<&Active<'_>> = active.iter().filter(|(m, _)| m.version != body.version).collect();
        let (size, has) = (count(body.settings.size), active.len());
        let refresh = body.refresh.as_ref().filter(|refresh| refresh.state == RefreshState::InProgress);
        let wanted = size + refresh.map_or(0, |refresh| count(refresh.max_surge).min(outdated.len()));
        let settled = active.iter().filter(|(_, i)| i.body.has_settled(now)).count();
        if let Some(refresh) = refresh {
            if outdated.is_empty() && has == size && settled == has {
                let ended = super::item::Refresh { state: RefreshState::Successful, ..refresh.clone() };
                return Some(vec![put(group, InstanceGroup { refresh: Some(ended), ..body.clone() })]);
            }
            // One that does not run yet is missed by nobody.
            let young = outdated.iter().find(|(_, i)| !i.body.has_settled(now));
            let next = young.or_else(|| outdated.first().filter(|_| settled > size.saturating_sub(count(refresh.max_unavailable))));
            if let Some((member, _)) = next {
                return end(draw, &member.instance);
            }
        }
        if has > wanted {
            return surplus(body, &active).and_then(|member| end(draw, &member.instance));
        }
        if has < wanted && body.retry_ms <= now {
            return self.made(region, draw, group, &active);
        }
        None
    }

    /// Makes one more instance, in the zone that has the fewest; where that is short of every type, in the next.
    fn made(&self, region: &Region, draw: &mut Draw<'_>, group: &Arc<Item<InstanceGroup>>, active: &[Active<'_>]) -> Option<Vec<Edit>> {
        let launch = launch_of(region, &group.body)?;
        let (mut body, mut subnets) = (group.body.clone(), group.body.subnets.clone());
        subnets.sort_by_key(|id| active.iter().filter(|(_, i)| i.body.subnet == *id).count());
        let spot = is_next_spot(&body, active);
        for subnet in &subnets {
            for machine_type in &launch.machine_types {
                let request = LaunchRequest { new: wanted(group, launch, subnet, machine_type, spot), token: None };
                match self.launched(region, draw, request) {
                    Ok((made, mut edits)) => {
                        body.members.push(Member { instance: made.id().to_owned(), version: body.version, since_ms: draw.now_ms });
                        (body.failed, body.retry_ms) = (0, 0);
                        edits.push(put(group, body));
                        return Some(edits);
                    }
                    Err(refusal) => {
                        let zone = region.subnets.get(subnet).map(|s| s.body.zone.clone()).unwrap_or_default();
                        note(&mut body, failure(refusal, zone, machine_type, spot, draw.now_ms));
                    }
                }
            }
        }
        body.retry_ms = draw.now_ms + RETRY_MS;
        Some(vec![put(group, body)])
    }
}

/// What happens by itself is no new version.
fn put(group: &Item<InstanceGroup>, body: InstanceGroup) -> Edit {
    Edit::PutInstanceGroup(Box::new(Item { body, ..group.clone() }))
}
fn count(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
/// One that was stopped does not do its work.
fn is_unhealthy((_, instance): &Active<'_>) -> bool {
    instance.body.goal == Condition::Stopped
}
/// The base first, and then the share of what is above it.
fn is_next_spot(body: &InstanceGroup, active: &[Active<'_>]) -> bool {
    let on_demand = active.iter().filter(|(_, i)| !i.body.spot).count();
    let above = (active.len() + 1).saturating_sub(count(body.settings.on_demand_base));
    on_demand >= count(body.settings.on_demand_base) && active.len() - on_demand < above * count(body.settings.spot_percent) / 100
}
/// Which one goes where there are too many: of an earlier template first, then from where there are the most, then the oldest.
fn surplus<'a>(body: &InstanceGroup, active: &[Active<'a>]) -> Option<&'a Member> {
    let crowd = |subnet: &str| active.iter().filter(|(_, i)| i.body.subnet == subnet).count();
    active.iter().min_by_key(|(m, i)| (m.version == body.version, usize::MAX - crowd(&i.body.subnet), m.since_ms)).map(|(m, _)| *m)
}
fn wanted(group: &Item<InstanceGroup>, launch: &LaunchSpec, subnet: &str, machine_type: &str, spot: bool) -> NewInstance {
    let mut tags = group.body.propagated.clone();
    tags.insert(GROUP_TAG.to_owned(), group.id.clone());
    NewInstance {
        subnet: subnet.to_owned(),
        zone: None,
        machine_type: machine_type.to_owned(),
        image: launch.image.clone(),
        addresses: Vec::new(),
        public_ip: launch.public_ip,
        ipv6: false,
        identity: launch.identity.clone(),
        disk_gib: launch.disk_gib,
        disk_type: launch.disk_type.clone(),
        disk_encrypted: launch.disk_encrypted,
        forwards: false,
        groups: launch.groups.clone(),
        protected: false,
        spot,
        tags,
    }
}
fn failure(refusal: Refusal, zone: String, machine_type: &str, spot: bool, at_ms: u64) -> Failure {
    Failure { code: refusal.code.as_str().to_owned(), message: refusal.message, zone, machine_type: machine_type.to_owned(), spot, at_ms }
}
/// The newest first, each kind of failure once.
fn note(body: &mut InstanceGroup, failure: Failure) {
    body.failed = body.failed.saturating_add(1);
    body.failures.retain(|f| (&f.code, &f.zone, &f.machine_type, f.spot) != (&failure.code, &failure.zone, &failure.machine_type, failure.spot));
    body.failures.insert(0, failure);
    body.failures.truncate(MOST_FAILURES);
}
