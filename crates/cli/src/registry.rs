//! The providers: the only place that names them. A new one is an entry here, a feature and a re-export.

use async_trait::async_trait;
use std::{fmt::Debug, path::Path, sync::Arc};
use welkin::{CloudProvider, Result};

/// A cloud's configuration, read and not opened yet.
#[async_trait]
pub(crate) trait Configured: Debug + Send {
    /// The regions in which anybody can try something without a bill or a trace: none of a real cloud.
    fn regions_to_try(&self) -> Vec<String>;
    /// Opens the cloud. What it keeps itself goes into `folder`, which is its own and need not exist.
    async fn open(self: Box<Self>, folder: &Path) -> Result<Arc<dyn CloudProvider>>;
}

/// Reads the table of one cloud out of a configuration's text.
pub(crate) type Parse = fn(text: &str, cloud: &str) -> std::result::Result<Box<dyn Configured>, toml::de::Error>;

struct Provider {
    /// As in `provider = "aws"`, and the feature that builds it in.
    name: &'static str,
    parse: Option<Parse>,
}

/// Every provider that there is, built in or not.
const PROVIDERS: &[Provider] = &[Provider { name: "sim", parse: sim::PARSE }, Provider { name: "aws", parse: aws::PARSE }];

/// The provider of this name.
pub(crate) fn find(name: &str) -> std::result::Result<Parse, String> {
    let known = || PROVIDERS.iter().map(|p| p.name).collect::<Vec<_>>().join(", ");
    let provider = PROVIDERS.iter().find(|p| p.name == name).ok_or_else(|| format!("there is no provider {name:?}; the providers are {}", known()))?;
    provider.parse.ok_or_else(|| format!("the provider {name:?} is not built in: build welkin with `--features {name}`"))
}

/// Gives a provider's module what [`PROVIDERS`] needs of it.
macro_rules! built_in {
    ($config:ty) => {
        pub(super) const PARSE: Option<super::Parse> = Some(|text, cloud| Ok(Box::new(crate::config::provider_part::<$config>(text, cloud)?)));
    };
}
macro_rules! not_built_in {
    ($($feature:literal $module:ident),*) => {
        $(#[cfg(not(feature = $feature))]
        mod $module {
            pub(super) const PARSE: Option<super::Parse> = None;
        })*
    };
}
not_built_in!("sim" sim, "aws" aws);

#[cfg(feature = "sim")]
mod sim {
    use super::*;
    use welkin::sim::{Config, Sim};

    built_in!(Config);

    #[async_trait]
    impl Configured for Config {
        fn regions_to_try(&self) -> Vec<String> {
            self.regions.clone()
        }
        async fn open(self: Box<Self>, folder: &Path) -> Result<Arc<dyn CloudProvider>> {
            Ok(Sim::open(*self, Some(folder))?)
        }
    }
}

#[cfg(feature = "aws")]
mod aws {
    use super::*;
    use welkin::aws::{Aws, AwsConfig};

    built_in!(AwsConfig);

    #[async_trait]
    impl Configured for AwsConfig {
        fn regions_to_try(&self) -> Vec<String> {
            Vec::new()
        }
        async fn open(self: Box<Self>, _: &Path) -> Result<Arc<dyn CloudProvider>> {
            Ok(Arc::new(Aws::connect(&self).await?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_provider_lists_the_known_ones() {
        assert!(find("gpc").unwrap_err().contains("sim, aws"));
    }
    #[test]
    fn what_is_built_in_is_found() {
        assert_eq!((find("sim").is_ok(), find("aws").is_ok()), (cfg!(feature = "sim"), cfg!(feature = "aws")));
    }
}
