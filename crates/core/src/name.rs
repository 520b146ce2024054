//! Resource names, ids and provider ids.
//!
//! A name is a path of collections and ids below one cloud: `locations/eu-west-1/instances/web`. The cloud itself is not part of it: one
//! account is one cloud. The API puts `clouds/{cloud}/` in front (see google.aip.dev/122).

use crate::{Error, ErrorKind, Kind, Location, Reason, Segment};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    fmt::{self, Display, Write as _},
    str::FromStr,
};

fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, Reason::InvalidName, message)
}

/// Serialises a type as its text form.
macro_rules! as_text {
    ([$($generics:tt)*] $t:ty) => {
        impl<$($generics)*> Serialize for $t {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de, $($generics)*> Deserialize<'de> for $t {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

/// The parent of what lives directly below the cloud. Its text is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Root;
impl Display for Root {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
impl FromStr for Root {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        if text.is_empty() { Ok(Self) } else { Err(bad(format!("{text:?} should not be there"))) }
    }
}
pub(crate) use as_text;
as_text!([] Root);

/// The full name of a resource inside its cloud.
///
/// ```
/// use welkin_core::{Name, Instance};
/// let name: Name<Instance> = "locations/eu-west-1/instances/web".parse()?;
/// assert_eq!(name.parent.id.as_str(), "eu-west-1");
/// assert_eq!(name.to_string(), "locations/eu-west-1/instances/web");
/// assert!("locations/eu-west-1/networks/web".parse::<Name<Instance>>().is_err());
/// # Ok::<(), welkin_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name<K: Kind> {
    /// What it lives in.
    pub parent: K::Parent,
    /// Its id there.
    pub id: K::Id,
}
impl<K: Kind> Name<K> {
    /// The name of `id` in `parent`.
    pub fn new(parent: K::Parent, id: K::Id) -> Self {
        Self { parent, id }
    }
}
impl<K: Kind> Display for Name<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parent = Noting { f, is_empty: true };
        write!(parent, "{}", self.parent)?;
        if !parent.is_empty {
            f.write_str("/")?;
        }
        f.write_str(K::COLLECTION)?;
        f.write_str("/")?;
        self.id.fmt(f)
    }
}
/// Notes whether anything is written at all: the root's text is empty.
struct Noting<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    is_empty: bool,
}
impl fmt::Write for Noting<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.is_empty &= text.is_empty();
        self.f.write_str(text)
    }
}
impl<K: Kind> FromStr for Name<K> {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let shape = || bad(format!("{text:?} is not the name of one of {}", K::COLLECTION));
        let (rest, id) = text.rsplit_once('/').ok_or_else(shape)?;
        let (parent, collection) = rest.rsplit_once('/').unwrap_or(("", rest));
        if collection != K::COLLECTION {
            return Err(shape());
        }
        Ok(Self { parent: parent.parse().map_err(Into::into)?, id: id.parse().map_err(Into::into)? })
    }
}
as_text!([K: Kind] Name<K>);

/// A location's name: the parent of most kinds.
pub type LocationName = Name<Location>;
impl LocationName {
    /// The location of this id.
    ///
    /// # Errors
    /// `InvalidArgument` where the id is not a location id.
    pub fn of(id: &str) -> Result<Self, Error> {
        Ok(Self { parent: Root, id: id.parse()? })
    }
}

