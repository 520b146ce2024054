//! Sealing of what may hold secrets, so that a copy of the store alone tells nothing.

use chacha20poly1305::{
    Key, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use std::fmt;
use welkin_core::{Error, ErrorKind, Reason, Result};

/// The length of a nonce; random ones of this length do not repeat (draft-irtf-cfrg-xchacha, section 2.1).
const NONCE: usize = 24;

/// A key of 256 bits.
pub(super) struct Seal(XChaCha20Poly1305);
impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(..)")
    }
}
impl Seal {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(&Key::from(*key)))
    }
    /// `place` binds the sealed text to its row: moved to another one it does not open.
    pub(super) fn seal(&self, place: &str, text: &str) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE] = random()?;
        let sealed = self.0.encrypt(&XNonce::from(nonce), Payload { msg: text.as_bytes(), aad: place.as_bytes() }).map_err(|_| Error::internal("sealing failed"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }
    pub(super) fn open(&self, place: &str, sealed: &[u8]) -> Result<String> {
        let unreadable = || Error::new(ErrorKind::DataLoss, Reason::Store, format!("the sealed part of {place} does not open: the key is another one, or the store is damaged"));
        let (nonce, body) = sealed.split_first_chunk::<NONCE>().ok_or_else(unreadable)?;
        let open = self.0.decrypt(&XNonce::from(*nonce), Payload { msg: body, aad: place.as_bytes() }).map_err(|_| unreadable())?;
        String::from_utf8(open).map_err(|_| unreadable())
    }
}

/// Random bytes of the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| Error::internal(format!("no random numbers: {e}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_its_key_and_in_its_place() {
        let seal = Seal::new(&[7; 32]);
        let sealed = seal.seal("row-1", "secret text").unwrap();
        assert!(!sealed.windows(6).any(|w| w == b"secret"));
        assert_eq!(seal.open("row-1", &sealed).unwrap(), "secret text");
        assert!(seal.open("row-2", &sealed).is_err());
        assert!(Seal::new(&[8; 32]).open("row-1", &sealed).is_err());
        assert!(seal.open("row-1", &sealed[..10]).is_err());
    }
}
