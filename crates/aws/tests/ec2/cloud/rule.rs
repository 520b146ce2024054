//! Rules of the small EC2's groups: one for each peer of a permission.

use super::{Answer, Item, OK, Pairs, Refusal, Script, tags};

/// Where the peers of a permission stand, what each is called there, and here.
const PEERS: [(&str, &str, &str); 3] = [("IpRanges", "CidrIp", "cidr"), ("Ipv6Ranges", "CidrIpv6", "cidr6"), ("Groups", "GroupId", "peer")];

impl Script {
    /// All of them, or none: EC2 takes no two rules for the same traffic.
    pub(super) fn authorize(&mut self, action: &str, p: &Pairs) -> Answer {
        self.of(&p["GroupId"], "InvalidGroup.NotFound")?;
        let mut made = Vec::new();
        for n in (1..).take_while(|n| p.contains_key(&format!("IpPermissions.{n}.IpProtocol"))) {
            let at = |part: &str| p.get(&format!("IpPermissions.{n}.{part}")).cloned();
            for (list, member, key) in PEERS {
                for m in (1..).take_while(|m| at(&format!("{list}.{m}.{member}")).is_some()) {
                    let of = |part: &str| at(part).unwrap_or_default();
                    let is = [
                        ("group", p["GroupId"].clone()),
                        ("protocol", of("IpProtocol")),
                        ("from", of("FromPort")),
                        ("to", of("ToPort")),
                        (key, of(&format!("{list}.{m}.{member}"))),
                        ("egress", action.ends_with("Egress").to_string()),
                    ];
                    let is: Pairs = is.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
                    let same = |i: &Item| i.kind == "sgr" && is.iter().all(|(k, v)| i.is.get(k) == Some(v));
                    if self.items.iter().any(same) {
                        return Err(Refusal("InvalidPermission.Duplicate"));
                    }
                    let description = at(&format!("{list}.{m}.Description")).map(|d| ("description".to_owned(), d));
                    made.push(is.into_iter().chain(description).collect());
                }
            }
        }
        for is in made {
            self.make("sgr", is, tags(p, "security-group-rule"));
        }
        Ok(OK.into())
    }
}
