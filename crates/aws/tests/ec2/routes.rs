//! The routes of a table, and the subnets that it is for: what stays is not touched, and nothing is taken away from another table.

use crate::{
    cloud::Fault,
    journal::{World, create, name, network, then},
};
use std::time::Duration;
use welkin_core::*;

const LAG: Duration = Duration::from_millis(200);

fn to(destination: &str, instance: &str) -> Route {
    Route { destination: Some(destination.parse().unwrap()), instance: Some(Ref::resolved(name("i"), instance.parse().unwrap())), ..Route::default() }
}
fn internet(destination: &str) -> Route {
    Route { destination: Some(destination.parse().unwrap()), internet: true, ..Route::default() }
}
fn spec(vpc: &str, routes: &[Route], subnets: &[&str]) -> RouteTableSpec {
    let subnets = subnets.iter().map(|id| Ref::resolved(name("s"), id.parse().unwrap())).collect();
    RouteTableSpec { network: Some(Ref::resolved(name("n"), vpc.parse().unwrap())), routes: routes.to_vec(), subnets, ..RouteTableSpec::default() }
}
fn change(made: &Change<RouteTable>, id: &str, desired: RouteTableSpec, path: &str) -> Change<RouteTable> {
    then(made, id, Verb::Update { desired, paths: [path.into()].into() })
}
/// What a table has, by the beginning of its keys.
fn there(world: &World, id: &str, what: &str) -> Vec<(String, String)> {
    let table = world.cloud.items().into_iter().find(|i| i.id == id).unwrap();
    table.is.into_iter().filter_map(|(k, v)| Some((k.strip_prefix(what)?.to_owned(), v))).collect()
}
fn writes(world: &World) -> [usize; 3] {
    ["CreateRoute {", "ReplaceRoute {", "DeleteRoute {"].map(|call| world.cloud.calls(call))
}

#[tokio::test]
async fn a_route_that_stays_is_not_written_and_ec2s_own_are_left() {
    let world = World::with(200).await;
    let table = create::<RouteTable>("t", spec("vpc-1", &[to("10.1.0.0/16", "i-1"), to("10.2.0.0/16", "i-1"), to("2001:db8:1::/48", "i-1")], &[]));
    let id = world.run(&table).await.unwrap().object().vendor_id;
    assert_eq!(writes(&world), [3, 0, 0]);
    world.cloud.script(|s| {
        s.edit(id.as_str(), "to 10.0.0.0/16", "CreateRouteTable: GatewayId local");
        s.edit(id.as_str(), "to 10.8.0.0/16", "EnableVgwRoutePropagation: GatewayId vgw-1");
        s.edit(id.as_str(), "to 10.9.0.0/16", "GatewayId vpce-1");
        // Somebody's, to where no specification can say: the table is ours, and has what is asked of it.
        s.edit(id.as_str(), "to 10.10.0.0/16", "TransitGatewayId tgw-1");
        s.edit(id.as_str(), "lost", "10.2.0.0/16");
    });
    let target = then(&table, id.as_str(), Verb::Delete).target;
    let seen = world.get(&target).await.unwrap();
    assert_eq!(seen.status.other_routes, ["10.0.0.0/16: local", "10.10.0.0/16: tgw-1", "10.8.0.0/16: vgw-1, propagated", "10.9.0.0/16: vpce-1"]);
    assert_eq!(seen.status.blackholes, ["10.2.0.0/16".parse().unwrap()]);
    // One stays, one leads elsewhere, one is new and one goes.
    let desired = spec("vpc-1", &[to("10.1.0.0/16", "i-1"), to("10.2.0.0/16", "i-2"), to("10.3.0.0/16", "i-1")], &[]);
    let now = world.run(&change(&table, id.as_str(), desired.clone(), "routes")).await.unwrap().object();
    assert_eq!(writes(&world), [4, 1, 2]);
    let routes = there(&world, id.as_str(), "to ");
    let routes: Vec<(&str, &str)> = routes.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let expected = [
        ("10.0.0.0/16", "CreateRouteTable: GatewayId local"),
        ("10.1.0.0/16", "InstanceId i-1"),
        ("10.2.0.0/16", "InstanceId i-2"),
        ("10.3.0.0/16", "InstanceId i-1"),
        ("10.8.0.0/16", "EnableVgwRoutePropagation: GatewayId vgw-1"),
        ("10.9.0.0/16", "GatewayId vpce-1"),
    ];
    assert_eq!(routes, expected);
    world.cloud.script(|s| s.edit(id.as_str(), "lost", ""));
    let read = world.get(&target).await.unwrap();
    assert_eq!((&now.spec, &now.status, now.etag()), (&read.spec, &read.status, read.etag()));
    // The same again writes nothing, and neither do labels.
    world.run(&change(&table, id.as_str(), desired.clone(), "routes")).await.unwrap();
    world.run(&change(&table, id.as_str(), RouteTableSpec { labels: [("a".to_owned(), "b".to_owned())].into(), ..spec("vpc-1", &[], &[]) }, "labels")).await.unwrap();
    assert_eq!(writes(&world), [4, 1, 2]);
    // What is within the network needs no route.
    let e = world.run(&change(&table, id.as_str(), spec("vpc-1", &[to("10.0.0.0/16", "i-1")], &[]), "routes")).await.unwrap_err();
    assert_eq!((e.reason(), e.violations()[0].field.as_str(), writes(&world)), (Reason::RangeConflict, "routes", [4, 1, 2]));
}

