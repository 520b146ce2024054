//! What records say, each type in one canonical text: that of Route 53's values, with names as [`DnsName`] writes them.
//! <https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html>

use super::{DnsName, escape, write_octet};
use crate::{Error, ErrorKind, Reason, Violation};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fmt::{self, Display, Write as _},
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// RFC 1035, 3.3: a character string.
const MAX_STRING: usize = 255;
/// RFC 1035, 3.2.1: what a record says has 16 bits of length.
const MAX_DATA: usize = u16::MAX as usize;

/// The types of record that can be managed. SOA is the vendor's own, and DNSSEC is not for records of anybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// Another name of the same thing.
    Cname,
    /// Text.
    Txt,
    /// Where a service is.
    Srv,
    /// Who answers for what is below.
    Ns,
    /// The name of an address.
    Ptr,
    /// Who takes mail.
    Mx,
    /// Who may issue certificates.
    Caa,
    /// How to go on from a name.
    Naptr,
}
impl RecordType {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::A, Self::Aaaa, Self::Cname, Self::Txt, Self::Srv, Self::Ns, Self::Ptr, Self::Mx, Self::Caa, Self::Naptr];
    /// Its mnemonic.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Txt => "TXT",
            Self::Srv => "SRV",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Mx => "MX",
            Self::Caa => "CAA",
            Self::Naptr => "NAPTR",
        }
    }
    /// Why records of both types cannot be at one name. A CNAME is alone there (RFC 1034, 3.6.2), and NS records, which nobody but the cloud has where a
    /// zone begins, hand the name on: of what else is there only addresses are answered, as glue (RFC 1034, 4.2.1; DS, which RFC 4035, 2.4 adds, is not offered).
    #[must_use]
    pub fn clash(self, other: Self) -> Option<&'static str> {
        match (self, other) {
            (one, another) if one == another => None,
            (Self::Cname, _) | (_, Self::Cname) => Some("a CNAME is alone at its name"),
            (Self::Ns, Self::A | Self::Aaaa) | (Self::A | Self::Aaaa, Self::Ns) => None,
            (Self::Ns, _) | (_, Self::Ns) => Some("beside NS records, which hand the name on, nothing but addresses is answered"),
            _ => None,
        }
    }
    /// Why there can be no records of this type at `name` in a zone that begins at `zone`, whatever else is there.
    #[must_use]
    pub fn misplaced(self, name: &DnsName, zone: &DnsName) -> Option<String> {
        let is_apex = name == zone;
        match self {
            _ if !name.is_within(zone) => Some(format!("{name} is not in the zone {zone}")),
            Self::Cname if is_apex => Some(format!("{name} is where the zone begins: a CNAME cannot be beside its SOA and NS records")),
            Self::Ns if is_apex => Some(format!("the name servers of {name} itself are the cloud's own")),
            Self::Ns if name.is_wildcard() => Some(format!("{name} is a wildcard, which cannot be delegated")),
            _ => None,
        }
    }
}
impl Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl FromStr for RecordType {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let known = || Self::ALL.iter().map(|t| t.as_str()).collect::<Vec<_>>().join(", ");
        Self::ALL.iter().copied().find(|t| t.as_str() == text).ok_or_else(|| bad(format!("{text:?} is not a type of record that can be managed; those are {}", known())))
    }
}

/// What one record says.
///
/// ```
/// use welkin_core::{RecordData, RecordType};
/// assert_eq!(RecordData::parse(RecordType::Mx, "10 Mail.Example.com.")?.to_string(), "10 mail.example.com");
/// assert_eq!(RecordData::parse(RecordType::Txt, "v=spf1 -all")?.to_string(), r#""v=spf1 -all""#);
/// # Ok::<(), welkin_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordData {
    /// `192.0.2.1`
    A(Ipv4Addr),
    /// `2001:db8::1`
    Aaaa(Ipv6Addr),
    /// `www.example.com`
    Cname(DnsName),
    /// `"one string" "another"`, each of at most 255 octets.
    Txt(Vec<Vec<u8>>),
    /// `10 60 5060 sip.example.com`
    Srv {
        /// The lowest is asked first.
        priority: u16,
        /// The share among those of one priority.
        weight: u16,
        /// Where it listens.
        port: u16,
        /// Who; the root where there is no such service.
        target: DnsName,
    },
    /// `ns1.example.com`
    Ns(DnsName),
    /// `host.example.com`
    Ptr(DnsName),
    /// `10 mail.example.com`
    Mx {
        /// The lowest is asked first.
        preference: u16,
        /// Who; the root where no mail is taken (RFC 7505).
        exchange: DnsName,
    },
    /// `0 issue "ca.example.net"`
    Caa {
        /// 128 is critical.
        flags: u8,
        /// In lower case, because it is compared so (RFC 8659, 4.1).
        tag: String,
        /// Octets.
        value: Vec<u8>,
    },
    /// `100 50 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .`
    Naptr {
        /// The lowest is taken first.
        order: u16,
        /// The same among those of one order.
        preference: u16,
        /// Letters and digits.
        flags: Vec<u8>,
        /// Protocol and service.
        services: Vec<u8>,
        /// What the name is rewritten by.
        regexp: Vec<u8>,
        /// Or what stands for it.
        replacement: DnsName,
    },
}

