"""What holds for every route of the Admin API: pages, errors, keys, spellings of paths."""

import pytest

from bench import VENDOR_KEY

PAGED = [
    "/configs",
    "/guardrails",
    "/providers",
    "/virtual-keys",
    "/api-keys",
    "/admin/workspaces",
    "/policies/usage-limits",
]


@pytest.mark.parametrize(("page", "size"), [("current_page", "page_size"), ("currentPage", "pageSize")])
@pytest.mark.parametrize("path", PAGED)
def test_pages_in_both_spellings(bench, path, page, size):
    workspace = bench.workspace()
    at, ids = f"{path}?workspace_id={workspace['id']}", set()
    integration, name = bench.integration(), bench.name("Paged")
    given = {"workspaces": [{"id": workspace["slug"], "enabled": True}]}
    bench.done("PUT", f"/integrations/{integration}/workspaces", given)
    check = {"id": "default.contains", "parameters": {"words": ["x"], "operator": "none"}}
    for number in range(3):
        order = {"name": f"{name} {number}", "workspace_id": workspace["id"]}
        target = path
        if path == "/configs":
            order["config"] = {"retry": {"attempts": 1}}
        elif path == "/guardrails":
            order.update(checks=[check], actions={"deny": True})
        elif path == "/providers":
            order["integration_id"] = integration
        elif path == "/virtual-keys":
            order.update(provider="openai", key=VENDOR_KEY)
        elif path == "/api-keys":
            target, order["scopes"] = "/api-keys/workspace/service", ["logs.view"]
        elif path == "/admin/workspaces":
            del order["workspace_id"]
            at = f"{path}?name={name}"
        else:
            order.update(conditions=[{"key": "api_key", "value": "*"}], group_by=[], type="requests", credit_limit=5)
        ids.add(bench.done("POST", target, order)["id"])
    seen = []
    for number, rows in enumerate((2, 1, 0)):
        listed = bench.done("GET", f"{at}&{page}={number}&{size}=2")
        assert (listed["object"], listed["total"], len(listed["data"])) == ("list", 3, rows), listed
        seen += [row["id"] for row in listed["data"]]
    assert len(seen) == 3 and set(seen) == ids
    bench.refused(400, "AB01", "GET", f"{at}&{size}=none")


@pytest.mark.parametrize(
    "path",
    [
        "/admin/workspaces/nobody",
        "/integrations/nobody",
        "/providers/nobody",
        "/virtual-keys/nobody",
        "/configs/nobody",
        "/api-keys/nobody",
        "/policies/usage-limits/nobody",
        "/policies/rate-limits/nobody",
        "/guardrails/nobody",
        "/secret-references/nobody",
        "/admin/users/nobody",
        "/admin/users/invites/nobody",
    ],
)
def test_what_is_not_there_is_gone_in_every_form_of_an_error(bench, path):
    bench.refused(404, "AB08", "GET", path)
    bench.refused(404, "AB08", "DELETE", path)
    bench.refused(401, "AB05", "GET", path, key="tg-nobody")
    _, poor = bench.key(scopes=["logs.view"])
    bench.refused(403, "AB03", "GET", path, key=poor)


def test_the_bearer_is_a_key_and_the_header_of_portkey_wins(bench):
    bearer = {"authorization": f"Bearer {bench.key(scopes=['configs.list'])[1]}"}
    assert bench.http.get("/configs", headers=bearer).status_code == 200
    placeholder = {"authorization": "Bearer OPENAI_API_KEY"}
    bench.done("GET", "/configs", headers=placeholder)
    assert bench.http.get("/configs", headers=placeholder).status_code == 401


def test_version_2_of_a_path_is_the_same_resource(bench):
    made = bench.done("POST", "/configs", {"name": "c", "config": {"retry": {"attempts": 1}}})
    read = bench.done("GET", f"{bench.url}/v2/configs/{made['slug']}")
    assert read["id"] == made["id"]


@pytest.mark.parametrize("path", [path for path in PAGED if path != "/admin/workspaces"])
def test_a_workspace_is_named_by_id_or_slug_in_orders_and_lists(bench, path):
    workspace, integration = bench.workspace(), bench.integration()
    given = {"workspaces": [{"id": workspace["id"], "enabled": True}]}
    bench.done("PUT", f"/integrations/{integration}/workspaces", given)
    check = {"id": "default.contains", "parameters": {"words": ["x"], "operator": "none"}}
    more = {
        "/configs": {"config": {"retry": {"attempts": 1}}},
        "/guardrails": {"checks": [check], "actions": {"deny": True}},
        "/providers": {"integration_id": integration},
        "/virtual-keys": {"provider": "openai", "key": VENDOR_KEY},
        "/api-keys": {"scopes": ["logs.view"]},
        "/policies/usage-limits": {
            "conditions": [{"key": "api_key", "value": "*"}],
            "group_by": [],
            "type": "requests",
            "credit_limit": 5,
        },
    }[path]
    target = "/api-keys/workspace/service" if path == "/api-keys" else path
    names = [workspace["id"], workspace["slug"]]
    made = {
        bench.done("POST", target, {"name": bench.name("named"), "workspace_id": name, **more})["id"] for name in names
    }
    for name in names:
        rows = bench.done("GET", f"{path}?workspace_id={name}")["data"]
        assert {row["id"] for row in rows} == made, rows
        assert {row["workspace_id"] for row in rows} == {workspace["id"]}, rows
    bench.refused(404, "AB08", "GET", f"{path}?workspace_id=ws-nobody-000000")
