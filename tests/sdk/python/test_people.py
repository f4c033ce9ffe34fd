"""Workspaces, their members and invitations through the official `portkey-ai` package."""

import pytest
from portkey_ai._vendor.openai import APIStatusError as RefusedByModel

from bench import status_of, wire


def test_workspaces_are_made_listed_changed_and_archived(bench):
    portkey = bench.client()
    name = bench.name("Harbour")
    made = portkey.admin.workspaces.create(name=name, description="of ships", defaults={"metadata": {"a": "b"}})
    assert (made.object, made.name, made.description) == ("workspace", name, "of ships")
    for identity in (made.id, made.slug):
        read = portkey.admin.workspaces.retrieve(workspace_id=identity)
        assert (read.id, read.name, read.is_default) == (made.id, name, 0)
        assert read.defaults["metadata"] == {"a": "b"}
    assert [row.id for row in portkey.admin.workspaces.list(exact_name=name).data] == [made.id]
    assert portkey.admin.workspaces.list(exact_name=name[:-1]).total == 0
    assert made.id in [row.id for row in portkey.admin.workspaces.list(name=name[:-1]).data]
    assert portkey.admin.workspaces.list(name=name.lower()).total == 0, "a name is asked for in its case"
    portkey.admin.workspaces.update(workspace_id=made.slug, description="of boats")
    read = portkey.admin.workspaces.retrieve(workspace_id=made.id)
    assert (read.name, read.description, read.defaults["metadata"]) == (name, "of boats", {"a": "b"})
    assert status_of(lambda: portkey.admin.workspaces.delete(workspace_id=made.id, name="another")) == 400
    portkey.admin.workspaces.delete(workspace_id=made.id, name=name)
    assert status_of(lambda: portkey.admin.workspaces.retrieve(workspace_id=made.id)) in (403, 404)
    default = portkey.admin.workspaces.retrieve(workspace_id="ws-default")
    assert default.is_default == 1
    assert status_of(lambda: portkey.admin.workspaces.delete(workspace_id=default.id, name=default.name)) == 400


def test_pages_of_workspaces_hold_each_once(bench):
    portkey = bench.client()
    name = bench.name("Page")
    ids = {portkey.admin.workspaces.create(name=f"{name} {at}").id for at in range(3)}
    pages = [portkey.admin.workspaces.list(name=name, page_size=2, current_page=at) for at in range(3)]
    assert [(page.total, len(page.data)) for page in pages] == [(3, 2), (3, 1), (3, 0)]
    assert {row.id for page in pages for row in page.data} == ids


def test_an_invitation_makes_a_member(bench):
    portkey, workspace = bench.client(), bench.workspace()
    email = f"{bench.name('ada')}@example.com"
    made = portkey.admin.users.invites.create(
        email=email,
        role="member",
        workspaces=[{"id": workspace["id"], "role": "member"}],
        workspace_api_key_details={"scopes": ["completions.write"]},
    )
    assert made.invite_link.startswith("http")
    invite = portkey.admin.users.invites.retrieve(invite_id=made.id)
    assert (invite.email, invite.role, invite.status, invite.accepted_at) == (email, "member", "pending", None)
    link = portkey.admin.users.invites.resend(invite_id=made.id).inviteLink
    token = link.rsplit("/", 1)[1]
    accepted = bench.done("POST", f"/invites/{token}/accept", {"first_name": "Ada", "last_name": "Byron"})
    assert [row.id for row in portkey.admin.users.invites.list(email=email, status="accepted").data] == [made.id]
    [user] = portkey.admin.users.list(email=email).data
    assert (user.id, user.role, user.first_name) == (accepted["id"], "member", "Ada")
    assert user.workspace_ids == [workspace["id"]]
    portkey.admin.users.update(user_id=user.id, role="admin")
    assert portkey.admin.users.retrieve(user_id=user.id).role == "admin"
    portkey.admin.users.update(user_id=user.id, role="member")
    members = portkey.admin.workspaces.users
    assert members.retrieve(workspace_id=workspace["id"], user_id=user.id).role == "member"
    members.update(workspace_id=workspace["id"], user_id=user.id, role="manager")
    listed = wire(members.list(workspace_id=workspace["slug"], role="manager"))
    assert [(row["id"], row["email"], row["org_role"]) for row in listed["data"]] == [(user.id, email, "member")]
    members.delete(workspace_id=workspace["id"], user_id=user.id)
    assert wire(members.list(workspace_id=workspace["id"]))["total"] == 0
    members.create(workspace_id=workspace["id"], users=[{"id": user.id, "role": "admin"}])
    assert members.retrieve(workspace_id=workspace["slug"], user_id=user.id).role == "admin"
    portkey.admin.users.delete(user_id=user.id)
    assert status_of(lambda: portkey.admin.users.retrieve(user_id=user.id)) == 404
    assert wire(members.list(workspace_id=workspace["id"]))["total"] == 0


