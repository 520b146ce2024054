//! Our marks: tags on every object that we make, written with its creation (`TagSpecifications`), so that there is no moment without them.

use crate::client::Region;
use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};
use std::collections::BTreeMap;
use welkin_core::{Change, Cx, Digest, Labels, Managed, Mark, Owner, ResourceId, Result, Uid, Verb};

pub(crate) const OWNER: &str = "welkin.dev/owner";
pub(crate) const ID: &str = "welkin.dev/id";
pub(crate) const UID: &str = "welkin.dev/uid";
pub(crate) const DIGEST: &str = "welkin.dev/digest";
/// What the caller asked for and the vendor does not show: see [`Asked`].
pub(crate) const ASKED: &str = "welkin.dev/asked";
/// What something is called that this is a part of, where it has the shape of a resource of ours and is none.
pub(crate) const PART: &str = "welkin.dev/part-of";
/// The name, in our terms, of the network that a subnet is in.
pub(crate) const NETWORK: &str = "welkin.dev/network";
/// The name, in our terms, of the group that is a rule's peer.
pub(crate) const GROUP: &str = "welkin.dev/group";
/// The name, in our terms, of the subnet that an instance is in.
pub(crate) const SUBNET: &str = "welkin.dev/subnet";
/// AWS's own: the name of the Auto Scaling group that an instance belongs to
/// (<https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-tagging.html>).
pub(crate) const GROUP_OF: &str = "aws:autoscaling:groupName";
const RESERVED: &str = "welkin.dev/";
/// AWS's own tags (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>).
const RESERVED_BY_AWS: &str = "aws:";
/// What the console shows as a name.
const NAME: &str = "Name";
/// Says that a label `Name` with the resource's own id is the user's and not ours.
const NAME_IS_A_LABEL: &str = "welkin.dev/name-is-a-label";
/// The longest value of a tag.
const MAX_VALUE: usize = 256;

/// One object's tags.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Tags(BTreeMap<String, String>);

