//! Standard output, for people and for pipes.

use crate::fault::Fault;
use console::{measure_text_width, style};
use std::io::{self, ErrorKind, Write};

/// Writes `text` and what was written before.
///
/// # Errors
/// When it cannot be written; a reader that has gone (`| head`) is a silent one.
pub(crate) fn print(text: &str) -> Result<(), Fault> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Err(Fault::failed("")),
        Err(e) => Err(Fault::failed(format!("standard output: {e}"))),
    }
}

/// One JSON document for programs.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Fault> {
    let text = serde_json::to_string_pretty(value).map_err(Fault::failed)?;
    print(&format!("{text}\n"))
}

/// One JSON document on a line of its own: what streams are made of.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_line(value: &serde_json::Value) -> Result<(), Fault> {
    print(&format!("{value}\n"))
}

/// Says how to see the rest of a list that goes on.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_more(page: &serde_json::Value) -> Result<(), Fault> {
    match page["next_cursor"].as_str() {
        Some(cursor) => print(&format!(
            "There are more: --limit NUMBER, or --cursor {cursor}\n"
        )),
        None => Ok(()),
    }
}

/// A table with names over its columns.
pub(crate) fn headed<const N: usize>(head: [&str; N], rows: Vec<Vec<String>>) -> String {
    let head = head.map(|name| style(name).bold().to_string()).to_vec();
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    table(&all, "")
}

/// Columns padded to their widest cell; the last one is left as it is. Cells may have colours.
pub(crate) fn table(rows: &[Vec<String>], indent: &str) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| {
        let cells = rows.iter().filter_map(|row| row.get(c));
        cells
            .map(|cell| measure_text_width(cell))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        text.push_str(indent);
        for (c, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if c + 1 < row.len() {
                let pad = widths[c] - measure_text_width(cell) + 2;
                text.extend(std::iter::repeat_n(' ', pad));
            }
        }
        text.push('\n');
    }
    text
}
