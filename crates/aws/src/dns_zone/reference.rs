//! What our zones are made with: owner and uid as the CallerReference.
//!
//! It is what makes a repeated create be refused, and it can never be changed, so it says for as long as the zone lives whose it is
//! (<https://docs.aws.amazon.com/Route53/latest/APIReference/API_HostedZone.html>).

use std::fmt;
use welkin_core::{Error, Owner, Result, Uid};

/// Nobody else's begin so.
const PREFIX: &str = "welkin:";
/// <https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateHostedZone.html>
const MAX: usize = 128;

/// Whose a zone is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) owner: Owner,
    pub(super) uid: Uid,
}
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}:{}", self.owner, self.uid)
    }
}
impl Reference {
    /// None where no Welkin made it.
    pub(super) fn of(text: &str) -> Option<Self> {
        let (owner, uid) = text.strip_prefix(PREFIX)?.split_once(':')?;
        Some(Self { owner: owner.parse().ok()?, uid: uid.parse().ok()? })
    }
    /// As it is sent.
    pub(super) fn text(&self) -> Result<String> {
        let text = self.to_string();
        // An owner has at most 63 characters, and the engine's uids have half of what they may have.
        if text.len() > MAX { Err(Error::internal(format!("{text} is longer than a CallerReference can be"))) } else { Ok(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_comes_back_and_no_others_is_read_as_ours() {
        let ours = Reference { owner: "me".parse().unwrap(), uid: "0123456789abcdef".parse().unwrap() };
        assert_eq!(Reference::of(&ours.text().unwrap()), Some(ours));
        for theirs in ["", "1560", "terraform-20201008130027248200000001", "82155185-1D01-4ED0-8F5E-490E8715D384", "welkin:", "welkin:me", "welkin:me:U", "me:0123456789abcdef"] {
            assert_eq!(Reference::of(theirs), None, "{theirs}");
        }
        let long = Reference { owner: "o".repeat(63).parse().unwrap(), uid: "u".repeat(64).parse().unwrap() };
        assert!(long.text().is_err());
        let longest = Reference { uid: "u".repeat(57).parse().unwrap(), ..long };
        assert_eq!(longest.text().unwrap().len(), MAX);
    }
}
