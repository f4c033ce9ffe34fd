//! The table of `/admin/workspaces`.

use super::super::field::{Field, Kind};
use super::super::route::{Route, route};
use super::members::{add, change_member, members, one_member, remove_member};
use super::remove::remove;
use super::serve::{change, create, list, one};

const ICON: Field = Field::new("icon", Kind::Text(255), "a sign for people; never part of the name");
const DESCRIPTION: Field = Field::new("description", Kind::Text(1_024), "more words");
const DEFAULTS: Field = Field::new(
    "defaults",
    Kind::Object,
    "metadata, input_guardrails, output_guardrails, user_api_key_config",
);
const USAGE: Field = Field::new("usage_limits", Kind::OneOrMany, "for how much, once of each type");
const LIMITS: Field = Field::new("rate_limits", Kind::OneOrMany, "how often: type, unit, value");
const SETTINGS: Field = Field::new(
    "settings",
    Kind::Object,
    "debug_log, required_metadata, user_api_key_ttl and the like; null members are cleared",
);
const SECURITY: Field = Field::new("security_settings", Kind::Object, "who sees and changes what");

const NEW: &[Field] = &[
    Field::new("name", Kind::Text(255), "name for people").required(),
    ICON,
    DESCRIPTION,
    DEFAULTS,
    Field::new("users", Kind::Objects, "first members: id, role"),
    USAGE,
    LIMITS,
    SETTINGS,
    SECURITY,
];

const CHANGED: &[Field] = &[
    Field::new("name", Kind::Text(255), "name for people"),
    ICON,
    DESCRIPTION,
    DEFAULTS,
    USAGE,
    LIMITS,
    Field::new("reset_usage", Kind::Flag, "sets what its budgets spent to zero"),
    SETTINGS,
    SECURITY,
];

const LISTED: &[Field] = &[
    Field::new("name", Kind::Text(255), "only whose name contains this"),
    Field::new("exact_name", Kind::Text(255), "only whose name is this"),
    Field::new("status", Kind::Words(&["active", "archived"]), "only such; active without a word"),
    // Clients ask for names without icons; they never have any here.
    Field::new("name_format", Kind::Text(16), "plain"),
];

const REMOVED: &[Field] = &[
    Field::new("name", Kind::Text(255), "its name, as a safeguard"),
    Field::new("workspace_id", Kind::Any, "its id once more, as Portkey's SDK sends it"),
    Field::new("force_delete", Kind::Flag, "deletes its keys, providers and configs, too"),
];

const ROLE: Field = Field::new("role", Kind::Word(&["admin", "manager", "member"]), "what they may do in it");

pub(in crate::admin) const ROUTES: &[Route] = &[
    route!(GET "/admin/workspaces" ["workspaces.list"] "List workspaces", &[], LISTED => list),
    route!(POST "/admin/workspaces" ["workspaces.create"] "Make a workspace", NEW, &[] => create),
    route!(GET "/admin/workspaces/{id}" ["workspaces.read"] "Show a workspace", &[], &[] => one),
    route!(PUT "/admin/workspaces/{id}" ["workspaces.update"] "Change a workspace", CHANGED, &[] => change),
    route!(DELETE "/admin/workspaces/{id}" ["workspaces.delete"] "Archive a workspace", REMOVED, &[] => remove),
    route!(GET "/admin/workspaces/{id}/users" ["workspace_users.list"] "List members of a workspace", &[],
        &[ROLE, Field::new("email", Kind::Text(320), "only with this address")] => members),
    route!(POST "/admin/workspaces/{id}/users" ["workspace_users.create"] "Add members to a workspace",
        &[Field::new("users", Kind::Objects, "id, role").required()], &[] => add),
    route!(GET "/admin/workspaces/{id}/users/{user}" ["workspace_users.read"] "Show a member", &[], &[] => one_member),
    route!(PUT "/admin/workspaces/{id}/users/{user}" ["workspace_users.update"] "Change a member's role", &[ROLE.required()], &[] => change_member),
    route!(DELETE "/admin/workspaces/{id}/users/{user}" ["workspace_users.delete"] "Remove a member with their keys", &[], &[] => remove_member),
];
