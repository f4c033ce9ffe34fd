"""Workspaces, their members and invitations through the official `portkey-ai` package."""

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
