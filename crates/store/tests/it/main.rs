//! What every store must do, told as the domain sees it. The suite runs over each implementation.

mod given;
mod happy;