fn bad(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, Reason::InvalidField, why)
}

impl RecordData {
    /// Reads a value as a caller or a vendor writes it. Text without quotation marks is one text as it stands; what is longer than a string may be is
    /// split, never cut. Between quotation marks a backslash escapes: `\"`, `\\`, and `\ooo` with three octal digits.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no value of this type.
    pub fn parse(of: RecordType, text: &str) -> Result<Self, Error> {
        let wrong = |why: String| bad(format!("{text:?} is not a value of type {of}: {why}"));
        let mut rest = Words(text.trim());
        let data = match of {
            RecordType::Txt => Self::Txt(strings(text).map_err(wrong)?),
            RecordType::A => Self::A(rest.parsed("an IPv4 address").map_err(wrong)?),
            RecordType::Aaaa => Self::Aaaa(rest.parsed("an IPv6 address").map_err(wrong)?),
            RecordType::Cname => Self::Cname(rest.name().map_err(wrong)?),
            RecordType::Ns => Self::Ns(rest.name().map_err(wrong)?),
            RecordType::Ptr => Self::Ptr(rest.name().map_err(wrong)?),
            RecordType::Mx => Self::Mx { preference: rest.number().map_err(wrong)?, exchange: rest.name().map_err(wrong)? },
            RecordType::Srv => Self::Srv {
                priority: rest.number().map_err(wrong)?,
                weight: rest.number().map_err(wrong)?,
                port: rest.number().map_err(wrong)?,
                target: rest.name().map_err(wrong)?,
            },
            RecordType::Caa => {
                let flags = rest.parsed("a number up to 255").map_err(wrong)?;
                let tag = rest.word().to_ascii_lowercase();
                if tag.is_empty() || tag.len() > MAX_STRING || !tag.bytes().all(|b| b.is_ascii_alphanumeric()) {
                    return Err(wrong("the tag needs letters and digits".into()));
                }
                // Its length is what the record leaves.
                Self::Caa { flags, tag, value: rest.string(MAX_DATA).map_err(wrong)? }
            }
            RecordType::Naptr => Self::Naptr {
                order: rest.number().map_err(wrong)?,
                preference: rest.number().map_err(wrong)?,
                flags: rest.string(MAX_STRING).map_err(wrong)?,
                services: rest.string(MAX_STRING).map_err(wrong)?,
                regexp: rest.string(MAX_STRING).map_err(wrong)?,
                replacement: rest.name().map_err(wrong)?,
            },
        };
        if of != RecordType::Txt && !rest.0.is_empty() {
            return Err(wrong(format!("{:?} is too much", rest.0)));
        }
        let length = data.octets();
        if length > MAX_DATA { Err(wrong(format!("it has {length} octets, and at most {MAX_DATA} are possible"))) } else { Ok(data) }
    }
    /// Its type.
    #[must_use]
    pub fn record_type(&self) -> RecordType {
        match self {
            Self::A(_) => RecordType::A,
            Self::Aaaa(_) => RecordType::Aaaa,
            Self::Cname(_) => RecordType::Cname,
            Self::Txt(_) => RecordType::Txt,
            Self::Srv { .. } => RecordType::Srv,
            Self::Ns(_) => RecordType::Ns,
            Self::Ptr(_) => RecordType::Ptr,
            Self::Mx { .. } => RecordType::Mx,
            Self::Caa { .. } => RecordType::Caa,
            Self::Naptr { .. } => RecordType::Naptr,
        }
    }
    /// How long what can become too long is on the wire; of the rest nothing can.
    fn octets(&self) -> usize {
        match self {
            Self::Txt(strings) => strings.iter().map(|s| s.len() + 1).sum(),
            Self::Caa { tag, value, .. } => 2 + tag.len() + value.len(),
            _ => 0,
        }
    }
    /// What is wrong with the values of one record set, whose list is the field `field`.
    #[must_use]
    pub fn violations(of: RecordType, values: &[Self], field: &str) -> Vec<Violation> {
        let mut out = Vec::new();
        if values.is_empty() {
            out.push(Violation::new(field, "a record set says something: give at least one value"));
        }
        if of == RecordType::Cname && values.len() > 1 {
            out.push(Violation::new(field, format!("a name is another name of one thing: one value, got {}", values.len())));
        }
        let mut seen = BTreeSet::new();
        for (i, value) in values.iter().enumerate() {
            if value.record_type() != of {
                out.push(Violation::new(format!("{field}[{i}]"), format!("{value} is of type {}, not {of}", value.record_type())));
            } else if !seen.insert(value) {
                out.push(Violation::new(format!("{field}[{i}]"), format!("{value} is there twice")));
            }
        }
        out
    }
}

