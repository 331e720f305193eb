//! Initialisation segments: `ftyp` and `moov` of one track without samples.

use super::boxes::Writer;
use super::codec::Coding;
use crate::MediaError;

/// The unit matrix that movies and tracks carry.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// A film in square pixels of BT.709.
#[derive(Debug, Clone)]
pub(crate) struct VideoTrackHeader<'a> {
    pub(crate) width: u16,
    pub(crate) height: u16,
    /// Ticks per second.
    pub(crate) timescale: u32,
    /// Ticks by which pictures are shown later than their samples say: an edit list takes them
    /// off again. Negative composition offsets would need none, but ffmpeg-based players shift
    /// such films against their sound.
    pub(crate) shown_late: u32,
    /// What it is coded in, from the encoder.
    pub(crate) coding: Coding<'a>,
}

/// Sound of AAC-LC.
#[derive(Debug, Clone)]
pub(crate) struct AudioTrackHeader<'a> {
    pub(crate) channels: u16,
    /// Samples, and so ticks, per second.
    pub(crate) sample_rate: u32,
    /// Bits per second that the encoder was asked for.
    pub(crate) bit_rate: u32,
    /// The decoder's configuration (AudioSpecificConfig).
    pub(crate) configuration: &'a [u8],
    /// ISO 639-2, three lower-case letters; anything else is written as undetermined.
    pub(crate) language: &'a str,
}

impl VideoTrackHeader<'_> {
    /// The segment's bytes: a function of this header alone.
    ///
    /// # Errors
    /// When it is coded in nothing that we make.
    pub(crate) fn write(&self) -> Result<Vec<u8>, MediaError> {
        let (configuration, name) = self.coding.kinds()?;
        let track = Track {
            handler: b"vide",
            timescale: self.timescale,
            language: "und",
            size: (self.width, self.height),
            volume: 0,
            shown_late: self.shown_late,
        };
        Ok(track.write(
            |w| w.full(b"vmhd", 0, 1, |w| w.zeros(8)),
            |w| {
                w.boxed(name, |w| {
                    w.zeros(6);
                    w.u16(1);
                    w.zeros(16);
                    w.u16(self.width);
                    w.u16(self.height);
                    w.u32(0x48_0000);
                    w.u32(0x48_0000);
                    w.u32(0);
                    w.u16(1);
                    w.zeros(32);
                    w.u16(0x18);
                    w.u16(0xffff);
                    w.boxed(configuration, |w| w.bytes(self.coding.configuration));
                    w.boxed(b"colr", |w| {
                        w.bytes(b"nclx");
                        // BT.709 for primaries, transfer and matrix, in the limited range.
                        [1, 1, 1].into_iter().for_each(|code| w.u16(code));
                        w.u8(0);
                    });
                    w.boxed(b"pasp", |w| [1, 1].into_iter().for_each(|side| w.u32(side)));
                });
            },
        ))
    }
}

impl AudioTrackHeader<'_> {
    /// The segment's bytes: a function of this header alone.
    pub(crate) fn write(&self) -> Vec<u8> {
        let track = Track {
            handler: b"soun",
            timescale: self.sample_rate,
            language: self.language,
            size: (0, 0),
            volume: 0x100,
            shown_late: 0,
        };
        track.write(
            |w| w.full(b"smhd", 0, 0, |w| w.zeros(4)),
            |w| {
                w.boxed(b"mp4a", |w| {
                    w.zeros(6);
                    w.u16(1);
                    w.zeros(8);
                    w.u16(self.channels);
                    w.u16(16);
                    w.zeros(4);
                    w.u16(self.sample_rate as u16);
                    w.u16(0);
                    w.full(b"esds", 0, 0, |w| self.descriptors(w));
                });
            },
        )
    }

    /// The nested descriptors of ISO/IEC 14496-1, each a tag, a length, a body.
    fn descriptors(&self, w: &mut Writer) {
        let specific = self.configuration.len() as u8;
        let config = 13 + 2 + specific;
        w.bytes(&[3, 3 + 2 + config + 3, 0, 1, 0]);
        // MPEG-4 audio, as a stream of sound, with no decoder buffer stated.
        w.bytes(&[4, config, 0x40, 0x15, 0, 0, 0]);
        w.u32(self.bit_rate);
        w.u32(self.bit_rate);
        w.bytes(&[5, specific]);
        w.bytes(self.configuration);
        w.bytes(&[6, 1, 2]);
    }
}

