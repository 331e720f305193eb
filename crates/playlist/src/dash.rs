//! A static MPEG-DASH manifest (ISO/IEC 23009-1) over the segments that HLS lists. Pure text.

use std::fmt::Write;

use crate::FrameRate;

/// A manifest about to be written. All representations of a set share their segment borders.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Length of the whole, in seconds.
    pub seconds: f64,
    /// Rungs of pictures; their pieces have the same borders.
    pub video: Vec<Representation>,
    /// Languages, each with its bit rates.
    pub audio: Vec<AudioSet>,
    /// Captions, each one file.
    pub captions: Vec<Captions>,
}

/// Captions in WebVTT.
#[derive(Debug, Clone)]
pub struct Captions {
    /// Unique in the manifest.
    pub id: String,
    /// BCP 47.
    pub language: String,
    /// What people choose by.
    pub label: String,
    /// The file's address.
    pub uri: String,
    /// Mean bits per second.
    pub bandwidth: u64,
}

/// One language.
#[derive(Debug, Clone)]
pub struct AudioSet {
    /// ISO 639-2.
    pub language: Option<String>,
    /// How many.
    pub channels: u32,
    /// The bit rates.
    pub representations: Vec<Representation>,
}

/// One stream.
#[derive(Debug, Clone)]
pub struct Representation {
    /// Unique in the manifest.
    pub id: String,
    /// As RFC 6381 has it.
    pub codec: String,
    /// Most bits per second over any segment, measured.
    pub bandwidth: u64,
    /// Of pictures.
    pub picture: Option<Picture>,
    /// Of sound: samples per second.
    pub sample_rate: Option<u32>,
    /// Ticks per second.
    pub timescale: u32,
    /// The initialisation segment's address.
    pub init_uri: String,
    /// Each segment's address and length in ticks, from the start.
    pub segments: Vec<(String, u64)>,
}

/// Size and rate of pictures.
#[derive(Debug, Clone, Copy)]
pub struct Picture {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Pictures per second.
    pub frame_rate: FrameRate,
}

impl Manifest {
    /// The manifest's text (`application/dash+xml`).
    pub fn write(&self) -> String {
        let longest = self.all().flat_map(longest_segment).fold(1.0, f64::max);
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
             profiles=\"urn:mpeg:dash:profile:isoff-main:2011\" \
             mediaPresentationDuration=\"PT{:.3}S\" minBufferTime=\"PT{longest:.3}S\">\n<Period>\n",
            self.seconds
        );
        // Players change between the streams of a set, and not between codecs.
        let mut video: Vec<&Representation> = self.video.iter().collect();
        video.sort_by_key(|r| r.coding().to_owned());
        for set in video.chunk_by(|a, b| a.coding() == b.coding()) {
            add(
                &mut xml,
                "<AdaptationSet contentType=\"video\" mimeType=\"video/mp4\" \
                 segmentAlignment=\"true\" startWithSAP=\"1\">\n",
            );
            set.iter().for_each(|r| r.write(&mut xml));
            add(&mut xml, "</AdaptationSet>\n");
        }
        for set in &self.audio {
            let language = set.language.as_deref().unwrap_or("und");
            add(
                &mut xml,
                &format!(
                    "<AdaptationSet contentType=\"audio\" mimeType=\"audio/mp4\" lang=\"{}\" \
                     segmentAlignment=\"true\" startWithSAP=\"1\">\n\
                     <AudioChannelConfiguration \
                     schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" \
                     value=\"{}\"/>\n",
                    escaped(language),
                    set.channels
                ),
            );
            set.representations.iter().for_each(|r| r.write(&mut xml));
            add(&mut xml, "</AdaptationSet>\n");
        }
        self.captions.iter().for_each(|c| c.write(&mut xml));
        add(&mut xml, "</Period>\n</MPD>\n");
        xml
    }

    fn all(&self) -> impl Iterator<Item = &Representation> {
        let audio = self.audio.iter().flat_map(|set| &set.representations);
        self.video.iter().chain(audio)
    }
}

impl Captions {
    fn write(&self, xml: &mut String) {
        add(
            xml,
            &format!(
                "<AdaptationSet contentType=\"text\" mimeType=\"text/vtt\" lang=\"{}\">\n\
                 <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"subtitle\"/>\n\
                 <Label>{}</Label>\n\
                 <Representation id=\"{}\" bandwidth=\"{}\">\n<BaseURL>{}</BaseURL>\n\
                 </Representation>\n</AdaptationSet>\n",
                escaped(&self.language),
                escaped(&self.label),
                escaped(&self.id),
                self.bandwidth,
                escaped(&self.uri)
            ),
        );
    }
}

impl Representation {
    /// The codec without profile and level.
    fn coding(&self) -> &str {
        self.codec.split('.').next().unwrap_or_default()
    }

    fn write(&self, xml: &mut String) {
        let mut more = String::new();
        if let Some(picture) = self.picture {
            more = format!(
                " width=\"{}\" height=\"{}\" frameRate=\"{}/{}\" sar=\"1:1\"",
                picture.width, picture.height, picture.frame_rate.num, picture.frame_rate.den
            );
        }
        if let Some(rate) = self.sample_rate {
            more = format!(" audioSamplingRate=\"{rate}\"");
        }
        add(
            xml,
            &format!(
                "<Representation id=\"{}\" codecs=\"{}\" bandwidth=\"{}\"{more}>\n\
                 <SegmentList timescale=\"{}\">\n<Initialization sourceURL=\"{}\"/>\n\
                 <SegmentTimeline>\n",
                escaped(&self.id),
                escaped(&self.codec),
                self.bandwidth,
                self.timescale,
                escaped(&self.init_uri)
            ),
        );
        let mut at = 0;
        let mut rest = self.segments.as_slice();
        while let Some((_, ticks)) = rest.first() {
            let same = rest.iter().take_while(|(_, t)| t == ticks).count();
            add(
                xml,
                &format!("<S t=\"{at}\" d=\"{ticks}\" r=\"{}\"/>\n", same - 1),
            );
            at += ticks * same as u64;
            rest = &rest[same..];
        }
        add(xml, "</SegmentTimeline>\n");
        for (uri, _) in &self.segments {
            add(xml, &format!("<SegmentURL media=\"{}\"/>\n", escaped(uri)));
        }
        add(xml, "</SegmentList>\n</Representation>\n");
    }
}

fn longest_segment(representation: &Representation) -> Option<f64> {
    let ticks = representation.segments.iter().map(|s| s.1).max()?;
    Some(ticks as f64 / f64::from(representation.timescale))
}

fn add(xml: &mut String, text: &str) {
    write!(xml, "{text}").expect("a string takes everything");
}

/// Addresses have ampersands; names may have anything.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
