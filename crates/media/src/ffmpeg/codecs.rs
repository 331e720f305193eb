//! The closed list of decoders. Rare ones are where memory corruption is found; what is not here
//! is `input.unsupported`.

/// Codecs as ffprobe names them.
const ACCEPTED: &[&str] = &[
    // Pictures that move.
    "h264",
    "hevc",
    "vp8",
    "vp9",
    "av1",
    "mpeg1video",
    "mpeg2video",
    "mpeg4",
    "msmpeg4v1",
    "msmpeg4v2",
    "msmpeg4v3",
    "h263",
    "flv1",
    "theora",
    "mjpeg",
    "prores",
    "dnxhd",
    "vc1",
    "wmv1",
    "wmv2",
    "wmv3",
    "rawvideo",
    "ffv1",
    "dvvideo",
    // Cover art.
    "png",
    "bmp",
    // Sound.
    "aac",
    "aac_latm",
    "mp1",
    "mp2",
    "mp3",
    "ac3",
    "eac3",
    "dts",
    "truehd",
    "mlp",
    "opus",
    "vorbis",
    "flac",
    "alac",
    "wmav1",
    "wmav2",
    "wmapro",
    "amr_nb",
    "amr_wb",
    "adpcm_ima_wav",
    "adpcm_ima_qt",
    "adpcm_ms",
    "speex",
    "gsm_ms",
    // Subtitles.
    "subrip",
    "ass",
    "ssa",
    "mov_text",
    "webvtt",
    "text",
];

/// Decoders whose names are not their codec's.
const FURTHER_DECODERS: &[&str] = &[
    "libdav1d",
    "libaom-av1",
    "msmpeg4",
    "flv",
    "mp3float",
    "mp2float",
    "mp1float",
    "dca",
    "amrnb",
    "amrwb",
    "libopus",
    "libvorbis",
    "srt",
];

/// Uncompressed sound, by the endings of `pcm_...`.
const PCM: &[&str] = &[
    "alaw", "mulaw", "s8", "u8", "s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le",
    "f32be", "f64le", "f64be", "bluray", "dvd",
];

/// Whether streams of this codec (ffprobe's `codec_name`) are decoded.
pub fn is_accepted(codec: &str) -> bool {
    ACCEPTED.contains(&codec)
        || codec
            .strip_prefix("pcm_")
            .is_some_and(|kind| PCM.contains(&kind))
}

/// The value of ffmpeg's `-codec_whitelist`.
pub(super) fn whitelist() -> String {
    let pcm = PCM.iter().map(|kind| format!("pcm_{kind}"));
    ACCEPTED
        .iter()
        .chain(FURTHER_DECODERS)
        .map(|name| (*name).to_owned())
        .chain(pcm)
        .collect::<Vec<_>>()
        .join(",")
}