struct Track<'a> {
    handler: &'a [u8; 4],
    timescale: u32,
    language: &'a str,
    size: (u16, u16),
    volume: u16,
    shown_late: u32,
}

impl Track<'_> {
    fn write(
        &self,
        media_header: impl FnOnce(&mut Writer),
        sample_entry: impl FnOnce(&mut Writer),
    ) -> Vec<u8> {
        let mut w = Writer::default();
        w.boxed(b"ftyp", |w| {
            w.bytes(b"iso6");
            w.u32(0);
            w.bytes(b"iso6cmfcmp41dash");
        });
        w.boxed(b"moov", |w| {
            w.full(b"mvhd", 0, 0, |w| {
                w.zeros(8);
                w.u32(self.timescale);
                w.u32(0);
                w.u32(0x1_0000);
                w.u16(0x100);
                w.zeros(10);
                MATRIX.into_iter().for_each(|cell| w.u32(cell));
                w.zeros(24);
                w.u32(2);
            });
            w.boxed(b"trak", |w| {
                self.track_header(w);
                if self.shown_late > 0 {
                    w.boxed(b"edts", |w| {
                        w.full(b"elst", 0, 0, |w| {
                            // One edit: from this tick on, to an end not known yet, at full speed.
                            w.u32(1);
                            w.u32(0);
                            w.u32(self.shown_late);
                            w.u32(0x1_0000);
                        });
                    });
                }
                self.media(w, media_header, sample_entry);
            });
            w.boxed(b"mvex", |w| {
                w.full(b"trex", 0, 0, |w| {
                    w.u32(1);
                    w.u32(1);
                    w.zeros(12);
                });
            });
        });
        w.0
    }

    fn track_header(&self, w: &mut Writer) {
        // Enabled, in the movie, in its preview.
        w.full(b"tkhd", 0, 7, |w| {
            w.zeros(8);
            w.u32(1);
            w.zeros(8 + 8 + 4);
            w.u16(self.volume);
            w.u16(0);
            MATRIX.into_iter().for_each(|cell| w.u32(cell));
            w.u32(u32::from(self.size.0) << 16);
            w.u32(u32::from(self.size.1) << 16);
        });
    }

    fn media(
        &self,
        w: &mut Writer,
        media_header: impl FnOnce(&mut Writer),
        sample_entry: impl FnOnce(&mut Writer),
    ) {
        w.boxed(b"mdia", |w| {
            w.full(b"mdhd", 0, 0, |w| {
                w.zeros(8);
                w.u32(self.timescale);
                w.u32(0);
                w.u16(packed_language(self.language));
                w.u16(0);
            });
            w.full(b"hdlr", 0, 0, |w| {
                w.u32(0);
                w.bytes(self.handler);
                w.zeros(12);
                w.bytes(b"MediaFlow\0");
            });
            w.boxed(b"minf", |w| {
                media_header(w);
                w.boxed(b"dinf", |w| {
                    w.full(b"dref", 0, 0, |w| {
                        w.u32(1);
                        // The samples are in this very file.
                        w.full(b"url ", 0, 1, |_| ());
                    });
                });
                w.boxed(b"stbl", |w| {
                    w.full(b"stsd", 0, 0, |w| {
                        w.u32(1);
                        sample_entry(w);
                    });
                    w.full(b"stts", 0, 0, |w| w.u32(0));
                    w.full(b"stsc", 0, 0, |w| w.u32(0));
                    w.full(b"stsz", 0, 0, |w| w.zeros(8));
                    w.full(b"stco", 0, 0, |w| w.u32(0));
                });
            });
        });
    }
}

/// Three letters of five bits each.
fn packed_language(language: &str) -> u16 {
    let letters = match language.as_bytes() {
        letters @ [_, _, _] if letters.iter().all(u8::is_ascii_lowercase) => letters,
        _ => b"und",
    };
    letters
        .iter()
        .fold(0, |packed, letter| packed << 5 | u16::from(letter - 0x60))
}
