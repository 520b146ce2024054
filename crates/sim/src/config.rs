//! How the simulated cloud behaves. Without a word it is fast and faultless.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use welkin_core::{Error, ErrorKind, LocationId, Reason, Result};

/// The keys of `[clouds.x]` beside `provider = "sim"`.
///
/// ```
/// use welkin_sim::Config;
/// let config = Config { tag_lag_ms: 500, client_tokens: false, ..Config::default() };
/// assert!(config.horizon() > std::time::Duration::from_millis(500));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Ids and faults follow from it, so that a run can be repeated. Default 0.
    pub seed: u64,
    /// The regions, each with the zones `a`, `b` and `c`. Default `["sim-1"]`.
    pub regions: Vec<String>,
    /// How long a call takes, in milliseconds: half before its effect, half after it. Default 0.
    pub latency_ms: u64,
    /// How long a new instance, NAT gateway or load balancer is PENDING, in milliseconds; a start takes as long, and so do the first checks of a backend. Default 0.
    pub creation_time_ms: u64,
    /// How long a stop or the removal of an instance, a NAT gateway or a load balancer takes, in milliseconds; a backend drains as long. Default 0.
    pub transition_time_ms: u64,
    /// For how long reads do not show a new object at all, in milliseconds. Default 0.
    pub read_lag_ms: u64,
    /// For how long reads show a new object without its tags, and do not find it by them, in milliseconds. Default 0.
    pub tag_lag_ms: u64,
    /// At most this many objects a page, whatever is asked for. Default 1000.
    pub page_size: usize,
    /// How many objects a region may hold. Default: no limit.
    pub quotas: Quotas,
    /// The vendor's own limit of calls for each region. Default: none.
    pub throttle: Option<Throttle>,
    /// Machine types that a zone has no capacity for, as `["large", "sim-1b"]`. Default: none.
    pub out_of_capacity: Vec<(String, String)>,
    /// Does the vendor know an idempotency token for the creation of instances, disks and NAT gateways? For everything else it never does. Default true.
    pub client_tokens: bool,
    /// What goes wrong by chance.
    pub faults: FaultRates,
    /// After this long, in milliseconds, reads show every write. Default: the longest of the lags, the latency and a margin where there is a lag.
    pub consistency_horizon_ms: Option<u64>,
    /// Never looks before it writes again. For tests that prove that looking is needed; a duplicate is certain to happen sooner or later.
    pub unsafe_skip_look_up: bool,
}

/// How many objects a region may hold; what is not named has no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Networks.
    pub networks: Option<usize>,
    /// Subnets.
    pub subnets: Option<usize>,
    /// Security groups.
    pub security_groups: Option<usize>,
    /// Instances, whatever their state.
    pub instances: Option<usize>,
    /// Addresses, whatever they lead to.
    pub addresses: Option<usize>,
    /// Disks of their own.
    pub disks: Option<usize>,
    /// DNS zones, of the whole account.
    pub dns_zones: Option<usize>,
    /// NAT gateways.
    pub nat_gateways: Option<usize>,
    /// Route tables.
    pub route_tables: Option<usize>,
    /// Load balancers.
    pub load_balancers: Option<usize>,
    /// Instance groups.
    pub instance_groups: Option<usize>,
}

/// A token bucket: calls above it are refused.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// Calls a second that are always allowed.
    pub rate_per_s: f64,
    /// Calls that may come at once after a pause.
    pub burst: u32,
}

/// The chance, between 0 and 1, that a call goes wrong in some way. All are 0 by default.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultRates {
    /// A write happens, and its reply is lost.
    pub lose_reply_rate: f64,
    /// A write is lost before it happens, and its caller cannot tell.
    pub lose_request_rate: f64,
    /// A call is refused with a server error, and nothing happens.
    pub refuse_rate: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            regions: vec!["sim-1".into()],
            latency_ms: 0,
            creation_time_ms: 0,
            transition_time_ms: 0,
            read_lag_ms: 0,
            tag_lag_ms: 0,
            page_size: 1000,
            quotas: Quotas::default(),
            throttle: None,
            out_of_capacity: Vec::new(),
            client_tokens: true,
            faults: FaultRates::default(),
            consistency_horizon_ms: None,
            unsafe_skip_look_up: false,
        }
    }
}

