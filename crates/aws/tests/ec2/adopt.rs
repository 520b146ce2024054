//! What was adopted is a target without a name: it is changed and deleted alone, and gets no tags of ours.

use crate::{
    cloud::Cloud,
    journal::{World, instance, network, subnet},
};
use welkin_core::*;

/// The change of what was adopted, as the engine asks for it.
fn adopted<K: Managed<Parent = LocationName>>(change: &Change<K>, vendor_id: &str, verb: Verb<K>) -> Change<K> {
    Change { target: Target::Vendor { parent: change.target.parent().clone(), vendor_id: vendor_id.parse().unwrap() }, verb, ..change.clone() }
}
fn planted(cloud: &Cloud, tags: &[(&str, &str)]) -> [String; 3] {
    [
        cloud.plant("vpc", &[("cidr", "10.0.0.0/16")], tags),
        cloud.plant("subnet", &[("vpc", "vpc-other"), ("cidr", "10.0.0.0/24")], tags),
        cloud.plant("i", &[("state", "running")], tags),
    ]
}

#[tokio::test]
async fn it_is_changed_and_deleted_alone() {
    let world = World::with(100).await;
    let [vpc, sub, vm] = planted(&world.cloud, &[("Name", "corp")]);
    // They belong to them, but were not adopted.
    let left = [world.cloud.plant("igw", &[("vpc", "vpc-elsewhere")], &[]), world.cloud.plant("vol", &[("instance", &vm), ("state", "in-use")], &[])];
    tokio::time::sleep(world.horizon).await;
    let labels: Labels = [("Name".to_owned(), "corp".to_owned()), ("team".to_owned(), "web".to_owned())].into();
    let desired = NetworkSpec { labels: labels.clone(), ..Default::default() };
    let update = adopted(&network("n", false), &vpc, Verb::Update { desired, paths: ["labels".into()].into() });
    world.check(&update).await.unwrap();
    assert_eq!(world.run(&update).await.unwrap().object().spec.labels, labels);
    let tags = world.cloud.items().into_iter().find(|i| i.id == vpc).unwrap().tags;
    assert_eq!(tags.keys().map(String::as_str).collect::<Vec<_>>(), ["Name", "team"]);

    world.run(&adopted(&instance("i", true), &vm, Verb::Delete)).await.unwrap();
    world.run(&adopted(&subnet("s", "vpc-1"), &sub, Verb::Delete)).await.unwrap();
    world.run(&adopted(&network("n", true), &vpc, Verb::Delete)).await.unwrap();
    let mut here: Vec<String> = world.cloud.items().into_iter().map(|i| i.id).collect();
    here.sort();
    assert_eq!(here, left);
    assert_eq!([world.cloud.calls("DeleteKeyPair"), world.cloud.calls("DeleteVolume"), world.cloud.calls("tag%3Awelkin.dev%2Fuid")], [0, 0, 0]);
}

#[tokio::test]
async fn what_carries_a_mark_is_somebodys() {
    let world = World::with(100).await;
    for owner in ["me", "somebody-else"] {
        let [vpc, sub, vm] = planted(&world.cloud, &[("welkin.dev/owner", owner), ("welkin.dev/id", "n"), ("welkin.dev/uid", "another-uid")]);
        let none = std::collections::BTreeSet::<FieldPath>::new;
        let refused = [
            world.check(&adopted(&network("n", false), &vpc, Verb::Update { desired: NetworkSpec::default(), paths: none() })).await.unwrap_err(),
            world.check(&adopted(&subnet("n", "vpc-1"), &sub, Verb::Update { desired: SubnetSpec::default(), paths: none() })).await.unwrap_err(),
            world.check(&adopted(&instance("n", false), &vm, Verb::Update { desired: InstanceSpec::default(), paths: none() })).await.unwrap_err(),
            world.run(&adopted(&network("n", false), &vpc, Verb::Delete)).await.unwrap_err(),
            world.run(&adopted(&subnet("n", "vpc-1"), &sub, Verb::Delete)).await.unwrap_err(),
            world.run(&adopted(&instance("n", false), &vm, Verb::Delete)).await.unwrap_err(),
        ];
        assert!(refused.iter().all(|e| e.reason() == Reason::NotOwned), "{refused:?}");
    }
    assert_eq!(world.cloud.items().len(), 6);
}
