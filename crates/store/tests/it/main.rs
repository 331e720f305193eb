//! What every store must do, told as the domain sees it.

mod check;
mod claiming;
mod collecting;
mod failing;
mod finding;
mod given;
mod happy;
mod intake;
mod leases;
mod lifecycle;
mod moderating;
mod opening;
mod random;
