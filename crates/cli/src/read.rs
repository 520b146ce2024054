//! `get`, questions, `clouds` and `capabilities`: what only reads.

use crate::{
    call::Api,
    failure::Failure,
    kind::Kind,
    message::{is_true, last_part, several, text, texts, with},
    output::{self, Format, cell, note},
    place::Place,
};
use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage as _, Value};

/// `welkin get KIND ID`.
pub(crate) async fn one(api: &Api, place: &Place, format: Format, kind: &Kind, id: &str) -> Result<(), Failure> {
    let method = kind.method("get").ok_or_else(|| Failure::usage(format!("{} cannot be read", kind.plural())))?;
    let name = place.name(api, kind, id).await?;
    let resource = api.call(&method, with(&method.input(), [("name", Value::String(name))])).await?;
    output::print(&output::resources(format, kind, std::slice::from_ref(&resource), &resource)?)
}

/// `welkin console-output KIND ID`, and what else can be asked. For people the answer's text as it is, where it has one.
pub(crate) async fn ask(api: &Api, place: &Place, format: Format, kind: &Kind, method: &MethodDescriptor, id: &str) -> Result<(), Failure> {
    let name = place.name(api, kind, id).await?;
    let answer = api.call(method, with(&method.input(), [("name", Value::String(name.clone()))])).await?;
    output::print(&match format {
        Format::Name => name + "\n",
        Format::Table | Format::Wide if answer.descriptor().get_field_by_name("text").is_some() => text(&answer, "text"),
        _ => output::answer(format, &answer)?,
    })
}

/// `welkin get KIND`. A list that is not whole is shown, and fails.
pub(crate) async fn list(api: &Api, place: &Place, format: Format, kind: &Kind, filter: &str) -> Result<(), Failure> {
    let method = kind.method("list").ok_or_else(|| Failure::usage(format!("{} cannot be listed", kind.plural())))?;
    let parent = place.list_parent(api, kind).await?;
    let listing = api.list(&method, ("parent", &parent), filter).await?;
    output::print(&output::resources(format, kind, &listing.items, &listing.response)?)?;
    if listing.unreachable.is_empty() {
        return Ok(());
    }
    for place in &listing.unreachable {
        note(&format!("warning: {place} could not be read"));
    }
    Err(Failure::failed("the list is not whole").with_note("name a cloud and a location with --cloud and --location to see why"))
}

/// `welkin clouds`.
pub(crate) async fn clouds(api: &Api, format: Format) -> Result<(), Failure> {
    let listing = api.list(&api.method("welkin.v1.Clouds", "ListClouds")?, ("parent", ""), "").await?;
    let rows = listing.items.iter().map(|c| vec![last_part(&text(c, "name")).to_owned(), text(c, "vendor"), text(c, "owner")]);
    output::print(&match format {
        Format::Json | Format::Yaml => output::document(format, &listing.response)?,
        Format::Name => listing.items.iter().map(|c| text(c, "name") + "\n").collect(),
        Format::Table | Format::Wide => output::table(vec!["NAME", "PROVIDER", "OWNER"], rows),
    })
}

/// `welkin capabilities CLOUD`.
pub(crate) async fn capabilities(api: &Api, place: &Place, format: Format) -> Result<(), Failure> {
    let method = api.method("welkin.v1.Clouds", "GetCapabilities")?;
    let name = format!("clouds/{}/capabilities", place.cloud(api).await?);
    let answer = api.call(&method, with(&method.input(), [("name", Value::String(name))])).await?;
    output::print(&match format {
        Format::Json | Format::Yaml => output::document(format, &answer)?,
        Format::Name => several(&answer, "kinds").iter().map(|k| text(k, "collection") + "\n").collect(),
        Format::Table | Format::Wide => capability_tables(&answer),
    })
}

fn capability_tables(answer: &DynamicMessage) -> String {
    let kinds = several(answer, "kinds");
    let verbs = kinds.iter().map(|k| vec![text(k, "collection"), cell(k, "scope"), texts(k, "verbs").join(" "), cell(k, "limits")]);
    let fields = kinds.iter().flat_map(|k| {
        let collection = text(k, "collection");
        several(k, "fields").into_iter().map(move |f| vec![collection.clone(), text(&f, "path"), cell(&f, "support"), cell(&f, "mutability"), bounds(&f)])
    });
    format!("{}\n{}", output::table(vec!["KIND", "SCOPE", "VERBS", "LIMITS"], verbs), output::table(vec!["KIND", "FIELD", "SUPPORT", "CHANGE", "BOUNDS"], fields))
}
fn bounds(field: &DynamicMessage) -> String {
    let mut parts = Vec::new();
    if is_true(field, "required") {
        parts.push("required".to_owned());
    }
    match (cell(field, "min"), cell(field, "max")) {
        (min, max) if min.is_empty() && max.is_empty() => {}
        (min, max) => parts.push(format!("{min} to {max}")),
    }
    let items = cell(field, "max_items");
    if !items.is_empty() {
        parts.push(format!("at most {items}"));
    }
    parts.join(", ")
}