impl Tags {
    /// What an object carries.
    pub(crate) fn of(tags: &[Tag]) -> Self {
        Self(tags.iter().filter_map(|t| Some((t.key()?.to_owned(), t.value().unwrap_or_default().to_owned()))).collect())
    }
    /// What an object of ours has to carry.
    pub(crate) fn ours(mark: &Mark, id: &ResourceId) -> Self {
        let mut tags =
            Self([(OWNER, mark.owner.as_str()), (ID, id.as_str()), (UID, mark.uid.as_str()), (NAME, id.as_str())].into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
        if let Some(digest) = &mark.digest {
            tags.0.insert(DIGEST.into(), digest.to_string());
        }
        tags
    }
    /// What a part has to carry that is no resource of ours by itself: it says whose it is, and has no id.
    pub(crate) fn part(mark: &Mark, of: &ResourceId) -> Self {
        let mut tags = Self::ours(&Mark { digest: None, ..mark.clone() }, of);
        tags.0.remove(ID);
        tags.with(PART, of.as_str())
    }
    /// With one more; a value that does not fit is left out.
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        if !value.is_empty() && value.chars().count() <= MAX_VALUE {
            self.0.insert(key.into(), value.into());
        }
        self
    }
    /// With the user's labels, which are plain tags.
    pub(crate) fn with_labels(mut self, labels: &Labels, id: &ResourceId) -> Self {
        self.0.extend(labels.clone());
        if labels.get(NAME).is_some_and(|name| name == id.as_str()) {
            self.0.insert(NAME_IS_A_LABEL.into(), "true".into());
        }
        self
    }
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
    /// Our id and mark; None where it is not ours, another owner's too.
    pub(crate) fn mark(&self, owner: &Owner) -> Option<(ResourceId, Mark)> {
        if self.get(OWNER)? != owner.as_str() {
            return None;
        }
        let id = self.get(ID)?.parse().ok()?;
        let uid: Uid = self.get(UID)?.parse().ok()?;
        Some((id, Mark { owner: owner.clone(), uid, digest: self.get(DIGEST).and_then(|d| d.parse().ok()) }))
    }
    /// Is any of them one that we write, for whichever owner?
    pub(crate) fn has_ours(&self) -> bool {
        self.0.keys().any(|k| k.starts_with(RESERVED))
    }
    /// These, or what was `written` where EC2 does not show that yet.
    pub(crate) fn or(self, written: Option<&Self>) -> Self {
        match written {
            Some(written) if !self.has_ours() => written.clone(),
            _ => self,
        }
    }
    /// The user's labels.
    pub(crate) fn labels(&self) -> Labels {
        let ours = self.get(ID);
        let is_label = |k: &str, v: &str| {
            let hidden = k == NAME && Some(v) == ours && self.get(NAME_IS_A_LABEL).is_none();
            !hidden && is_plain(k)
        };
        self.0.iter().filter(|(k, v)| is_label(k, v)).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
    /// What an object carries whose owner and uid stand elsewhere: what it is called, and what it was made of.
    pub(crate) fn called(mark: &Mark, id: &ResourceId) -> Self {
        let digest = mark.digest.as_ref().map(|d| (DIGEST, d.as_str()));
        [(ID, id.as_str())].into_iter().chain(digest).collect()
    }
    /// With labels beside which nothing of ours has a plain name.
    pub(crate) fn with_plain(mut self, labels: &Labels) -> Self {
        self.0.extend(labels.clone());
        self
    }
    /// The labels of such an object.
    pub(crate) fn plain(&self) -> Labels {
        self.0.iter().filter(|(k, _)| is_plain(k)).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
    /// Our id.
    pub(crate) fn id(&self) -> Option<ResourceId> {
        self.get(ID)?.parse().ok()
    }
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.get(DIGEST)?.parse().ok()
    }
    /// What of these is not there, or is there with another value.
    pub(crate) fn missing(&self, wanted: &Self) -> Vec<(String, String)> {
        wanted.0.iter().filter(|(k, v)| self.0.get(*k) != Some(*v)).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
    /// What to write and which keys to remove so that the plain labels become `desired`.
    pub(crate) fn replaced(&self, desired: &Labels) -> (Vec<(String, String)>, Vec<String>) {
        let removed = self.0.keys().filter(|k| is_plain(k) && !desired.contains_key(*k)).cloned().collect();
        (self.missing(&Self(desired.clone())), removed)
    }
    /// What to write and what to remove so that the labels become `desired`.
    ///
    /// Without an id the object was adopted, and its `Name` is a label like any other.
    pub(crate) fn relabel<'a>(&self, desired: &Labels, id: impl Into<Option<&'a ResourceId>>) -> (Vec<Tag>, Vec<Tag>) {
        let want = match id.into() {
            Some(id) => {
                let mut want = Self::default().with_labels(desired, id).0;
                want.entry(NAME.into()).or_insert_with(|| id.to_string());
                want
            }
            None => desired.clone(),
        };
        let ours = |k: &str| k.starts_with(RESERVED) && k != NAME_IS_A_LABEL;
        let removed = self.0.keys().filter(|k| !want.contains_key(*k) && !ours(k) && !k.starts_with(RESERVED_BY_AWS)).map(|k| Tag::builder().key(k).build()).collect();
        let written = want.iter().filter(|(k, v)| self.0.get(*k) != Some(*v)).map(|(k, v)| tag(k, v)).collect();
        (written, removed)
    }
    /// These, once those are written and these removed.
    pub(crate) fn relabelled(&self, written: &[Tag], removed: &[Tag]) -> Self {
        let (written, removed) = (Self::of(written), Self::of(removed));
        let mut tags = self.clone();
        tags.0.extend(written.0);
        tags.0.retain(|key, _| !removed.0.contains_key(key));
        tags
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
    /// For a create call of Elastic Load Balancing.
    pub(crate) fn balancing(&self) -> Vec<aws_sdk_elasticloadbalancingv2::types::Tag> {
        balancing(self.iter())
    }
    /// For a create call.
    pub(crate) fn on(&self, kind: ResourceType) -> TagSpecification {
        TagSpecification::builder().resource_type(kind).set_tags(Some(self.0.iter().map(|(k, v)| tag(k, v)).collect())).build()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Tags {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(tags: T) -> Self {
        Self(tags.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }
}

/// Neither ours nor AWS's own.
fn is_plain(key: &str) -> bool {
    !key.starts_with(RESERVED) && !key.starts_with(RESERVED_BY_AWS)
}
/// As Elastic Load Balancing takes them.
pub(crate) fn balancing<'a>(tags: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<aws_sdk_elasticloadbalancingv2::types::Tag> {
    tags.map(|(k, v)| aws_sdk_elasticloadbalancingv2::types::Tag::builder().key(k).value(v).build()).collect()
}
fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// What the caller asked for and no read shows, as `key=value` separated by `/`: characters that every AWS service allows in a tag.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Asked(BTreeMap<String, String>);
impl Asked {
    pub(crate) fn of(tags: &Tags) -> Self {
        let words = tags.get(ASKED).unwrap_or_default().split('/');
        Self(words.filter_map(|w| w.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }
    /// Notes `value`, where there is one.
    pub(crate) fn note(mut self, key: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value.map(|v| v.to_string())
            && !value.contains('/')
        {
            self.0.insert(key.into(), value);
        }
        self
    }
    /// With this flag, or without it.
    pub(crate) fn with(mut self, key: &str, on: bool) -> Self {
        self.0.remove(key);
        self.note(key, on.then_some(true))
    }
    pub(crate) fn get<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.0.get(key)?.parse().ok()
    }
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("/")
    }
}

/// What a change's main object is marked with.
pub(crate) fn of_change<K: Managed>(cx: &Cx, change: &Change<K>) -> Mark {
    let digest = match &change.verb {
        Verb::Create { digest, .. } => Some(digest.clone()),
        _ => None,
    };
    Mark { owner: cx.owner.clone(), uid: change.uid.clone(), digest }
}

/// Makes an object's labels what is desired: tags are written and removed by name, so it can be repeated.
pub(crate) async fn relabel<K>(region: &Region, cx: &Cx, change: &Change<K>, vendor_id: &str, now: &Tags, desired: &Labels) -> Result<()>
where
    K: Managed<Id = ResourceId>,
{
    // What was adopted has no name.
    let id = change.target.name().ok().map(|n| &n.id);
    let (written, removed) = now.relabel(desired, id);
    if !written.is_empty() {
        region.ec2.write(cx, "CreateTags", region.ec2.create_tags().resources(vendor_id).set_tags(Some(written)).send()).await?;
    }
    if !removed.is_empty() {
        region.ec2.write(cx, "DeleteTags", region.ec2.delete_tags().resources(vendor_id).set_tags(Some(removed)).send()).await?;
    }
    Ok(())
}

/// Makes the note of what was asked for this one, where it is another.
pub(crate) async fn note(region: &Region, cx: &Cx, vendor_id: &str, now: &Tags, asked: Asked) -> Result<()> {
    if Asked::of(now) == asked {
        return Ok(());
    }
    region.ec2.write(cx, "CreateTags", region.ec2.create_tags().resources(vendor_id).tags(tag(ASKED, &asked.text())).send()).await.map(|_| ())
}

/// A server-side filter.
pub(crate) fn filter(name: &str, values: impl IntoIterator<Item = impl Into<String>>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().map(Into::into).collect())).build()
}
/// Everything of one owner.
pub(crate) fn of_owner(owner: &Owner) -> Filter {
    filter(&format!("tag:{OWNER}"), [owner.as_str()])
}
/// Every object with this uid.
pub(crate) fn of_uid(owner: &Owner, uid: &Uid) -> Vec<Filter> {
    vec![of_owner(owner), filter(&format!("tag:{UID}"), [uid.as_str()])]
}
/// Every object with this id, and this uid where it is known.
pub(crate) fn of_id(owner: &Owner, id: &ResourceId, uid: Option<&Uid>) -> Vec<Filter> {
    let mut filters = vec![of_owner(owner), filter(&format!("tag:{ID}"), [id.as_str()])];
    filters.extend(uid.map(|u| filter(&format!("tag:{UID}"), [u.as_str()])));
    filters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        Mark { owner: "me".parse().unwrap(), uid: "0123456789".parse().unwrap(), digest: Some("v1-abc".parse().unwrap()) }
    }
    fn id() -> ResourceId {
        "web".parse().unwrap()
    }
    fn back(tags: &Tags) -> Tags {
        Tags::of(tags.on(ResourceType::Vpc).tags())
    }
    #[test]
    fn a_mark_comes_back() {
        let labels: Labels = [("team".to_owned(), "a".to_owned())].into();
        let tags = back(&Tags::ours(&mark(), &id()).with_labels(&labels, &id()));
        assert_eq!(tags.mark(&"me".parse().unwrap()), Some((id(), mark())));
        assert_eq!(tags.mark(&"you".parse().unwrap()), None);
        assert_eq!(tags.labels(), labels);
        assert_eq!(tags.get("Name"), Some("web"));
    }
    #[test]
    fn a_name_can_be_a_label() {
        for name in ["web", "other"] {
            let labels: Labels = [("Name".to_owned(), name.to_owned())].into();
            let tags = back(&Tags::ours(&mark(), &id()).with_labels(&labels, &id()));
            assert_eq!((tags.labels(), tags.get("Name")), (labels, Some(name)));
        }
    }
    #[test]
    fn labels_change_and_marks_stay() {
        let before: Labels = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "1".to_owned())].into();
        let after: Labels = [("b".to_owned(), "2".to_owned())].into();
        let tags = Tags::ours(&mark(), &id()).with_labels(&before, &id()).with("aws:x", "y");
        let (written, removed) = tags.relabel(&after, &id());
        assert_eq!(written, [tag("b", "2")]);
        assert_eq!(removed.iter().filter_map(|t| t.key()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(tags.relabel(&before, &id()), (vec![], vec![]));
    }
    #[test]
    fn what_was_adopted_gets_no_tags_of_ours() {
        let foreign = Tags::of(&[tag("Name", "corp"), tag("a", "1"), tag("aws:x", "y")]);
        let labels: Labels = [("Name".to_owned(), "corp".to_owned()), ("b".to_owned(), "2".to_owned())].into();
        assert_eq!(foreign.labels(), [("Name".to_owned(), "corp".to_owned()), ("a".to_owned(), "1".to_owned())].into());
        let (written, removed) = foreign.relabel(&labels, None);
        assert_eq!(written, [tag("b", "2")]);
        assert_eq!(removed.iter().filter_map(|t| t.key()).collect::<Vec<_>>(), ["a"]);
    }
    #[test]
    fn where_the_owner_stands_elsewhere_every_plain_tag_is_a_label() {
        let labels: Labels = [("Name".to_owned(), "web".to_owned()), ("a".to_owned(), "1".to_owned())].into();
        let tags = Tags::called(&mark(), &id()).with_plain(&labels).with("aws:x", "y");
        assert_eq!((tags.id(), tags.digest(), tags.plain()), (Some(id()), mark().digest, labels.clone()));
        assert_eq!(tags.missing(&tags), vec![]);
        assert_eq!(Tags::default().missing(&Tags::called(&mark(), &id())).len(), 2);
        let after: Labels = [("a".to_owned(), "2".to_owned())].into();
        assert_eq!(tags.replaced(&after), (vec![("a".to_owned(), "2".to_owned())], vec!["Name".to_owned()]));
        assert_eq!(tags.replaced(&labels), (vec![], vec![]));
    }
    #[test]
    fn what_was_asked_comes_back() {
        let asked = Asked::default().note("disk", Some(20)).note("public", None::<bool>).note("ip", Some("10.0.0.4"));
        let tags = Tags::default().with(ASKED, &asked.text());
        assert_eq!(Asked::of(&tags), asked);
        assert_eq!((asked.get::<u32>("disk"), asked.has("public")), (Some(20), false));
    }
}