#[tokio::test]
async fn a_subnet_of_another_table_is_not_taken_away() {
    let world = World::with(200).await;
    let theirs = world.cloud.plant("rtb", &[("vpc", "vpc-1"), ("for subnet-1", "rtbassoc-theirs")], &[]);
    let table = create::<RouteTable>("t", spec("vpc-1", &[], &["subnet-1"]));
    let is_refused = |e: Error| {
        assert_eq!((e.kind(), e.reason(), e.violations()[0].field.as_str(), e.retry_after()), (ErrorKind::FailedPrecondition, Reason::InUse, "subnets", None), "{e}");
        assert!(e.message().contains(&theirs), "{e}");
    };
    is_refused(world.check(&table).await.unwrap_err());
    is_refused(world.run_and_clean(&table).await);
    assert_eq!(world.cloud.ids("rtb"), [theirs.as_str()]);
    let table = create::<RouteTable>("u", spec("vpc-1", &[], &["subnet-2"]));
    let id = world.run(&table).await.unwrap().object().vendor_id;
    let update = change(&table, id.as_str(), spec("vpc-1", &[], &["subnet-1", "subnet-2"]), "subnets");
    is_refused(world.check(&update).await.unwrap_err());
    is_refused(world.run(&update).await.unwrap_err());
    assert_eq!((there(&world, &theirs, "for ").len(), there(&world, id.as_str(), "for ").len()), (1, 1));
    // Given back, it can be taken.
    world.cloud.remove(&theirs);
    let now = world.run(&change(&table, id.as_str(), spec("vpc-1", &[], &["subnet-1"]), "subnets")).await.unwrap().object();
    assert_eq!(now.spec.subnets[0].vendor_id.as_ref().unwrap().as_str(), "subnet-1");
    assert_eq!(there(&world, id.as_str(), "for "), [("subnet-1".to_owned(), "rtbassoc-subnet-1".to_owned())]);
    world.run(&then(&table, id.as_str(), Verb::Delete)).await.unwrap();
    assert!(world.cloud.ids("rtb").is_empty());
}

/// Whichever answer is lost, and however late the table and its tags are shown: there is one, with every route once.
#[tokio::test]
async fn a_lost_answer_makes_nothing_twice() {
    for call in ["CreateRouteTable", "CreateRoute", "AssociateRouteTable"] {
        for fault in [Fault::Lost, Fault::Cut, Fault::Hang] {
            let world = World::with(800).await;
            world.cloud.script(|s| (s.read_lag, s.tag_lag) = (LAG, LAG));
            world.cloud.fault(call, fault, 1);
            let table = create::<RouteTable>("t", spec("vpc-1", &[to("10.1.0.0/16", "i-1"), to("10.2.0.0/16", "i-1")], &["subnet-1", "subnet-2"]));
            let id = world.run(&table).await.unwrap().object().vendor_id;
            assert_eq!(world.cloud.ids("rtb"), [id.as_str()], "{call} {fault:?}");
            assert_eq!((there(&world, id.as_str(), "to ").len(), there(&world, id.as_str(), "for ").len()), (2, 2), "{call} {fault:?}");
            world.cloud.fault("DisassociateRouteTable", fault, 1);
            world.cloud.fault("DeleteRouteTable", fault, 1);
            world.run(&then(&table, id.as_str(), Verb::Delete)).await.unwrap();
            assert!(world.cloud.ids("rtb").is_empty(), "{call} {fault:?}");
        }
    }
}

