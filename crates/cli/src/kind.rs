//! The kinds of resource that the API has, read from its descriptors: a new kind appears here by itself.

use crate::word::{capitalised, kebab, singular, snake};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, FileDescriptor, MessageDescriptor, MethodDescriptor, ReflectMessage as _, ServiceDescriptor, Value};

/// One kind of resource.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    /// `machineTypes`
    pub(crate) collection: String,
    /// `MachineType`
    pub(crate) name: String,
    /// Does it live in a location, or directly in the cloud?
    pub(crate) in_location: bool,
    /// Does it live in the location `global` alone?
    pub(crate) is_global: bool,
    /// The collection of the resource that it lives in, where it lives in one: `dnsZones`.
    pub(crate) within: Option<String>,
    pub(crate) message: MessageDescriptor,
    service: ServiceDescriptor,
}

impl Kind {
    /// The kind that a service is about; None for services of another sort.
    fn of(service: ServiceDescriptor) -> Option<Self> {
        let get = service.methods().find(|m| m.name().starts_with("Get") && service.methods().any(|l| l.name() == format!("List{}", service.name())))?;
        let message = get.output();
        let pattern = text(&extension(&message.options(), "google.api.resource")?, "pattern");
        let (parent, collection) = pattern.rsplit_once('/')?.0.rsplit_once('/')?;
        let below = parent.split_once("/locations/").map(|(_, below)| below);
        let (in_location, is_global) = (below.is_some(), below.is_some_and(|below| below.split('/').next() == Some("global")));
        let within = below.and_then(|below| below.split('/').nth(1)).map(str::to_owned);
        Some(Self { collection: collection.to_owned(), name: message.name().to_owned(), in_location, is_global, within, message, service })
    }
    /// The method of a verb: `get`, `list`, `create`, `update`, `delete`, one of the kind's own, or a question.
    pub(crate) fn method(&self, verb: &str) -> Option<MethodDescriptor> {
        let subject = if verb == "list" { self.service.name() } else { self.name.as_str() };
        let wanted = format!("{}{subject}", verb.split('-').map(capitalised).collect::<String>());
        self.service.methods().find(|m| m.name() == wanted).or_else(|| self.question(verb))
    }
    /// The method of what can be asked beyond a read: `console-output`.
    pub(crate) fn question(&self, verb: &str) -> Option<MethodDescriptor> {
        self.questions().find(|(question, _)| question == verb).map(|(_, method)| method)
    }
    /// What can be asked of it, with the methods: `console-output` is `GetInstanceConsoleOutput`.
    pub(crate) fn questions(&self) -> impl Iterator<Item = (String, MethodDescriptor)> {
        let get = format!("Get{}", self.name);
        self.service.methods().filter_map(move |m| {
            let noun = m.name().strip_prefix(&get).filter(|noun| !noun.is_empty()).map(kebab)?;
            Some((noun, m))
        })
    }
    /// Its verbs beyond the standard ones: `start`.
    pub(crate) fn own_verbs(&self) -> Vec<String> {
        let standard = ["Get", "List", "Create", "Update", "Delete"];
        let methods = self.service.methods().filter_map(|m| m.name().strip_suffix(self.name.as_str()).map(str::to_owned));
        methods.filter(|verb| !standard.contains(&verb.as_str())).map(|verb| kebab(&verb)).collect()
    }
    /// What requests of one of its own verbs say beside the resource.
    pub(crate) fn arguments(&self, verb: &str) -> Vec<FieldDescriptor> {
        let always = ["name", "etag", "request_id", "validate_only", "allow_missing", "release"];
        let fields = self.method(verb).map(|m| m.input().fields().collect::<Vec<_>>()).unwrap_or_default();
        fields.into_iter().filter(|f| !always.contains(&f.name())).collect()
    }
    /// How its names look.
    pub(crate) fn name_form(&self) -> String {
        let location = match (self.in_location, self.is_global) {
            (_, true) => "locations/global/",
            (true, false) => "locations/LOCATION/",
            (false, false) => "",
        };
        let within = self.within.as_ref().map(|collection| format!("{collection}/{}/", snake(&singular(collection)).to_ascii_uppercase())).unwrap_or_default();
        format!("clouds/CLOUD/{location}{within}{}/ID", self.collection)
    }
    /// What it is: `A virtual machine`.
    pub(crate) fn about(&self) -> String {
        comment(&self.message.parent_file(), self.message.path())
    }
    /// Can a mutation of this verb be bound to an etag? An update's stands in the resource.
    pub(crate) fn takes_etag(&self, verb: &str) -> bool {
        self.method(verb).is_some_and(|m| ["etag", "update_mask"].iter().any(|f| m.input().get_field_by_name(f).is_some()))
    }
    /// Can it be created, or only be read?
    pub(crate) fn is_managed(&self) -> bool {
        self.method("create").is_some()
    }
    /// `machine-type`
    pub(crate) fn singular(&self) -> String {
        kebab(&self.name)
    }
    /// `machine-types`
    pub(crate) fn plural(&self) -> String {
        kebab(&self.collection)
    }
    /// The field of requests that carries the resource: `machine_type`.
    pub(crate) fn field(&self) -> String {
        snake(&self.name)
    }
    /// Every other word for it.
    pub(crate) fn other_words(&self) -> Vec<String> {
        let squeezed = |text: String| text.replace('-', "");
        let mut words =
            vec![self.plural(), squeezed(self.singular()), squeezed(self.plural()), snake(&self.name), snake(&self.collection), self.collection.clone(), self.name.clone()];
        words.sort();
        words.dedup();
        words.retain(|w| *w != self.singular());
        words
    }
    fn answers_to(&self, word: &str) -> bool {
        self.singular() == word || self.other_words().iter().any(|w| w == word)
    }
    fn begins_with(&self, word: &str) -> bool {
        !word.is_empty() && (self.singular().starts_with(word) || self.other_words().iter().any(|w| w.starts_with(word)))
    }
    /// The fields that a caller can set.
    pub(crate) fn inputs(&self) -> Vec<FieldDescriptor> {
        // The etag is an option of every mutation, not part of what a resource should be.
        inputs(&self.message).into_iter().filter(|f| f.name() != "etag").collect()
    }
}