macro_rules! text_type {
    ($(#[$doc:meta])* $t:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $t(String);
        impl $t {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl Display for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl FromStr for $t {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                let check: fn(&str) -> Result<(), String> = $check;
                check(text).map_err(|why| bad(format!("{text:?} {why}")))?;
                Ok(Self(text.to_owned()))
            }
        }
        as_text!([] $t);
    };
}

fn is_label(text: &str) -> bool {
    let edge = |c: Option<&u8>, first: bool| c.is_some_and(|c| c.is_ascii_lowercase() || (!first && c.is_ascii_digit()));
    let b = text.as_bytes();
    (1..=63).contains(&b.len()) && edge(b.first(), true) && edge(b.last(), false) && b.iter().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == b'-')
}
/// Characters that stand for themselves in an id; any other byte is written `%XX` (RFC 3986, 2.1 and 2.3).
fn is_plain(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b'~')
}
fn is_encoded(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > 1024 {
        return Err("is not an id: it needs 1 to 1024 characters".into());
    }
    let encoded = percent_encode(&percent_decode(text).ok_or("is not an id: a percent sign needs two hexadecimal digits and the result must be UTF-8")?);
    // One text for one id: a second spelling would be a second key.
    if encoded == text { Ok(()) } else { Err(format!("is not an id: write it {encoded:?}")) }
}
pub(crate) fn percent_encode(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for b in raw.bytes() {
        if is_plain(b) {
            out.push(b as char);
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let (bytes, mut out, mut i) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while let Some(&b) = bytes.get(i) {
        if b == b'%' {
            let hex = bytes.get(i + 1..i + 3)?;
            out.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
            i += 3;
        } else {
            out.push(b);
            i += 1;
        }
    }
    String::from_utf8(out).ok()
}

text_type! {
    /// The id of a location: the vendor's region, or `global`.
    LocationId, |t| if !t.is_empty() && t.len() <= 63 && t.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-') { Ok(()) } else { Err("is not a location id: it needs 1 to 63 of a-z, 0-9 and '-'".into()) }
}
text_type! {
    /// The id of a resource: a label that a caller chose (RFC 1034: 1 to 63 of `a-z`, `0-9`, `-`, a letter first), or the vendor's own id, percent-encoded,
    /// for what Welkin did not create and for the catalogue.
    ResourceId, is_encoded
}
impl ResourceId {
    /// The id under which a vendor's object appears.
    ///
    /// ```
    /// use welkin_core::ResourceId;
    /// assert_eq!(ResourceId::of_vendor("a/b c")?.as_str(), "a%2Fb%20c");
    /// assert_eq!(ResourceId::of_vendor("a/b c")?.decoded(), "a/b c");
    /// # Ok::<(), welkin_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` where it is empty or too long.
    pub fn of_vendor(raw: &str) -> Result<Self, Error> {
        percent_encode(raw).parse()
    }
    /// Could a caller have chosen it?
    #[must_use]
    pub fn is_label(&self) -> bool {
        is_label(&self.0)
    }
    /// Without the percent-encoding: the vendor's own text.
    #[must_use]
    pub fn decoded(&self) -> String {
        percent_decode(&self.0).unwrap_or_else(|| self.0.clone())
    }
}

fn no_control(t: &str) -> Result<(), String> {
    if t.is_empty() || t.len() > 2048 || t.chars().any(char::is_control) { Err("needs 1 to 2048 characters without control characters".into()) } else { Ok(()) }
}
text_type! {
    /// A vendor's own id of one object, verbatim: `vpc-0a1b2c3d`, an ARN, a self link.
    VendorId, no_control
}
text_type! {
    /// Minted by the engine for each resource it makes, and kept on every vendor object of that resource.
    Uid, |t| if (8..=64).contains(&t.len()) && t.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-') { Ok(()) } else { Err("is not a uid".into()) }
}
text_type! {
    /// Who made it: one value for each configured cloud. Another owner's objects are foreign.
    Owner, |t| if is_label(t) { Ok(()) } else { Err("is not an owner: it needs 1 to 63 of a-z, 0-9 and '-', a letter first".into()) }
}
text_type! {
    /// A versioned keyed hash of the specification as its creator sent it: `v1-...`. Two creates of one name mean the same when their digests are equal.
    Digest, |t| if (4..=63).contains(&t.len()) && t.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-') { Ok(()) } else { Err("is not a digest".into()) }
}

/// The form in which Kubernetes names a vendor's object in `Node.spec.providerID`: `aws:///eu-west-1a/i-0abc`, `gce://project/zone/name`,
/// `azure:///subscriptions/...`.
///
/// ```
/// use welkin_core::ProviderId;
/// let id: ProviderId = "aws:///eu-west-1a/i-0abc".parse()?;
/// assert_eq!((id.scheme(), id.authority(), id.last()), ("aws", "", "i-0abc"));
/// assert_eq!(id.to_string(), "aws:///eu-west-1a/i-0abc");
/// # Ok::<(), welkin_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderId {
    scheme: String,
    authority: String,
    segments: Vec<String>,
}
impl ProviderId {
    /// Puts a provider id together.
    ///
    /// # Errors
    /// `InvalidArgument` where a part is empty or has a character that would not come back.
    pub fn new<S: AsRef<str>>(scheme: &str, authority: &str, segments: &[S]) -> Result<Self, Error> {
        let id = Self { scheme: scheme.into(), authority: authority.into(), segments: segments.iter().map(|s| s.as_ref().to_owned()).collect() };
        let whole = |s: &str| !s.is_empty() && !s.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control());
        if scheme.is_empty() || !scheme.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
            return Err(bad(format!("{scheme:?} is not the scheme of a provider id")));
        }
        if !(authority.is_empty() || whole(authority)) || id.segments.is_empty() || !id.segments.iter().all(|s| whole(s)) {
            return Err(bad(format!("{id} is not a provider id: a part is empty or has a slash or white space")));
        }
        Ok(id)
    }
    /// The vendor: `aws`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }
    /// What stands between the second and the third slash; empty for most vendors.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }
    /// The path's parts.
    #[must_use]
    pub fn segments(&self) -> &[String] {
        &self.segments
    }
    /// The object's own id: the last part.
    #[must_use]
    pub fn last(&self) -> &str {
        self.segments.last().map_or("", String::as_str)
    }
}
impl Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scheme)?;
        f.write_str("://")?;
        f.write_str(&self.authority)?;
        self.segments.iter().try_for_each(|segment| {
            f.write_str("/")?;
            f.write_str(segment)
        })
    }
}
impl FromStr for ProviderId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let shape = || bad(format!("{text:?} is not a provider id: it looks like aws:///eu-west-1a/i-0abc"));
        let (scheme, rest) = text.split_once("://").ok_or_else(shape)?;
        let (authority, path) = rest.split_once('/').ok_or_else(shape)?;
        Self::new(scheme, authority, &path.split('/').collect::<Vec<_>>())
    }
}
as_text!([] ProviderId);

