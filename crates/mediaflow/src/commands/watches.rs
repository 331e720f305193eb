//! `mediaflow watches`: the watched folders, and which files of them are not taken.

use crate::client::Server;
use crate::fault::Fault;
use crate::output;
use clap::Args;

#[derive(Debug, Clone, Args)]
pub(crate) struct Watches {
    #[command(flatten)]
    server: Server,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(watches: Watches) -> Result<(), Fault> {
    let client = watches.server.client()?;
    let found = client.get("v1/watches").await?;
    if watches.json {
        return output::print_json(&found);
    }
    let mut text = String::new();
    for watch in found["watches"].as_array().into_iter().flatten() {
        let said = |field: &str| watch[field].as_str().unwrap_or_default();
        let failed = watch["failed"].as_array().map(Vec::as_slice);
        let failed = failed.unwrap_or_default();
        text.push_str(&format!(
            "{}: {}, taken files are {}; {} not taken\n",
            said("name"),
            said("path"),
            match said("after") {
                "move" => "moved",
                "delete" => "deleted",
                _ => "kept",
            },
            failed.len()
        ));
        let rows = failed.iter().map(|file| {
            let cells = ["found_at", "path", "code", "message"];
            cells
                .map(|cell| file[cell].as_str().unwrap_or_default().to_owned())
                .to_vec()
        });
        text.push_str(&output::table(&rows.collect::<Vec<_>>(), "  "));
    }
    if text.is_empty() {
        text.push_str("no folder is watched ([[ingest.watch]])\n");
    }
    output::print(&text)
}