/// Reads that are older than what was written: a route is there that is not shown, or shown and gone.
#[tokio::test]
async fn what_a_read_shows_wrong_is_looked_at_again_until_the_horizon() {
    for (call, code) in [("CreateRoute", "RouteAlreadyExists"), ("CreateRoute", "InvalidInstanceID.NotFound"), ("AssociateRouteTable", "Resource.AlreadyAssociated")] {
        let world = World::with(400).await;
        world.cloud.fault(call, Fault::Refuse(code, 400), 2);
        let table = create::<RouteTable>("t", spec("vpc-1", &[to("10.1.0.0/16", "i-1")], &["subnet-1"]));
        world.run(&table).await.unwrap();
        world.cloud.fault(call, Fault::Refuse(code, 400), 200);
        let e = world.run_and_clean(&create::<RouteTable>("u", spec("vpc-1", &[to("10.1.0.0/16", "i-1")], &["subnet-2"]))).await;
        let field = if call == "CreateRoute" { "routes" } else { "subnets" };
        assert_eq!((e.vendor().unwrap().code.as_str(), e.violations().len(), e.violations()[0].field.as_str()), (code, 1, field), "{e}");
        assert_eq!(world.cloud.ids("rtb").len(), 1);
    }
    let world = World::with(400).await;
    let table = create::<RouteTable>("t", spec("vpc-1", &[to("10.1.0.0/16", "i-1")], &["subnet-1"]));
    let id = world.run(&table).await.unwrap().object().vendor_id;
    for (call, code) in [
        ("ReplaceRoute", "InvalidParameterValue: There is no route defined for '10.1.0.0/16' in the route table. Use CreateRoute instead."),
        ("DeleteRoute", "InvalidRoute.NotFound"),
        ("DisassociateRouteTable", "InvalidAssociationID.NotFound"),
    ] {
        world.cloud.fault(call, Fault::Refuse(code, 400), 1);
    }
    world.run(&change(&table, id.as_str(), spec("vpc-1", &[to("10.1.0.0/16", "i-2")], &[]), "routes")).await.unwrap();
    world.run(&change(&table, id.as_str(), spec("vpc-1", &[], &[]), "routes")).await.unwrap();
    world.run(&change(&table, id.as_str(), spec("vpc-1", &[], &[]), "subnets")).await.unwrap();
}

#[tokio::test]
async fn a_way_to_the_internet_is_the_networks_own() {
    let world = World::with(200).await;
    let routes = [internet("0.0.0.0/0"), internet("::/0")];
    let table = create::<RouteTable>("t", spec("vpc-1", &routes, &[]));
    let is_refused = |e: Error| assert_eq!((e.kind(), e.reason(), e.violations()[0].field.as_str()), (ErrorKind::FailedPrecondition, Reason::WrongState, "routes"), "{e}");
    is_refused(world.check(&table).await.unwrap_err());
    is_refused(world.run_and_clean(&table).await);
    let gateway = world.cloud.plant("igw", &[("vpc", "vpc-1")], &[]);
    world.check(&table).await.unwrap();
    let id = world.run(&table).await.unwrap().object().vendor_id;
    let leads = |gateway: &str| ["0.0.0.0/0", "::/0"].map(|net| (net.to_owned(), format!("GatewayId {gateway}"))).to_vec();
    assert_eq!(there(&world, id.as_str(), "to "), leads(&gateway));
    // Another one is attached in its place.
    world.cloud.remove(&gateway);
    let other = world.cloud.plant("igw", &[("vpc", "vpc-1")], &[]);
    world.run(&change(&table, id.as_str(), spec("vpc-1", &routes, &[]), "routes")).await.unwrap();
    assert_eq!((there(&world, id.as_str(), "to "), writes(&world)), (leads(&other), [2, 2, 0]));
}

