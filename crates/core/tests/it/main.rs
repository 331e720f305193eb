//! What the core promises, from outside.

mod generate;
mod interleavings;
mod model;
mod moderation;
mod parser;
mod recipes;
mod retry;
mod skipping;
mod states;
mod values;
