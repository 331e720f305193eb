//! Every table that moves, once for both directions, in an order in which none refers to a later one.

use super::table::Kind::{Bytes, Flag, Id, Int, Real, Text};
use super::table::Table;

/// What moves.
#[rustfmt::skip]
pub const TABLES: &[Table] = &[
    Table {
        name: "tenants",
        order: None,
        only: None,
        columns: &[
            ("id", Id), ("vtime", Int), ("weight", Int), ("name", Text), ("running_max", Int), ("waiting_max", Int),
        ],
    },
    Table {
        name: "blobs",
        order: None,
        only: None,
        columns: &[
            ("id", Id), ("tenant", Id), ("sha256", Bytes), ("bytes", Int), ("key", Text), ("created_at", Int),
            ("condemned_at", Int),
        ],
    },
    Table {
        name: "orphans",
        order: None,
        only: None,
        columns: &[
            ("blob", Id), ("since", Int),
        ],
    },
    Table {
        name: "pins",
        order: None,
        only: None,
        columns: &[
            ("tenant", Id), ("name", Text), ("blob", Id),
        ],
    },
    Table {
        name: "assets",
        order: Some("created_at, id"),
        only: None,
        columns: &[
            ("id", Id), ("tenant", Id), ("state", Text), ("in_review", Flag), ("generation", Int), ("published", Int),
            ("kind", Text), ("original", Id), ("original_sha256", Bytes), ("original_bytes", Int),
            ("media_type", Text), ("filename", Text), ("width", Int), ("height", Int), ("fact_pixels", Int),
            ("fact_frames", Int), ("fact_bytes", Int), ("duration_ms", Int), ("container", Text), ("codec", Text),
            ("frame_rate", Real), ("has_sound", Flag), ("hdr", Text), ("title", Text), ("tags", Text),
            ("metadata", Text), ("visibility", Text), ("watermark", Flag), ("focus", Text), ("search_text", Text),
            ("correlation_id", Text), ("created_at", Int), ("updated_at", Int), ("rejected_at", Int),
        ],
    },
    Table {
        name: "tags",
        order: None,
        only: None,
        columns: &[
            ("tenant", Id), ("tag", Text), ("created_at", Int), ("asset", Id),
        ],
    },
    Table {
        name: "recipes",
        order: None,
        only: None,
        columns: &[
            ("hash", Bytes), ("json", Text),
        ],
    },
    Table {
        name: "settings",
        order: None,
        only: None,
        columns: &[
            ("hash", Bytes), ("json", Text),
        ],
    },
    Table {
        name: "runs",
        order: None,
        only: None,
        columns: &[
            ("asset", Id), ("generation", Int), ("state", Text), ("verdict", Text), ("steps", Text),
            ("showing", Flag), ("sequence", Int), ("recipe", Bytes), ("settings", Bytes), ("watermark", Flag),
            ("focus", Text), ("updated_at", Int),
        ],
    },
    Table {
        name: "tasks",
        order: None,
        only: None,
        columns: &[
            ("id", Id), ("tenant", Id), ("asset", Id), ("generation", Int), ("step", Int), ("number", Int),
            ("operation", Text), ("queue", Text), ("lane", Int), ("rank", Int), ("state", Text), ("fence", Int),
            ("attempts", Int), ("tries", Int), ("crashes", Int), ("alone", Flag), ("losses_alone", Int),
            ("memory_bytes", Int), ("cpu_ms", Int), ("created_at", Int), ("queued_at", Int), ("started_at", Int),
            ("finished_at", Int), ("retry_at", Int), ("lease_until", Int), ("worker", Text), ("error_code", Text),
            ("error_message", Text), ("priority", Int), ("needs", Text),
        ],
    },
    Table {
        name: "attempts",
        order: None,
        only: None,
        columns: &[
            ("task", Id), ("fence", Int), ("number", Int), ("worker", Text), ("request", Bytes), ("started_at", Int),
            ("ended_at", Int), ("outcome", Text), ("code", Text), ("message", Text),
        ],
    },
    Table {
        name: "facts",
        order: None,
        only: None,
        columns: &[
            ("asset", Id), ("operation", Text), ("generation", Int), ("json", Text),
        ],
    },
    Table {
        name: "renditions",
        order: None,
        only: None,
        columns: &[
            ("asset", Id), ("generation", Int), ("profile", Text), ("format", Text), ("tenant", Id), ("width", Int),
            ("height", Int), ("animated", Flag), ("derivation", Bytes), ("blob", Id),
        ],
    },
    Table {
        name: "tracks",
        order: None,
        only: None,
        columns: &[
            ("asset", Id), ("generation", Int), ("name", Text), ("kind", Text), ("codecs", Text), ("width", Int),
            ("height", Int), ("said", Text), ("timescale", Int), ("segments", Int), ("packaging", Text), ("blob", Id),
            ("bytes", Int), ("compared", Int), ("ssim_sum", Real), ("ssim_min", Real),
        ],
    },
    Table {
        name: "segments",
        order: None,
        only: None,
        columns: &[
            ("asset", Id), ("generation", Int), ("track", Text), ("number", Int), ("duration", Int),
            ("key_bytes", Int), ("blob", Id),
        ],
    },
    Table {
        name: "captions",
        order: None,
        only: None,
        columns: &[
            ("asset", Id), ("generation", Int), ("name", Text), ("language", Text), ("label", Text), ("blob", Id),
        ],
    },
    Table {
        name: "pieces",
        order: None,
        only: None,
        columns: &[
            ("asset", Id), ("generation", Int), ("number", Int), ("blob", Id),
        ],
    },
    Table {
        name: "events",
        order: Some("position"),
        only: None,
        columns: &[
            ("position", Int), ("tenant", Id), ("asset", Id), ("sequence", Int), ("id", Id), ("type", Text),
            ("at", Int), ("data", Text),
        ],
    },
    Table {
        name: "history",
        order: None,
        only: None,
        columns: &[
            ("one", Int), ("pruned", Int),
        ],
    },
    Table {
        name: "outlets",
        order: None,
        only: None,
        columns: &[
            ("name", Text), ("position", Int),
        ],
    },
    Table {
        name: "purges",
        order: Some("id"),
        only: None,
        columns: &[
            ("asset", Id), ("paths", Text), ("attempts", Int), ("due_at", Int),
        ],
    },
    Table {
        name: "idempotency",
        order: None,
        only: None,
        columns: &[
            ("tenant", Id), ("key", Text), ("digest", Bytes), ("asset", Id), ("created_at", Int),
        ],
    },
    Table {
        name: "uploads",
        order: None,
        // Bytes that are not whole yet do not move.
        only: Some("asset IS NOT NULL"),
        columns: &[
            ("id", Id), ("tenant", Id), ("key", Id), ("fence", Int), ("length", Int), ("bytes", Int), ("progress", Text),
            ("concat", Text), ("said", Text), ("metadata", Text), ("correlation_id", Text), ("asset", Id),
            ("created_at", Int), ("expires_at", Int), ("way", Text), ("state", Text), ("refusal", Text),
        ],
    },
    Table {
        name: "imports",
        order: None,
        // What was taken from watched folders and other buckets is not taken again at the new place.
        only: Some("due_at IS NULL OR id IN (SELECT id FROM uploads WHERE asset IS NOT NULL)"),
        columns: &[
            ("id", Id), ("tenant", Id), ("source", Text), ("reference", Text), ("mark", Text), ("digest", Bytes),
            ("validator", Text), ("tries", Int), ("code", Text), ("message", Text), ("asset", Id), ("due_at", Int),
            ("created_at", Int), ("expires_at", Int),
        ],
    },
    Table {
        name: "api_keys",
        order: None,
        only: None,
        columns: &[
            ("id", Id), ("tenant", Id), ("name", Text), ("scopes", Text), ("secret_sha256", Bytes),
            ("created_at", Int), ("revoked_at", Int), ("limits", Text),
        ],
    },
    Table {
        name: "webhooks",
        order: None,
        only: None,
        columns: &[
            ("id", Id), ("tenant", Id), ("url", Text), ("types", Text), ("description", Text), ("off_because", Text),
            ("after_position", Int), ("secret", Bytes), ("old_secret", Bytes), ("old_until", Int), ("created_at", Int),
            ("failing_since", Int), ("last_delivered_at", Int), ("last_error", Text), ("deleted_at", Int),
        ],
    },
    Table {
        name: "webhook_deliveries",
        order: None,
        only: None,
        columns: &[
            ("webhook", Id), ("event", Id), ("asset", Id), ("type", Text), ("body", Text), ("state", Text), ("run", Int),
            ("attempts", Int), ("tries", Text), ("created_at", Int), ("due_at", Int), ("last_at", Int), ("status", Int),
            ("ms", Int), ("error", Text),
        ],
    },
    Table {
        name: "switches",
        order: None,
        only: None,
        columns: &[
            ("name", Text), ("value", Text),
        ],
    },
    Table {
        name: "changes",
        order: Some("id"),
        only: None,
        columns: &[
            ("switch", Text), ("before", Text), ("after", Text), ("who", Text), ("at", Int),
        ],
    },
    Table {
        name: "flows",
        order: None,
        only: None,
        columns: &[
            ("tenant", Id), ("queue", Text), ("priority", Int), ("vtime", Int),
        ],
    },
    Table {
        name: "clock",
        order: None,
        only: None,
        columns: &[
            ("one", Int), ("vtime", Int),
        ],
    },
];

/// What does not move, as `table` or `table.column`: it belongs to a database or to its processes, or is made again from
/// what moves. A test holds both lists against both databases.
pub const LEFT_BEHIND: &[&str] = &[
    // Of the database itself.
    "schema_version",
    "installation",
    "arrivals",
    // Numbers that each database gives.
    "assets.seq",
    "events.n",
    "purges.id",
    "changes.id",
    "relay",
    "sqlite_sequence",
    // Processes that are alive, and what they do.
    "workers",
    "duties",
    // Made again: words and counts.
    "asset_words",
    "asset_text",
    "asset_text_config",
    "asset_text_data",
    "asset_text_docsize",
    "asset_text_idx",
    "task_counts",
    "asset_counts",
    "task_deltas",
    "asset_deltas",
    "ready_deltas",
    "unfinished",
    "unfinished_deltas",
    // Of a day.
    "key_usage",
    // They live for minutes.
    "upload_tokens",
    // Of the last hour.
    "queue_minutes",
];
