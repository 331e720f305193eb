//! SubRip: numbered blocks of a line of times and some text with a few tags of HTML.

use super::{Captions, CaptionsError, Cue, Lines, times};

/// Tags that WebVTT has too.
const KEPT: &[&str] = &["<b>", "</b>", "<i>", "</i>", "<u>", "</u>"];

pub(super) fn read(mut lines: Lines<'_>) -> Result<Captions, CaptionsError> {
    let mut cues: Vec<Cue> = Vec::new();
    while let Some(block) = lines.block() {
        let is_number = |line: &str| line.trim().bytes().all(|b| b.is_ascii_digit());
        let at = usize::from(is_number(block.lines[0]));
        let read = block.lines.get(at).and_then(|line| times(line));
        // A text that begins with an arrow of its own is no line of times.
        let read = read.filter(|read| at > 0 || read.is_ok() || cues.is_empty());
        match (read, cues.last_mut()) {
            (Some(Ok((start_ms, end_ms, _))), _) => cues.push(Cue {
                start_ms,
                end_ms,
                settings: String::new(),
                text: text(&block.lines[at + 1..]),
            }),
            (Some(Err(message)), _) => {
                let line = block.first + at;
                return Err(CaptionsError { line, message });
            }
            // Writers of SubRip leave empty lines inside a text.
            (None, Some(last)) => {
                let more = text(&block.lines);
                if !last.text.is_empty() && !more.is_empty() {
                    last.text.push('\n');
                }
                last.text += &more;
            }
            (None, None) => {
                return Err(CaptionsError {
                    line: block.first,
                    message: "a caption begins with a number and a line of times, and WebVTT with `WEBVTT`",
                });
            }
        }
    }
    cues.retain(|cue| !cue.text.is_empty());
    Ok(Captions {
        blocks: Vec::new(),
        cues,
    })
}

fn text(lines: &[&str]) -> String {
    let lines = lines.iter().map(|line| plain(line));
    let lines: Vec<String> = lines.filter(|line| !line.trim().is_empty()).collect();
    lines.join("\n")
}

/// A line without tags that WebVTT does not know, and with nothing that it would take for one.
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['<', '>', '&', '{']) {
        out += &rest[..at];
        rest = &rest[at..];
        let kept = KEPT.iter().find(|tag| {
            let begin = rest.get(..tag.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(tag))
        });
        if let Some(tag) = kept {
            out += tag;
            rest = &rest[tag.len()..];
            continue;
        }
        let skipped = if rest.starts_with("{\\") {
            rest.find('}')
        } else if is_tag(rest) {
            rest.find('>')
        } else {
            None
        };
        if let Some(end) = skipped {
            rest = &rest[end + 1..];
            continue;
        }
        out += match rest.as_bytes()[0] {
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'&' => "&amp;",
            _ => "{",
        };
        rest = &rest[1..];
    }
    out + rest
}

/// `<` and a letter, as in `<font>`, or an end of such.
fn is_tag(text: &str) -> bool {
    let name = text.strip_prefix("</").or_else(|| text.strip_prefix('<'));
    name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
}
