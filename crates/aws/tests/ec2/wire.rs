//! What the SDK makes of a broken answer, and what that means.

use crate::{
    cloud::Fault,
    journal::{World, network},
};
use welkin_aws::{Aws, AwsConfig};
use welkin_core::*;

/// One step of a create, whose first call is a write.
async fn write(world: &World) -> Error {
    let change = network("n", false);
    let Verb::Create { spec, .. } = &change.verb else { panic!() };
    Driver::<Network>::create(&world.aws, &world.cx(), &change, spec, &Resume::default()).await.unwrap_err()
}
#[tokio::test]
async fn a_broken_answer_says_whether_anything_happened() {
    for (fault, kind, reason) in [
        (Fault::Hang, ErrorKind::DeadlineExceeded, Reason::CloudTimeout),
        (Fault::Lost, ErrorKind::Unavailable, Reason::CloudUnavailable),
        (Fault::Bare(503), ErrorKind::Unavailable, Reason::CloudUnavailable),
        (Fault::Bare(500), ErrorKind::Unavailable, Reason::CloudUnavailable),
        (Fault::Cut, ErrorKind::Unavailable, Reason::CloudAnswer),
        (Fault::Broken, ErrorKind::Unavailable, Reason::CloudAnswer),
        (Fault::Refuse("InternalError", 500), ErrorKind::Unavailable, Reason::CloudUnavailable),
    ] {
        let world = World::with(0).await;
        world.cloud.fault("CreateVpc", fault, 1);
        let e = write(&world).await;
        assert_eq!((e.kind(), e.reason(), e.effect(), e.retry_after().is_some()), (kind, reason, Effect::Unknown, true), "{fault:?}: {e}");
        world.cloud.fault("DescribeVpcs", fault, 1);
        let e = world.get(&network("n", false).target).await.unwrap_err();
        assert_eq!((e.kind(), e.reason(), e.effect(), e.retry_after().is_some()), (kind, reason, Effect::None, true), "{fault:?}: {e}");
    }
}
#[tokio::test]
async fn a_refusal_has_no_effect() {
    let world = World::with(0).await;
    for (code, status, reason) in [("RequestLimitExceeded", 503, Reason::Throttled), ("VpcLimitExceeded", 400, Reason::QuotaExceeded)] {
        world.cloud.fault("CreateVpc", Fault::Refuse(code, status), 1);
        let e = write(&world).await;
        assert_eq!((e.reason(), e.effect(), e.vendor().unwrap().request_id.as_deref()), (reason, Effect::None, Some("r")));
    }
}
#[tokio::test]
async fn nobody_listens() {
    let config = "regions = [\"eu-west-1\"]\naccess_key_id = \"A\"\nsecret_access_key = \"S\"\nendpoint = \"http://127.0.0.1:9\"";
    let config: AwsConfig = toml::from_str(config).unwrap();
    let e = write(&World { aws: Aws::connect(&config).await.unwrap(), ..World::with(0).await }).await;
    assert_eq!((e.kind(), e.reason(), e.effect()), (ErrorKind::Unavailable, Reason::CloudUnavailable, Effect::None), "{e}");
}
#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let world = World::with(0).await;
    world.check(&network("n", false)).await.unwrap();
    assert!(world.cloud.items().is_empty());
    world.cloud.fault("CreateVpc", Fault::Refuse("UnauthorizedOperation", 403), 1);
    assert_eq!(world.check(&network("n", false)).await.unwrap_err().reason(), Reason::CloudPermission);
    world.cloud.fault("CreateVpc", Fault::Hang, 1);
    assert_eq!(world.check(&network("n", false)).await.unwrap_err().effect(), Effect::None);
}
