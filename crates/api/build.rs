//! Embeds the dashboard, where `ui/dist` has been built. Without it the crate is the same but for an empty list.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where we are"));
    let dist = root.join("../../ui/dist");
    println!("cargo::rerun-if-changed=build.rs");
    // Cargo builds the crate anew each time for a folder that is not there; where it cannot be made, that is all that happens.
    let _ = fs::create_dir_all(&dist);
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut names: Vec<String> = fs::read_dir(&dist)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    // Copies: building the dashboard again removes files that a compiler may be reading.
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where to write"));
    let copies = out.join("dashboard");
    let _ = fs::remove_dir_all(&copies);
    fs::create_dir_all(&copies).expect("the build folder can be written");
    for name in &names {
        fs::copy(dist.join(name), copies.join(name)).expect("it was listed a moment ago");
    }
    let mut text = String::from("static FILES: &[File] = &[\n");
    let whole = |name: &&String| !name.ends_with(".br") && !name.ends_with(".gz");
    for name in names.iter().filter(whole) {
        let include = |name: &str| {
            format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/dashboard/{name}\"))")
        };
        let packed = |ending: &str| {
            let packed = format!("{name}.{ending}");
            match names.contains(&packed) {
                true => format!("Some({})", include(&packed)),
                false => "None".into(),
            }
        };
        let _ = writeln!(
            text,
            "    File {{ name: {name:?}, media_type: {:?}, plain: {}, brotli: {}, gzip: {} }},",
            media_type(Path::new(name)),
            include(name),
            packed("br"),
            packed("gz"),
        );
    }
    text.push_str("];\n");
    fs::write(out.join("dashboard.rs"), text).expect("the build folder can be written");
}

fn media_type(name: &Path) -> &'static str {
    match name.extension().and_then(|ending| ending.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
