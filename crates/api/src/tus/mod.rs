//! The words of the tus protocol, version 1.0.0, as they stand in headers. Knows no store and no upload.

pub(crate) mod checksum;
pub(crate) mod headers;
pub(crate) mod metadata;
