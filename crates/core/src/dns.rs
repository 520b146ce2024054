//! The domain name system: names and what records say, as every cloud means them.

mod batch;
mod change;
mod data;
mod id;
mod name;

pub use batch::{BatchSize, Batches};
pub use change::{ChangeMode, RecordChange, RecordChanges, RecordEdit, RecordOutcome, RecordOutcomes, RecordWork, RecordsThere};
pub use data::{RecordData, RecordType};
pub use id::RecordId;
pub use name::DnsName;

use std::{fmt, str::Chars};

/// The octet that stands behind a backslash: three octal digits, or a printable character as it is. RFC 1035's decimal escapes are not understood, because
/// the same text would stand for two octets.
fn escape(rest: &mut Chars<'_>) -> Result<u8, String> {
    let digits: String = rest.clone().take(3).collect();
    match digits.chars().next() {
        Some(d) if d.is_ascii_digit() => {
            let octet = Some(&digits).filter(|d| d.len() == 3).and_then(|d| u8::from_str_radix(d, 8).ok());
            rest.nth(2);
            octet.ok_or_else(|| "an escape is a backslash and three octal digits, up to \\377".into())
        }
        Some(c) if c.is_ascii_graphic() => {
            rest.next();
            Ok(c as u8)
        }
        _ => Err("nothing stands behind a backslash".into()),
    }
}
/// A printable octet as it is, and any other as [`escape`] reads it.
fn write_octet(out: &mut impl fmt::Write, octet: u8) -> fmt::Result {
    if octet.is_ascii_graphic() { out.write_char(char::from(octet)) } else { write!(out, "\\{octet:03o}") }
}
