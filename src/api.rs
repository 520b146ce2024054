//! The API's messages, generated from `proto/`, and their descriptors.
//!
//! Programs in Rust rather use the types of the core and [`crate::client`]; these messages are what passes over the wire.

use prost_reflect::DescriptorPool;
use std::{fmt, sync::LazyLock};

/// The descriptors of every file of the API with what it imports, and all comments: an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/welkin.bin"));

/// The same, parsed once.
pub fn descriptor_pool() -> &'static DescriptorPool {
    // The bytes come from build.rs, and a test reads them; there is nobody to whom an error would be of use.
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap_or_default());
    &POOL
}

/// `google`: wire definitions of others.
pub mod google {
    /// `google.longrunning`: operations.
    pub mod longrunning {
        #![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
        include!(concat!(env!("OUT_DIR"), "/google.longrunning.rs"));
    }
    /// `google.rpc`: errors.
    pub mod rpc {
        #![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
        include!(concat!(env!("OUT_DIR"), "/google.rpc.rs"));
    }
}

/// `welkin`: our own.
pub mod welkin {
    /// `welkin.v1`: the portable API.
    pub mod v1 {
        #![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
        include!(concat!(env!("OUT_DIR"), "/welkin.v1.rs"));
    }
    /// `welkin.provider`: what only one vendor has.
    pub mod provider {
        /// AWS.
        pub mod aws {
            /// `welkin.provider.aws.v1`.
            pub mod v1 {
                #![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
                include!(concat!(env!("OUT_DIR"), "/welkin.provider.aws.v1.rs"));
            }
        }
    }
}
pub use welkin::v1;

/// The name alone: the message may carry user data.
impl fmt::Debug for v1::Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("name", &self.name).field("state", &self.state).finish_non_exhaustive()
    }
}
/// The time alone: a machine may have written anything.
impl fmt::Debug for v1::InstanceConsoleOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceConsoleOutput").field("output_time", &self.output_time).finish_non_exhaustive()
    }
}
