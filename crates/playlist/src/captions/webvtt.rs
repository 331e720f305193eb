//! WebVTT as people and programs write it (W3C).

use super::{Block, Captions, CaptionsError, Cue, Lines, times};

pub(super) fn read(mut lines: Lines<'_>) -> Result<Captions, CaptionsError> {
    let head = lines.block().unwrap_or(Block {
        first: 1,
        lines: Vec::new(),
    });
    let after = head.lines.first().and_then(|l| l.strip_prefix("WEBVTT"));
    if !after.is_some_and(|more| more.is_empty() || more.starts_with([' ', '\t'])) {
        return Err(CaptionsError {
            line: head.first,
            message: "WebVTT begins with a line `WEBVTT`",
        });
    }
    let mut captions = Captions {
        blocks: Vec::new(),
        cues: Vec::new(),
    };
    while let Some(block) = lines.block() {
        let first = block.lines[0].trim_end();
        let is = |name: &str| {
            let more = first.strip_prefix(name);
            more.is_some_and(|more| more.is_empty() || more.starts_with([' ', '\t']))
        };
        if is("NOTE") {
            continue;
        }
        let has_times = block.lines.iter().take(2).any(|l| l.contains("-->"));
        if (is("STYLE") || is("REGION")) && !has_times {
            captions.blocks.push(plain(&block)?);
            continue;
        }
        captions.cues.push(cue(&block)?);
    }
    Ok(captions)
}

/// Nothing in it may be taken for a caption.
fn plain(block: &Block<'_>) -> Result<String, CaptionsError> {
    match block.lines.iter().position(|line| line.contains("-->")) {
        None => Ok(block.lines.join("\n")),
        Some(index) => Err(CaptionsError {
            line: block.first + index,
            message: "an arrow stands between times only; an empty line may be missing before it",
        }),
    }
}

fn cue(block: &Block<'_>) -> Result<Cue, CaptionsError> {
    let at = usize::from(!block.lines[0].contains("-->"));
    let fail = |index: usize, message| CaptionsError {
        line: block.first + index,
        message,
    };
    let read = block.lines.get(at).and_then(|line| times(line));
    let read = read.ok_or_else(|| {
        fail(
            0,
            "a caption begins with its times, or a name and its times",
        )
    })?;
    let (start_ms, end_ms, settings) = read.map_err(|message| fail(at, message))?;
    if settings.contains("-->") {
        return Err(fail(at, "there is one arrow between two times"));
    }
    let text = Block {
        first: block.first + at + 1,
        lines: block.lines[at + 1..].to_vec(),
    };
    if text.lines.is_empty() {
        return Err(fail(at, "a caption has a text under its times"));
    }
    Ok(Cue {
        start_ms,
        end_ms,
        settings: settings.to_owned(),
        text: plain(&text)?,
    })
}
