//! How fields, kinds and collections are spelled on the command line.

/// `machineTypes`, `machine_types` and `MachineTypes` as `machine-types`.
pub(crate) fn kebab(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    for c in text.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
        out.push(if c == '_' { '-' } else { c.to_ascii_lowercase() });
    }
    out
}

/// `MachineType` as `machine_type`.
pub(crate) fn snake(text: &str) -> String {
    kebab(text).replace('-', "_")
}

/// `effective_private_ips` as `Effective private IPs`: how people write it.
pub(crate) fn label(field: &str) -> String {
    let words = field.split('_').enumerate().map(|(i, word)| match WRITTEN.iter().find(|(spelled, _)| *spelled == word) {
        Some((_, written)) => (*written).to_owned(),
        None if i == 0 => capitalised(word),
        None => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}
/// Words that are not written as they are spelled in fields.
const WRITTEN: &[(&str, &str)] = &[
    ("id", "ID"),
    ("uid", "UID"),
    ("ip", "IP"),
    ("ips", "IPs"),
    ("ipv4", "IPv4"),
    ("ipv6", "IPv6"),
    ("cidr", "CIDR"),
    ("cidrs", "CIDRs"),
    ("gib", "GiB"),
    ("mib", "MiB"),
    ("iops", "IOPS"),
    ("ssh", "SSH"),
    ("vcpus", "vCPUs"),
    ("gpus", "GPUs"),
];

/// `start` as `Start`.
pub(crate) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

/// One of what `plural` says: `private-ips` as `private-ip`, `addresses` as `address`, `policies` as `policy`.
pub(crate) fn singular(plural: &str) -> String {
    if let Some(stem) = plural.strip_suffix("ies") {
        return format!("{stem}y");
    }
    let hissing = ["sses", "shes", "ches", "xes"].iter().any(|end| plural.ends_with(end));
    plural.strip_suffix(if hissing { "es" } else { "s" }).unwrap_or(plural).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for (from, to) in [("machineTypes", "machine-types"), ("root_disk", "root-disk"), ("Instance", "instance"), ("LoadBalancer", "load-balancer")] {
            assert_eq!(kebab(from), to);
        }
        for (from, to) in
            [("cidrs", "cidr"), ("private-ips", "private-ip"), ("addresses", "address"), ("policies", "policy"), ("prefixes", "prefix"), ("labels", "label"), ("mesh", "mesh")]
        {
            assert_eq!(singular(from), to);
        }
        for (from, to) in [("effective_private_ips", "Effective private IPs"), ("vcpus", "vCPUs"), ("uid", "UID"), ("machine_type", "Machine type")] {
            assert_eq!(label(from), to);
        }
        assert_eq!((snake("MachineType").as_str(), capitalised("start").as_str()), ("machine_type", "Start"));
    }
}
