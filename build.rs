//! Compiles the API's definitions, without protoc: messages for Rust, and the descriptors with their comments for reflection.

use std::{env, error::Error, fs, path::Path};

/// What is served, or needed to read an answer.
const FILES: &[&str] = &[
    "welkin/v1/address.proto",
    "welkin/v1/cloud.proto",
    "welkin/v1/disk.proto",
    "welkin/v1/dns_zone.proto",
    "welkin/v1/image.proto",
    "welkin/v1/instance.proto",
    "welkin/v1/load_balancer.proto",
    "welkin/v1/instance_group.proto",
    "welkin/v1/location.proto",
    "welkin/v1/machine_type.proto",
    "welkin/v1/nat_gateway.proto",
    "welkin/v1/network.proto",
    "welkin/v1/operation.proto",
    "welkin/v1/quota.proto",
    "welkin/v1/record_set.proto",
    "welkin/v1/route_table.proto",
    "welkin/v1/security_group.proto",
    "welkin/v1/subnet.proto",
    "welkin/provider/aws/v1/instance.proto",
    "google/longrunning/operations.proto",
    "google/rpc/error_details.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(FILES)?;
    let out = env::var("OUT_DIR")?;
    // As bytes, because the types of prost-types drop the options that google/api defines.
    fs::write(Path::new(&out).join("welkin.bin"), compiler.encode_file_descriptor_set())?;
    prost_build::Config::new()
        .btree_map(["."])
        // They carry user data and what a machine has written, which are secret: src/api.rs has its own.
        .skip_debug([".welkin.v1.Instance", ".welkin.v1.InstanceConsoleOutput"])
        .message_attribute(".welkin.v1.Instance.RootDisk", "#[derive(Debug)]")
        .message_attribute(".welkin.v1.Instance.Alternative", "#[derive(Debug)]")
        .enum_attribute(".welkin.v1.Instance.State", "#[derive(Debug)]")
        .enable_type_names()
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
