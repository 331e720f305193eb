//! `mediaflow recipes`: check files, list and show what uploads can name.

use crate::cli::Place;
use crate::config::load;
use crate::fault::Fault;
use crate::output;
use clap::Subcommand;
use mediaflow_core::Recipe;
use mediaflow_engine::Recipes;
use std::path::PathBuf;

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Verb {
    /// Check recipe files; errors name line, step and fix
    Check {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// List the recipes that uploads can name
    Ls,
    /// Show a recipe's steps, what each needs and what it makes
    Show {
        /// The recipe's name
        name: String,
    },
}

pub(crate) fn run(place: &Place, verb: Verb) -> Result<(), Fault> {
    match verb {
        Verb::Check { files } => check(&files),
        Verb::Ls => {
            let mut rows = vec![
                ["NAME", "VERSION", "KIND", "STEPS", "HASH"]
                    .map(str::to_owned)
                    .to_vec(),
            ];
            rows.extend(recipes(place)?.all().map(|recipe| {
                vec![
                    recipe.name.clone(),
                    recipe.version.to_string(),
                    recipe.kind.as_str().to_owned(),
                    recipe.steps.len().to_string(),
                    short_hash(recipe),
                ]
            }));
            output::print(&output::table(&rows, ""))
        }
        Verb::Show { name } => {
            let recipes = recipes(place)?;
            let recipe = recipes.all().find(|r| r.name == name).ok_or_else(|| {
                let names: Vec<_> = recipes.names().collect();
                Fault::failed(format!(
                    "there is no recipe `{name}`; there is {}",
                    names.join(", ")
                ))
            })?;
            output::print(&shown(recipe))
        }
    }
}

fn check(files: &[PathBuf]) -> Result<(), Fault> {
    let mut wrong = 0;
    for file in files {
        match Recipes::read(file) {
            Ok(recipe) => output::print(&format!(
                "{}: recipe `{}` version {} is right, {} steps\n",
                file.display(),
                recipe.name,
                recipe.version,
                recipe.steps.len()
            ))?,
            Err(e) => {
                wrong += 1;
                eprintln!("{e}");
            }
        }
    }
    match wrong {
        0 => Ok(()),
        _ => Err(Fault::failed("")),
    }
}

fn recipes(place: &Place) -> Result<Recipes, Fault> {
    Recipes::load(load(place)?.recipes.folder.as_deref()).map_err(Fault::unusable)
}

fn short_hash(recipe: &Recipe) -> String {
    recipe.hash().to_string().chars().take(12).collect()
}

fn shown(recipe: &Recipe) -> String {
    let mut rows = vec![
        ["STEP", "OPERATION", "NEEDS", ""]
            .map(str::to_owned)
            .to_vec(),
    ];
    for step in &recipe.steps {
        let needs: Vec<_> = step
            .needs
            .iter()
            .map(|&n| recipe.steps[n].name.as_str())
            .collect();
        let mut notes = Vec::new();
        if step.when.is_some() {
            notes.push("only for assets that ask for a watermark");
        }
        if step.optional {
            notes.push("optional");
        }
        rows.push(vec![
            step.name.clone(),
            step.operation.name().to_owned(),
            if needs.is_empty() {
                "-".to_owned()
            } else {
                needs.join(", ")
            },
            notes.join(", "),
        ]);
    }
    let head = format!(
        "{} version {} for {}, hash {}\n\n",
        recipe.name,
        recipe.version,
        recipe.kind.as_str(),
        recipe.hash()
    );
    let variants = recipe.resize().map(|r| {
        r.variants
            .iter()
            .map(|v| v.name.as_str())
            .collect::<Vec<_>>()
    });
    let made = variants.map_or(String::new(), |v| format!("\nmakes {}\n", v.join(", ")));
    head + &output::table(&rows, "  ") + &made
}
