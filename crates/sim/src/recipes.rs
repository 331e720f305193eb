//! The recipes of simulated worlds: small ones, because a world must be cheap, with every kind of step.

use mediaflow_core::operation::Format;
use mediaflow_core::{Kind, Operation, Recipe};
use std::sync::{Arc, LazyLock};

/// How many there are.
pub(crate) const COUNT: usize = 6;

/// What an older version of the program cannot do.
pub(crate) const NEWER: &str = "newer";

static ALL: LazyLock<[Arc<Recipe>; COUNT]> = LazyLock::new(|| {
    let texts = [
        include_str!("../recipes/quick.toml"),
        include_str!("../recipes/picture.toml"),
        include_str!("../recipes/gated.toml"),
        include_str!("../recipes/squeezed.toml"),
        include_str!("../recipes/film.toml"),
        include_str!("../recipes/newer.toml"),
    ];
    texts.map(|text| {
        Arc::new(
            Recipe::parse(text)
                .unwrap_or_else(|e| panic!("a recipe of the simulator: {e:?}\n{text}")),
        )
    })
});

pub(crate) fn all() -> &'static [Arc<Recipe>; COUNT] {
    &ALL
}

/// Another recipe of the same kind, or the same.
pub(crate) fn for_kind(kind: Kind, choice: u64) -> Arc<Recipe> {
    let fitting: Vec<_> = ALL.iter().filter(|r| r.kind == kind).collect();
    Arc::clone(fitting[(choice % fitting.len() as u64) as usize])
}

/// The renditions that a published run of the recipe has at least.
pub(crate) fn promised(recipe: &Recipe) -> Vec<(String, Format)> {
    let Some(resize) = recipe.resize() else {
        return Vec::new();
    };
    let mut promised = Vec::new();
    for step in recipe.steps.iter().filter(|s| !s.optional) {
        let formats = match &step.operation {
            Operation::Resize(_) => vec![Format::Jpeg],
            Operation::Compress(compress) => compress.formats.iter().map(|e| e.format).collect(),
            _ => continue,
        };
        for format in formats {
            promised.extend(resize.variants.iter().map(|v| (v.name.clone(), format)));
        }
    }
    promised
}