/// What is left of a value.
struct Words<'a>(&'a str);
impl<'a> Words<'a> {
    fn word(&mut self) -> &'a str {
        let (word, rest) = self.0.split_once(char::is_whitespace).unwrap_or((self.0, ""));
        self.0 = rest.trim_start();
        word
    }
    fn parsed<T: FromStr>(&mut self, form: &str) -> Result<T, String> {
        let word = self.word();
        word.parse().map_err(|_| format!("{word:?} is not {form}"))
    }
    fn number(&mut self) -> Result<u16, String> {
        self.parsed("a number up to 65535")
    }
    fn name(&mut self) -> Result<DnsName, String> {
        self.word().parse().map_err(|e: Error| e.message().to_owned())
    }
    /// A word, or whatever stands between quotation marks.
    fn string(&mut self, most: usize) -> Result<Vec<u8>, String> {
        let octets = if let Some(quoted) = self.0.strip_prefix('"') {
            let (octets, rest) = unquoted(quoted)?;
            self.0 = rest.trim_start();
            octets
        } else {
            match self.word() {
                "" => return Err("a text is missing".into()),
                word => word.as_bytes().to_vec(),
            }
        };
        if octets.len() > most { Err(format!("a text has at most {most} octets, and one has {}", octets.len())) } else { Ok(octets) }
    }
}
/// What stands before the next quotation mark, and what follows it.
fn unquoted(text: &str) -> Result<(Vec<u8>, &str), String> {
    let (mut octets, mut chars) = (Vec::new(), text.chars());
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok((octets, chars.as_str())),
            '\\' => octets.push(escape(&mut chars)?),
            c => octets.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err("a quotation mark is not closed".into())
}
fn strings(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut whole = Vec::new();
    if text.trim_start().starts_with('"') {
        let mut rest = text.trim();
        while !rest.is_empty() {
            let quoted = rest.strip_prefix('"').ok_or("what follows a text in quotation marks needs them too")?;
            let (octets, after) = unquoted(quoted)?;
            whole.push(octets);
            rest = after.trim_start();
        }
    } else if text.is_empty() {
        return Err("an empty text is written \"\"".into());
    } else {
        whole.push(text.as_bytes().to_vec());
    }
    let split = |s: Vec<u8>| if s.len() <= MAX_STRING { vec![s] } else { s.chunks(MAX_STRING).map(<[u8]>::to_vec).collect() };
    Ok(whole.into_iter().flat_map(split).collect())
}

