//! `mediaflow completions` and `mediaflow man`: what shells and `man` know of the command line, made from it.

use crate::cli::Cli;
use crate::fault::Fault;
use crate::output;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use std::path::PathBuf;

/// Prints the completions of one shell.
pub(crate) fn completions(shell: Shell) -> Result<(), Fault> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mediaflow", &mut text);
    output::print(&String::from_utf8_lossy(&text))
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Manual {
    /// Write one page for each command into this folder, for example /usr/local/share/man/man1
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Prints the page of the whole program, or writes all pages.
pub(crate) fn manual(manual: &Manual) -> Result<(), Fault> {
    let Some(folder) = &manual.folder else {
        let mut text = Vec::new();
        let page = Man::new(Cli::command()).render(&mut text);
        page.map_err(Fault::failed)?;
        return output::print(&String::from_utf8_lossy(&text));
    };
    let unwritten = |e| Fault::failed(format!("{}: {e}", folder.display()));
    std::fs::create_dir_all(folder).map_err(unwritten)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(unwritten)?;
    output::print(&format!(
        "The pages are in {}; begin with `man {}`\n",
        folder.display(),
        folder.join("mediaflow.1").display()
    ))
}
