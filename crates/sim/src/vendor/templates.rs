use super::{
    cloud::{Action, Cloud, Draw, changed},
    item::{Item, LaunchSpec, Shown, Tags, Template},
    refusal::{Code, Refusal},
    state::{Edit, Region},
    table::{Filter, Listed},
};
use std::sync::Arc;

/// What a new template should be: its first version.
#[derive(Debug, Clone)]
pub(crate) struct NewTemplate {
    /// The same again is the same template.
    pub(crate) name: String,
    pub(crate) launch: LaunchSpec,
    pub(crate) tags: Tags,
}

pub(super) fn template_of<'a>(region: &'a Region, id: &str) -> Result<&'a Arc<Item<Template>>, Refusal> {
    region.templates.get(id).ok_or_else(|| Refusal::new(Code::TemplateNotFound, format!("there is no template {id:?}")))
}
/// What a version says. They count from 1.
pub(super) fn version_of(template: &Template, version: u32) -> Option<&LaunchSpec> {
    usize::try_from(version).ok().and_then(|n| n.checked_sub(1)).and_then(|n| template.versions.get(n))
}
fn put(item: Item<Template>, now_ms: u64) -> (Shown<Template>, Vec<Edit>) {
    (Shown::written(Arc::new(item.clone()), now_ms), vec![Edit::PutTemplate(Box::new(item))])
}

impl Cloud {
    /// Fine where it was made before by the same request.
    pub(crate) async fn create_template(&self, region: &str, new: NewTemplate) -> Result<Shown<Template>, Refusal> {
        self.write(Action::CreateTemplate, region, |r, draw| self.template_created(r, draw, new)).await
    }
    pub(crate) async fn dry_create_template(&self, region: &str, new: NewTemplate) -> Result<(), Refusal> {
        self.dry_run(region, |r, draw| self.template_created(r, draw, new)).await
    }
    pub(crate) async fn templates(&self, region: &str, filter: Filter<'_>, after: Option<&str>, size: usize) -> Result<Listed<Template>, Refusal> {
        let size = size.min(self.config().page_size);
        self.read(Action::DescribeTemplates, region, |r, now| r.templates.list(&filter, after, size, now, |_| true)).await
    }
    /// Which number it has. Fine where the last version says the same.
    pub(crate) async fn create_template_version(&self, region: &str, id: &str, launch: LaunchSpec) -> Result<u32, Refusal> {
        self.write(Action::CreateTemplateVersion, region, |r, _| {
            let item = template_of(r, id)?;
            self.launchable(region, &launch)?;
            let mut body = item.body.clone();
            if body.versions.last() == Some(&launch) {
                return Ok((number(&body), Vec::new()));
            }
            body.versions.push(launch);
            Ok((number(&body), vec![Edit::PutTemplate(Box::new(changed(item, body)))]))
        })
        .await
    }
    /// Refused while a group makes instances from it.
    pub(crate) async fn delete_template(&self, region: &str, id: &str) -> Result<(), Refusal> {
        self.write(Action::DeleteTemplate, region, |r, _| {
            template_of(r, id)?;
            match r.instance_groups.children(id).next() {
                Some(group) => Err(Refusal::new(Code::DependencyViolation, format!("the instance group {} makes instances from {id}", group.id))),
                None => removed(r, id),
            }
        })
        .await
    }

    fn template_created(&self, region: &Region, draw: &mut Draw<'_>, new: NewTemplate) -> Result<(Shown<Template>, Vec<Edit>), Refusal> {
        let asked = blake3::hash(format!("{new:?}").as_bytes()).to_hex()[..16].to_owned();
        if let Some(id) = region.names.get(&new.name) {
            return match region.templates.get(id).filter(|item| item.body.asked == asked) {
                Some(item) => Ok((Shown::written(Arc::clone(item), draw.now_ms), Vec::new())),
                None => Err(Refusal::new(Code::NameTaken, format!("{} is the name of {id}", new.name))),
            };
        }
        self.launchable(draw.region, &new.launch)?;
        let body = Template { name: new.name, asked, versions: vec![new.launch] };
        Ok(put(draw.item(new.tags, body), draw.now_ms))
    }
    /// Does every machine type run the image, and is the disk large enough for it?
    fn launchable(&self, region: &str, launch: &LaunchSpec) -> Result<(), Refusal> {
        for machine_type in &launch.machine_types {
            let (_, image) = self.fitting(region, machine_type, &launch.image)?;
            if launch.disk_gib.is_some_and(|size| size < image.min_disk_gib) {
                return Err(Refusal::new(Code::DiskTooSmall, format!("{} needs a root disk of at least {} GiB", image.name, image.min_disk_gib)));
            }
        }
        Ok(())
    }
}

fn number(template: &Template) -> u32 {
    u32::try_from(template.versions.len()).unwrap_or(u32::MAX)
}
/// Whatever is made from it.
pub(super) fn removed(region: &Region, id: &str) -> Result<((), Vec<Edit>), Refusal> {
    template_of(region, id)?;
    Ok(((), vec![Edit::RemoveTemplate(id.to_owned())]))
}
