//! Video, from inspecting to finished streams.

mod chunks;
mod codecs;
mod corpus;
mod excerpts;
mod hostile;
mod inspecting;
mod passing;
mod pictures;
mod planning;
mod playlists;
mod sound;
mod sources;
mod splitting;
mod stills;
mod transport;
mod traps;
mod verifying;
mod watching;
