//! Video, from inspecting to finished streams.

mod chunks;
mod inspecting;
mod planning;
mod playlists;
