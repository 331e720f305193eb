//! Captions that somebody wrote, WebVTT or SubRip, made into WebVTT that every player takes.
//!
//! What comes out has one form whatever came in: cues in order of time, nothing that is no cue but styles and regions,
//! no map to another clock. Times are those of the film's first picture.

mod subrip;
mod webvtt;

use std::fmt::Write as _;

/// Largest text that is read, in bytes: more than a day of speech.
pub const BYTES_MAX: usize = 4 << 20;

/// Captions as they were understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captions {
    /// `STYLE` and `REGION` blocks of WebVTT, as they were.
    blocks: Vec<String>,
    cues: Vec<Cue>,
}

/// A text and when it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cue {
    start_ms: u64,
    end_ms: u64,
    /// Where on the picture, as WebVTT has it.
    settings: String,
    /// One or more lines, none of them empty.
    text: String,
}

/// Why a text is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptionsError {
    /// Counted from one.
    pub line: usize,
    /// What is wrong there.
    pub message: &'static str,
}

impl std::fmt::Display for CaptionsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for CaptionsError {}

impl Captions {
    /// Reads WebVTT (which begins with its name) or SubRip (everything else), in UTF-8.
    ///
    /// # Errors
    /// The first line that cannot be understood.
    pub fn read(bytes: &[u8]) -> Result<Self, CaptionsError> {
        let fail = |line, message| Err(CaptionsError { line, message });
        if bytes.len() > BYTES_MAX {
            return fail(1, "captions have at most 4 MiB");
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(error) => {
                let before = &bytes[..error.valid_up_to()];
                let line = before.iter().filter(|b| **b == b'\n').count() + 1;
                return fail(line, "this is not UTF-8");
            }
        };
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text = text.replace('\0', "\u{fffd}");
        let lines = Lines::new(&text);
        let mut captions = match text.starts_with("WEBVTT") {
            true => webvtt::read(lines)?,
            false => subrip::read(lines)?,
        };
        if captions.cues.is_empty() {
            return fail(1, "there is no caption in it");
        }
        captions.cues.sort_by_key(|cue| cue.start_ms);
        Ok(captions)
    }

    /// As WebVTT.
    pub fn write(&self) -> String {
        let mut text = String::from("WEBVTT\n");
        for block in &self.blocks {
            write!(text, "\n{block}\n").expect("a string takes everything");
        }
        for cue in &self.cues {
            let (start, end) = (time(cue.start_ms), time(cue.end_ms));
            let gap = if cue.settings.is_empty() { "" } else { " " };
            let (settings, said) = (&cue.settings, &cue.text);
            write!(text, "\n{start} --> {end}{gap}{settings}\n{said}\n")
                .expect("a string takes everything");
        }
        text
    }
}

fn time(ms: u64) -> String {
    let (s, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}

/// Lines with their numbers; blocks of them are divided by empty ones.
struct Lines<'a> {
    rest: std::iter::Peekable<std::iter::Enumerate<std::str::Split<'a, char>>>,
}

/// Neighbouring lines that are not empty, with the number of the first.
struct Block<'a> {
    first: usize,
    lines: Vec<&'a str>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.split('\n').enumerate().peekable(),
        }
    }

    fn block(&mut self) -> Option<Block<'a>> {
        let is_empty = |line: &str| line.trim().is_empty();
        while self.rest.next_if(|(_, line)| is_empty(line)).is_some() {}
        let first = self.rest.peek()?.0 + 1;
        let mut lines = Vec::new();
        while let Some((_, line)) = self.rest.next_if(|(_, line)| !is_empty(line)) {
            lines.push(line);
        }
        Some(Block { first, lines })
    }
}

