//! Addresses and disks, and the instances that have them.

use crate::{
    cloud::Fault,
    journal::{World, create, name, then},
};
use std::collections::BTreeSet;
use welkin_core::*;

fn running(world: &World) -> Ref<Instance> {
    let id = world.cloud.plant("i", &[("state", "running")], &[]);
    Ref::resolved(name("i"), id.parse().unwrap())
}
fn address(id: &str, at: &Ref<Instance>) -> Change<Address> {
    create(id, AddressSpec { instance: Some(at.clone()), ..Default::default() })
}
fn disk(id: &str, on: Option<&Ref<Instance>>) -> Change<Disk> {
    create(id, DiskSpec { zone: Some("eu-west-1a".into()), size_gib: Some(8), instance: on.cloned(), ..Default::default() })
}
fn update<K: Managed>(desired: K::Spec, paths: &[&str]) -> Verb<K> {
    Verb::Update { desired, paths: paths.iter().map(|p| FieldPath::from(*p)).collect() }
}
fn spec<K: Managed>(change: &Change<K>) -> K::Spec {
    let Verb::Create { spec, .. } = &change.verb else { panic!() };
    spec.clone()
}
/// The vendor's ids of what an instance has of this kind.
fn at(world: &World, kind: &str, word: &str, instance: &Ref<Instance>) -> Vec<String> {
    let id = instance.vendor_id.as_ref().unwrap().as_str();
    world.cloud.items().into_iter().filter(|i| i.kind == kind && i.is.get(word).is_some_and(|at| at == id)).map(|i| i.id).collect()
}

#[tokio::test]
async fn an_address_is_never_taken_from_an_instance_for_another() {
    let world = World::with(50).await;
    let i = running(&world);
    let first = world.run(&address("a", &i)).await.unwrap().object();
    assert_eq!((first.status.state, first.spec.instance.as_ref()), (AddressState::InUse, Some(&i)));
    for refused in [world.check(&address("b", &i)).await.unwrap_err(), world.run_and_clean(&address("b", &i)).await] {
        assert_eq!((refused.reason(), refused.violations()[0].field.as_str()), (Reason::InUse, "instance"), "{refused}");
        assert!(refused.message().contains(&first.status.ip.unwrap().to_string()), "{refused}");
    }
    assert_eq!((at(&world, "eipalloc", "at", &i), world.cloud.ids("eipalloc")), (vec![first.vendor_id.to_string()], vec![first.vendor_id.to_string()]));
}

#[tokio::test]
async fn an_address_moves_in_one_write_and_is_released_only_when_free() {
    let world = World::with(50).await;
    let (i, j) = (running(&world), running(&world));
    let change = address("a", &i);
    let id = world.run(&change).await.unwrap().object().vendor_id;
    let moved = AddressSpec { instance: Some(j.clone()), ..Default::default() };
    world.run(&then(&change, id.as_str(), update(moved, &["instance"]))).await.unwrap();
    assert_eq!((at(&world, "eipalloc", "at", &i).len(), at(&world, "eipalloc", "at", &j).len(), world.cloud.calls("DisassociateAddress")), (0, 1, 0));
    let delete = then(&change, id.as_str(), Verb::Delete);
    let refused = world.run(&delete).await.unwrap_err();
    assert!(refused.reason() == Reason::InUse && refused.message().contains(j.vendor_id.as_ref().unwrap().as_str()), "{refused}");
    assert_eq!(world.cloud.calls("ReleaseAddress"), 0);
    world.run(&then(&change, id.as_str(), update(AddressSpec::default(), &["instance"]))).await.unwrap();
    world.run(&delete).await.unwrap();
    assert_eq!(world.cloud.ids("eipalloc"), [""; 0]);
}

#[tokio::test]
async fn an_address_that_the_instance_does_not_have_is_refused() {
    let world = World::with(0).await;
    let i = running(&world);
    let wrong = create::<Address>("a", AddressSpec { private_ip: Some([10, 9, 9, 9].into()), ..spec(&address("a", &i)) });
    for refused in [world.check(&wrong).await.unwrap_err(), world.run_and_clean(&wrong).await] {
        assert_eq!((refused.kind(), refused.violations()[0].field.as_str()), (ErrorKind::InvalidArgument, "private_ip"));
    }
    assert_eq!(world.cloud.ids("eipalloc"), [""; 0]);
}

/// Of every write of a create, and of a detachment: once.
#[tokio::test]
async fn a_lost_reply_makes_nothing_twice() {
    for action in ["AllocateAddress", "AssociateAddress"] {
        let world = World::with(100).await;
        let i = running(&world);
        world.cloud.fault(action, Fault::Lost, 1);
        world.run(&address("a", &i)).await.unwrap();
        assert_eq!((world.cloud.ids("eipalloc").len(), at(&world, "eipalloc", "at", &i).len()), (1, 1), "{action}");
    }
    for action in ["CreateVolume", "AttachVolume"] {
        let world = World::with(100).await;
        let i = running(&world);
        world.cloud.fault(action, Fault::Lost, 1);
        let made = world.run(&disk("d", Some(&i))).await.unwrap().object();
        assert_eq!((world.cloud.ids("vol").len(), at(&world, "vol", "attached", &i)), (1, vec![made.vendor_id.to_string()]), "{action}");
        world.cloud.fault("DetachVolume", Fault::Lost, 1);
        let off = DiskSpec { instance: None, ..made.spec };
        world.run(&then(&disk("d", None), made.vendor_id.as_str(), update(off, &["instance"]))).await.unwrap();
        assert_eq!((world.cloud.ids("vol").len(), at(&world, "vol", "attached", &i).len()), (1, 0));
    }
}