/// Octets between quotation marks.
struct Quoted<'a>(&'a [u8]);
impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for octet in self.0 {
            match octet {
                b'"' | b'\\' => write!(f, "\\{}", char::from(*octet))?,
                b' ' => f.write_char(' ')?,
                octet => write_octet(f, *octet)?,
            }
        }
        f.write_char('"')
    }
}
impl Display for RecordData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(ip) => ip.fmt(f),
            Self::Aaaa(ip) => ip.fmt(f),
            Self::Cname(name) | Self::Ns(name) | Self::Ptr(name) => name.fmt(f),
            Self::Txt(strings) => strings.iter().enumerate().try_for_each(|(i, s)| write!(f, "{}{}", if i > 0 { " " } else { "" }, Quoted(s))),
            Self::Srv { priority, weight, port, target } => write!(f, "{priority} {weight} {port} {target}"),
            Self::Mx { preference, exchange } => write!(f, "{preference} {exchange}"),
            Self::Caa { flags, tag, value } => write!(f, "{flags} {tag} {}", Quoted(value)),
            Self::Naptr { order, preference, flags, services, regexp, replacement } => {
                write!(f, "{order} {preference} {} {} {} {replacement}", Quoted(flags), Quoted(services), Quoted(regexp))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn canonical(of: RecordType, text: &str) -> String {
        RecordData::parse(of, text).unwrap().to_string()
    }

    #[test]
    fn one_value_has_one_text() {
        use RecordType as T;
        for (of, written, wanted) in [
            (T::A, "192.0.2.1", "192.0.2.1"),
            (T::Aaaa, "2001:0DB8:0::1", "2001:db8::1"),
            (T::Cname, "Www.Example.com.", "www.example.com"),
            (T::Ns, "ns1.example.com.", "ns1.example.com"),
            (T::Ptr, r"\052.example.com", "*.example.com"),
            (T::Mx, "010   Mail.example.com.", "10 mail.example.com"),
            (T::Mx, "0 .", "0 ."),
            (T::Srv, "10 60 5060 SIP.example.com.", "10 60 5060 sip.example.com"),
            (T::Txt, "v=spf1 -all", r#""v=spf1 -all""#),
            (T::Txt, r#""a"  "b""#, r#""a" "b""#),
            (T::Txt, r#""""#, r#""""#),
            (T::Txt, r#""say \"hi\" \\ \040\303\274 ü.""#, r#""say \"hi\" \\  \303\274 \303\274.""#),
            (T::Txt, r"a\b", r#""a\\b""#),
            (T::Caa, r#"0 Issue "ca.example.net; account=1""#, r#"0 issue "ca.example.net; account=1""#),
            (T::Caa, r#"128 iodef mailto:x"#, r#"128 iodef "mailto:x""#),
            (T::Naptr, r#"100 50 "u" "E2U+sip" "!^.*$!sip:i@e!" ."#, r#"100 50 "u" "E2U+sip" "!^.*$!sip:i@e!" ."#),
        ] {
            assert_eq!(canonical(of, written), wanted, "{written}");
            assert_eq!(canonical(of, wanted), wanted);
        }
    }
    #[test]
    fn what_is_no_value_is_refused() {
        use RecordType as T;
        for (of, text) in [
            (T::A, "192.0.2"),
            (T::A, "192.0.2.1 192.0.2.2"),
            (T::A, "::1"),
            (T::Aaaa, "192.0.2.1"),
            (T::Cname, ""),
            (T::Cname, "a b"),
            (T::Mx, "mail.example.com"),
            (T::Mx, "65536 mail.example.com"),
            (T::Mx, "10 mail.example.com more"),
            (T::Srv, "1 2 mail.example.com"),
            (T::Txt, ""),
            (T::Txt, r#""open"#),
            (T::Txt, r#""a" b"#),
            (T::Txt, r#""\400""#),
            (T::Caa, r#"256 issue "x""#),
            (T::Caa, r#"0 is-sue "x""#),
            (T::Caa, "0 issue"),
            (T::Naptr, r#"1 2 "u" "s" ."#),
        ] {
            assert_eq!(RecordData::parse(of, text).unwrap_err().kind(), ErrorKind::InvalidArgument, "{of} {text}");
        }
        let long = "x".repeat(256);
        assert!(RecordData::parse(T::Naptr, &format!(r#"1 2 "{long}" "" "" ."#)).is_err());
        assert!(RecordData::parse(T::Txt, &"x".repeat(70_000)).is_err() && RecordData::parse(T::Caa, &format!("0 issue {}", "x".repeat(70_000))).is_err());
    }
    #[test]
    fn long_text_is_split_and_not_cut() {
        for text in ["x".repeat(600), format!("\"{}\"", "x".repeat(600))] {
            let RecordData::Txt(strings) = RecordData::parse(RecordType::Txt, &text).unwrap() else { panic!("not text") };
            assert_eq!(strings.iter().map(Vec::len).collect::<Vec<_>>(), [255, 255, 90]);
        }
    }
    #[test]
    fn types_have_their_places() {
        let name = |t: &str| t.parse::<DnsName>().unwrap();
        let zone = name("example.com");
        for (of, at, fits) in [
            (RecordType::A, "example.com", true),
            (RecordType::A, "*.example.com", true),
            (RecordType::A, "example.org", false),
            (RecordType::Cname, "www.example.com", true),
            (RecordType::Cname, "example.com", false),
            (RecordType::Ns, "example.com", false),
            (RecordType::Ns, "sub.example.com", true),
            (RecordType::Ns, "*.example.com", false),
            (RecordType::Txt, "example.com", true),
        ] {
            assert_eq!(of.misplaced(&name(at), &zone).is_none(), fits, "{of} {at}");
        }
        use RecordType as T;
        for (one, another, fits) in [
            (T::A, T::Txt, true),
            (T::Cname, T::Cname, true),
            (T::Cname, T::A, false),
            (T::Cname, T::Ns, false),
            (T::Ns, T::Ns, true),
            (T::Ns, T::A, true),
            (T::Ns, T::Aaaa, true),
            (T::Ns, T::Txt, false),
            (T::Ns, T::Mx, false),
        ] {
            assert_eq!((one.clash(another).is_none(), another.clash(one)), (fits, one.clash(another)), "{one} {another}");
        }
        assert!("SOA".parse::<RecordType>().is_err() && RecordType::ALL.iter().all(|t| t.as_str().parse::<RecordType>().unwrap() == *t));
    }
    #[test]
    fn sets_name_what_is_wrong_in_them() {
        let a = |text| RecordData::parse(RecordType::A, text).unwrap();
        let fields = |of, values: &[RecordData]| RecordData::violations(of, values, "values").into_iter().map(|v| v.field).collect::<Vec<_>>();
        assert_eq!(fields(RecordType::A, &[a("192.0.2.1"), a("192.0.2.2")]), [""; 0]);
        assert_eq!(fields(RecordType::A, &[]), ["values"]);
        assert_eq!(fields(RecordType::A, &[a("192.0.2.1"), a("192.0.2.1")]), ["values[1]"]);
        assert_eq!(fields(RecordType::Txt, &[a("192.0.2.1")]), ["values[0]"]);
        let names = ["a.b", "c.d"].map(|t| RecordData::parse(RecordType::Cname, t).unwrap());
        assert_eq!(fields(RecordType::Cname, &names), ["values"]);
    }

    fn octets() -> impl Strategy<Value = Vec<u8>> {
        vec(any::<u8>(), 0..60)
    }
    fn name() -> impl Strategy<Value = DnsName> {
        "[a-z0-9_*/]{1,8}(\\.[a-z]{1,8}){0,3}".prop_map(|n| n.parse().unwrap())
    }
    fn data() -> impl Strategy<Value = RecordData> {
        prop_oneof![
            any::<Ipv4Addr>().prop_map(RecordData::A),
            any::<Ipv6Addr>().prop_map(RecordData::Aaaa),
            name().prop_map(RecordData::Cname),
            name().prop_map(RecordData::Ns),
            name().prop_map(RecordData::Ptr),
            vec(octets(), 1..4).prop_map(RecordData::Txt),
            (any::<u16>(), name()).prop_map(|(preference, exchange)| RecordData::Mx { preference, exchange }),
            (any::<[u16; 3]>(), name()).prop_map(|([priority, weight, port], target)| RecordData::Srv { priority, weight, port, target }),
            (any::<u8>(), "[a-z0-9]{1,15}", octets()).prop_map(|(flags, tag, value)| RecordData::Caa { flags, tag, value }),
            (any::<[u16; 2]>(), octets(), octets(), octets(), name()).prop_map(|([order, preference], flags, services, regexp, replacement)| RecordData::Naptr {
                order,
                preference,
                flags,
                services,
                regexp,
                replacement
            }),
        ]
    }
    proptest! {
        #[test]
        fn what_is_written_is_read_again(data in data()) {
            let text = data.to_string();
            prop_assert!(text.bytes().all(|b| b.is_ascii_graphic() || b == b' '));
            prop_assert_eq!(RecordData::parse(data.record_type(), &text).unwrap(), data);
        }
        #[test]
        fn any_text_is_read_or_refused(of in 0..RecordType::ALL.len(), text in "\\PC{0,40}") {
            let of = RecordType::ALL[of];
            if let Ok(data) = RecordData::parse(of, &text) {
                prop_assert_eq!(RecordData::parse(of, &data.to_string()).unwrap(), data);
            }
        }
        #[test]
        fn text_without_quotation_marks_is_kept_whole(text in "[^\"\\s]\\PC{0,400}") {
            let RecordData::Txt(strings) = RecordData::parse(RecordType::Txt, &text).unwrap() else { panic!("not text") };
            prop_assert_eq!(strings.concat(), text.as_bytes());
        }
    }
}
