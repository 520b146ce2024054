//! The end of a load balancer and of everything that belongs to it: itself, with its listeners; its target groups; its rules in the groups of its backends;
//! its own group, which EC2 lets go of only some time after the load balancer has gone.

use super::{
    Made, PREFIX,
    opening::{Openings, Own, Rules},
    read::{Group, Row},
    refused_as_protected,
    wanted::{Names, PROTECTED},
    write::remove_groups,
};
use crate::{
    Aws,
    client::Region,
    error,
    resource::{Kept, Leaving, is_adopted, is_mine, not_owned},
};
use aws_sdk_elasticloadbalancingv2::types::LoadBalancerAttribute;
use futures::future::try_join4;
use std::{collections::BTreeSet, time::Duration};
use welkin_core::{Change, Cx, Error, LoadBalancer, Result, Resume, SecurityGroup, Step};

/// For how long the interfaces of a load balancer that is gone may hold its security group.
const LINGERS: Duration = Duration::from_mins(15);

impl Aws {
    pub(super) async fn balancer_ended(&self, cx: &Cx, change: &Change<LoadBalancer>, resume: &Resume) -> Result<Step<()>> {
        let region = self.region(change.target.parent())?;
        let (mut leaving, rest) = Leaving::of::<Made>(resume, self.horizon);
        let names = change.target.name().ok().map(|name| Names::of(&cx.owner, name, &change.uid));
        let (row, groups, own, rules) =
            Box::pin(try_join4(self.balancer_at(cx, &change.target, Some(&change.uid)), groups_left(region, cx, change, names.as_ref()), own_left(region, cx, change), async {
                if is_adopted(&change.target) { Ok(Rules::default()) } else { Rules::of(region, cx, &change.uid).await }
            }))
            .await?;
        match &row {
            Some(row) if is_mine(cx, change, &row.tags) || leaving.made(PREFIX).any(|id| id == row.id.as_str()) => match self.let_go(region, cx, row, resume.cleans_up).await {
                Ok(true) => leaving.ended(),
                Ok(false) => return leaving.wait("its protection is being taken off"),
                Err(e) => return Err(e),
            },
            Some(row) if self.is_hidden(row) => return leaving.wait("waiting for AWS to show the tags of the load balancer"),
            Some(row) => return Err(not_owned(&change.target, row.id.as_str())),
            // The engine knows that it was there: it is gone, or too new to be seen.
            None if change.target.vendor_id().is_some_and(|id| id.as_str().starts_with(PREFIX)) && !leaving.is_ended() && !rest.is_unresolved() => {
                leaving.contradicted(self.horizon);
            }
            None => {}
        }
        let following: BTreeSet<&str> = groups.iter().filter(|g| g.pool.follows).map(|g| g.arn.as_str()).collect();
        if !following.is_empty() {
            for (group, led) in region.led(cx, &following).await? {
                region.lead_no_more(cx, &group, &led.iter().map(String::as_str).collect::<Vec<_>>()).await?;
            }
        }
        if !remove_groups(region, cx, &groups.iter().collect::<Vec<_>>()).await? {
            return leaving.wait("waiting for the listeners to let go of their target groups");
        }
        let id = own.as_ref().map(|own| own.id.clone()).unwrap_or_default();
        Openings { region, cx, change, own: &id, there: &rules }.shut().await?;
        if own.is_some() {
            match region.ec2.write(cx, "DeleteSecurityGroup", region.ec2.delete_security_group().group_id(&id).send()).await {
                Err(e) if error::is(&e, SecurityGroup::GONE) => {}
                Err(e) if error::is(&e, &["DependencyViolation"]) && leaving.is_early(self.horizon.max(LINGERS)) => {
                    return leaving.wait("waiting for EC2 to let go of its security group");
                }
                answer => answer.map(drop)?,
            }
        }
        leaving.quiet()
    }
    /// Whether its end was accepted. What is protected is refused, except where a create is cleaned up after: then the protection goes first.
    async fn let_go(&self, region: &Region, cx: &Cx, row: &Row, cleans_up: bool) -> Result<bool> {
        let id = row.id.as_str();
        match region.elb.write(cx, "DeleteLoadBalancer", region.elb.delete_load_balancer().load_balancer_arn(id).send()).await {
            Err(e) if is_protection(&e) && cleans_up => {
                let off = LoadBalancerAttribute::builder().key(PROTECTED).value("false").build();
                let call = region.elb.modify_load_balancer_attributes().load_balancer_arn(id).attributes(off);
                region.elb.write(cx, "ModifyLoadBalancerAttributes", call.send()).await.map(|_| false)
            }
            Err(e) if is_protection(&e) => Err(refused_as_protected(e)),
            answer => answer.map(|_| true),
        }
    }
}
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteLoadBalancer.html>: "You can't delete a load balancer if deletion
/// protection is enabled."
fn is_protection(e: &Error) -> bool {
    error::is(e, &["OperationNotPermitted"]) && e.message().to_lowercase().contains("protection")
}
/// Those with its names and its mark: a name alone, which anybody can choose, removes nothing.
async fn groups_left(region: &Region, cx: &Cx, change: &Change<LoadBalancer>, names: Option<&Names>) -> Result<Vec<Group>> {
    let Some(names) = names else { return Ok(Vec::new()) };
    let mut found = region.groups_named(cx, names).await?;
    let ids: Vec<String> = found.iter().map(|g| g.arn.clone()).collect();
    let tags = region.tags_of(cx, &ids).await?;
    found.retain(|g| tags.get(&g.arn).is_some_and(|tags| tags.mark(&cx.owner).is_some_and(|(_, m)| m.uid == change.uid)));
    Ok(found)
}
async fn own_left(region: &Region, cx: &Cx, change: &Change<LoadBalancer>) -> Result<Option<Own>> {
    match change.target.name() {
        Ok(name) => Own::find(region, cx, &name.id, Some(&change.uid)).await,
        Err(_) => Ok(None),
    }
}
