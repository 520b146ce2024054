//! Where a resource is: cloud and location from flags or by default, names in full, and short references.

use crate::{
    call::Api,
    failure::{Exit, Failure},
    kind::Kind,
    message::{last_part, part, text, with},
    word::kebab,
};
use prost_reflect::{DynamicMessage, Kind as Type, ReflectMessage as _, Value};
use std::collections::BTreeSet;

/// The location of what belongs to no region.
const GLOBAL: &str = "global";
/// What to do where a cloud's regions cannot be listed.
const NAME_ONE: &str = "name the location with --location or WELKIN_LOCATION, and it is not looked for";

/// What the flags say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub(crate) cloud: Option<String>,
    pub(crate) location: Option<String>,
    /// The resource that it lives in, by its id or its name.
    pub(crate) within: Option<String>,
}

impl Place {
    /// The cloud; the only one where none is named.
    pub(crate) async fn cloud(&self, api: &Api) -> Result<String, Failure> {
        if let Some(cloud) = &self.cloud {
            return Ok(cloud.clone());
        }
        let names = api.list(&api.method("welkin.v1.Clouds", "ListClouds")?, ("parent", ""), "").await?.items;
        let ids: Vec<String> = names.iter().map(|c| last_part(&text(c, "name")).to_owned()).collect();
        only("cloud", "--cloud or WELKIN_CLOUD", &ids)
    }
    /// The location in a cloud; the only region where none is named. What lives in `global` alone is nowhere else, whatever the flags say.
    async fn location(&self, api: &Api, kind: &Kind, cloud: &str) -> Result<String, Failure> {
        if kind.is_global {
            return Ok(GLOBAL.to_owned());
        }
        if let Some(location) = &self.location {
            return Ok(location.clone());
        }
        let list = api.kinds.find("location").ok().and_then(|k| k.method("list")).ok_or_else(|| Failure::failed("the API has no locations"))?;
        let listing = api.list(&list, ("parent", &format!("clouds/{cloud}")), "").await.map_err(|e| if e.exit == Exit::Failed { e.with_note(NAME_ONE) } else { e })?;
        only_region(cloud, &listing.items.iter().map(|l| text(l, "name")).collect::<Vec<_>>(), &listing.unreachable)
    }
    /// What a resource of this kind lives in.
    pub(crate) async fn parent(&self, api: &Api, kind: &Kind) -> Result<String, Failure> {
        let cloud = self.cloud(api).await?;
        if !kind.in_location {
            return Ok(format!("clouds/{cloud}"));
        }
        let location = format!("clouds/{cloud}/locations/{}", self.location(api, kind, &cloud).await?);
        let Some(collection) = &kind.within else { return Ok(location) };
        let Some(within) = &self.within else {
            return Err(Failure::usage(format!("in which of the {}? Name it with --in, or give the whole name: {}", kebab(collection), kind.name_form())));
        };
        Ok(inside(&cloud, &location, collection, within))
    }
    /// Where to list: everywhere that is not ruled out.
    pub(crate) async fn list_parent(&self, api: &Api, kind: &Kind) -> Result<String, Failure> {
        // One cloud that is down fails its list, and of many it is reported, so that one alone has to be named.
        let cloud = match self.cloud(api).await {
            Ok(cloud) => cloud,
            Err(e) if e.exit == Exit::Usage => "-".into(),
            Err(e) => return Err(e),
        };
        let anywhere = if kind.is_global && kind.within.is_none() { GLOBAL } else { "-" };
        Ok(match (&kind.within, &self.within) {
            _ if !kind.in_location => format!("clouds/{cloud}"),
            (Some(collection), Some(within)) => inside(&cloud, &format!("clouds/{cloud}/locations/{GLOBAL}"), collection, within),
            (Some(collection), None) => format!("clouds/{cloud}/locations/{anywhere}/{collection}/-"),
            (None, _) => format!("clouds/{cloud}/locations/{}", self.location.as_deref().filter(|_| !kind.is_global).unwrap_or(anywhere)),
        })
    }
    /// The full name of a resource, from its id, its name below the cloud, or its full name.
    pub(crate) async fn name(&self, api: &Api, kind: &Kind, id: &str) -> Result<String, Failure> {
        let below_a_parent = id.contains('/');
        if below_a_parent && !id.contains("://") && api.kinds.of_name(id).is_none_or(|k| k.name != kind.name) {
            return Err(Failure::usage(format!("{id} is not the name of one of {}", kind.plural())));
        }
        if id.starts_with("clouds/") {
            Ok(id.to_owned())
        } else if id.starts_with("locations/") {
            Ok(format!("clouds/{}/{id}", self.cloud(api).await?))
        } else if below_a_parent {
            Err(Failure::usage(format!("{id} is not a name: it looks like {}", kind.name_form())))
        } else {
            Ok(format!("{}/{}/{id}", self.parent(api, kind).await?, kind.collection))
        }
    }
}

/// The name of the resource that something lives in, from its id, its name below the cloud, or its full name.
fn inside(cloud: &str, location: &str, collection: &str, within: &str) -> String {
    match within {
        full if full.starts_with("clouds/") => full.to_owned(),
        below if below.starts_with("locations/") => format!("clouds/{cloud}/{below}"),
        id => format!("{location}/{collection}/{id}"),
    }
}

