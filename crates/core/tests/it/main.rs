//! What the core promises, from outside.

mod recipes;