/// Every kind, in the order of their services' names.
#[derive(Debug, Clone)]
pub(crate) struct Kinds {
    pub(crate) pool: DescriptorPool,
    pub(crate) all: Vec<Kind>,
}

impl Kinds {
    /// Those of the API.
    pub(crate) fn new() -> Self {
        Self::from_pool(welkin::api::descriptor_pool().clone())
    }
    fn from_pool(pool: DescriptorPool) -> Self {
        // A cloud is not a resource in a cloud: it has a command of its own.
        let all = pool.services().filter(|s| s.package_name() == "welkin.v1" && s.name() != "Clouds").filter_map(Kind::of).collect();
        Self { pool, all }
    }
    /// The kind of a collection, a singular, a plural, or a beginning of these that is unlike every other kind's. A kind whose whole name others begin with
    /// (`instance-group`) is meant before those: `inst` is an instance.
    pub(crate) fn find(&self, word: &str) -> Result<&Kind, String> {
        let lower = word.to_ascii_lowercase();
        let exact = self.all.iter().find(|k| k.answers_to(word) || k.answers_to(&lower));
        let similar: Vec<&Kind> = self.all.iter().filter(|k| k.begins_with(&lower)).collect();
        let begun = similar.iter().copied().find(|k| similar.iter().all(|other| other.singular().starts_with(&k.singular())));
        match (exact.or(begun), similar.as_slice()) {
            (Some(kind), _) => Ok(kind),
            (None, []) => Err(format!("there is no kind {word:?}; the kinds are {}", self.all.iter().map(Kind::plural).collect::<Vec<_>>().join(", "))),
            (None, several) => Err(format!("{word:?} can be {}", several.iter().map(|k| k.singular()).collect::<Vec<_>>().join(" or "))),
        }
    }
    /// The method of a kind's verb.
    pub(crate) fn method(&self, kind: &Kind, verb: &str) -> Result<MethodDescriptor, String> {
        let others = || self.all.iter().filter(|k| k.method(verb).is_some()).map(Kind::plural).collect::<Vec<_>>().join(", ");
        kind.method(verb).ok_or_else(|| format!("{} have no {verb}; these have: {}", kind.plural(), others()))
    }
    /// The kind that a field refers to by name, where it does.
    pub(crate) fn referred(&self, field: &FieldDescriptor) -> Option<&Kind> {
        let reference = extension(&field.options(), "google.api.resource_reference")?;
        let of = text(&reference, "type");
        self.all.iter().find(|k| of.strip_prefix("welkin.dev/") == Some(k.name.as_str()))
    }
    /// The kind of a full name: `clouds/c/locations/l/instances/i`.
    pub(crate) fn of_name(&self, name: &str) -> Option<&Kind> {
        let collection = name.rsplit('/').nth(1)?;
        self.all.iter().find(|k| k.collection == collection)
    }
}

/// The fields of a message that a caller can set.
pub(crate) fn inputs(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let ours = |f: &FieldDescriptor| !behaviours(f).iter().any(|b| b == "OUTPUT_ONLY" || b == "IDENTIFIER");
    message.fields().filter(ours).collect()
}

