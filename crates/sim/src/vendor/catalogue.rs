//! What is for sale, the same in every region.

use blake3::Hasher;

/// What a machine runs, or an image needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CpuType {
    X86,
    Arm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) name: &'static str,
    pub(crate) vcpus: u32,
    pub(crate) memory_mib: u64,
    pub(crate) cpu: CpuType,
    pub(crate) network_mbps: u64,
}
pub(crate) const MACHINES: &[Machine] = &[
    Machine { name: "large", vcpus: 8, memory_mib: 32 * 1024, cpu: CpuType::X86, network_mbps: 8_000 },
    Machine { name: "medium", vcpus: 4, memory_mib: 16 * 1024, cpu: CpuType::X86, network_mbps: 4_000 },
    Machine { name: "small", vcpus: 2, memory_mib: 4 * 1024, cpu: CpuType::X86, network_mbps: 2_000 },
];

pub(crate) const PUBLISHER: &str = "simulated-debian";

struct Release {
    family: &'static str,
    date: &'static str,
    published_ms: u64,
    cpu: CpuType,
}
/// Two of one family, so that "the newest" means something. The times are those of the dates, in milliseconds since 1970.
const RELEASES: &[Release] = &[
    Release { family: "debian-12", date: "20250101", published_ms: 1_735_689_600_000, cpu: CpuType::X86 },
    Release { family: "debian-12", date: "20250601", published_ms: 1_748_736_000_000, cpu: CpuType::X86 },
    Release { family: "debian-12-arm64", date: "20250601", published_ms: 1_748_736_000_000, cpu: CpuType::Arm },
];

/// An image as the vendor shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageItem {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) family: &'static str,
    pub(crate) cpu: CpuType,
    pub(crate) published_ms: u64,
    pub(crate) min_disk_gib: u32,
}

/// The images of one region, by id.
pub(crate) fn images(region: &str) -> Vec<ImageItem> {
    let mut all: Vec<ImageItem> = RELEASES
        .iter()
        .map(|r| {
            let name = format!("{}-{}", r.family, r.date);
            let mut h = Hasher::new();
            h.update(region.as_bytes()).update(b"/").update(name.as_bytes());
            ImageItem { id: format!("img-{}", &h.finalize().to_hex()[..17]), name, family: r.family, cpu: r.cpu, published_ms: r.published_ms, min_disk_gib: 8 }
        })
        .collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all
}