/// What the text of a vendor's ids looks like, so that a caller cannot choose a name that a foreign object may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum IdShape {
    /// A prefix and 8 or 17 hexadecimal digits: `i-0123456789abcdef0`.
    PrefixedHex(&'static str),
    /// Never a label, or the label itself.
    Other,
}
impl IdShape {
    /// Has `id` this shape?
    #[must_use]
    pub fn matches(self, id: &str) -> bool {
        match self {
            Self::PrefixedHex(prefix) => {
                id.strip_prefix(prefix).is_some_and(|hex| matches!(hex.len(), 8 | 17) && hex.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c)))
            }
            Self::Other => false,
        }
    }
}

/// Checks an id that a caller wants to choose.
///
/// # Errors
/// `InvalidArgument` naming `field`.
pub fn check_chosen_id(id: &ResourceId, shape: IdShape, field: &str) -> Result<(), Error> {
    if !id.is_label() {
        return Err(Error::invalid(field, format!("{id:?} cannot be chosen: an id needs 1 to 63 of a-z, 0-9 and '-', a letter first and no '-' last", id = id.as_str())));
    }
    if shape.matches(id.as_str()) {
        return Err(Error::invalid(field, format!("{:?} cannot be chosen: it looks like an id of the vendor", id.as_str())));
    }
    Ok(())
}

/// Reads a name that may be given short: `n1`, relative to `parent`, or in full.
///
/// # Errors
/// `InvalidArgument` where it is neither.
pub fn relative<K: Kind>(text: &str, parent: &K::Parent) -> Result<Name<K>, Error>
where
    K::Parent: Segment,
{
    if text.contains('/') { text.parse() } else { Ok(Name { parent: parent.clone(), id: text.parse().map_err(Into::into)? }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Instance, MachineType};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_is_its_text(location in "[a-z0-9-]{1,20}", id in "[a-z]([a-z0-9-]{0,61}[a-z0-9])?") {
            let text = format!("locations/{location}/instances/{id}");
            let name: Name<Instance> = text.parse().unwrap();
            prop_assert!(name.id.is_label());
            prop_assert_eq!(name.to_string(), text);
        }
        #[test]
        fn any_vendor_id_comes_back(raw in "\\PC{1,60}") {
            let id = ResourceId::of_vendor(&raw).unwrap();
            prop_assert_eq!(id.decoded(), raw);
            let name = Name::<MachineType> { parent: LocationName::of("r").unwrap(), id };
            prop_assert_eq!(name.to_string().parse::<Name<MachineType>>().unwrap(), name);
        }
        #[test]
        fn reading_a_name_never_panics(text in "\\PC{0,80}") { let _ = text.parse::<Name<Instance>>(); let _ = text.parse::<ProviderId>(); }
        #[test]
        fn a_provider_id_is_its_text(scheme in "[a-z]{1,8}", authority in "[a-z0-9.-]{0,10}", path in prop::collection::vec("[A-Za-z0-9._-]{1,12}", 1..6)) {
            let id = ProviderId::new(&scheme, &authority, &path).unwrap();
            prop_assert_eq!(id.to_string().parse::<ProviderId>().unwrap(), id);
        }
    }
    #[test]
    fn one_id_has_one_spelling() {
        for bad in ["", "%", "%2", "%zz", "%41", "%2f", "a/b", "a b", "%FF"] {
            assert!(bad.parse::<ResourceId>().is_err(), "{bad}");
        }
    }
    #[test]
    fn vendor_shaped_ids_cannot_be_chosen() {
        let shape = IdShape::PrefixedHex("i-");
        for (id, ok) in [
            ("web", true),
            ("i-web", true),
            ("i-0123456789abcdef0", false),
            ("i-01234567", false),
            ("Web", false),
            ("-a", false),
            ("a-", false),
            ("1a", false),
            ("t3.small", false),
        ] {
            assert_eq!(check_chosen_id(&id.parse().unwrap(), shape, "instance_id").is_ok(), ok, "{id}");
        }
    }
    #[test]
    fn known_provider_ids() {
        for id in ["aws:///eu-west-1a/i-0abc", "gce://project/zone/name", "azure:///subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v"] {
            assert_eq!(id.parse::<ProviderId>().unwrap().to_string(), id);
        }
        for bad in ["", "aws", "aws://", "aws:///", "aws:///a//b", "AWS:///a", "aws:///a b"] {
            assert!(bad.parse::<ProviderId>().is_err(), "{bad}");
        }
    }
}