#[tokio::test]
async fn the_field_of_a_full_table_is_that_of_who_asked() {
    let world = World::with(100).await;
    let fields = |e: Error| (e.reason(), e.violations().iter().map(|v| v.field.clone()).collect::<Vec<_>>());
    world.cloud.fault("CreateRoute", Fault::Refuse("RouteLimitExceeded", 400), 1);
    let refused = world.run_and_clean(&create::<RouteTable>("t", spec("vpc-1", &[to("10.1.0.0/16", "i-1")], &[]))).await;
    assert!(refused.message().contains("\"Routes per route table\""), "{refused}");
    assert_eq!(fields(refused), (Reason::QuotaExceeded, vec!["routes".to_owned()]));
    world.cloud.fault("CreateRoute", Fault::Refuse("RouteLimitExceeded", 400), 1);
    assert_eq!(fields(world.run_and_clean(&network("n", true)).await), (Reason::QuotaExceeded, vec!["internet_access".to_owned()]));
    world.cloud.fault("CreateRouteTable", Fault::Refuse("RouteTableLimitExceeded", 400), 1);
    assert_eq!(fields(world.run(&create::<RouteTable>("t", spec("vpc-1", &[], &[]))).await.unwrap_err()), (Reason::QuotaExceeded, vec![]));
}

/// A network with a table in it is in use, and its way to the internet is not touched. Its main table is no such thing, and nobody can delete that.
#[tokio::test]
async fn a_main_table_goes_with_its_network_and_no_other_does() {
    let world = World::with(100).await;
    let made = network("n", true);
    let vpc = world.run(&made).await.unwrap().object().vendor_id;
    let main = world.cloud.plant("rtb", &[("vpc", vpc.as_str()), ("main", "true")], &[]);
    let table = create::<RouteTable>("t", spec(vpc.as_str(), &[], &[]));
    let id = world.run(&table).await.unwrap().object().vendor_id;
    let delete = then(&made, vpc.as_str(), Verb::Delete);
    for e in [world.check(&delete).await.unwrap_err(), world.run(&delete).await.unwrap_err()] {
        assert!(e.reason() == Reason::InUse && e.message().contains(id.as_str()) && !e.message().contains(&main), "{e}");
    }
    assert_eq!(world.cloud.calls("DetachInternetGateway"), 0);
    let target = Target::Vendor { parent: table.target.parent().clone(), vendor_id: main.parse().unwrap() };
    let theirs = Change { target, verb: Verb::Delete, ..table.clone() };
    for e in [world.check(&theirs).await.unwrap_err(), world.run(&theirs).await.unwrap_err()] {
        assert!(e.reason() == Reason::InUse && e.message().contains(vpc.as_str()), "{e}");
    }
    assert_eq!(world.cloud.calls("DeleteRouteTable"), 0);
    world.run(&then(&table, id.as_str(), Verb::Delete)).await.unwrap();
    world.cloud.remove(&main);
    world.run(&delete).await.unwrap();
    assert!(world.cloud.items().is_empty());
}

/// Reads lag from the last write on, not from when the table was made, however long ago that was.
#[tokio::test]
async fn what_was_written_late_is_waited_for_anew() {
    let world = World::with(400).await;
    let table = create::<RouteTable>("t", spec("vpc-1", &[], &[]));
    let id = world.run(&table).await.unwrap().object().vendor_id;
    let routes = [to("10.1.0.0/16", "i-1"), to("10.2.0.0/16", "i-2")];
    let more = create::<RouteTable>("t", spec("vpc-1", &routes, &[]));
    let long_ago = Resume { handle: Some(Handle::pack(&serde_json::json!({ "id": id.as_str(), "since_ms": 0 })).unwrap()), ..Resume::default() };
    for fault in [Fault::Passes, Fault::Refuse("InvalidInstanceID.NotFound", 400), Fault::Refuse("RouteAlreadyExists", 400)] {
        world.cloud.fault("CreateRoute", fault, 1);
    }
    world.run_from(&more, long_ago.clone()).await.unwrap();
    assert_eq!((there(&world, id.as_str(), "to ").len(), world.cloud.ids("rtb").len()), (2, 1));
    // Where nothing was written, it is over.
    let other = create::<RouteTable>("t", spec("vpc-1", &[to("10.3.0.0/16", "i-1")], &[]));
    world.cloud.fault("CreateRoute", Fault::Refuse("InvalidInstanceID.NotFound", 400), 1);
    assert_eq!(world.run_from(&other, long_ago).await.unwrap_err().reason(), Reason::ReferenceNotFound);
}
