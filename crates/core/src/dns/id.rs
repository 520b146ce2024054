//! What a record set is called.

use super::{DnsName, RecordType};
use crate::{
    Error, ErrorKind, Reason,
    name::{as_text, percent_decode, percent_encode},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    fmt::{self, Display},
    str::FromStr,
};

/// The id of a record set in its zone: its name, percent-encoded like every id, and its type: `www.example.com~A`. However a name is written, it is one id.
///
/// ```
/// use welkin_core::RecordId;
/// let id: RecordId = "*.Example.com.~A".parse()?;
/// assert_eq!(id.to_string(), "%2A.example.com~A");
/// # Ok::<(), welkin_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId {
    /// The name that is asked for.
    pub name: DnsName,
    /// And what of it.
    pub record_type: RecordType,
}
impl Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}", percent_encode(self.name.as_str()), self.record_type)
    }
}
impl RecordId {
    /// The id of what a vendor has: drivers give record sets their own id as the vendor's.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no id of a record set.
    pub fn of_vendor(vendor_id: &str) -> Result<Self, Error> {
        vendor_id.parse()
    }
    /// Can there be such records in a zone that begins at `zone`, beside those of these types at the same name?
    ///
    /// # Errors
    /// `InvalidArgument` where they have no place in the zone, `FailedPrecondition` (`IN_USE`) beside a type that they do not go with; both name `record_set_id`.
    pub fn check_place<'a>(&self, zone: &DnsName, beside: impl IntoIterator<Item = &'a RecordType>) -> Result<(), Error> {
        let field = "record_set_id";
        if let Some(why) = self.record_type.misplaced(&self.name, zone) {
            return Err(Error::invalid(field, why));
        }
        let Some((other, why)) = beside.into_iter().find_map(|other| Some((other, other.clash(self.record_type)?))) else { return Ok(()) };
        let why = format!("{} has records of type {other}: {why}", self.name);
        Err(Error::new(ErrorKind::FailedPrecondition, Reason::InUse, why).with_field(field))
    }
}
impl RecordId {
    /// What is said where something is there that is not ours.
    #[must_use]
    pub fn not_ours(&self) -> Error {
        let why = format!("{self} is there, and was not made by this Welkin and was not adopted");
        Error::new(ErrorKind::FailedPrecondition, Reason::NotOwned, why).with_field("record_set_id")
    }
}
impl FromStr for RecordId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::new(ErrorKind::InvalidArgument, Reason::InvalidName, format!("{text:?} is not the id of a record set: {why}"));
        let (name, record_type) = text.rsplit_once('~').ok_or_else(|| bad("it is a name, ~ and a type, such as www.example.com~A"))?;
        let name = percent_decode(name).ok_or_else(|| bad("a percent sign needs two hexadecimal digits and the result must be UTF-8"))?;
        Ok(Self { name: name.parse().map_err(|e: Error| bad(e.message()))?, record_type: record_type.parse().map_err(|e: Error| bad(e.message()))? })
    }
}
as_text!([] RecordId);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    #[test]
    fn one_record_set_has_one_id() {
        for (written, id) in [
            ("www.example.com~A", "www.example.com~A"),
            ("WWW.example.com.~AAAA", "www.example.com~AAAA"),
            ("%2A.example.com~TXT", "%2A.example.com~TXT"),
            (r"\052.example.com~TXT", "%2A.example.com~TXT"),
            ("a~b.example.com~MX", "a~b.example.com~MX"),
            ("0%2F25.2.0.192.in-addr.arpa~NS", "0%2F25.2.0.192.in-addr.arpa~NS"),
        ] {
            assert_eq!(written.parse::<RecordId>().unwrap().to_string(), id);
        }
        for bad in ["", "www.example.com", "www.example.com~", "~A", "www.example.com~SOA", "www.example.com~a", "a..b~A", "%zz~A"] {
            assert_eq!(bad.parse::<RecordId>().unwrap_err().reason(), Reason::InvalidName, "{bad}");
        }
    }
    proptest! {
        #[test]
        fn an_id_is_its_text(labels in vec(vec(any::<u8>(), 1..12), 1..6), of in 0..RecordType::ALL.len()) {
            let name = labels.iter().map(|l| l.iter().map(|o| format!("\\{o:03o}")).collect::<String>()).collect::<Vec<_>>().join(".");
            let id = RecordId { name: name.parse().unwrap(), record_type: RecordType::ALL[of] };
            let text = id.to_string();
            prop_assert!(!text.contains('/') && text.bytes().all(|b| b.is_ascii_graphic()));
            prop_assert_eq!(text.parse::<RecordId>().unwrap(), id);
        }
    }
}