/// The only region of a cloud. One that could not be read is as configured as the others, so it counts: nothing is changed in a region merely
/// because another one is down.
fn only_region(cloud: &str, read: &[String], unread: &[String]) -> Result<String, Failure> {
    let region = |name: &String| Some(part(name, "locations")).filter(|id| !id.is_empty() && *id != GLOBAL).map(str::to_owned);
    if let Some(unknown) = unread.iter().find(|name| region(name).is_none()) {
        let why = format!("which location? {unknown} could not be read, so {cloud} may have several");
        return Err(Failure::failed(why).with_note(NAME_ONE));
    }
    let ids: BTreeSet<String> = read.iter().chain(unread).filter_map(region).collect();
    only("location", "--location or WELKIN_LOCATION", &Vec::from_iter(ids))
}

fn only(what: &str, flag: &str, ids: &[String]) -> Result<String, Failure> {
    match ids {
        [id] => Ok(id.clone()),
        [] => Err(Failure::usage(format!("there is no {what}; check the server's configuration"))),
        several => Err(Failure::usage(format!("which {what}? Name one with {flag}: {}", several.join(", ")))),
    }
}

/// Replaces short references in a resource by full names: each is looked for beside the resource, then in `global`.
pub(crate) async fn resolve(api: &Api, parent: &str, message: &mut DynamicMessage) -> Result<(), Failure> {
    let Some((cloud, location)) = parent.split_once("/locations/") else { return Ok(()) };
    for field in message.descriptor().fields().collect::<Vec<_>>() {
        let Some(kind) = api.kinds.referred(&field).filter(|k| k.is_managed()) else { continue };
        if !matches!(field.kind(), Type::String) || field.is_list() || field.is_map() || !message.has_field(&field) {
            continue;
        }
        let short = message.get_field(&field).as_str().unwrap_or_default().to_owned();
        let name = if short.starts_with("locations/") {
            format!("{cloud}/{short}")
        } else if short.starts_with(&format!("{}/", kind.collection)) {
            let flag = crate::kind::flag_name(&field);
            return Err(Failure::usage(format!("--{flag}: {short} is not a name: it looks like {}, or is the last part of it", kind.name_form())));
        } else if short.contains('/') {
            continue;
        } else {
            look_up(api, cloud, location, kind, &short, &crate::kind::flag_name(&field)).await?
        };
        message.set_field(&field, Value::String(name));
    }
    Ok(())
}

/// Where a resource of this id is. Only "it is not there" leads on to the next place: whatever else keeps it from being read here (a cloud that
/// does not show it yet) does not keep the server from knowing it.
async fn look_up(api: &Api, cloud: &str, location: &str, kind: &Kind, id: &str, flag: &str) -> Result<String, Failure> {
    let get = kind.method("get").ok_or_else(|| Failure::failed(format!("{} cannot be read", kind.plural())))?;
    let name = |place: &str| format!("{cloud}/locations/{place}/{}/{id}", kind.collection);
    let read = async |name: &str| api.call(&get, with(&get.input(), [("name", Value::String(name.to_owned()))])).await;
    let beside = name(location);
    let missing = match read(&beside).await {
        Err(e) if e.exit == Exit::NotFound => e,
        _ => return Ok(beside),
    };
    let global = name(GLOBAL);
    match read(&global).await {
        Ok(_) => Ok(global),
        // Not every cloud has `global`; what the first place said is what counts.
        Err(e) if e.says_absent() => Err(missing.about_field(format!("--{flag}")).with_note(format!("`welkin get {}` lists those that exist", kind.plural()))),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_one_is_the_default_and_of_several_one_has_to_be_named() {
        assert_eq!(only("cloud", "--cloud", &["sim".into()]).unwrap(), "sim");
        let e = only("cloud", "--cloud", &["lab".into(), "prod".into()]).unwrap_err();
        assert!(e.exit == Exit::Usage && e.to_string().contains("--cloud: lab, prod"), "{e}");
        assert_eq!(only("cloud", "--cloud", &[]).unwrap_err().exit, Exit::Usage);
    }
    #[test]
    fn a_region_that_could_not_be_read_is_a_region() {
        let names = |ids: &[&str]| ids.iter().map(|id| format!("clouds/prod/locations/{id}")).collect::<Vec<_>>();
        assert_eq!(only_region("prod", &names(&["eu-west-1", "global"]), &names(&[])).unwrap(), "eu-west-1");
        let e = only_region("prod", &names(&["eu-west-1"]), &names(&["us-east-1"])).unwrap_err();
        assert!(e.exit == Exit::Usage && e.to_string().contains("--location or WELKIN_LOCATION: eu-west-1, us-east-1"), "{e}");
        // The server says better than we why the only one cannot be used.
        assert_eq!(only_region("prod", &names(&[]), &names(&["eu-west-1"])).unwrap(), "eu-west-1");
        for unread in ["clouds/prod", "clouds/prod/locations/global"] {
            let e = only_region("prod", &names(&["eu-west-1"]), &[unread.into()]).unwrap_err();
            assert!(e.exit == Exit::Failed && e.to_string().contains(unread) && e.to_string().contains("--location"), "{e}");
        }
    }
}
