//! Random sound recipes, written as TOML so that every one also goes through the parser.

use mediaflow_core::Recipe;
use proptest::prelude::{Strategy, any};
use std::fmt::Write;
use std::sync::Arc;

/// One step of a recipe to be written.
struct Line {
    name: String,
    operation: &'static str,
    fields: &'static str,
    needs: Vec<usize>,
    optional: bool,
    attempts: u8,
}

/// Raw choices for one step beside the fixed ones: operation, needs, optional, attempts, place.
type Extra = (u8, u16, bool, u8, u8);
/// Which of the fixed steps there are: moderate, watermark, compress, squeeze, squeeze again.
type Fixed = (bool, bool, bool, bool, bool);

/// A recipe that passes all checks, with its steps in any order in the file.
pub(crate) fn recipe() -> impl Strategy<Value = Arc<Recipe>> {
    let extra = (
        any::<u8>(),
        any::<u16>(),
        any::<bool>(),
        0..5_u8,
        any::<u8>(),
    );
    let extras = proptest::collection::vec(extra, 0..6);
    let masks = proptest::collection::vec(any::<u16>(), 8);
    (any::<Fixed>(), extras, masks, any::<u64>()).prop_map(|(fixed, extras, masks, order)| {
        let text = write(fixed, &extras, &masks, order);
        Arc::new(Recipe::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}")))
    })
}

fn write(fixed: Fixed, extras: &[Extra], masks: &[u16], order: u64) -> String {
    let (moderate, watermark, compress, squeeze, squeeze_again) = fixed;
    let mut plan: Vec<(&'static str, &'static str, Extra)> = Vec::new();
    let fixed_step = |i: usize| (0, masks[i], false, (masks[i] >> 12) as u8 % 5, 0);
    if moderate {
        plan.push(("moderate", "", fixed_step(0)));
    }
    plan.push((
        "image.resize",
        "variants = [{ name = \"small\", fit = \"width\", width = 320 }]",
        fixed_step(1),
    ));
    if watermark {
        plan.push(("image.watermark", "when = \"watermark\"", fixed_step(2)));
    }
    if compress {
        let optional = masks[7] & 1 == 0;
        let mut step = fixed_step(3);
        step.2 = optional;
        let formats = "formats = [{ format = \"webp\", quality = 80, effort = 2 }]";
        plan.push(("image.compress", formats, step));
    }
    for &extra in extras {
        let operation =
            ["image.inspect", "image.placeholder", "distribute"][usize::from(extra.0) % 3];
        plan.insert(
            usize::from(extra.4) % (plan.len() + 1),
            (operation, "", extra),
        );
    }

    let mut lines: Vec<Line> = Vec::new();
    for (operation, fields, (_, mask, optional, attempts, _)) in plan {
        let index = lines.len();
        let of = |name: &str| lines.iter().position(|l| l.operation == name);
        let must = match operation {
            "image.watermark" => of("image.resize"),
            "image.compress" => of("image.watermark").or_else(|| of("image.resize")),
            _ => None,
        };
        let needs = (0..index)
            .filter(|&i| Some(i) == must || mask >> i & 1 == 1)
            .collect();
        lines.push(Line {
            name: format!("s{index}"),
            operation,
            fields,
            needs,
            optional,
            attempts,
        });
    }
    let publish = lines.len();
    let needed = |lines: &[Line], i: usize| lines.iter().any(|l| l.needs.contains(&i));
    let needs = (0..publish)
        .filter(|&i| !needed(&lines, i) || masks[4] >> i & 1 == 1)
        .collect();
    let step = |name: &str, operation, needs| Line {
        name: name.into(),
        operation,
        fields: "",
        needs,
        optional: false,
        attempts: 0,
    };
    lines.push(step("publish", "publish", needs));
    for again in 0..u8::from(squeeze) + u8::from(squeeze && squeeze_again) {
        let mut line = step(
            "squeeze",
            "image.squeeze",
            vec![publish + usize::from(again)],
        );
        line.name = format!("squeeze{again}");
        line.fields = "formats = [{ format = \"avif\", quality = 60, effort = 4 }]";
        line.optional = true;
        lines.push(line);
    }

    let mut text = "name = \"random\"\nkind = \"image\"\n".to_owned();
    let mut left: Vec<usize> = (0..lines.len()).collect();
    let mut order = order;
    while !left.is_empty() {
        let count = left.len() as u64;
        let line = &lines[left.remove((order % count) as usize)];
        order /= count;
        let needs: Vec<&str> = line.needs.iter().map(|&i| lines[i].name.as_str()).collect();
        writeln!(
            text,
            "[[steps]]\nname = \"{}\"\noperation = \"{}\"\nneeds = {needs:?}\n{}\noptional = {}\nattempts = {}",
            line.name, line.operation, line.fields, line.optional, line.attempts + 1,
        )
        .expect("a string takes all");
    }
    text
}
