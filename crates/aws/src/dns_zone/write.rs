//! The writes of a zone: it is made with one network, and the rest follows.

use super::{Reference, Row, bare_id};
use crate::{
    client::Global,
    error,
    mark::{self, Tags},
    step::{made_id, told},
};
use aws_sdk_route53::types::{ChangeInfo, ChangeStatus, HostedZoneConfig, Tag, TagResourceType, Vpc, VpcRegion};
use std::collections::BTreeSet;
use welkin_core::{Change, Cx, DnsZone, DnsZoneSpec, Error, FieldPath, Labels, Object, Result, Target};

/// "You can add a maximum of 10 tags to a health check or a hosted zone"
/// (<https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeTagsForResource.html>).
const MAX_TAGS: usize = 10;
/// Of these ours take the id and the digest.
pub(crate) const MAX_LABELS: usize = MAX_TAGS - 2;

/// Have all name servers learned of a change?
pub(super) fn is_told(info: &ChangeInfo) -> bool {
    *info.status() == ChangeStatus::Insync
}

/// A VPC as Route 53 names it: region and id.
type Place = (String, String);
fn places(spec: &DnsZoneSpec) -> Result<Vec<Place>> {
    spec.networks.iter().map(|r| Ok((r.name.parent.id.to_string(), r.vendor_id()?.to_string()))).collect()
}
fn place(vpc: &Vpc) -> Place {
    (vpc.vpc_region().map(|r| r.as_str().to_owned()).unwrap_or_default(), vpc.vpc_id().unwrap_or_default().to_owned())
}
fn vpc((region, id): &Place) -> Vpc {
    Vpc::builder().vpc_region(VpcRegion::from(region.as_str())).vpc_id(id).build()
}

/// What a create makes.
pub(super) struct Wanted<'a> {
    spec: &'a DnsZoneSpec,
    reference: String,
    networks: Vec<Place>,
    tags: Tags,
}
impl<'a> Wanted<'a> {
    pub(super) fn of(cx: &Cx, change: &Change<DnsZone>, spec: &'a DnsZoneSpec) -> Result<Self> {
        check_labels(change, &spec.labels)?;
        let mark = mark::of_change(cx, change);
        let reference = Reference { owner: mark.owner.clone(), uid: mark.uid.clone() }.text()?;
        let tags = Tags::called(&mark, &change.target.name()?.id).with_plain(&spec.labels);
        Ok(Self { spec, reference, networks: places(spec)?, tags })
    }
    /// The object with what was written, where a read does not show it yet.
    pub(super) fn shown(&self, mut object: Object<DnsZone>) -> Object<DnsZone> {
        if let (Some(mark), Some(digest)) = (&mut object.mark, self.tags.digest()) {
            mark.digest = Some(digest);
        }
        object.spec.labels.clone_from(&self.spec.labels);
        object.spec.networks.clone_from(&self.spec.networks);
        object
    }
}

/// Refuses more labels than fit.
pub(super) fn check_labels(change: &Change<DnsZone>, labels: &Labels) -> Result<()> {
    let most = if matches!(change.target, Target::Vendor { .. }) { MAX_TAGS } else { MAX_LABELS };
    if labels.len() <= most {
        return Ok(());
    }
    Err(Error::invalid("labels", format!("a zone has at most {MAX_TAGS} tags on AWS, of which {most} are left for labels; got {}", labels.len())))
}

