//! Workers on a real store and real files: what users see of the image recipe.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly, too")]

mod given;
mod limits;
mod moderation;
mod reuse;
mod variants;
