//! Recipe files as they come from people and accidents: never a panic, and what is read is the
//! same after a trip through the database.

use crate::generate::recipe;
use mediaflow_core::Recipe;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::Config;

const IMAGE: &str = include_str!("../../../../recipes/image.toml");

/// A file with some of its lines and words gone, doubled, swapped or replaced.
fn mutated(changes: &[(u8, u16, u16, char)]) -> String {
    let mut text = IMAGE.to_owned();
    for &(how, a, b, letter) in changes {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.is_empty() {
            break;
        }
        let (at, other) = (usize::from(a) % lines.len(), usize::from(b) % lines.len());
        match how % 9 {
            0 => drop(lines.remove(at)),
            1 => lines.insert(other, lines[at].clone()),
            2 => lines.swap(at, other),
            3 => lines[at] = lines[at].replace(|c: char| c.is_ascii_digit(), &b.to_string()),
            4 => lines[at].push(letter),
            5 => lines.truncate(at + 1),
            6 => lines[at] = lines[at].trim_start_matches("# ").to_owned(),
            7 => {
                let words: Vec<&str> = IMAGE.split_whitespace().collect();
                let old = lines[at].split_whitespace().last().map(str::to_owned);
                if let Some(old) = old {
                    lines[at] = lines[at].replace(&old, words[usize::from(b) % words.len()]);
                }
            }
            _ => {
                let cut = lines[at]
                    .char_indices()
                    .map(|(i, _)| i)
                    .nth(usize::from(b) % 40);
                lines[at].insert(cut.unwrap_or(0), letter);
            }
        }
        text = lines.join("\n");
    }
    text
}

fn survives_the_database(recipe: &Recipe) {
    let text = serde_json::to_string(recipe).expect("a recipe is plain data");
    let back: Recipe = serde_json::from_str(&text).expect("what was written is read");
    assert_eq!(&back, recipe);
    assert_eq!(back.hash(), recipe.hash());
}

proptest! {
    #![proptest_config(Config { cases: 3000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_damaged_file_is_read_or_refused_with_a_place(
        changes in proptest::collection::vec(any::<(u8, u16, u16, char)>(), 1..5)
    ) {
        let text = mutated(&changes);
        match Recipe::parse(&text) {
            Ok(recipe) => survives_the_database(&recipe),
            Err(error) => {
                prop_assert!((1..=text.lines().count() + 1).contains(&error.line), "{error}");
                prop_assert!(!error.message.is_empty());
                prop_assert!(!error.message.contains("struct"), "{error}");
            }
        }
    }

    #[test]
    fn any_text_at_all_is_no_panic(text: String) {
        let _ = Recipe::parse(&text);
    }
}

proptest! {
    #![proptest_config(Config { cases: 300, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_sound_recipe_is_ordered_and_survives_the_database(recipe in recipe()) {
        survives_the_database(&recipe);
        for (index, step) in recipe.steps.iter().enumerate() {
            prop_assert!(step.needs.iter().all(|&need| need < index));
            prop_assert_eq!(&step.name, &recipe.steps[index].name);
        }
    }
}

#[test]
fn the_densest_graph_is_checked_at_once() {
    let mut text = "name = \"dense\"\nkind = \"image\"\n".to_owned();
    let mut names: Vec<String> = Vec::new();
    let mut step = |operation: &str, more: &str| {
        let name = format!("s{}", names.len());
        text += &format!(
            "[[steps]]\nname = \"{name}\"\noperation = \"{operation}\"\nneeds = {names:?}\n{more}\n"
        );
        names.push(name);
    };
    step(
        "image.resize",
        "variants = [{ name = \"a\", fit = \"original\" }]",
    );
    (0..61).for_each(|_| step("image.inspect", ""));
    step("publish", "");
    step(
        "image.squeeze",
        "optional = true\nformats = [{ format = \"webp\", quality = 80, effort = 6 }]",
    );
    let recipe = Recipe::parse(&text).expect("dense, but sound");
    assert!(recipe.is_before_publish(0) && !recipe.is_before_publish(63));
}

#[test]
fn needs_in_another_order_are_the_same_recipe() {
    let turned = IMAGE.replace(
        "[\"inspect\", \"compress\", \"placeholder\"]",
        "[\"placeholder\", \"compress\", \"inspect\"]",
    );
    assert_ne!(turned, IMAGE);
    let (a, b) = (
        Recipe::parse(IMAGE).expect("parses"),
        Recipe::parse(&turned).expect("parses"),
    );
    assert_eq!(a.hash(), b.hash());
}
