//! The gRPC contracts of `proto/` as Rust types, clients and servers. Nothing here is written by hand.

/// What MediaFlow asks before a file becomes an asset (`proto/hook.proto`).
pub mod hook {
    /// Version 1.
    #[allow(missing_docs, unreachable_pub, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("mediaflow.hook.v1");
    }
}

/// What MediaFlow asks of a classifier (`proto/moderation.proto`).
pub mod moderation {
    /// Version 1.
    #[allow(missing_docs, unreachable_pub, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("mediaflow.moderation.v1");
    }
}

/// What a worker on a network of its own asks of the API (`proto/worker.proto`).
pub mod worker {
    /// Version 1.
    #[allow(missing_docs, unreachable_pub, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("mediaflow.worker.v1");
    }
}
