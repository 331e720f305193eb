//! `mediaflow plan`: what would be done with a file, and what that would take, before anything is done.

mod look;

use crate::advice;
use crate::cells;
use crate::cli::Place;
use crate::client::{Client, Server};
use crate::config::{Config, PricesConfig, load};
use crate::estimate::{self, Basis, Measured, StepCost, Subject};
use crate::fault::Fault;
use crate::output;
use clap::Args;
use look::Looked;
use mediaflow_core::Recipe;
use mediaflow_engine::Recipes;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, Clone, Args)]
pub(crate) struct Plan {
    /// The file, which is read and stays where it is
    file: PathBuf,
    /// A recipe other than the default one of its kind
    #[arg(long, value_name = "NAME")]
    recipe: Option<String>,
    /// As if the upload asked for the watermark
    #[arg(long)]
    watermark: bool,
    /// Tasks that run at the same time [default: those of the server's workers, or this machine's processors]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    slots: Option<u32>,
    #[command(flatten)]
    server: Server,
    /// Ask no server: use stated costs alone
    #[arg(long)]
    offline: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// All that is told.
struct Planned<'a> {
    plan: &'a Plan,
    looked: &'a Looked,
    recipe: &'a Recipe,
    steps: Vec<StepCost>,
    made: (u64, Basis),
    slots: u32,
    prices: &'a PricesConfig,
    /// Why no server was asked.
    unasked: Option<String>,
}

pub(crate) fn run(place: &Place, plan: &Plan) -> Result<(), Fault> {
    let config = load(place)?;
    let looked = look::at(&plan.file, &config)?;
    let recipes = Recipes::load(config.recipes.folder.as_deref()).map_err(Fault::unusable)?;
    let kind = looked.recognised.kind;
    let recipe = recipes.find(plan.recipe.as_deref(), kind).ok_or_else(|| {
        let next = advice::next("recipe.unknown").unwrap_or_default();
        let name = plan.recipe.as_deref().unwrap_or(kind.as_str());
        Fault::failed(format!(
            "no recipe `{name}` takes this: it is {}; {next}",
            kind.as_str()
        ))
    })?;
    let subject = look::into(&plan.file, &looked, &recipe, &config)?;
    let (asked, unasked) = super::block_on(ask(plan, &recipe))?;
    let (measured, theirs) = asked.unwrap_or_default();
    let own = std::thread::available_parallelism().map_or(1, usize::from);
    let planned = Planned {
        plan,
        looked: &looked,
        recipe: &recipe,
        steps: estimate::steps(&recipe, &subject, watermarked(plan, &config), &measured),
        made: estimate::made_bytes(&recipe, &subject, &measured),
        slots: plan
            .slots
            .or(theirs)
            .unwrap_or_else(|| u32::try_from(own).unwrap_or(1)),
        prices: &config.prices,
        unasked,
    };
    match plan.json {
        true => output::print_json(&planned.document(&subject)),
        false => output::print(&planned.words(&subject)),
    }
}

fn watermarked(plan: &Plan, config: &Config) -> bool {
    plan.watermark && config.watermark.file.is_some()
}

/// What a server measured and how many slots its workers have, where one can be asked, or why not.
async fn ask(plan: &Plan, recipe: &Recipe) -> (Option<(Measured, Option<u32>)>, Option<String>) {
    if plan.offline {
        return (None, Some("--offline".to_owned()));
    }
    let client = match plan.server.client() {
        Ok(client) => client,
        Err(fault) => return (None, Some(fault.message().to_owned())),
    };
    match Measured::ask(&client, recipe).await {
        Ok(measured) => (Some((measured, slots(&client).await)), None),
        Err(trouble) => (None, Some(trouble.to_string())),
    }
}

/// Of all that work. Not every key may know.
async fn slots(client: &Client) -> Option<u32> {
    let found = client.get("v1/workers").await.ok()?;
    let workers = found["workers"].as_array()?.iter();
    let working = workers.filter(|worker| worker["state"] == "working");
    let slots: u64 = working.filter_map(|worker| worker["cpu"].as_u64()).sum();
    u32::try_from(slots).ok().filter(|slots| *slots > 0)
}

