//! The recipes that uploads can name: the built-in one and those in the configured folder.

use mediaflow_core::recipe::RecipeError;
use mediaflow_core::{Kind, ModerationPolicy, Operation, Recipe};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const BUILT_IN: [&str; 3] = [
    include_str!("../../../recipes/image.toml"),
    include_str!("../../../recipes/video.toml"),
    include_str!("../../../recipes/audio.toml"),
];

/// All recipes by name.
#[derive(Debug, Clone)]
pub struct Recipes(BTreeMap<String, Arc<Recipe>>);

/// A recipe file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeFileError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It has a mistake.
    #[error("{}: {source}", path.display())]
    Invalid {
        /// Which.
        path: PathBuf,
        /// Where and what.
        source: RecipeError,
    },
    /// Two files define the same name.
    #[error("{}: another file already defines the recipe `{name}`", path.display())]
    Twice {
        /// The second file.
        path: PathBuf,
        /// The name.
        name: String,
    },
}

impl Recipes {
    /// The built-in recipes, and every `*.toml` of `folder`; a file may replace a built-in one by its name.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn load(folder: Option<&Path>) -> Result<Self, RecipeFileError> {
        let mut own: BTreeMap<String, Arc<Recipe>> = BTreeMap::new();
        for path in folder.map(files).transpose()?.unwrap_or_default() {
            let recipe = Self::read(&path)?;
            if own.contains_key(&recipe.name) {
                return Err(RecipeFileError::Twice {
                    path,
                    name: recipe.name,
                });
            }
            own.insert(recipe.name.clone(), Arc::new(recipe));
        }
        for text in BUILT_IN {
            let recipe = Recipe::parse(text).expect("the built-in recipes are tested");
            own.entry(recipe.name.clone())
                .or_insert_with(|| Arc::new(recipe));
        }
        Ok(Self(own))
    }

    /// Reads and checks one file.
    ///
    /// # Errors
    /// When it cannot be read or has a mistake.
    pub fn read(path: &Path) -> Result<Recipe, RecipeFileError> {
        let text = std::fs::read_to_string(path).map_err(|source| RecipeFileError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Recipe::parse(&text).map_err(|source| RecipeFileError::Invalid {
            path: path.to_owned(),
            source,
        })
    }

    /// The recipe of that name, or the kind's default, which has the kind's name. A recipe for sounds takes the sound
    /// of a video, when it is asked for by name.
    pub fn find(&self, name: Option<&str>, kind: Kind) -> Option<Arc<Recipe>> {
        let takes =
            |r: &&Arc<Recipe>| r.kind == kind || (r.kind == Kind::Audio && kind == Kind::Video);
        self.0
            .get(name.unwrap_or(kind.as_str()))
            .filter(takes)
            .cloned()
    }

    /// Whether every recipe has the gate that the policy relies on.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn check_gate(&self, policy: ModerationPolicy) -> Result<(), String> {
        let has_gate = |r: &Recipe| r.steps.iter().any(|s| s.operation == Operation::Moderate);
        match self.all().find(|r| !has_gate(r)) {
            Some(recipe) if policy != ModerationPolicy::Off => Err(format!(
                "the recipe `{}` has no step with `operation = \"moderate\"`, so everything would be shown unseen although moderation.policy is \"{}\"; add the step, or set the policy to \"off\"",
                recipe.name,
                policy.as_str()
            )),
            _ => Ok(()),
        }
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All recipes, by name.
    pub fn all(&self) -> impl Iterator<Item = &Recipe> {
        self.0.values().map(AsRef::as_ref)
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, RecipeFileError> {
    let fail = |source| RecipeFileError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
