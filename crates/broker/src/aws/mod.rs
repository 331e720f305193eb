//! Requests to Amazon's services: credentials, signatures, and how they say no.

mod client;
mod credentials;
mod sign;

pub(crate) use client::{Client, Failure, Service, between};
