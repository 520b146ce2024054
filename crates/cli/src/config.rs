//! `welkin.toml`: which clouds there are. Whatever is wrong is told with its line; values are not repeated, because they may be secrets.

use crate::registry::{self, Configured};
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, IgnoredAny, IntoDeserializer as _, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    path::{Path, PathBuf},
};
use toml::Spanned;
use welkin::Owner;

/// What is served where nothing is configured: one simulated cloud.
pub(crate) const WITHOUT_FILE: &str = "[clouds.sim]\nprovider = \"sim\"\n";

/// The keys of a cloud's table that are ours; all others are its provider's.
const OURS: [&str; 2] = ["provider", "owner"];

/// What the server is configured with.
#[derive(Debug)]
pub(crate) struct Config {
    /// Sorted by name.
    pub(crate) clouds: Vec<Cloud>,
    /// The key that seals the store's secrets, where it is not in the data folder.
    pub(crate) key_file: Option<PathBuf>,
    /// The share of a zone's record sets that one request may remove without saying how many, where it is not the engine's default.
    pub(crate) most_deleted_percent: Option<u32>,
}

/// One `[clouds.NAME]`.
#[derive(Debug)]
pub(crate) struct Cloud {
    pub(crate) name: String,
    pub(crate) provider: String,
    pub(crate) owner: Option<Owner>,
    pub(crate) configured: Box<dyn Configured>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outline {
    #[serde(default)]
    clouds: BTreeMap<String, CloudOutline>,
    key_file: Option<PathBuf>,
    most_deleted_percent: Option<Spanned<u32>>,
}
#[derive(Deserialize)]
struct CloudOutline {
    provider: Spanned<String>,
    owner: Option<Spanned<String>>,
}

/// Reads a configuration. `file` is what errors call it.
pub(crate) fn parse(text: &str, file: &Path) -> Result<Config, String> {
    let located = |e: toml::de::Error| at(text, file, e.span(), e.message());
    let outline: Outline = toml::from_str(text).map_err(located)?;
    if outline.clouds.is_empty() {
        return Err(format!("{}: no cloud is configured; a cloud is a table such as\n  [clouds.lab]\n  provider = \"sim\"", file.display()));
    }
    let mut clouds = Vec::new();
    for (name, cloud) in outline.clouds {
        let found = registry::find(cloud.provider.get_ref()).map_err(|why| at(text, file, Some(cloud.provider.span()), &why))?;
        let configured = found(text, &name).map_err(located)?;
        let owner = match cloud.owner {
            Some(owner) => Some(owner.get_ref().parse().map_err(|e: welkin::Error| at(text, file, Some(owner.span()), e.message()))?),
            None => None,
        };
        clouds.push(Cloud { name, provider: cloud.provider.into_inner(), owner, configured });
    }
    if let Some(percent) = outline.most_deleted_percent.as_ref().filter(|p| *p.get_ref() > 100) {
        return Err(at(text, file, Some(percent.span()), "most_deleted_percent is a share: 0 to 100"));
    }
    Ok(Config { clouds, key_file: outline.key_file, most_deleted_percent: outline.most_deleted_percent.map(Spanned::into_inner) })
}

/// `welkin.toml, line 3: what is wrong`
fn at(text: &str, file: &Path, span: Option<std::ops::Range<usize>>, what: &str) -> String {
    let line = span.and_then(|s| text.get(..s.start)).map(|before| format!(", line {}", before.matches('\n').count() + 1));
    format!("{}{}: {what}", file.display(), line.unwrap_or_default())
}

/// The provider's own part of a cloud's table, with the places of errors kept: so it is read out of the whole text.
pub(crate) fn provider_part<C: for<'de> Deserialize<'de>>(text: &str, cloud: &str) -> Result<C, toml::de::Error> {
    let own = InTable { key: cloud, then: Own(PhantomData) };
    let found = InTable { key: "clouds", then: own }.deserialize(toml::Deserializer::parse(text)?)?;
    found.flatten().ok_or_else(|| serde::de::Error::custom(format!("there is no table clouds.{cloud}")))
}

/// Goes into one key of a table.
struct InTable<'a, S> {
    key: &'a str,
    then: S,
}
impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for InTable<'_, S> {
    type Value = Option<S::Value>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_map(self)
    }
}
impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for InTable<'_, S> {
    type Value = Option<S::Value>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut then = Some(self.then);
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            match then.take_if(|_| key == self.key) {
                Some(seed) => found = Some(map.next_value_seed(seed)?),
                None => map.next_value::<IgnoredAny>().map(|_| ())?,
            }
        }
        Ok(found)
    }
}

