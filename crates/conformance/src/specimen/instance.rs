use super::{Depth, Plausible, Reached, Specimen, Unchangeable, Wrong, host, id_of_nothing, labelled, security_group, to, wrong_labels};
use crate::{
    Planted,
    runner::Manner,
    stand::{Stand, Verdict},
};
use async_trait::async_trait;
use std::{collections::BTreeMap, net::IpAddr};
use welkin_core::{
    Alternative, ConsoleOutput, Image, Instance, InstanceAction, InstanceQuestion, InstanceSpec, InstanceState, InstanceStatus, Kind, Name, Object, Reason, Ref, RootDisk, Secret,
    SecurityGroup, Subnet, SubnetSpec,
};

/// A public key that nobody has the secret of.
pub(super) const SSH_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGzLxzNnJbGvqTn6Bzxfk0Xg5JYzrBqbBwYvZ7n0S2vQ conformance";

/// What instances stand on.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) subnet: Object<Subnet>,
    pub(crate) image: Ref<Image>,
    /// In the subnet's network, where instances have groups and the trial needs them.
    pub(crate) groups: Vec<Object<SecurityGroup>>,
}

/// Two instances on one site, for what leads to one or hangs on one; none where the trial needs none.
pub(super) async fn pair(stand: &Stand<'_>, depth: Depth) -> Verdict<Vec<Object<Instance>>> {
    if depth == Depth::Plain {
        return Ok(Vec::new());
    }
    let site = Instance::ground(stand, Depth::Plain).await?;
    let plain = Instance::plain(stand, &site, 0);
    let first = stand.create(InstanceSpec { private_ips: addresses(stand, 30), ..plain.clone() }).await?;
    Ok(vec![first, stand.create(plain).await?])
}
/// As many addresses as an instance can choose, but no more than two.
fn addresses(stand: &Stand<'_>, last: u8) -> Vec<IpAddr> {
    let Some(field) = stand.field::<Instance>("private_ips") else { return Vec::new() };
    // Two items may mean one of each family.
    let several = stand.subject.several_private_ips && field.max_items.is_none_or(|n| n > 2);
    if several { vec![host(0, last), host(0, last + 1)] } else { vec![host(0, last)] }
}

