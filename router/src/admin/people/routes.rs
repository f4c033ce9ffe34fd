//! The table of `/admin/users` and of invitations.

use super::super::field::{Field, Kind};
use super::super::route::{Route, route};
use super::accept::{accept, look};
use super::invites::{cancel, invite, invites, one_invite, resend};
use super::users::{change, list, one, remove};

const ROLE: Field =
    Field::new("role", Kind::Word(&["owner", "admin", "member"]), "what they may do in the organisation")
        .required();
const BY_ROLE: Field = Field::new("role", Kind::Word(&["owner", "admin", "member"]), "only with this role");
const BY_EMAIL: Field = Field::new("email", Kind::Text(320), "only with this address");

const INVITE: &[Field] = &[
    Field::new("email", Kind::Text(320), "where the invitation goes").required(),
    ROLE,
    Field::new("workspaces", Kind::Objects, "workspaces they join: id, role (admin, manager, member)"),
    Field::new(
        "workspace_api_key_details",
        Kind::Object,
        "scopes of a key that they get in each of those workspaces",
    ),
];

const ACCEPT: &[Field] = &[
    Field::new("first_name", Kind::Text(255), "given name").required(),
    Field::new("last_name", Kind::Text(255), "family name"),
];

pub(in crate::admin) const ROUTES: &[Route] = &[
    route!(GET "/admin/users" ["organisation_users.list"] "List people", &[], &[BY_ROLE, BY_EMAIL] => list),
    route!(GET "/admin/users/{id}" ["organisation_users.read"] "Show a person", &[], &[] => one),
    route!(PUT "/admin/users/{id}" ["organisation_users.update"] "Change a person's role", &[ROLE], &[] => change),
    route!(DELETE "/admin/users/{id}" ["organisation_users.delete"] "Remove a person with their places and keys", &[], &[] => remove),
    route!(GET "/admin/users/invites" ["organisation_users.list"] "List invitations", &[],
        &[BY_ROLE, BY_EMAIL, Field::new("status", Kind::Word(&["pending", "cancelled", "accepted", "expired"]), "only such")] => invites),
    route!(POST "/admin/users/invites" ["organisation_users.create"] "Invite somebody", INVITE, &[] => invite),
    route!(GET "/admin/users/invites/{id}" ["organisation_users.read"] "Show an invitation", &[], &[] => one_invite),
    route!(DELETE "/admin/users/invites/{id}" ["organisation_users.delete"] "Cancel an invitation", &[], &[] => cancel),
    route!(POST "/admin/users/invites/{id}/resend" ["organisation_users.update"] "Make a new link of an invitation", &[], &[] => resend),
    route!(open GET "/invites/{token}" "Show the invitation of a link", &[] => look),
    route!(open POST "/invites/{token}/accept" "Accept the invitation of a link", ACCEPT => accept),
];
