//! The end of a group and of everything that belongs to it: itself, its instances, which go with it and some time after it, its template, its key pair.

use super::{
    PREFIX,
    read::{Made, name_in},
    write::{self, Building},
};
use crate::{
    Aws,
    mark::of_uid,
    resource::{Leaving, is_adopted, is_mine, not_owned},
};
use aws_sdk_ec2::types::InstanceStateName;
use futures::future::try_join;
use welkin_core::{Change, Cx, InstanceGroup, Result, Resume, Step};

/// What the ids of launch templates begin with.
const TEMPLATE: &str = "lt-";

impl Aws {
    pub(super) async fn group_ended(&self, cx: &Cx, change: &Change<InstanceGroup>, resume: &Resume) -> Result<Step<()>> {
        let region = self.region(change.target.parent())?;
        let (mut leaving, rest) = Leaving::of::<Made>(resume, self.horizon);
        let arn = change.target.vendor_id().map(|id| id.as_str()).filter(|id| id.starts_with(PREFIX));
        let mut is_anothers = false;
        match self.group_at(cx, &change.target, Some(&change.uid)).await? {
            Some(row) if is_mine(cx, change, &row.tags) => {
                if row.is_leaving() || write::end(region, cx, &row.name).await? {
                    leaving.ended();
                } else {
                    leaving.contradicted(self.horizon);
                }
                return leaving.wait(&format!("the group's {} instances are being deleted", row.members().len()));
            }
            Some(row) if self.may_yet_be_marked(&row.tags, row.created_ms()) => return leaving.wait("waiting for AWS to show the tags of the group"),
            Some(row) if arn.is_some() => return Err(not_owned(&change.target, row.id.as_str())),
            // Somebody else's, under the name that ours would have: its instances are not waited for.
            Some(_) => is_anothers = true,
            // The engine knows that it was there: it is gone, or too new to be seen.
            None if arn.is_some() && !leaving.is_ended() && !rest.is_unresolved() => leaving.contradicted(self.horizon),
            None => {}
        }
        // They carry its name and nothing of ours.
        let name = if is_adopted(&change.target) { arn.and_then(name_in).unwrap_or_default().to_owned() } else { write::name(&change.uid) };
        let templates = async { if is_adopted(&change.target) { Ok(Vec::new()) } else { region.templates(cx, of_uid(&cx.owner, &change.uid)).await } };
        let instances = async { if is_anothers { Ok(Vec::new()) } else { region.group_instances(cx, &name).await } };
        let (mut instances, templates) = Box::pin(try_join(instances, templates)).await?;
        instances.retain(|i| i.state().and_then(|s| s.name()) != Some(&InstanceStateName::Terminated));
        if !instances.is_empty() {
            return leaving.wait(&format!("{} instances of the group are being deleted", instances.len()));
        }
        let mut left: Vec<String> = templates.iter().filter_map(|t| t.launch_template_id().map(ToOwned::to_owned)).collect();
        left.extend(leaving.made(TEMPLATE).filter(|id| !left.iter().any(|seen| seen == id)).map(ToOwned::to_owned).collect::<Vec<_>>());
        for id in left {
            write::remove_template(region, cx, &id).await?;
            leaving.removed(&id);
        }
        if leaving.is_past() && !is_adopted(&change.target) {
            Building { region, cx, change }.other_keys_removed(None).await?;
        }
        leaving.quiet()
    }
}