#[tokio::test]
async fn disks_of_an_instance_have_different_devices_and_stay_where_they_are() {
    // Both may choose the same device, and the later one looks again until the horizon.
    let world = World::with(5000).await;
    let (i, j) = (running(&world), running(&world));
    let (one, two) = (disk("d", Some(&i)), disk("e", Some(&i)));
    let (first, second) = tokio::join!(world.run(&one), world.run(&two));
    let (first, second) = (first.unwrap().object(), second.unwrap().object());
    let devices: BTreeSet<_> = [&first, &second].iter().map(|d| d.status.device.clone()).collect();
    assert_eq!(devices, ["/dev/sdf", "/dev/sdg"].map(str::to_owned).into());
    let moved = DiskSpec { instance: Some(j), ..first.spec.clone() };
    let moves = then(&one, first.vendor_id.as_str(), update(moved, &["instance"]));
    let delete = then(&one, first.vendor_id.as_str(), Verb::Delete);
    for refused in [world.check(&moves).await.unwrap_err(), world.run(&moves).await.unwrap_err(), world.check(&delete).await.unwrap_err(), world.run(&delete).await.unwrap_err()] {
        assert_eq!(refused.reason(), Reason::InUse, "{refused}");
    }
    assert_eq!((at(&world, "vol", "attached", &i).len(), world.cloud.calls("DetachVolume"), world.cloud.calls("DeleteVolume {")), (2, 0, 0));
}

#[tokio::test]
async fn what_a_create_attached_is_taken_off_when_it_is_cleaned_up() {
    let world = World::with(50).await;
    let i = running(&world);
    let (one, two) = (disk("d", Some(&i)), address("a", &i));
    let (d, a) = (world.run(&one).await.unwrap().object(), world.run(&two).await.unwrap().object());
    let cleans_up = || Resume { cleans_up: true, ..Resume::default() };
    world.run_from(&then(&one, d.vendor_id.as_str(), Verb::Delete), cleans_up()).await.unwrap();
    world.run_from(&then(&two, a.vendor_id.as_str(), Verb::Delete), cleans_up()).await.unwrap();
    assert_eq!((world.cloud.ids("vol"), world.cloud.ids("eipalloc"), world.cloud.ids("i").len()), (vec![], vec![], 1));
}

#[tokio::test]
async fn a_disk_is_modified_once() {
    let world = World::with(100).await;
    let change = disk("d", None);
    let made = world.run(&change).await.unwrap().object();
    let to = |size| then(&change, made.vendor_id.as_str(), update(DiskSpec { size_gib: Some(size), ..made.spec.clone() }, &["size_gib"]));
    world.cloud.fault("ModifyVolume", Fault::Lost, 1);
    assert_eq!(world.run(&to(20)).await.unwrap().object().spec.size_gib, Some(20));
    assert_eq!(world.cloud.calls("ModifyVolume"), 1);
    // Smaller is refused before any call.
    let refused = world.run(&to(10)).await.unwrap_err();
    assert_eq!((refused.violations()[0].field.as_str(), world.cloud.calls("ModifyVolume")), ("size_gib", 1));
    // While somebody else's goes on, nothing of ours is waited for.
    world.cloud.fault("ModifyVolume", Fault::Refuse("IncorrectModificationState", 400), 9);
    let refused = world.run(&to(30)).await.unwrap_err();
    assert_eq!((refused.reason(), refused.violations()[0].field.as_str(), world.cloud.calls("ModifyVolume")), (Reason::WrongState, "size_gib", 2), "{refused}");
}

#[tokio::test]
async fn a_disk_and_an_instance_of_one_id_are_told_apart() {
    let world = World::with(0).await;
    let disk = disk("web", None);
    let d = world.run(&disk).await.unwrap().object();
    let instance = Change { uid: "uid-of-the-instance".parse().unwrap(), ..crate::journal::instance("web", false) };
    let i = world.run(&instance).await.unwrap().object();
    // By name alone, as where the store is lost.
    assert_eq!(world.get(&Target::<Disk>::named(name("web"))).await.unwrap().vendor_id, d.vendor_id);
    world.run(&then(&instance, i.vendor_id.as_str(), Verb::Delete)).await.unwrap();
    assert!(world.get(&Target::<Instance>::named(name("web"))).await.unwrap_err().is_not_found());
    assert_eq!(world.get(&Target::<Disk>::named(name("web"))).await.unwrap().vendor_id, d.vendor_id);
}