/// `01:02:03.456`, with or without hours; SubRip has a comma.
fn clock(text: &str, point: [char; 2]) -> Option<u64> {
    let (whole, part) = text.split_once(point)?;
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        let is_plain = text.bytes().all(|b| b.is_ascii_digit());
        let fits = digits.contains(&text.len());
        (is_plain && fits).then(|| text.parse::<u64>().ok())?
    };
    let parts: Vec<&str> = whole.split(':').collect();
    let (hours, minutes, seconds) = match parts[..] {
        [minutes, seconds] => (0, minutes, seconds),
        [hours, minutes, seconds] => (number(hours, 1..=4)?, minutes, seconds),
        _ => return None,
    };
    let (minutes, seconds) = (number(minutes, 1..=2)?, number(seconds, 1..=2)?);
    let is_clock = minutes < 60 && seconds < 60;
    let ms = number(part, 3..=3)?;
    is_clock.then_some(((hours * 60 + minutes) * 60 + seconds) * 1000 + ms)
}

/// Start, end, and what follows on the line; `None` where the line is not one of times at all.
fn times(line: &str) -> Option<Result<(u64, u64, &str), &'static str>> {
    let (start, rest) = line.split_once("-->")?;
    let rest = rest.trim();
    let (end, more) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let read = |text: &str| clock(text.trim(), ['.', ',']);
    Some(match (read(start), read(end)) {
        (Some(start), Some(end)) if start < end => Ok((start, end, more.trim())),
        (Some(_), Some(_)) => Err("a caption ends after it begins"),
        _ => Err("a time is written like 00:01:02.500"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let captions = Captions::read(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"));
        let text = captions.write();
        assert_eq!(Captions::read(text.as_bytes()), Ok(captions), "{text}");
        text
    }

    fn refused(text: &[u8]) -> String {
        Captions::read(text).unwrap_err().to_string()
    }

    #[test]
    fn webvtt_keeps_what_players_need() {
        let text = "\u{feff}WEBVTT - made by hand\r\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\r\n\r\n\
                    NOTE nobody\nsees this\n\nSTYLE\n::cue { color: lime }\n\n\
                    second\n00:05.000 --> 00:06.500 line:0 align:start\n<i>later</i>\n\n\
                    00:00:01.000 --> 00:00:02.000\nfirst\nof all\n";
        assert_eq!(
            written(text),
            "WEBVTT\n\nSTYLE\n::cue { color: lime }\n\n00:00:01.000 --> 00:00:02.000\nfirst\nof all\n\n\
             00:00:05.000 --> 00:00:06.500 line:0 align:start\n<i>later</i>\n"
        );
    }

    #[test]
    fn subrip_becomes_webvtt() {
        let text = "1\n00:00:01,000 --> 00:00:02,500\n<font color=\"red\">a & b</font> <b>< c</b>\n\n\
                    2\n00:00:03,000 --> 00:00:04,000  X1:10 X2:20\n{\\an8}up\n\nafter a gap\n\n\n3\n100:00:00,000 --> 100:00:01,000\n-->\n";
        assert_eq!(
            written(text),
            "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\na &amp; b <b>&lt; c</b>\n\n\
             00:00:03.000 --> 00:00:04.000\nup\nafter a gap\n\n100:00:00.000 --> 100:00:01.000\n--&gt;\n"
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        assert_eq!(refused(b""), "line 1: there is no caption in it");
        assert_eq!(refused(b"WEBVTT\n\n"), "line 1: there is no caption in it");
        assert_eq!(refused(b"a\n\xff"), "line 2: this is not UTF-8");
        assert!(refused(b"{\"a\": 1}").starts_with("line 1: a caption begins"));
        assert!(refused(b"WEBVTTX\n\n00:01.000 --> 00:02.000\na").starts_with("line 1: "));
        let cue = |times: &str| format!("WEBVTT\n\n{times}\ntext\n");
        assert!(
            refused(cue("00:02.000 --> 00:01.000").as_bytes())
                .starts_with("line 3: a caption ends")
        );
        assert!(refused(cue("00:02 --> 00:03").as_bytes()).starts_with("line 3: a time"));
        assert!(refused(cue("00:61.000 --> 00:62.000").as_bytes()).starts_with("line 3: a time"));
        assert!(refused(cue("who\nknows").as_bytes()).starts_with("line 3: a caption begins"));
        assert!(refused(&vec![b'a'; BYTES_MAX + 1]).contains("4 MiB"));
    }
}
