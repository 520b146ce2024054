//! What load balancers need of groups: which of them target groups are attached to, and what their instances are in.
//!
//! Target groups are attached by the call that Auto Scaling has had longest
//! (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_AttachLoadBalancerTargetGroups.html>: "we continue to support" it): what was attached so is
//! detached so. It registers the instances that the group has and will have.

use super::read::{Row, is_gone, name_in};
use crate::client::Region;
use std::collections::{BTreeMap, BTreeSet};
use welkin_core::{Cx, Error, Owner, Result};

/// Target groups of one call.
const MOST_ATTACHED: usize = 10;

/// Whose a group is, and which security groups its new instances are in.
#[derive(Debug, Clone)]
pub(crate) struct Secured {
    pub(crate) is_ours: bool,
    pub(crate) groups: Vec<String>,
}
/// By the group, which of the target groups that were asked for are attached to it.
pub(crate) type Led = BTreeMap<String, BTreeSet<String>>;

fn attached(row: &Row) -> impl Iterator<Item = &str> {
    let sources = row.vendors.traffic_sources().iter().filter_map(|s| s.identifier());
    row.vendors.target_group_arns().iter().map(String::as_str).chain(sources)
}
fn name_of(arn: &str) -> Result<&str> {
    name_in(arn).ok_or_else(|| Error::invalid("backends", format!("{arn} is no Auto Scaling group")))
}

impl Region {
    /// Of each of these groups that is there; two calls for each.
    pub(crate) async fn secured(&self, cx: &Cx, owner: &Owner, arns: &[&str]) -> Result<BTreeMap<String, Secured>> {
        let mut out = BTreeMap::new();
        for arn in arns {
            let Some(row) = self.scaling_group(cx, name_of(arn)?).await?.filter(|row| row.id.as_str() == *arn) else { continue };
            let version = self.version_of(cx, &row).await?;
            let groups = version.map(|v| v.launch.groups.into_iter().collect()).unwrap_or_default();
            out.insert((*arn).to_owned(), Secured { is_ours: row.mark(owner).is_some(), groups });
        }
        Ok(out)
    }
    /// Which groups these target groups are attached to. Nobody can be asked that: all groups of the region are looked through, a hundred a call.
    pub(crate) async fn led(&self, cx: &Cx, targets: &BTreeSet<&str>) -> Result<Led> {
        let of = |row: &Row| attached(row).filter(|arn| targets.contains(arn)).map(ToOwned::to_owned).collect::<BTreeSet<_>>();
        let all = self.every_scaling_group(cx, &[]).await?;
        Ok(all.iter().map(|row| (row.id.to_string(), of(row))).filter(|(_, led)| !led.is_empty()).collect())
    }
    /// To attach what is attached changes nothing.
    pub(crate) async fn lead(&self, cx: &Cx, arn: &str, targets: &[&str]) -> Result<()> {
        for some in targets.chunks(MOST_ATTACHED) {
            let some = some.iter().map(|t| (*t).to_owned()).collect();
            let call = self.scaling.attach_load_balancer_target_groups().auto_scaling_group_name(name_of(arn)?).set_target_group_arns(Some(some));
            self.scaling.write(cx, "AttachLoadBalancerTargetGroups", call.send()).await?;
        }
        Ok(())
    }
    /// Its instances are deregistered after a while; one that is gone is led to no more.
    pub(crate) async fn lead_no_more(&self, cx: &Cx, arn: &str, targets: &[&str]) -> Result<()> {
        for some in targets.chunks(MOST_ATTACHED) {
            let some = some.iter().map(|t| (*t).to_owned()).collect();
            let call = self.scaling.detach_load_balancer_target_groups().auto_scaling_group_name(name_of(arn)?).set_target_group_arns(Some(some));
            match self.scaling.write(cx, "DetachLoadBalancerTargetGroups", call.send()).await {
                Err(e) if is_gone(&e) => {}
                answer => answer.map(drop)?,
            }
        }
        Ok(())
    }
}
