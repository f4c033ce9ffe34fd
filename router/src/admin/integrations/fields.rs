//! Members of integrations' bodies.

use crate::admin::field::{Field, Kind};

const NAME: Field = Field::new("name", Kind::Text(255), "name for people");
const KEY: Field = Field::new("key", Kind::Text(65_536), "the vendor's API key; it is never shown again");
const DESCRIPTION: Field = Field::new("description", Kind::Text(1_024), "more words");
const CONFIGURATIONS: Field = Field::new(
    "configurations",
    Kind::Object,
    "what the vendor needs beside the key, and custom_host and custom_headers",
);
const MAPPINGS: Field = Field::new(
    "secret_mappings",
    Kind::Objects,
    "secrets that lie elsewhere: target_field, secret_reference_id, secret_key, value_format",
);
const PRICING: Field = Field::new(
    "pricing_adjustments",
    Kind::Object,
    "multiplier.default is what every price is multiplied by",
);
const WORKSPACE: Field = Field::new(
    "workspace_id",
    Kind::Text(255),
    "id or slug of the workspace whose it is; none is the organisation",
);

pub(super) const NEW: &[Field] = &[
    NAME.required(),
    Field::new("ai_provider_id", Kind::Text(64), "Portkey's name of the vendor").required(),
    Field::new("slug", Kind::Text(255), "its name in addresses; made of the name where absent"),
    Field::new("organisation_id", Kind::Any, "there is one organisation"),
    KEY,
    DESCRIPTION,
    WORKSPACE,
    CONFIGURATIONS,
    MAPPINGS,
    PRICING,
    Field::new(
        "create_default_provider",
        Kind::Flag,
        "whether a provider is made of it at once; true where absent",
    ),
    Field::new(
        "default_provider_slug",
        Kind::Text(255),
        "that provider's slug; the integration's where absent",
    ),
];

pub(super) const CHANGED: &[Field] = &[
    NAME,
    KEY,
    DESCRIPTION,
    CONFIGURATIONS,
    MAPPINGS,
    PRICING,
    Field::new("status", Kind::Word(&["active", "archived"]), "whether its providers work"),
];

pub(super) const LISTED: &[Field] = &[
    WORKSPACE,
    Field::new("type", Kind::Word(&["workspace", "organisation", "all"]), "whose they are"),
    Field::new("status", Kind::Word(&["active", "archived"]), "only such"),
];

pub(super) const REMOVED: &[Field] =
    &[Field::new("force", Kind::Flag, "deletes providers of it, too, whoever made them")];

pub(super) const MODELS: &[Field] = &[
    Field::new(
        "models",
        Kind::Objects,
        "slug, enabled, is_custom, is_finetune, base_model_slug, configurations, pricing_config",
    ),
    Field::new("allow_all_models", Kind::Flag, "whether models that are not listed may be used"),
];

pub(super) const REMOVED_MODELS: &[Field] = &[Field::new("models", Kind::Any, "slugs of models")];
pub(super) const SLUGS: &[Field] =
    &[Field::new("slugs", Kind::Text(65_536), "slugs of models, joined by commas")];

pub(super) const WORKSPACES: &[Field] = &[
    Field::new(
        "workspaces",
        Kind::Objects,
        "id, enabled, usage_limits, rate_limits, reset_usage, create_default_provider, default_provider_slug",
    ),
    Field::new("global_workspace_access", Kind::Object, "what holds for workspaces that are not listed"),
    Field::new("override_existing_workspace_access", Kind::Flag, "puts listed workspaces under it, too"),
    Field::new("override_existing_workspaces_access", Kind::Flag, "the same as Portkey's SDK spells it"),
];
