//! Welkin's marks as tags of the vendor.

use crate::vendor::{GROUP_TAG, Tags};
use welkin_core::{Change, Cx, Labels, Managed, Mark, Result, Verb};

pub(crate) const OWNER: &str = "welkin.dev/owner";
pub(crate) const ID: &str = "welkin.dev/id";
pub(crate) const UID: &str = "welkin.dev/uid";
const DIGEST: &str = "welkin.dev/digest";
const PREFIX: &str = "welkin.dev/";
/// How the specification named what the object lies in: the vendor keeps only ids.
pub(crate) const NETWORK: &str = "welkin.dev/network";
pub(crate) const SUBNET: &str = "welkin.dev/subnet";
/// How a rule named the group that is its peer.
pub(crate) const GROUP: &str = "welkin.dev/group";
/// On the security group of a load balancer, whose id it holds: it is no group of its own, so it has no id in its marks.
pub(crate) const PART: &str = "welkin.dev/part-of-load-balancer";
/// The network should have a gateway.
pub(crate) const INTERNET: &str = "welkin.dev/internet-access";

/// Which fields were asked for of those that are shown only then, or where they differ from the cloud's default.
const ASKED: &str = "welkin.dev/asked";

/// The tags of a fragment: everything that names whose it is.
pub(crate) fn fragment_tags<K: Managed>(cx: &Cx, change: &Change<K>) -> Result<Tags> {
    let id = change.target.name()?.id.to_string();
    Ok([(OWNER, cx.owner.to_string()), (ID, id), (UID, change.uid.to_string())].map(|(k, v)| (k.to_owned(), v)).into())
}
/// The tags of the main object of a create.
pub(crate) fn main_tags<K: Managed>(cx: &Cx, change: &Change<K>, labels: &Labels, more: &[(&str, String)]) -> Result<Tags> {
    let mut tags = fragment_tags(cx, change)?;
    if let Verb::Create { digest, .. } = &change.verb {
        tags.insert(DIGEST.to_owned(), digest.to_string());
    }
    tags.extend(more.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
    tags.extend(labels.clone());
    Ok(tags)
}
/// The same marks with other labels.
pub(crate) fn relabelled(tags: &Tags, labels: &Labels) -> Tags {
    let marks = tags.iter().filter(|(k, _)| k.starts_with(PREFIX)).map(|(k, v)| (k.clone(), v.clone()));
    marks.chain(labels.clone()).collect()
}
/// The same marks with other labels, and what is asked for by now. What was adopted has no marks, and gets none.
pub(crate) fn retagged(tags: &Tags, labels: &Labels, asked: &[&str]) -> Tags {
    let mut new = relabelled(tags, labels);
    if tags.contains_key(UID) {
        new.insert(ASKED.to_owned(), asked.join(","));
    }
    new
}
/// What [`is_asked`] reads.
pub(crate) fn asked(fields: &[&str]) -> (&'static str, String) {
    (ASKED, fields.join(","))
}
pub(crate) fn is_asked(tags: &Tags, field: &str) -> bool {
    tags.get(ASKED).is_some_and(|asked| asked.split(',').any(|f| f == field))
}
/// What is neither a mark nor the vendor's own.
pub(crate) fn labels(tags: &Tags) -> Labels {
    tags.iter().filter(|(k, _)| !k.starts_with(PREFIX) && *k != GROUP_TAG).map(|(k, v)| (k.clone(), v.clone())).collect()
}
/// Our mark; another owner's is foreign, and a part has none of its own.
pub(crate) fn mark(cx: &Cx, tags: &Tags) -> Option<Mark> {
    if tags.contains_key(PART) {
        return None;
    }
    let owner = tags.get(OWNER).filter(|o| *o == cx.owner.as_str()).map(|_| cx.owner.clone())?;
    let uid = tags.get(UID)?.parse().ok()?;
    Some(Mark { owner, uid, digest: tags.get(DIGEST).and_then(|d| d.parse().ok()) })
}