#[async_trait(?Send)]
impl Specimen for Instance {
    type Ground = Site;
    async fn ground(stand: &Stand<'_>, depth: Depth) -> Verdict<Site> {
        let ground = Subnet::ground(stand, depth).await?;
        let spec = SubnetSpec { assign_ipv6_cidr: stand.honours::<Subnet>("assign_ipv6_cidr"), ..Subnet::plain(stand, &ground, 0) };
        let mut groups = Vec::new();
        if depth == Depth::Whole && stand.honours::<Self>("security_groups") {
            for _ in 0..2 {
                groups.push(stand.create(security_group::group_in(&ground.0)).await?);
            }
        }
        Ok(Site { subnet: stand.create(spec).await?, image: stand.image().await?, groups })
    }
    fn plain(stand: &Stand<'_>, site: &Site, _: u8) -> InstanceSpec {
        InstanceSpec { machine_type: stand.subject.machine_types[0].clone(), image: Some(site.image.clone()), subnet: Some(to(&site.subnet)), ..InstanceSpec::default() }
    }
    fn variants(stand: &Stand<'_>, site: &Site) -> Verdict<Vec<(&'static str, InstanceSpec)>> {
        let (plain, subject) = (Self::plain(stand, site, 0), stand.subject);
        let has = |path: &str| stand.honours::<Self>(path);
        let everything = InstanceSpec {
            zone: site.subnet.spec.zone.clone().filter(|_| has("zone")),
            private_ips: addresses(stand, 77),
            security_groups: site.groups.iter().map(to).collect(),
            assign_public_ip: has("assign_public_ip").then_some(true),
            assign_ipv6: has("assign_ipv6"),
            ssh_key: has("ssh_key").then(|| SSH_KEY.to_owned()),
            user_data: has("user_data").then(|| Secret::new("#!/bin/sh\necho conformance\n")),
            identity: subject.identity.clone().filter(|_| has("identity")),
            root_disk: RootDisk {
                size_gib: has("root_disk.size_gib").then_some(20),
                disk_type: subject.disk_type.clone().filter(|_| has("root_disk.disk_type")),
                encrypted: has("root_disk.encrypted").then_some(true),
            },
            ip_forwarding: has("ip_forwarding"),
            labels: labelled(&[("team", "a"), ("Name", "of-its-own")]),
            ..plain.clone()
        };
        let mut out = vec![("everything", everything)];
        if has("assign_public_ip") {
            out.push(("no public address", InstanceSpec { assign_public_ip: Some(false), ..plain.clone() }));
        }
        if let Some(config) = subject.provider_configs.get(Self::COLLECTION) {
            out.push(("the vendor's extension", InstanceSpec { provider_config: Some(config.clone()), ..plain }));
        }
        Ok(out)
    }
    fn changes(stand: &Stand<'_>, site: &Site, now: &InstanceSpec) -> Vec<(&'static str, InstanceSpec)> {
        let mut out = Vec::new();
        if stand.changes::<Self>("labels") {
            out.push(("labels", InstanceSpec { labels: labelled(&[("team", "b"), ("new", "")]), ..now.clone() }));
        }
        if stand.changes::<Self>("ip_forwarding") {
            out.push(("ip_forwarding", InstanceSpec { ip_forwarding: !now.ip_forwarding, ..now.clone() }));
            out.push(("ip_forwarding", now.clone()));
        }
        if stand.changes::<Self>("deletion_protection") {
            out.push(("deletion_protection", InstanceSpec { deletion_protection: !now.deletion_protection, ..now.clone() }));
            out.push(("deletion_protection", now.clone()));
        }
        if let (true, [first, second]) = (stand.changes::<Self>("security_groups"), &*site.groups) {
            let with = |security_groups| InstanceSpec { security_groups, ..now.clone() };
            out.push(("security_groups", with(vec![to(first)])));
            // Another one beside it, and then none: what is left is the cloud's own.
            out.push(("security_groups", with(vec![to(second), to(first)])));
            out.push(("security_groups", with(Vec::new())));
        }
        if stand.changes::<Self>("machine_type") {
            out.push(("machine_type", InstanceSpec { machine_type: stand.subject.machine_types[1].clone(), ..now.clone() }));
        }
        out
    }
    fn goes_back(_: &str) -> bool {
        true
    }
    async fn before_change(stand: &Stand<'_>, object: &Object<Self>, change: &'static str) -> Verdict {
        if change == "machine_type" { stand.act(object, InstanceAction::Stop, Manner::PLAIN).await } else { Ok(()) }
    }
    fn malformed(stand: &Stand<'_>, plain: &InstanceSpec) -> Vec<Wrong<Self>> {
        let mut out = vec![
            Wrong::new("no machine type", InstanceSpec { machine_type: String::new(), ..plain.clone() }, "machine_type"),
            Wrong::new("no image", InstanceSpec { image: None, ..plain.clone() }, "image"),
            Wrong::new("no subnet", InstanceSpec { subnet: None, ..plain.clone() }, "subnet"),
            Wrong::new("an address twice", InstanceSpec { private_ips: vec![host(0, 10), host(0, 10)], ..plain.clone() }, "private_ips[1]"),
            Wrong::new("what is no ssh key", InstanceSpec { ssh_key: Some("secret".into()), ..plain.clone() }, "ssh_key"),
            Wrong::new("user data over 16 KiB", InstanceSpec { user_data: Some(Secret::new("x".repeat(16 * 1024 + 1))), ..plain.clone() }, "user_data"),
            Wrong::new("no room on the root disk", InstanceSpec { root_disk: RootDisk { size_gib: Some(0), ..RootDisk::default() }, ..plain.clone() }, "root_disk.size_gib"),
        ];
        if let Some((_, max)) = stand.field::<Self>("root_disk.size_gib").and_then(|f| f.range) {
            let size_gib = u32::try_from(max).ok().and_then(|max| max.checked_add(1));
            out.push(Wrong::new("a root disk that is too large", InstanceSpec { root_disk: RootDisk { size_gib, ..RootDisk::default() }, ..plain.clone() }, "root_disk.size_gib"));
        }
        if stand.honours::<Self>("alternatives") {
            let alternatives = vec![Alternative::default()];
            out.push(Wrong::new("an alternative that is none", InstanceSpec { alternatives, ..plain.clone() }, "alternatives[0]"));
        }
        out.extend(wrong_labels(plain));
        out
    }
    async fn refused(stand: &Stand<'_>, site: &Site, plain: &InstanceSpec) -> Verdict<Vec<Wrong<Self>>> {
        let nothing = id_of_nothing::<Image>(stand);
        let image = Ref::resolved(site.image.name.clone(), nothing.parse()?);
        // By name too, for who resolves it itself.
        let image = Ref { name: Name::new(site.image.name.parent.clone(), Image::foreign_id(&nothing)?), ..image };
        let mut out = vec![
            Wrong::new("an unknown image", InstanceSpec { image: Some(image), ..plain.clone() }, "image"),
            Wrong::new("an unknown machine type", InstanceSpec { machine_type: "no.such-type".into(), ..plain.clone() }, "machine_type"),
        ];
        if stand.honours::<Self>("private_ips") {
            let taken = InstanceSpec { private_ips: vec![host(0, 99)], ..plain.clone() };
            stand.create::<Self>(taken.clone()).await?;
            out.push(Wrong::new("an address in use", taken, "private_ips"));
            out.push(Wrong::new("an address outside of the subnet", InstanceSpec { private_ips: vec![host(9, 9)], ..plain.clone() }, "private_ips"));
        }
        if stand.honours::<Self>("security_groups") {
            let security_groups = vec![to(&security_group::elsewhere(stand).await?)];
            out.push(Wrong::new("a security group of another network", InstanceSpec { security_groups, ..plain.clone() }, "security_groups"));
        }
        Ok(out)
    }
    async fn refused_changes(stand: &Stand<'_>, site: &Site) -> Verdict<Option<Unchangeable<Self>>> {
        let made = stand.create::<Self>(Self::plain(stand, site, 0)).await?;
        let mut out = Vec::new();
        if stand.changes::<Self>("machine_type") {
            let other = InstanceSpec { machine_type: stand.subject.machine_types[1].clone(), ..made.spec.clone() };
            out.push(Wrong::new("another machine type while it runs", other, "machine_type").with(Reason::WrongState));
        }
        if stand.changes::<Self>("security_groups") {
            let security_groups = vec![to(&security_group::elsewhere(stand).await?)];
            out.push(Wrong::new("a security group of another network", InstanceSpec { security_groups, ..made.spec.clone() }, "security_groups"));
        }
        Ok(if out.is_empty() { None } else { Some((made, out)) })
    }
    async fn let_go(stand: &Stand<'_>, object: &Object<Self>) -> Verdict {
        if object.spec.deletion_protection {
            stand.update(object, InstanceSpec { deletion_protection: false, ..object.spec.clone() }, Manner::PLAIN).await?;
        }
        Ok(())
    }
    fn comparable(asked: &InstanceSpec, answered: &InstanceSpec) -> InstanceSpec {
        // A family is answered as the image that it stood for.
        let same = |a: &Ref<Image>, b: &Ref<Image>| a.vendor_id.as_ref().is_some_and(|id| b.vendor_id.as_ref() == Some(id) || b.name.id.decoded() == id.as_str());
        let image = match (&asked.image, &answered.image) {
            (Some(a), Some(b)) if same(a, b) => Some(b.clone()),
            (a, _) => a.clone(),
        };
        // The cloud adds the addresses that it chose.
        let kept = asked.private_ips.iter().all(|ip| answered.private_ips.contains(ip));
        let private_ips = if kept { answered.private_ips.clone() } else { asked.private_ips.clone() };
        // Where none is asked for, the cloud may have one of its own for every network.
        let is_default = asked.security_groups.is_empty() && answered.security_groups.len() == 1;
        let security_groups = if is_default { answered.security_groups.clone() } else { asked.security_groups.clone() };
        InstanceSpec { image, private_ips, security_groups, ..asked.clone() }
    }
    fn is_ready(status: &InstanceStatus) -> bool {
        status.state == InstanceState::Running
    }
    fn addresses(status: &InstanceStatus) -> Vec<IpAddr> {
        status.private_ips.clone()
    }
    async fn occupied(_: &Stand<'_>) -> Verdict<Option<Object<Self>>> {
        Ok(None)
    }
    fn planted(site: &Site) -> Verdict<Planted> {
        Ok(Planted::Instance { subnet: site.subnet.vendor_id.to_string(), image: site.image.vendor_id()?.to_string() })
    }
    fn fixed_points() -> Vec<(InstanceAction, Reached<Self>)> {
        vec![(InstanceAction::Stop, |s| s.state == InstanceState::Stopped), (InstanceAction::Start, |s| s.state == InstanceState::Running)]
    }
    fn once() -> Option<InstanceAction> {
        Some(InstanceAction::Reboot)
    }
    fn questions() -> Vec<(InstanceQuestion, Plausible<Self>)> {
        // A machine may not have written anything yet.
        let is_hidden = |a: &ConsoleOutput| a.text.expose().is_empty() || !format!("{a:?}").contains(a.text.expose());
        vec![(InstanceQuestion::ConsoleOutput, is_hidden)]
    }
    fn labels(spec: &mut InstanceSpec) -> Option<&mut BTreeMap<String, String>> {
        Some(&mut spec.labels)
    }
}
