//! Values of the API's answers as people read them: cells of tables.

use console::{Style, style};
use mediaflow_core::Timestamp;
use serde_json::Value;

/// A field; a dash where it has nothing.
pub(crate) fn text(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => plain(text),
        other => other.to_string(),
    }
}

/// Names and titles are strangers': what would steer the terminal, or turn the line around, becomes a space.
pub(crate) fn plain(text: &str) -> String {
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let shown = text.chars().map(|c| if steers(c) { ' ' } else { c });
    shown.collect()
}

/// At most so many columns of it.
pub(crate) fn clipped(text: &str, columns: usize) -> String {
    console::truncate_str(text, columns, "…").into_owned()
}

/// The strings of a list, with commas between them.
pub(crate) fn list(value: &Value) -> String {
    let all = value.as_array().into_iter().flatten();
    let all: Vec<String> = all.filter_map(Value::as_str).map(plain).collect();
    match all.is_empty() {
        true => "-".to_owned(),
        false => all.join(","),
    }
}

/// A state, in a colour where there are colours: green is well, cyan is on its way, yellow waits, red is wrong.
pub(crate) fn state(name: &str) -> String {
    let plain = Style::new();
    let style = match name {
        "ready" | "succeeded" | "working" | "on" => plain.green(),
        "uploaded" | "processing" | "running" => plain.cyan(),
        "in_review" | "waiting" | "draining" | "stopping" | "paused" => plain.yellow(),
        "failed" | "dead" | "rejected" | "gone" | "off" => plain.red(),
        _ => plain.dim(),
    };
    style.apply_to(name).to_string()
}

/// A number that is bad news unless it is zero.
pub(crate) fn bad(number: u64) -> String {
    match number {
        0 => "0".to_owned(),
        _ => style(number).red().to_string(),
    }
}

/// Seconds; a dash for never.
pub(crate) fn span(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(s) if s > 0.0 && s < 0.0995 => format!("{:.0} ms", (s * 1000.0).ceil()),
        Some(s) if s < 10.0 && s.fract() > 0.05 => format!("{s:.1} s"),
        Some(s) if s < 120.0 => format!("{s:.0} s"),
        Some(s) if s < 7200.0 => format!("{:.0} min", s / 60.0),
        Some(s) if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        Some(s) => format!("{:.1} d", s / 86_400.0),
    }
}

/// Bytes, in units of a thousand.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        1_000_000_000..1_000_000_000_000 => format!("{:.1} GB", bytes as f64 / 1e9),
        1_000_000_000_000..1_000_000_000_000_000 => format!("{:.1} TB", bytes as f64 / 1e12),
        _ => format!("{:.1} PB", bytes as f64 / 1e15),
    }
}

/// Pixels as people say them; nothing where they are not known.
pub(crate) fn size(value: &Value) -> Option<String> {
    let side = |name: &str| value[name].as_u64();
    Some(format!("{}x{}", side("width")?, side("height")?))
}

/// A moment of the API.
pub(crate) fn moment(value: &Value) -> Option<Timestamp> {
    value.as_str().and_then(Timestamp::parse_rfc3339)
}

/// How long ago that was; a dash where it was never.
pub(crate) fn ago(at: &Value, now: Timestamp) -> String {
    match moment(at) {
        Some(at) => span(Some(now.since(at).as_secs_f64().round())),
        None => "-".to_owned(),
    }
}

/// From one moment to the other.
pub(crate) fn between(from: &Value, to: &Value) -> Option<f64> {
    let (from, to) = (moment(from)?, moment(to)?);
    Some(to.since(from).as_secs_f64())
}

/// Numbers as a row of bars, as high as they are beside the largest.
pub(crate) fn bars(numbers: &[f64]) -> String {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = numbers.iter().copied().fold(0.0, f64::max);
    let bar = |n: &f64| match most > 0.0 {
        true => BARS[((n / most * 8.0).ceil() as usize).min(8)],
        false => ' ',
    };
    numbers.iter().map(bar).collect()
}

/// One thing, or several.
pub(crate) fn many(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::{bars, bytes, plain, span};

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\nc\u{202e}d"), "a [2Jb c d");
        assert_eq!(plain("Čeština 写真"), "Čeština 写真");
    }

    #[test]
    fn spans_have_fitting_units() {
        let said = [0.0, 0.007, 0.42, 12.0, 119.0, 600.0, 9000.0, 345_600.0].map(|s| span(Some(s)));
        assert_eq!(
            said,
            [
                "0 s", "7 ms", "0.4 s", "12 s", "119 s", "10 min", "2.5 h", "4.0 d"
            ]
        );
        assert_eq!(span(None), "-");
    }

    #[test]
    fn bytes_have_fitting_units() {
        assert_eq!(
            [999, 1_500, 2_000_000].map(bytes),
            ["999 B", "1.5 kB", "2.0 MB"]
        );
        assert_eq!(bytes(3_100_000_000_000), "3.1 TB");
    }

    #[test]
    fn bars_are_as_high_as_their_numbers() {
        assert_eq!(bars(&[0.0, 1.0, 4.0, 8.0]), " ▁▄█");
        assert_eq!(bars(&[0.0, 0.0]), "  ");
    }
}
