//! Domain names in one canonical form.
//!
//! Vendors write one name in many ways: with and without the last dot, in upper case, with octets escaped (Route 53 answers `\052.example.com` for
//! `*.example.com`), in Unicode or as it is on the wire. Names are compared and are keys, so each has one text here.

use super::{escape, write_octet};
use crate::{Error, ErrorKind, Reason};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    fmt::{self, Display, Write as _},
    str::FromStr,
};

/// RFC 1035, 2.3.4.
const MAX_LABEL: usize = 63;
/// RFC 1035, 2.3.4: 255 octets on the wire, of which one ends the name and one begins each label. Without escapes that is 253 characters.
const MAX_NAME: usize = 255;

/// A domain name: lower case, without the last dot, Unicode as punycode (RFC 5891). The root is `.`.
///
/// Octets that are not printable ASCII, a dot or a backslash inside a label, and white space are written `\ooo` with three octal digits, as Route 53
/// does: <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html>. The decimal escapes of RFC 1035's files are not understood,
/// because the same text would stand for two names.
///
/// ```
/// use welkin_core::DnsName;
/// let name: DnsName = r"\052.B\303\274cher.Example.com.".parse()?;
/// assert_eq!(name.to_string(), r"*.b\303\274cher.example.com");
/// assert!(name.is_wildcard());
/// assert_eq!("bücher.example".parse::<DnsName>()?.as_str(), "xn--bcher-kva.example");
/// # Ok::<(), welkin_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

impl DnsName {
    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Its labels in canonical form, the leftmost first. The root has none.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.0.split('.').filter(|l| !l.is_empty())
    }
    /// Is it the root?
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0 == "."
    }
    /// Does it stand for every name that is not there (RFC 4592)? Only a whole first label `*` means that.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.labels().next() == Some("*")
    }
    /// Is it this zone's name, or below it?
    #[must_use]
    pub fn is_within(&self, zone: &Self) -> bool {
        zone.is_root() || self == zone || self.0.strip_suffix(&zone.0).is_some_and(|rest| rest.ends_with('.'))
    }
}

fn bad(text: &str, why: impl Display) -> Error {
    Error::new(ErrorKind::InvalidArgument, Reason::InvalidField, format!("{text:?} is not a domain name: {why}"))
}
/// IDNA knows four of them (UTS 46, 4, "Break").
fn is_dot(c: char) -> bool {
    matches!(c, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}')
}

/// A label while it is read.
#[derive(Default)]
struct Label {
    octets: Vec<u8>,
    /// With characters that have no octet of their own: the same as text.
    text: String,
    is_international: bool,
    is_escaped: bool,
}
impl Label {
    fn push(&mut self, c: char) {
        self.text.push(c);
        match u8::try_from(c) {
            Ok(octet) if octet.is_ascii() => self.octets.push(octet.to_ascii_lowercase()),
            _ => self.is_international = true,
        }
    }
    fn escaped(&mut self, octet: u8) {
        self.is_escaped = true;
        self.octets.push(octet.to_ascii_lowercase());
    }
    /// The octets of the label on the wire.
    fn octets(self) -> Result<Vec<u8>, String> {
        let octets = if self.is_international {
            if self.is_escaped {
                return Err("a label has either escapes or characters beyond ASCII".into());
            }
            let ascii = idna::domain_to_ascii(&self.text).map_err(|_| format!("{:?} cannot be written as an internationalised label", self.text))?;
            if ascii.is_empty() || ascii.contains('.') {
                return Err(format!("{:?} is not one label", self.text));
            }
            ascii.into_bytes()
        } else {
            self.octets
        };
        match octets.len() {
            0 => Err("a label is empty".into()),
            n if n > MAX_LABEL => Err(format!("a label has at most {MAX_LABEL} octets, and one has {n}")),
            _ => Ok(octets),
        }
    }
}

impl FromStr for DnsName {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "." {
            return Ok(Self(text.to_owned()));
        }
        let (mut out, mut length, mut label) = (String::with_capacity(text.len()), 1, Label::default());
        let mut end = |label: Label| {
            let octets = label.octets().map_err(|why| bad(text, why))?;
            length += octets.len() + 1;
            if !out.is_empty() {
                out.push('.');
            }
            octets.iter().for_each(|octet| push_octet(&mut out, *octet));
            Ok::<(), Error>(())
        };
        let (mut chars, mut after_dot) = (text.chars(), false);
        while let Some(c) = chars.next() {
            after_dot = is_dot(c);
            if after_dot {
                end(std::mem::take(&mut label))?;
            } else if c == '\\' {
                label.escaped(escape(&mut chars).map_err(|why| bad(text, why))?);
            } else if c.is_whitespace() || c.is_control() {
                return Err(bad(text, "white space and control characters have to be escaped, as \\040"));
            } else {
                label.push(c);
            }
        }
        if !after_dot {
            end(label)?;
        }
        if length > MAX_NAME {
            return Err(bad(text, format!("it has {length} octets on the wire, and at most {MAX_NAME} are possible")));
        }
        Ok(Self(out))
    }
}
/// What would end a label, or begin an escape, is escaped too.
fn push_octet(out: &mut String, octet: u8) {
    // Writing to a String cannot fail.
    let _ = if matches!(octet, b'.' | b'\\') { write!(out, "\\{octet:03o}") } else { write_octet(out, octet) };
}