impl Global {
    /// The zone's id, and the change that its name servers have to learn.
    pub(super) async fn make_zone(&self, cx: &Cx, wanted: &Wanted<'_>) -> Result<(String, Option<String>)> {
        let spec = wanted.spec;
        let config = HostedZoneConfig::builder().set_comment(spec.description.clone().filter(|d| !d.is_empty())).private_zone(spec.private).build();
        let call = self.route53.create_hosted_zone().name(spec.dns_name.as_ref().map(ToString::to_string).unwrap_or_default()).caller_reference(&wanted.reference);
        let call = call.hosted_zone_config(config).set_vpc(wanted.networks.first().map(vpc));
        let answer = self.route53.write(cx, "CreateHostedZone", call.send()).await?;
        let id = made_id(answer.hosted_zone().map(|z| bare_id(z.id())), "HostedZone.Id")?;
        Ok((id, answer.change_info().and_then(|c| told(Some(bare_id(c.id())))).map(ToOwned::to_owned)))
    }
    /// What a create has not come to yet: tags, and one network a step. None where nothing is missing; else the change that name servers have to learn.
    pub(super) async fn complete(&self, cx: &Cx, row: &Row, wanted: &Wanted<'_>) -> Result<Option<Option<String>>> {
        self.change_tags(cx, row, row.tags.missing(&wanted.tags), Vec::new()).await?;
        let has: BTreeSet<Place> = row.vpcs.iter().map(place).collect();
        match wanted.networks.iter().find(|n| !has.contains(*n)) {
            Some(missing) => self.associate(cx, row, missing).await.map(Some),
            None => Ok(None),
        }
    }
    /// Makes of a zone what is desired of these paths: what it already is is not written. The last change that name servers have to learn.
    ///
    /// `is_written`: the networks were written before, and only a read may lag.
    pub(super) async fn rewrite(
        &self,
        cx: &Cx,
        change: &Change<DnsZone>,
        row: &Row,
        desired: &DnsZoneSpec,
        paths: &BTreeSet<FieldPath>,
        is_written: bool,
    ) -> Result<Option<String>> {
        let changes = |path: &str| paths.contains(&FieldPath::from(path));
        let mut last = None;
        if changes("labels") {
            check_labels(change, &desired.labels)?;
            let (written, removed) = row.tags.replaced(&desired.labels);
            self.change_tags(cx, row, written, removed).await?;
        }
        let comment = desired.description.as_deref().filter(|d| !d.is_empty());
        if changes("description") && comment != row.comment() {
            // Without a comment the one that is there goes.
            let call = self.route53.update_hosted_zone_comment().id(row.id.as_str()).set_comment(comment.map(ToOwned::to_owned));
            self.route53.write(cx, "UpdateHostedZoneComment", call.send()).await?;
        }
        if changes("networks") && !is_written {
            let (has, wants): (BTreeSet<Place>, Vec<Place>) = (row.vpcs.iter().map(place).collect(), places(desired)?);
            // What is new first, because the last one cannot be taken away.
            for network in wants.iter().filter(|n| !has.contains(*n)) {
                last = self.associate(cx, row, network).await?.or(last);
            }
            for network in has.iter().filter(|n| !wants.contains(n)) {
                last = self.disassociate(cx, row, network).await?.or(last);
            }
        }
        Ok(last)
    }
    async fn associate(&self, cx: &Cx, row: &Row, network: &Place) -> Result<Option<String>> {
        let call = self.route53.associate_vpc_with_hosted_zone().hosted_zone_id(row.id.as_str()).vpc(vpc(network));
        let answer = self.route53.write(cx, "AssociateVPCWithHostedZone", call.send()).await?;
        Ok(answer.change_info().map(|c| bare_id(c.id()).to_owned()))
    }
    /// None where it is not associated any more.
    async fn disassociate(&self, cx: &Cx, row: &Row, network: &Place) -> Result<Option<String>> {
        let call = self.route53.disassociate_vpc_from_hosted_zone().hosted_zone_id(row.id.as_str()).vpc(vpc(network));
        match self.route53.write(cx, "DisassociateVPCFromHostedZone", call.send()).await {
            Err(e) if error::is(&e, &["VPCAssociationNotFound"]) => Ok(None),
            answer => Ok(answer?.change_info().map(|c| bare_id(c.id()).to_owned())),
        }
    }
    /// What goes, goes first: a zone that has all the tags that it can have takes no further one.
    async fn change_tags(&self, cx: &Cx, row: &Row, written: Vec<(String, String)>, removed: Vec<String>) -> Result<()> {
        let call = || self.route53.change_tags_for_resource().resource_type(TagResourceType::Hostedzone).resource_id(row.id.as_str());
        for keys in removed.chunks(MAX_TAGS) {
            self.route53.write(cx, "ChangeTagsForResource", call().set_remove_tag_keys(Some(keys.to_vec())).send()).await?;
        }
        for tags in written.chunks(MAX_TAGS) {
            let tags = tags.iter().map(|(k, v)| Tag::builder().key(k).value(v).build()).collect();
            self.route53.write(cx, "ChangeTagsForResource", call().set_add_tags(Some(tags)).send()).await?;
        }
        Ok(())
    }
}

/// What was read before it was changed, as it is now.
pub(super) fn updated(mut object: Object<DnsZone>, desired: &DnsZoneSpec, paths: &BTreeSet<FieldPath>) -> Object<DnsZone> {
    for path in paths {
        match path.to_string().as_str() {
            "labels" => object.spec.labels.clone_from(&desired.labels),
            "description" => object.spec.description = desired.description.clone().filter(|d| !d.is_empty()),
            "networks" => object.spec.networks.clone_from(&desired.networks),
            _ => {}
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::{super::referred, *};

    #[test]
    fn a_network_is_named_by_its_region_and_id() {
        let at = ("eu-west-1".to_owned(), "vpc-1".to_owned());
        assert_eq!(place(&vpc(&at)), at);
        let reference = referred(&vpc(&at)).unwrap();
        assert_eq!((reference.name.to_string().as_str(), reference.vendor_id().unwrap().as_str()), ("locations/eu-west-1/networks/vpc-1", "vpc-1"));
        assert!(referred(&Vpc::builder().vpc_id("vpc-1").build()).is_err());
    }
    #[test]
    fn only_insync_is_told() {
        let info = |status| ChangeInfo::builder().id("C1").status(status).submitted_at(std::time::SystemTime::now().into()).build().unwrap();
        for status in ChangeStatus::values() {
            assert_eq!(is_told(&info(ChangeStatus::from(*status))), *status == "INSYNC");
        }
    }
}
