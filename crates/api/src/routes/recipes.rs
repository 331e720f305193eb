//! `/v1/recipes`: the graphs that uploads can name, the one that an asset's run was frozen with, and what a file would be.

use super::AssetPath;
use crate::Shared;
use crate::access::MayRead;
use crate::body::Json;
use crate::params::NoParams;
use crate::problem::{Problem, ProblemView};
use axum::extract::State;
use axum::response::Json as Answer;
use mediaflow_core::recipe::Condition;
use mediaflow_core::{ErrorCode, Recipe};
use mediaflow_engine::EngineError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All recipes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecipeList {
    recipes: Vec<GraphView>,
}

/// A recipe with its steps.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecipeGraph)]
pub(crate) struct GraphView {
    name: String,
    version: u32,
    /// SHA-256 of everything in it.
    hash: String,
    /// The media it takes.
    kind: &'static str,
    /// Each after all that it needs.
    steps: Vec<StepView>,
}

/// A step of a recipe.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Step)]
pub(crate) struct StepView {
    name: String,
    operation: &'static str,
    /// Where its tasks wait.
    queue: &'static str,
    /// The steps that must be done before.
    needs: Vec<String>,
    /// `watermark`: only where the asset asks for one. Null: always.
    when: Option<&'static str>,
    /// Whether the run goes on when it fails for good.
    optional: bool,
    /// Failed attempts after which it is dead.
    attempts: u32,
    /// Limit of one attempt, in seconds.
    timeout_s: u64,
    /// Capabilities that its recipe asks of workers.
    requires: Vec<String>,
}

impl From<&Recipe> for GraphView {
    fn from(recipe: &Recipe) -> Self {
        let steps = recipe.steps.iter().map(|step| StepView {
            name: step.name.clone(),
            operation: step.operation.name(),
            queue: step.operation.queue().as_str(),
            needs: step
                .needs
                .iter()
                .map(|&need| recipe.steps[need].name.clone())
                .collect(),
            when: step.when.map(|Condition::Watermark| "watermark"),
            optional: step.optional,
            attempts: step.attempts,
            timeout_s: step.timeout_s,
            requires: step.requires.clone(),
        });
        Self {
            name: recipe.name.clone(),
            version: recipe.version,
            hash: recipe.hash().to_string(),
            kind: recipe.kind.as_str(),
            steps: steps.collect(),
        }
    }
}

/// A recipe file that somebody works on.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RecipeDraft)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    /// What is in it.
    toml: String,
}

/// List the recipes that uploads can name.
#[utoipa::path(
    get, path = "/v1/recipes", operation_id = "listRecipes", tag = "recipes",
    responses(
        (status = 200, body = RecipeList),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(context): State<Shared>,
    _: MayRead,
    _: NoParams,
) -> Answer<RecipeList> {
    let recipes = context.engine.recipes().all().map(GraphView::from);
    Answer(RecipeList {
        recipes: recipes.collect(),
    })
}

/// The recipe that an asset's newest run follows, as it was when the run began.
#[utoipa::path(
    get, path = "/v1/assets/{id}/recipe", operation_id = "getAssetRecipe", tag = "recipes",
    params(("id" = String, Path, description = "The asset.")),
    responses(
        (status = 200, body = GraphView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn of_asset(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    AssetPath(id): AssetPath,
    _: NoParams,
) -> Result<Answer<GraphView>, Problem> {
    let recipe = context.engine.store().recipe_of(caller.tenant, id).await?;
    Ok(Answer(GraphView::from(&*recipe)))
}

/// Check a recipe file: what it would be, or what is wrong with it, with line, step and fix. Nothing is kept.
#[utoipa::path(
    post, path = "/v1/recipes/check", operation_id = "checkRecipe", tag = "recipes",
    request_body = Draft,
    responses(
        (status = 200, body = GraphView),
        (status = "4XX", body = ProblemView<'_>, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn check(
    _: MayRead,
    _: NoParams,
    Json(draft): Json<Draft>,
) -> Result<Answer<GraphView>, Problem> {
    let recipe = Recipe::parse(&draft.toml)
        .map_err(|wrong| EngineError::new(ErrorCode::RecipeInvalid, wrong.to_string()))?;
    Ok(Answer(GraphView::from(&recipe)))
}