impl Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl Serialize for DnsName {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for DnsName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn name(text: &str) -> DnsName {
        text.parse().unwrap()
    }

    #[test]
    fn one_name_has_one_text() {
        for (written, canonical) in [
            ("example.com", "example.com"),
            ("Example.COM.", "example.com"),
            (r"\052.example.com.", "*.example.com"),
            ("*.example.com", "*.example.com"),
            (r"\101.example.com", "a.example.com"),
            (r"a\.b.example.com", r"a\056b.example.com"),
            (r"a\056b.example.com", r"a\056b.example.com"),
            (r"a\\b.example.com", r"a\134b.example.com"),
            (r"\_dmarc.example.com", "_dmarc.example.com"),
            (r"a\040b.example.com", r"a\040b.example.com"),
            ("0/25.2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa"),
            ("Bücher.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("_sip._TCP.example", "_sip._tcp.example"),
            ("com", "com"),
            (".", "."),
        ] {
            assert_eq!(name(written).as_str(), canonical, "{written}");
        }
    }
    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "..", ".a", "a..b", "a b.c", "a\tb", r"a\", r"a\05", r"a\058.b", r"a\400.b", "b\u{fc}\\040.c", "a\n"] {
            assert!(text.parse::<DnsName>().is_err(), "{text:?}");
        }
    }
    #[test]
    fn lengths_are_those_of_the_wire() {
        let label = |n| "a".repeat(n);
        assert!(label(63).parse::<DnsName>().is_ok() && label(64).parse::<DnsName>().is_err());
        // Four characters of text are one octet.
        assert!(r"\377".repeat(63).parse::<DnsName>().is_ok() && r"\377".repeat(64).parse::<DnsName>().is_err());
        let of = |last| [label(63), label(63), label(63), label(last)].join(".");
        assert_eq!(of(61).len(), 253);
        assert!(of(61).parse::<DnsName>().is_ok() && format!("{}.", of(61)).parse::<DnsName>().is_ok() && of(62).parse::<DnsName>().is_err());
        // Punycode counts as it is on the wire.
        assert!("例".repeat(20).parse::<DnsName>().is_ok() && "例".repeat(63).parse::<DnsName>().is_err());
    }
    #[test]
    fn a_zone_holds_itself_and_what_is_below() {
        let zone = name("example.com");
        for (text, within) in [("example.com", true), ("a.example.com", true), ("*.b.example.com", true), ("badexample.com", false), ("com", false), (r"a\056example.com", false)] {
            assert_eq!(name(text).is_within(&zone), within, "{text}");
        }
        assert!(zone.is_within(&name(".")) && name(".").is_root());
    }
    #[test]
    fn only_a_whole_first_label_is_a_wildcard() {
        for (text, is) in [("*.a.b", true), ("*", true), (r"\052.a", true), ("a.*.b", false), ("*a.b", false), ("**.b", false)] {
            assert_eq!(name(text).is_wildcard(), is, "{text}");
        }
    }
    proptest! {
        #[test]
        fn canonical_text_is_its_own_canonical_form(labels in vec(vec(any::<u8>(), 1..20), 1..8)) {
            let text = labels.iter().map(|l| l.iter().map(|o| format!("\\{o:03o}")).collect::<String>()).collect::<Vec<_>>().join(".");
            let read = name(&text);
            prop_assert_eq!(&name(read.as_str()), &read);
            prop_assert_eq!(&name(&format!("{read}.")), &read);
            prop_assert_eq!(&name(&read.as_str().to_ascii_uppercase()), &read);
            prop_assert_eq!(read.labels().count(), labels.len());
            prop_assert!(read.as_str().bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()));
            let json = serde_json::to_string(&read).unwrap();
            prop_assert_eq!(serde_json::from_str::<DnsName>(&json).unwrap(), read);
        }
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            if let Ok(read) = text.parse::<DnsName>() {
                prop_assert_eq!(&name(read.as_str()), &read);
            }
        }
        #[test]
        fn unicode_and_punycode_are_one_name(label in "[a-zäöüé]{1,10}") {
            let read = name(&format!("{label}.example"));
            prop_assert_eq!(name(&idna::domain_to_ascii(&format!("{label}.example")).unwrap()), read);
        }
    }
}
