//! The domain name system: names as every cloud means them.

mod name;

pub use name::DnsName;