def test_an_invitation_may_be_cancelled(bench):
    invites = bench.client().admin.users.invites
    email = f"{bench.name('bob')}@example.com"
    made = invites.create(email=email, role="member", workspaces=[{"id": "ws-default", "role": "member"}])
    assert invites.list(email=email, status="pending").total == 1
    invites.delete(invite_id=made.id)
    assert invites.list(email=email, status="pending").total == 0
    assert bench.send("GET", "/invites/" + made.invite_link.rsplit("/", 1)[1]).status_code == 404


def test_a_persons_key_goes_with_the_person(bench):
    portkey, workspace = bench.client(), bench.workspace()
    email = f"{bench.name('cy')}@example.com"
    member = [{"id": workspace["id"], "role": "member"}]
    link = portkey.admin.users.invites.create(email=email, role="member", workspaces=member).invite_link
    user = bench.done("POST", f"/invites/{link.rsplit('/', 1)[1]}/accept", {"first_name": "Cy", "last_name": "C"})["id"]
    made = portkey.api_keys.create(
        name="mine",
        type="workspace",
        sub_type="user",
        workspace_id=workspace["id"],
        user_id=user,
        scopes=["completions.write", "configs.list"],
    )
    read = portkey.api_keys.retrieve(id=made.id)
    assert (read.type, read.user_id, read.workspace_id) == ("workspace-user", user, workspace["id"])
    assert bench.client(made.key).configs.list().object == "list"
    portkey.admin.users.delete(user_id=user)
    assert status_of(lambda: bench.client(made.key).configs.list()) == 401


def test_a_key_of_a_workspace_sees_its_own_workspace_only(bench):
    portkey, workspace = bench.client(), bench.workspace()
    own = portkey.configs.create(name="own", config={"retry": {"attempts": 1}}, workspace_id=workspace["id"])
    other = portkey.configs.create(name="other", config={"retry": {"attempts": 1}}, workspace_id="ws-default")
    scopes = ["configs.list", "configs.read", "configs.delete", "workspaces.list", "workspaces.read"]
    # Without a sub-type the SDK asks for "NOT_GIVEN"; a service key is meant.
    made = portkey.api_keys.create(name="service", type="workspace", workspace_id=workspace["id"], scopes=scopes)
    assert portkey.api_keys.retrieve(id=made.id).type == "workspace-service"
    client = bench.client(made.key)
    listed = [row["slug"] for row in client.configs.list().data]
    assert own.slug in listed and other.slug not in listed
    assert status_of(lambda: client.configs.retrieve(slug=other.slug)) == 404
    assert status_of(lambda: client.configs.delete(slug=other.id)) == 404
    assert [row.id for row in client.admin.workspaces.list().data] == [workspace["id"]]
    assert status_of(lambda: client.admin.workspaces.retrieve(workspace_id="ws-default")) in (403, 404)
    assert portkey.configs.retrieve(slug=other.slug).id == other.id


def member_of(bench, workspace):
    """A person who is a member of a workspace."""
    invited = bench.client().admin.users.invites.create(
        email=f"{bench.name('member')}@example.com", role="member", workspaces=[{"id": workspace, "role": "member"}]
    )
    token = invited.invite_link.rsplit("/", 1)[1]
    return bench.done("POST", f"/invites/{token}/accept", {"first_name": "M", "last_name": "E"})["id"]


