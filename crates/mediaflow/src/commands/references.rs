//! `mediaflow errors` and `mediaflow events --types`: docs/reference, from the lists in the core.

use crate::fault::Fault;
use crate::output;
use mediaflow_core::{ErrorCode, EventType};
use std::fmt::Write as _;

/// Prints docs/reference/error-codes.md.
pub(crate) fn errors() -> Result<(), Fault> {
    let mut text = "\
# Error codes

<!-- Made by `mediaflow errors`; a test compares it. Change the list in crates/core/src/code.rs. -->

Every failure carries one of these codes: in the answer to a request (`code` of the problem details, RFC 9457), in a
task's `error_code`, in an asset's `error` and in the history. A code never changes once it is released; the
text beside it may. The status is that of an HTTP answer with the code.

| code | status | what it means and what to do |
|---|---|---|
"
    .to_owned();
    for code in ErrorCode::ALL {
        let _ = writeln!(
            text,
            "| <a id=\"{code}\"></a>`{code}` | {} | {} |",
            code.status(),
            code.meaning()
        );
    }
    output::print(&text)
}

/// Prints docs/reference/events.md.
pub(crate) fn events() -> Result<(), Fault> {
    let mut text = "\
# Events

<!-- Made by `mediaflow events --types`; a test compares it. Change the list in crates/core/src/event.rs. -->

What happened to an asset, in order. On the wire each is a CloudEvent with one of these types. The topic is where systems outside are told of it: see [events](../events.md).

| type | topic | what it says |
|---|---|---|
"
    .to_owned();
    for event in EventType::ALL {
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {} |",
            event.as_str(),
            event.topic().as_str(),
            event.meaning()
        );
    }
    output::print(&text)
}
