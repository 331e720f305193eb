//! From file and flags to a checked configuration. An error names file, line, setting and what it should be.

use super::Config;
use crate::cli::Place;
use crate::fault::Fault;
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

const DEFAULT_FILE: &str = "mediaflow.toml";

/// Reads the file that `place` names, or the default one where it exists; flags win over it.
///
/// # Errors
/// With exit code 2: the file cannot be read or used.
pub(crate) fn load(place: &Place) -> Result<Config, Fault> {
    let (mut config, _) = read(place)?;
    if let Some(data) = &place.data {
        config.data.clone_from(data);
    }
    Ok(config)
}

/// The configuration before any flag, and what the file says.
///
/// # Errors
/// As [`load`].
pub(crate) fn read(place: &Place) -> Result<(Config, toml::Table), Fault> {
    let path = place.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
    match fs::read_to_string(path) {
        Ok(text) => parse(&text)
            .map(|config| (rooted(config, path), text.parse().unwrap_or_default()))
            .map_err(|e| Fault::unusable(format!("{}:{e}", path.display()))),
        Err(e) if e.kind() == ErrorKind::NotFound && place.config.is_none() => {
            Ok(Default::default())
        }
        Err(e) => {
            let text = format!("the configuration file {}: {e}", path.display());
            Err(Fault::unusable(text))
        }
    }
}

/// A checked configuration, or `line: setting: what is wrong`.
fn parse(text: &str) -> Result<Config, String> {
    let config: Config = toml::from_str(text).map_err(|e| {
        let message = e.message().trim().replace('\n', "; ");
        let (line, setting) = place_of(text, e.span().unwrap_or_default());
        match setting {
            Some(setting) => format!("{line}: {setting}: {message}"),
            None => format!("{line}: {message}"),
        }
    })?;
    config.check().map_err(|message| {
        let end = message.find([' ', ':']).unwrap_or(message.len());
        match line_of(text, &message[..end]) {
            Some(line) => format!("{line}: {message}"),
            None => format!(" {message}"),
        }
    })?;
    Ok(config)
}

/// The settings of a file, each with its line, counted from 1.
fn settings(text: &str) -> impl Iterator<Item = (usize, Range<usize>, String)> + '_ {
    let mut section = String::new();
    let mut start = 0;
    text.split_inclusive('\n')
        .enumerate()
        .map(move |(index, line)| {
            let range = start..start + line.len();
            start = range.end;
            let words = line.trim();
            if words.starts_with('[') {
                let name = words.split(']').next().unwrap_or_default();
                section = name.trim_start_matches('[').trim().to_owned();
            }
            let name = match words.split_once('=') {
                Some((key, _)) if !words.starts_with('#') && section.is_empty() => {
                    key.trim().to_owned()
                }
                Some((key, _)) if !words.starts_with('#') => format!("{section}.{}", key.trim()),
                _ => section.clone(),
            };
            (index + 1, range, name)
        })
}

fn place_of(text: &str, span: Range<usize>) -> (usize, Option<String>) {
    let found = settings(text).find(|(_, range, _)| range.contains(&span.start));
    match found {
        Some((line, _, name)) => (line, Some(name).filter(|n| !n.is_empty())),
        None => (text.lines().count().max(1), None),
    }
}

fn line_of(text: &str, setting: &str) -> Option<usize> {
    settings(text)
        .find(|(_, _, name)| name == setting)
        .map(|(line, _, _)| line)
}

/// Relative paths begin at the file's folder, wherever the command was started.
fn rooted(mut config: Config, file: &Path) -> Config {
    let folder = file.parent().unwrap_or(Path::new(""));
    let root = |path: &mut PathBuf| *path = folder.join(&*path);
    root(&mut config.data);
    config.recipes.folder.as_mut().map(root);
    config.watermark.file.as_mut().map(root);
    config.via.key_file.as_mut().map(root);
    config.via.ca_file.as_mut().map(root);
    for watch in &mut config.ingest.watch {
        root(&mut watch.path);
        watch.move_to.as_mut().map(root);
    }
    config
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let said = parse(text).unwrap_err();
        assert!(said.contains(expected), "{said:?} has no {expected:?}");
    }

    #[test]
    fn errors_name_line_setting_and_what_it_should_be() {
        check(
            "listen = \"nowhere\"",
            "1: listen: `nowhere` must be an address and a port",
        );
        check(
            "# x\n[worker]\ncpu = \"two\"",
            "3: worker.cpu: invalid type: string \"two\"",
        );
        check(
            "[worker]\nthreads = 2",
            "2: worker.threads: unknown field `threads`, expected one of",
        );
        check(
            "[worker]\nlease_s = 1",
            "2: worker.lease_s must be 3 to 3600",
        );
        check(
            "[moderation]\npolicy = \"classifier\"\n",
            "2: moderation.policy = \"classifier\" needs",
        );
        check("sandbox = \"maybe\"", "1: sandbox: unknown variant `maybe`");
        check(
            "[limits.image]\nside_max = -1",
            "2: limits.image.side_max: invalid",
        );
        check("[worker\n", "1:");
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(parse("").unwrap(), super::Config::default());
    }
}