/// Reads a provider's configuration from a cloud's table without our keys.
struct Own<C>(PhantomData<C>);
impl<'de, C: Deserialize<'de>> DeserializeSeed<'de> for Own<C> {
    type Value = C;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<C, D::Error> {
        d.deserialize_map(self)
    }
}
impl<'de, C: Deserialize<'de>> Visitor<'de> for Own<C> {
    type Value = C;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cloud's table")
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<C, A::Error> {
        C::deserialize(MapAccessDeserializer::new(WithoutOurs(map)))
    }
}

struct WithoutOurs<A>(A);
impl<'de, A: MapAccess<'de>> MapAccess<'de> for WithoutOurs<A> {
    type Error = A::Error;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let mut seed = Some(seed);
        // The provider's refusal of a key has to come out of the inner call, which knows where the key stands.
        while let Some(key) = self.0.next_key_seed(TheirKey(&mut seed))? {
            if key.is_some() {
                return Ok(key);
            }
            self.0.next_value::<IgnoredAny>()?;
        }
        Ok(None)
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.0.next_value_seed(seed)
    }
}
/// A key that is the provider's; None for one of ours.
struct TheirKey<'a, K>(&'a mut Option<K>);
impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for TheirKey<'_, K> {
    type Value = Option<K::Value>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        let key = String::deserialize(d)?;
        match self.0.take_if(|_| !OURS.contains(&key.as_str())) {
            Some(seed) => seed.deserialize(key.into_deserializer()).map(Some),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
#[cfg(feature = "sim")]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text, Path::new("welkin.toml")).unwrap_err()
    }
    #[test]
    fn without_a_file_there_is_one_simulated_cloud() {
        let config = parse(WITHOUT_FILE, Path::new("the default")).unwrap();
        assert_eq!(config.clouds.iter().map(|c| (c.name.as_str(), c.provider.as_str())).collect::<Vec<_>>(), [("sim", "sim")]);
    }
    #[test]
    fn a_provider_gets_its_own_keys() {
        let text =
            "[clouds.lab]\nseed = 7\nprovider = \"sim\"\nowner = \"team-a\"\nregions = [\"r-1\"]\n[clouds.lab.faults]\nrefuse_rate = 0.5\n[clouds.other]\nprovider = \"sim\"\n";
        let part: welkin::sim::Config = provider_part(text, "lab").unwrap();
        assert_eq!((part.seed, part.regions, part.faults.refuse_rate), (7, vec!["r-1".to_owned()], 0.5));
        let config = parse(&format!("most_deleted_percent = 5\n{text}"), Path::new("welkin.toml")).unwrap();
        assert_eq!(config.most_deleted_percent, Some(5));
        assert_eq!(config.clouds[0].owner.as_ref().map(Owner::as_str), Some("team-a"));
        assert_eq!(config.clouds.len(), 2);
    }
    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        for (text, line, key) in [
            ("[cloud.lab]\nprovider = \"sim\"\n", "line 1", "`cloud`"),
            ("# one\n[clouds.lab]\nprovider = \"sim\"\nsede = 1\n", "line 4", "`sede`"),
            ("[clouds.a]\nprovider = \"sim\"\n[clouds.b]\nprovider = \"sim\"\n[clouds.b.faults]\nrate = 1.0\n", "line 6", "`rate`"),
        ] {
            let why = refused(text);
            assert!(why.starts_with("welkin.toml, ") && why.contains(line) && why.contains(key), "{why}");
        }
    }
    #[test]
    fn other_mistakes_are_told_with_their_line_too() {
        for (text, line, word) in [
            ("[clouds.lab]\nprovider = \"sim\"\nseed = \"x\"\n", "line 3", "expected"),
            ("[clouds.lab]\nseed = 1\n", "line 1", "provider"),
            ("[clouds.lab]\nprovider = \"simm\"\n", "line 2", "sim"),
            ("[clouds.lab]\nprovider = \"sim\"\nowner = \"Team A\"\n", "line 3", "owner"),
            ("most_deleted_percent = 101\n[clouds.lab]\nprovider = \"sim\"\n", "line 1", "most_deleted_percent"),
            ("[clouds.lab\n", "line 1", ""),
        ] {
            let why = refused(text);
            assert!(why.contains(line) && why.contains(word), "{why}");
        }
        assert!(refused("").contains("no cloud is configured"));
    }
    #[test]
    #[cfg(not(feature = "aws"))]
    fn a_provider_that_is_not_built_in_says_which_feature_to_add() {
        let why = refused("[clouds.prod]\nprovider = \"aws\"\nregions = [\"eu-west-1\"]\n");
        assert!(why.contains("line 2") && why.contains("--features aws"), "{why}");
    }
    #[test]
    #[cfg(feature = "aws")]
    fn a_secret_is_not_repeated() {
        let why = refused("[clouds.prod]\nprovider = \"aws\"\nregions = [\"eu-west-1\"]\nsecret_acess_key = \"hush\"\n");
        assert!(why.contains("line 4") && why.contains("secret_acess_key") && !why.contains("hush"), "{why}");
    }
}
