//! The image operations, and what they share: the source's pixels, the recipe's variants, what a rendition is made of.

pub(crate) mod baseline;
pub(crate) mod compress;
mod derivation;
pub(crate) mod inspect;
pub(crate) mod placeholder;
mod source;
mod writing;
