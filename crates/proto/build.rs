//! Turns `proto/` into Rust. The compiler is a Rust library, so that a build needs no `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = "../../proto";
    println!("cargo:rerun-if-changed={folder}");
    let files = protox::compile(["hook.proto", "moderation.proto", "worker.proto"], [folder])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