def test_security_settings_decide_what_a_member_may(bench):
    portkey, workspace = bench.client(), bench.workspace()
    at = f"/admin/workspaces/{workspace['id']}"
    switch = lambda **words: bench.done("PUT", at, {"security_settings": words})
    switch(membersWriteConfigs=True)
    made = portkey.api_keys.create(
        name="hers",
        type="workspace",
        sub_type="user",
        workspace_id=workspace["id"],
        user_id=member_of(bench, workspace["id"]),
        scopes=["configs.list", "configs.create"],
    )
    her = bench.client(made.key)
    slug = her.configs.create(name="own", config={"retry": {"attempts": 1}}).slug
    assert slug in [row["slug"] for row in her.configs.list().data]
    switch(membersWriteConfigs=None, membersViewConfigs=False)
    assert status_of(lambda: her.configs.create(name="own", config={"retry": {"attempts": 1}})) == 403
    assert status_of(lambda: her.configs.list()) == 403
    told = bench.refused(403, "AB03", "GET", "/configs", key=made.key)
    assert "membersViewConfigs" in told["message"]
    shown = bench.done("GET", at)["security_settings"]
    assert (shown["membersViewConfigs"], shown["membersWriteConfigs"], shown["managersViewConfigs"]) == (False, False, True)
    bench.refused(400, "AB01", "PUT", at, {"security_settings": {"membersSeeAll": True}})
    portkey.configs.delete(slug=slug)


def test_key_settings_hold_for_keys_of_users(bench):
    portkey, workspace = bench.client(), bench.workspace()
    settings = {
        "user_api_key_ttl": 7,
        "user_api_key_max_ttl": 30,
        "user_api_key_count": 2,
        "user_api_key_rotation_period": 14,
    }
    at = f"/admin/workspaces/{workspace['id']}"
    bench.done("PUT", at, {"settings": settings})
    assert bench.done("GET", at)["settings"] == settings
    order = {
        "type": "workspace",
        "sub_type": "user",
        "workspace_id": workspace["id"],
        "user_id": member_of(bench, workspace["id"]),
        "scopes": ["completions.write"],
    }
    made = portkey.api_keys.create(name="one", **order)
    read = bench.done("GET", f"/api-keys/{made.id}")
    assert read["expires_at"] and read["expiry_enforced"] == 1
    assert read["rotation_policy"]["rotation_period_days"] == 14
    assert status_of(lambda: portkey.api_keys.create(name="late", expires_at="2099-01-01T00:00:00Z", **order)) == 400
    portkey.api_keys.create(name="two", **order)
    assert status_of(lambda: portkey.api_keys.create(name="three", **order)) == 400
    portkey.api_keys.update(id=made.id, name="still one")
    assert portkey.api_keys.retrieve(id=made.id).name == "still one"
    assert bench.done("GET", f"/api-keys/{made.id}")["expires_at"] == read["expires_at"]


def test_inline_configs_are_switched_off(bench):
    portkey, workspace, slug = bench.client(), bench.workspace(), bench.integration()
    provider = portkey.providers.create(name=bench.name("p"), integration_id=slug, workspace_id=workspace["id"]).slug
    config = {"provider": f"@{provider}", "override_params": {"model": "mock-model"}}
    saved = portkey.configs.create(name="Saved", config=config, workspace_id=workspace["id"]).slug
    _, secret = bench.key(workspace["id"])
    one = lambda config: bench.client(secret, config=config).chat.completions.create(
        model="whatever", messages=[{"role": "user", "content": "hi"}], max_tokens=5
    )
    one(config)
    bench.done("PUT", f"/admin/workspaces/{workspace['id']}", {"security_settings": {"block_inline_config": True}})
    with pytest.raises(RefusedByModel) as caught:
        one(config)
    assert (caught.value.status_code, caught.value.body["code"]) == (400, "inline_config_blocked"), caught.value.body
    assert one(saved).choices[0].message.content == "echo: hi"
