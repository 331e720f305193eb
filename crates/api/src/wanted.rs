//! What JSON bodies say of an asset to come, alike for every way in that has one.

/// A body with fields of its own and those that say what the asset is to be; `upload` makes an [`mediaflow_engine::Upload`] of the
/// latter. A macro, because flattened fields cannot be told from unknown ones.
macro_rules! wanted {
    (
        $(#[$about:meta])*
        $name:ident { $($(#[$of:meta])* $field:ident: $type:ty,)* }
    ) => {
        #[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        $(#[$about])*
        pub(crate) struct $name {
            $($(#[$of])* $field: $type,)*
            /// For display.
            filename: Option<String>,
            /// Instead of the kind's default.
            recipe: Option<String>,
            title: Option<String>,
            #[serde(default)]
            tags: Vec<String>,
            /// An object of your own.
            #[serde(default)]
            #[schema(value_type = Option<Object>)]
            metadata: serde_json::Map<String, serde_json::Value>,
            /// `public` (default) or `private`.
            #[schema(value_type = Option<String>)]
            visibility: Option<mediaflow_core::Visibility>,
            /// Whether the configured mark is applied.
            #[serde(default)]
            watermark: bool,
            /// The point that crops keep in sight.
            #[schema(value_type = Option<crate::view::asset::FocusView>)]
            focus: Option<mediaflow_core::Focus>,
            /// `high`, `normal` (default) or `low`.
            #[schema(value_type = Option<String>)]
            priority: Option<mediaflow_core::Priority>,
            /// Of the whole file, in hexadecimal. The bytes must have it.
            #[schema(value_type = Option<String>)]
            sha256: Option<mediaflow_core::Sha256>,
        }

        impl $name {
            fn upload(self) -> mediaflow_engine::Upload {
                mediaflow_engine::Upload {
                    filename: self.filename,
                    recipe: self.recipe,
                    options: mediaflow_core::AssetOptions {
                        title: self.title.filter(|title| !title.is_empty()),
                        tags: self.tags,
                        metadata: self.metadata,
                        visibility: self.visibility.unwrap_or_default(),
                        watermark: self.watermark,
                        focus: self.focus,
                    },
                    priority: self.priority.unwrap_or_default(),
                    sha256: self.sha256,
                    ..mediaflow_engine::Upload::default()
                }
            }
        }
    };
}

pub(crate) use wanted;
