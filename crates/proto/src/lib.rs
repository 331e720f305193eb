//! The gRPC contracts of `proto/` as Rust types, clients and servers. Nothing here is written by hand.

/// What MediaFlow asks of a classifier (`proto/moderation.proto`).
pub mod moderation {
    /// Version 1.
    #[allow(missing_docs, unreachable_pub, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("mediaflow.moderation.v1");
    }
}
