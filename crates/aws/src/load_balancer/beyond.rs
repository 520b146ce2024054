//! Backends by address beyond the network, which are reached from it.

use crate::{client::Region, network, resource::Kept, resource::not_shown};
use aws_sdk_elasticloadbalancingv2::types::TargetDescription;
use ipnet::IpNet;
use std::net::IpAddr;
use tokio::sync::OnceCell;
use welkin_core::{Cx, Network, Result};

/// Of all zones: what lies in none of the network's subnets is in no zone of its
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetDescription.html>: "If the IP address is outside the VPC, this parameter is
/// required").
const EVERY_ZONE: &str = "all";

/// Tells addresses beyond a network from its own. It is asked for its ranges once, and only where there is an address to be told.
#[derive(Debug)]
pub(super) struct Beyond<'a> {
    region: &'a Region,
    cx: &'a Cx,
    vpc: &'a str,
    ranges: OnceCell<Vec<IpNet>>,
}
impl<'a> Beyond<'a> {
    pub(super) fn of(region: &'a Region, cx: &'a Cx, vpc: &'a str) -> Self {
        Self { region, cx, vpc, ranges: OnceCell::new() }
    }
    /// These targets, as they are registered.
    pub(super) async fn described(&self, ids: &[String]) -> Result<Vec<TargetDescription>> {
        let mut all = Vec::new();
        for id in ids {
            let zone = match id.parse::<IpAddr>() {
                Ok(ip) => (!self.ranges().await?.iter().any(|range| range.contains(&ip))).then_some(EVERY_ZONE.to_owned()),
                Err(_) => None,
            };
            all.push(TargetDescription::builder().id(id).set_availability_zone(zone).build());
        }
        Ok(all)
    }
    async fn ranges(&self) -> Result<&Vec<IpNet>> {
        let read =
            async || Network::one(self.region, self.cx, self.vpc).await?.map(|vpc| network::ranges(&vpc).map(|(range, _)| range).collect()).ok_or_else(|| not_shown(self.vpc));
        self.ranges.get_or_try_init(read).await
    }
}
