use super::{Depth, Plausible, Reached, Specimen, Unchangeable, Wrong, instance, labelled, subnet_range, to, wrong_labels};
use crate::{
    Planted,
    runner::Manner,
    stand::{Stand, Verdict},
};
use async_trait::async_trait;
use std::{collections::BTreeMap, net::IpAddr};
use welkin_core::{Disk, DiskSpec, DiskState, DiskStatus, Instance, InstanceSpec, Kind, NoAction, Object, Reason, Subnet, SubnetSpec};

/// What disks lie in and are attached to.
#[derive(Debug)]
pub(crate) struct Shelf {
    zone: Option<String>,
    /// Two instances of that zone, where disks are attached and the trial needs them.
    machines: Vec<Object<Instance>>,
}

/// The sizes of a plain one, and of one that has more operations and throughput than most (gp3 has at most 500 operations for each GiB).
const SIZE_GIB: u32 = 8;
const LARGER_GIB: u32 = 10;

#[async_trait(?Send)]
impl Specimen for Disk {
    type Ground = Shelf;
    async fn ground(stand: &Stand<'_>, depth: Depth) -> Verdict<Shelf> {
        let machines = if stand.honours::<Self>("instance") { instance::pair(stand, depth).await? } else { Vec::new() };
        Ok(Shelf { zone: if stand.honours::<Self>("zone") { Some(stand.zone().await?) } else { None }, machines })
    }
    fn plain(_: &Stand<'_>, shelf: &Shelf, _: u8) -> DiskSpec {
        DiskSpec { zone: shelf.zone.clone(), size_gib: Some(SIZE_GIB), ..DiskSpec::default() }
    }
    fn variants(stand: &Stand<'_>, shelf: &Shelf) -> Verdict<Vec<(&'static str, DiskSpec)>> {
        let (plain, subject) = (Self::plain(stand, shelf, 0), stand.subject);
        let has = |path: &str| stand.honours::<Self>(path);
        let everything = DiskSpec {
            size_gib: Some(LARGER_GIB),
            encrypted: has("encrypted").then_some(true),
            encryption_key: subject.encryption_key.clone().filter(|_| has("encryption_key")),
            instance: shelf.machines.first().map(to),
            labels: labelled(&[("team", "a"), ("Name", "of-its-own")]),
            provider_config: subject.provider_configs.get(Self::COLLECTION).cloned(),
            ..fast(stand, &plain, 3500, 200)
        };
        let mut out = vec![("everything", everything)];
        if has("encrypted") {
            out.push(("not encrypted", DiskSpec { encrypted: Some(false), ..plain }));
        }
        Ok(out)
    }
    fn changes(stand: &Stand<'_>, shelf: &Shelf, now: &DiskSpec) -> Vec<(&'static str, DiskSpec)> {
        let mut out = Vec::new();
        if stand.changes::<Self>("labels") {
            out.push(("labels", DiskSpec { labels: labelled(&[("team", "b"), ("new", "")]), ..now.clone() }));
        }
        let mut last = now.clone();
        if stand.changes::<Self>("instance") {
            if let (None, Some(first)) = (&now.instance, shelf.machines.first()) {
                out.push(("instance", DiskSpec { instance: Some(to(first)), ..now.clone() }));
            }
            last.instance = None;
            out.push(("instance", last.clone()));
        }
        if stand.changes::<Self>("disk_type") {
            last = fast(stand, &last, 3600, 220);
            out.push(("disk_type", last.clone()));
        }
        // It cannot shrink again, so whatever comes after it has this size too.
        if stand.changes::<Self>("size_gib") {
            out.push(("size_gib", DiskSpec { size_gib: now.size_gib.map(|size| size + 1), ..last }));
        }
        out
    }
    fn goes_back(change: &str) -> bool {
        change != "size_gib"
    }
    async fn before_change(_: &Stand<'_>, _: &Object<Self>, _: &'static str) -> Verdict {
        Ok(())
    }
    fn malformed(stand: &Stand<'_>, plain: &DiskSpec) -> Vec<Wrong<Self>> {
        let sized = |size_gib: Option<u32>| DiskSpec { size_gib, ..plain.clone() };
        let mut out = vec![Wrong::new("no size", sized(None), "size_gib"), Wrong::new("a disk of nothing", sized(Some(0)), "size_gib")];
        if let Some((_, max)) = stand.field::<Self>("size_gib").and_then(|f| f.range) {
            out.push(Wrong::new("a disk that is too large", sized(u32::try_from(max).ok().and_then(|max| max.checked_add(1))), "size_gib"));
        }
        let keyed = DiskSpec { encryption_key: Some("a-key".into()), ..plain.clone() };
        out.push(Wrong::new("a key for a disk that is not encrypted", keyed, "encryption_key"));
        out.extend(wrong_labels(plain));
        out
    }
    async fn refused(stand: &Stand<'_>, shelf: &Shelf, plain: &DiskSpec) -> Verdict<Vec<Wrong<Self>>> {
        let mut out = Vec::new();
        if stand.honours::<Self>("disk_type") {
            out.push(Wrong::new("an unknown disk type", DiskSpec { disk_type: Some("no-such-type".into()), ..plain.clone() }, "disk_type"));
        }
        if shelf.zone.is_some() {
            out.push(Wrong::new("an unknown zone for a disk", DiskSpec { zone: Some("nowhere-1z".into()), ..plain.clone() }, "zone"));
        }
        let others = if shelf.machines.is_empty() { None } else { stand.zones().await?.into_iter().find(|zone| shelf.zone.as_ref().is_some_and(|own| own != zone)) };
        if let Some(zone) = others {
            let far = Some(to(&machine_in(stand, zone).await?));
            out.push(Wrong::new("an instance in another zone", DiskSpec { instance: far, ..plain.clone() }, "instance"));
        }
        Ok(out)
    }
    async fn refused_changes(stand: &Stand<'_>, shelf: &Shelf) -> Verdict<Option<Unchangeable<Self>>> {
        let plain = Self::plain(stand, shelf, 0);
        let made = stand.create::<Self>(DiskSpec { instance: shelf.machines.first().map(to), ..plain }).await?;
        let mut out = Vec::new();
        if stand.changes::<Self>("size_gib") {
            out.push(Wrong::new("a disk that shrinks", DiskSpec { size_gib: Some(SIZE_GIB - 1), ..made.spec.clone() }, "size_gib"));
        }
        if let (true, [_, second]) = (stand.changes::<Self>("instance"), &*shelf.machines) {
            let moved = DiskSpec { instance: Some(to(second)), ..made.spec.clone() };
            out.push(Wrong::new("another instance while it is attached to one", moved, "instance").with(Reason::InUse));
        }
        Ok(if out.is_empty() { None } else { Some((made, out)) })
    }
    async fn let_go(stand: &Stand<'_>, object: &Object<Self>) -> Verdict {
        if object.spec.instance.is_some() {
            stand.update(object, DiskSpec { instance: None, ..object.spec.clone() }, Manner::PLAIN).await?;
        }
        Ok(())
    }
    fn comparable(asked: &DiskSpec, _: &DiskSpec) -> DiskSpec {
        asked.clone()
    }
    fn is_ready(status: &DiskStatus) -> bool {
        let attached = !status.device.is_empty();
        status.state == DiskState::Available || (status.state == DiskState::InUse && attached)
    }
    fn addresses(_: &DiskStatus) -> Vec<IpAddr> {
        Vec::new()
    }
    async fn occupied(stand: &Stand<'_>) -> Verdict<Option<Object<Self>>> {
        let shelf = Self::ground(stand, Depth::Whole).await?;
        let Some(first) = shelf.machines.first() else { return Ok(None) };
        stand.create(DiskSpec { instance: Some(to(first)), ..Self::plain(stand, &shelf, 0) }).await.map(Some)
    }
    fn planted(shelf: &Shelf) -> Verdict<Planted> {
        Ok(Planted::Disk { zone: shelf.zone.clone() })
    }
    fn fixed_points() -> Vec<(NoAction, Reached<Self>)> {
        Vec::new()
    }
    fn once() -> Option<NoAction> {
        None
    }
    fn questions() -> Vec<(NoAction, Plausible<Self>)> {
        Vec::new()
    }
    fn labels(spec: &mut DiskSpec) -> Option<&mut BTreeMap<String, String>> {
        Some(&mut spec.labels)
    }
}

/// The same of the subject's disk type, as far as the provider takes numbers for it.
fn fast(stand: &Stand<'_>, spec: &DiskSpec, iops: u32, throughput_mibps: u32) -> DiskSpec {
    let has = |path: &str| stand.honours::<Disk>(path);
    DiskSpec {
        disk_type: stand.subject.disk_type.clone().filter(|_| has("disk_type")),
        iops: has("iops").then_some(iops),
        throughput_mibps: has("throughput_mibps").then_some(throughput_mibps),
        ..spec.clone()
    }
}
/// An instance in this zone, which is not that of the trial's others.
async fn machine_in(stand: &Stand<'_>, zone: String) -> Verdict<Object<Instance>> {
    let site = Instance::ground(stand, Depth::Plain).await?;
    let subnet = stand.create::<Subnet>(SubnetSpec { cidrs: vec![subnet_range(60)], zone: Some(zone), ..site.subnet.spec.clone() }).await?;
    stand.create(InstanceSpec { subnet: Some(to(&subnet)), ..Instance::plain(stand, &site, 0) }).await
}