impl Planned<'_> {
    fn cpu_seconds(&self) -> f64 {
        self.steps.iter().map(|step| step.cpu_seconds).sum()
    }

    fn tasks(&self) -> u64 {
        self.steps.iter().map(|step| u64::from(step.tasks)).sum()
    }

    /// Of processing it, and of keeping it for a month, where there are prices.
    fn costs(&self, subject: &Subject) -> (Option<f64>, Option<f64>) {
        let gigabytes = (subject.bytes + self.made.0) as f64 / 1e9;
        let hours = self.cpu_seconds() / 3600.0;
        let prices = self.prices;
        (
            prices.cpu_hour.map(|price| price * hours),
            prices.storage_gb_month.map(|price| price * gigabytes),
        )
    }

    fn words(&self, subject: &Subject) -> String {
        let file = self.plan.file.display().to_string();
        let mut text = format!(
            "{}: {}, {}, {}\nrecipe {} version {}\n\n",
            cells::plain(&file),
            self.looked.recognised.media_type,
            self.looked.about(subject),
            cells::bytes(subject.bytes),
            self.recipe.name,
            self.recipe.version
        );
        text.push_str(&self.table());
        let (processing, keeping) = self.costs(subject);
        let mut rows = vec![
            ("tasks", self.tasks().to_string()),
            ("processor time", cells::span(Some(self.cpu_seconds()))),
            (
                "done after",
                format!(
                    "{} on {} that do nothing else",
                    cells::span(Some(estimate::wall_seconds(&self.steps, self.slots))),
                    cells::many(self.slots.into(), "slot")
                ),
            ),
            (
                "storage",
                format!(
                    "{} as uploaded, and {} made ({})",
                    cells::bytes(subject.bytes),
                    cells::bytes(self.made.0),
                    self.made.1.words()
                ),
            ),
        ];
        if let Some(cost) = processing {
            rows.push(("cost", self.prices.amount(cost)));
        }
        if let Some(cost) = keeping {
            rows.push(("cost of keeping", self.prices.amount(cost) + " a month"));
        }
        let rows = rows.into_iter().map(|(n, v)| vec![n.to_owned(), v]);
        let rows: Vec<_> = rows.collect();
        text.push('\n');
        text.push_str(&output::table(&rows, ""));
        text.push_str(&self.notes(processing.or(keeping).is_none()));
        text
    }

    fn table(&self) -> String {
        let rows = self.steps.iter().map(|step| {
            let needs = step.needs.iter().map(|&n| self.steps[n].step.as_str());
            let needs: Vec<&str> = needs.collect();
            let needs = if needs.is_empty() {
                "-".to_owned()
            } else {
                needs.join(",")
            };
            let (cpu, basis) = match step.tasks {
                0 => ("-".to_owned(), "skipped".to_owned()),
                _ => (cells::span(Some(step.cpu_seconds)), step.basis.words()),
            };
            vec![
                step.step.clone(),
                step.operation.to_owned(),
                step.tasks.to_string(),
                cpu,
                basis,
                needs,
            ]
        });
        let head = ["STEP", "OPERATION", "TASKS", "CPU", "FROM", "NEEDS"];
        output::headed(head, rows.collect())
    }

    /// What the figures stand on, and what would make them better.
    fn notes(&self, has_no_prices: bool) -> String {
        let is_measured = |step: &&StepCost| matches!(step.basis, Basis::Measured(_));
        let mut notes = String::from("\n");
        if self.steps.iter().any(|step| is_measured(&step)) {
            notes.push_str(
                "Measured is how long tasks of the server's newest assets with this recipe held a slot, for each pixel or second.\n",
            );
        }
        if self
            .steps
            .iter()
            .any(|step| step.tasks > 0 && !is_measured(&step))
        {
            notes.push_str("Stated is what the operation says of itself, or a benchmark of ours: see docs/command-line.md.\n");
        }
        if let Some(why) = &self.unasked {
            notes.push_str(&format!("No server was asked: {why}\n"));
        }
        if has_no_prices {
            notes.push_str("For costs, set [prices] in the configuration.\n");
        }
        notes
    }

    fn document(&self, subject: &Subject) -> Value {
        let (processing, keeping) = self.costs(subject);
        let steps = self.steps.iter().map(|step| {
            json!({
                "step": step.step, "operation": step.operation, "queue": step.queue.as_str(), "tasks": step.tasks,
                "needs": step.needs.iter().map(|&n| &self.steps[n].step).collect::<Vec<_>>(),
                "cpu_seconds": step.cpu_seconds, "from": step.basis.words(),
            })
        });
        json!({
            "file": self.plan.file.display().to_string(),
            "kind": subject.kind.as_str(),
            "media_type": self.looked.recognised.media_type,
            "width": subject.sides.map(|s| s.0),
            "height": subject.sides.map(|s| s.1),
            "seconds": (subject.seconds > 0.0).then_some(subject.seconds),
            "recipe": { "name": self.recipe.name, "version": self.recipe.version, "hash": self.recipe.hash().to_string() },
            "steps": steps.collect::<Vec<_>>(),
            "tasks": self.tasks(),
            "cpu_seconds": self.cpu_seconds(),
            "slots": self.slots,
            "wall_seconds": estimate::wall_seconds(&self.steps, self.slots),
            "original_bytes": subject.bytes,
            "made_bytes": self.made.0,
            "made_bytes_from": self.made.1.words(),
            "currency": self.prices.currency,
            "cost": processing,
            "cost_month": keeping,
            "not_asked": self.unasked,
        })
    }
}