/// What a read may be late beyond the lag itself: rounding, and the way of the reply.
const MARGIN_MS: u64 = 100;

impl Config {
    /// The zones of a region.
    #[must_use]
    pub fn zones(region: &str) -> [String; 3] {
        ["a", "b", "c"].map(|z| format!("{region}{z}"))
    }
    /// After this long, reads show every write.
    #[must_use]
    pub fn horizon(&self) -> Duration {
        let lag = self.read_lag_ms.max(self.tag_lag_ms);
        let default = if lag == 0 { 0 } else { lag.saturating_add(self.latency_ms).saturating_add(MARGIN_MS) };
        Duration::from_millis(self.consistency_horizon_ms.unwrap_or(default))
    }
    /// Refuses what cannot be simulated.
    ///
    /// # Errors
    /// `InvalidArgument`, reason CONFIGURATION, naming the key.
    pub fn check(&self) -> Result<()> {
        let bad = |key: &str, why: &str| Err(Error::new(ErrorKind::InvalidArgument, Reason::Configuration, format!("{key}: {why}")).with_field(key));
        if self.regions.is_empty() {
            return bad("regions", "a cloud needs at least one region");
        }
        let mut seen = BTreeMap::new();
        for (i, region) in self.regions.iter().enumerate() {
            if region == "global" || region.parse::<LocationId>().is_err() {
                return bad("regions", &format!("{region:?} cannot be a region: it needs 1 to 63 of a-z, 0-9 and '-', and is not \"global\""));
            }
            if seen.insert(region, i).is_some() {
                return bad("regions", &format!("{region:?} is there twice"));
            }
        }
        if self.page_size == 0 {
            return bad("page_size", "at least 1");
        }
        if let Some(t) = self.throttle
            && (!t.rate_per_s.is_finite() || t.rate_per_s <= 0.0 || t.burst == 0)
        {
            return bad("throttle", "rate_per_s must be above 0 and burst at least 1, else no call could ever pass");
        }
        let rates = [("lose_reply_rate", self.faults.lose_reply_rate), ("lose_request_rate", self.faults.lose_request_rate), ("refuse_rate", self.faults.refuse_rate)];
        for (key, rate) in rates {
            if !(0.0..=1.0).contains(&rate) {
                return bad(&format!("faults.{key}"), "a chance lies between 0 and 1");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_unknown_ones_refused() {
        let c: Config = toml::from_str(
            "seed = 1\nregions = ['r-1']\ntag_lag_ms = 5\nout_of_capacity = [['large', 'r-1b']]\n[faults]\nlose_reply_rate = 0.5\n[throttle]\nrate_per_s = 2.5\nburst = 3",
        )
        .unwrap();
        assert_eq!((c.seed, c.tag_lag_ms, c.faults.lose_reply_rate, c.throttle.unwrap().burst), (1, 5, 0.5, 3));
        assert!(c.check().is_ok());
        assert!(toml::from_str::<Config>("sede = 1").unwrap_err().to_string().contains("sede"));
    }
    #[test]
    fn nonsense_is_refused_by_key() {
        let d = Config::default;
        for (c, key) in [
            (Config { regions: vec![], ..d() }, "regions"),
            (Config { regions: vec!["A".into()], ..d() }, "regions"),
            (Config { page_size: 0, ..d() }, "page_size"),
            (Config { throttle: Some(Throttle { rate_per_s: 0.0, burst: 1 }), ..d() }, "throttle"),
            (Config { faults: FaultRates { refuse_rate: 1.5, ..Default::default() }, ..d() }, "faults.refuse_rate"),
        ] {
            assert_eq!(c.check().unwrap_err().violations()[0].field, key);
        }
    }
    #[test]
    fn without_lag_there_is_no_horizon() {
        assert_eq!(Config::default().horizon(), Duration::ZERO);
        assert_eq!(Config { tag_lag_ms: 400, latency_ms: 10, ..Config::default() }.horizon(), Duration::from_millis(510));
    }
}
