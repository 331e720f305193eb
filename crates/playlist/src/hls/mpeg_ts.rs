//! What players of MPEG-TS must be told of our segments, beside their addresses.

/// What each segment has before its first picture, in bytes: two packets of tables.
pub const TABLES_BYTES: u64 = 2 * 188;

/// The time at which the first picture is shown, in ticks of 90 kHz.
pub const START: u64 = 900_000;

/// WebVTT, whose times count from the first picture, with the map from them to the clock of segments (RFC 8216,
/// section 3.5).
pub fn with_map(vtt: &str) -> String {
    let (head, rest) = vtt.split_once('\n').unwrap_or((vtt, ""));
    format!("{head}\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:{START}\n{rest}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_map_stands_in_the_header() {
        let text = "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nHello\n";
        let expected = "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000\n\n00:00:01.000 --> 00:00:02.000\nHello\n";
        assert_eq!(super::with_map(text), expected);
    }
}