/// What google.api.field_behavior says of a field.
pub(crate) fn behaviours(field: &FieldDescriptor) -> Vec<String> {
    let options = field.options();
    let Some(extension) = options.descriptor().parent_pool().get_extension_by_name("google.api.field_behavior") else { return Vec::new() };
    let numbers = options.get_extension(&extension);
    let kind = extension.kind();
    let (Some(numbers), Some(kind)) = (numbers.as_list(), kind.as_enum()) else { return Vec::new() };
    numbers.iter().filter_map(|n| Some(kind.get_value(n.as_enum_number()?)?.name().to_owned())).collect()
}

/// The comment on a part of the API's definition, in one line.
pub(crate) fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let comment = info.and_then(|i| i.location.iter().find(|l| l.path == path)).map(|l| l.leading_comments()).unwrap_or_default();
    comment.trim().lines().map(str::trim).collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

/// A message among a descriptor's options.
fn extension(options: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let extension = options.descriptor().parent_pool().get_extension_by_name(name)?;
    options.has_extension(&extension).then(|| options.get_extension(&extension).as_message().cloned())?
}

/// The first text of a field.
fn text(message: &DynamicMessage, field: &str) -> String {
    match message.get_field_by_name(field).as_deref() {
        Some(Value::String(s)) => s.clone(),
        Some(Value::List(items)) => items.first().and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

/// The flag of a field: `cidrs` is `cidr`, because each one is given by itself.
pub(crate) fn flag_name(field: &FieldDescriptor) -> String {
    let word = kebab(field.name());
    if field.is_list() || field.is_map() { singular(&word) } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_core_is_found_with_its_verbs() {
        let kinds = Kinds::new();
        let mut collections: Vec<&str> = kinds.all.iter().map(|k| k.collection.as_str()).collect();
        collections.sort_unstable();
        assert_eq!(
            collections,
            [
                "addresses",
                "disks",
                "dnsZones",
                "images",
                "instanceGroups",
                "instances",
                "loadBalancers",
                "locations",
                "machineTypes",
                "natGateways",
                "networks",
                "quotas",
                "recordSets",
                "routeTables",
                "securityGroups",
                "subnets"
            ]
        );
        let instance = kinds.find("instances").unwrap();
        assert_eq!(instance.own_verbs(), ["start", "stop", "reboot"]);
        assert_eq!(kinds.all.iter().flat_map(Kind::questions).map(|(question, _)| question).collect::<Vec<_>>(), ["console-output", "target-health", "members"]);
        assert!(instance.is_managed() && instance.in_location);
        for verb in ["get", "list", "create", "update", "delete", "stop", "console-output"] {
            assert!(instance.method(verb).is_some(), "{verb}");
        }
        let zone = kinds.find("dns-zone").unwrap();
        assert_eq!(zone.own_verbs(), ["change-records"]);
        assert_eq!((zone.arguments("change-records").len(), instance.arguments("stop").len()), (3, 0));
        assert!(zone.in_location && zone.is_global && !instance.is_global && zone.name_form() == "clouds/CLOUD/locations/global/dnsZones/ID");
        let location = kinds.find("location").unwrap();
        assert!(!location.is_managed() && !location.in_location);
    }
    #[test]
    fn a_kind_answers_to_many_words() {
        let kinds = Kinds::new();
        for (word, kind) in [
            ("machineTypes", "MachineType"),
            ("machine-types", "MachineType"),
            ("machinetype", "MachineType"),
            ("machine_type", "MachineType"),
            ("MachineType", "MachineType"),
            ("net", "Network"),
            ("networks", "Network"),
            ("inst", "Instance"),
            ("instance-g", "InstanceGroup"),
            ("sub", "Subnet"),
            ("im", "Image"),
        ] {
            assert_eq!(kinds.find(word).unwrap().name, kind, "{word}");
        }
        assert!(kinds.find("i").unwrap_err().contains("image or instance"));
        assert!(kinds.find("volumes").unwrap_err().contains("machine-types"));
    }
    #[test]
    fn references_and_behaviours_come_from_the_annotations() {
        let kinds = Kinds::new();
        let instance = kinds.find("instance").unwrap();
        let field = |name: &str| instance.message.get_field_by_name(name).unwrap();
        assert_eq!(kinds.referred(&field("subnet")).unwrap().name, "Subnet");
        assert_eq!(kinds.referred(&field("image")).unwrap().name, "Image");
        assert!(kinds.referred(&field("machine_type")).is_none());
        assert!(behaviours(&field("user_data")).contains(&"INPUT_ONLY".to_owned()));
        let inputs: Vec<String> = instance.inputs().iter().map(|f| f.name().to_owned()).collect();
        assert!(inputs.contains(&"user_data".into()) && !inputs.contains(&"state".into()) && !inputs.contains(&"name".into()) && !inputs.contains(&"etag".into()), "{inputs:?}");
    }
}
