"""The life of every resource of Portkey's Terraform provider: apply, no difference, change, destroy."""

import json

import pytest

import terraform
from bench import PRICES, VENDOR_KEY
from terraform import Resource, decode, same


@pytest.fixture
def workspace(bench):
    return bench.workspace()


def test_workspace(bench):
    planned = {
        "name": bench.name("Engineering"),
        "icon": "🐳",
        "description": "of engines",
        "defaults": {"metadata": {"cost_center": "42"}},
        "usage_limits": [{"type": "cost", "credit_limit": 500, "alert_threshold": 400, "periodic_reset": "monthly"}],
        "rate_limits": [{"type": "requests", "unit": "rpm", "value": 100}],
    }
    made = Resource(bench, terraform.WORKSPACE, "/admin/workspaces")
    decode(terraform.WORKSPACE, made.create(planned))
    read = made.applied(planned)
    assert not read["name"].startswith("🐳"), "the icon is never part of the name"
    made.update({"description": "of motors"}, {**planned, "description": "of motors"})
    # A member that is absent stays, null clears, a value sets.
    smaller = [{"type": "tokens", "credit_limit": 1000, "alert_threshold": None, "periodic_reset": None}]
    read = made.update(
        {"name": planned["name"], "icon": None, "usage_limits": smaller},
        {"icon": None, "usage_limits": smaller, "rate_limits": planned["rate_limits"], "defaults": planned["defaults"]},
    )
    read = made.update({"usage_limits": None, "rate_limits": None}, {"defaults": planned["defaults"], "icon": None})
    assert not read["usage_limits"] and not read["rate_limits"], read
    bench.refused(400, "AB01", "DELETE", f"/admin/workspaces/{made.id}", {"name": "another", "force_delete": True})
    made.destroy({"name": planned["name"], "force_delete": True})


def test_a_workspace_with_dependants_goes_by_force_only(bench, workspace):
    key, secret = bench.key(workspace["id"])
    at = f"/admin/workspaces/{workspace['slug']}"
    bench.refused(409, "AB07", "DELETE", at, {"name": workspace["name"]})
    bench.done("DELETE", at, {"name": workspace["name"], "force_delete": True})
    bench.refused(403, "AB03", "GET", at)
    assert bench.send("GET", f"/api-keys/{key}").status_code in (403, 404)
    assert bench.send("GET", "/models", key=secret).status_code == 401
    assert workspace["id"] not in [row["id"] for row in bench.done("GET", "/admin/workspaces")["data"]]
    archived = bench.done("GET", "/admin/workspaces?status=archived&page_size=100")["data"]
    assert workspace["id"] in [row["id"] for row in archived]


def test_integration(bench):
    slug = bench.name("tf-openai")
    planned = {
        "name": "OpenAI",
        "slug": slug,
        "ai_provider_id": "openai",
        "description": "first",
        "configurations": {"custom_host": f"{bench.mock_url}/v1"},
    }
    made = Resource(bench, terraform.INTEGRATION, "/integrations")
    assert made.create({**planned, "key": VENDOR_KEY})["slug"] == slug
    made.applied({name: planned[name] for name in ("name", "slug", "ai_provider_id", "description")})
    same(planned, made.read(slug))
    change = {"name": "OpenAI EU", "configurations": {"custom_host": f"{bench.mock_url}/v1", "openai_project": "p"}}
    bench.done("PUT", f"/integrations/{slug}", change)
    read = made.read(slug)
    same({**planned, **change}, read)
    assert read["masked_key"] and VENDOR_KEY not in json.dumps(read)
    bench.done("PUT", f"/integrations/{slug}", {"pricing_adjustments": {"multiplier": 1.5}})
    assert made.read()["pricing_adjustments"] == {"multiplier": 1.5}
    bench.done("PUT", f"/integrations/{slug}", {"pricing_adjustments": None})
    assert made.read()["pricing_adjustments"] is None
    bench.refused(409, "AB07", "POST", "/integrations", {**planned, "key": VENDOR_KEY})
    made.destroy()


def test_integration_of_a_workspace(bench, workspace):
    made = Resource(bench, terraform.INTEGRATION, "/integrations")
    order = {"name": bench.name("Own"), "ai_provider_id": "openai", "key": VENDOR_KEY}
    made.create({**order, "workspace_id": workspace["slug"]})
    same({"type": "workspace", "workspace_id": workspace["id"]}, made.read(made.slug))
    for kind, there in (("workspace", True), ("organisation", False), ("all", True)):
        listed = bench.done("GET", f"/integrations?type={kind}&workspace_id={workspace['id']}")
        assert (made.slug in [row["slug"] for row in listed["data"]]) == there, (kind, listed)
    made.destroy()


def test_integration_workspace_access(bench, workspace):
    slug = bench.integration()
    at = f"/integrations/{slug}/workspaces"

    def apply(identity, **entry):
        bench.done("PUT", at, {"workspaces": [{"id": identity, **entry}]})
        listed = bench.done("GET", at)
        decode(terraform.ACCESS, listed)
        assert listed["total"] == len(listed["workspaces"]), listed
        [found] = [row for row in listed["workspaces"] if row["id"] == workspace["slug"]]
        return found

    usage = [{"type": "cost", "credit_limit": 100, "alert_threshold": 80, "periodic_reset": "monthly"}]
    rates = [{"type": "requests", "unit": "rpm", "value": 1000}]
    planned = {"enabled": True, "usage_limits": usage, "rate_limits": rates}
    same(planned, apply(workspace["id"], **planned))
    # Numbers are whole however they are sent.
    more = [{**usage[0], "credit_limit": 200.0, "alert_threshold": 150.0}]
    found = apply(workspace["slug"], enabled=True, usage_limits=more)
    same({"usage_limits": [{"credit_limit": 200, "alert_threshold": 150}], "rate_limits": rates}, found)
    found = apply(workspace["id"], enabled=True, usage_limits=None)
    assert not found["usage_limits"] and found["rate_limits"], found
    assert apply(workspace["id"], enabled=False)["enabled"] is False
    for spelling in ("override_existing_workspace_access", "override_existing_workspaces_access"):
        bench.done("PUT", at, {"global_workspace_access": {"enabled": True}, spelling: True})
        listed = bench.done("GET", at)
        decode(terraform.ACCESS, listed)
        assert all(row["enabled"] for row in listed["workspaces"]), listed
        settings = bench.done("GET", f"/integrations/{slug}")["global_workspace_access_settings"]
        assert settings["enabled"] is True, settings
        assert apply(workspace["id"], enabled=False)["enabled"] is False
    bench.refused(404, "AB08", "PUT", at, {"workspaces": [{"id": "ws-nobody", "enabled": True}]})
    bench.refused(404, "AB08", "GET", "/integrations/nobody/workspaces")


@pytest.mark.parametrize("by", ["query", "body"])
def test_integration_model_access(bench, by):
    slug = bench.integration()
    at = f"/integrations/{slug}/models"

    def read():
        answer = bench.done("GET", at)
        decode(terraform.MODELS, answer)
        return answer["allow_all_models"], {row["slug"]: row for row in answer["models"]}

    own = {"slug": "own-model", "enabled": True, "is_custom": True, "base_model_slug": "gpt-4o"}
    own["pricing_config"] = PRICES
    bench.done("PUT", at, {"allow_all_models": False, "models": [own, {"slug": "gpt-4o", "enabled": True}]})
    allow_all, models = read()
    assert allow_all is False
    same({**own, "is_finetune": False}, models["own-model"])
    same({"enabled": True, "is_custom": False}, models["gpt-4o"])
    assert models["mock-model"]["enabled"] is True, "what is not named stays"
    bench.done("PUT", at, {"models": [{**own, "enabled": False, "is_finetune": "true", "is_custom": 1}]})
    same({"enabled": False, "is_finetune": True, "is_custom": True}, read()[1]["own-model"])
    assert read()[0] is False
    if by == "query":
        bench.done("DELETE", f"{at}?slugs=own-model,mock-model")
    else:
        bench.done("DELETE", at, {"models": ["own-model", "mock-model"]})
    assert not {"own-model", "mock-model"} & set(read()[1])
    bench.refused(404, "AB08", "GET", "/integrations/nobody/models")


def test_provider(bench, workspace):
    integration = bench.integration()
    planned = {"name": "Team", "slug": bench.name("tf-team"), "workspace_id": workspace["id"], "note": "first"}
    limits = {
        "usage_limits": {"type": "cost", "credit_limit": 12.5, "alert_threshold": 10, "periodic_reset": "weekly"},
        "rate_limits": [{"type": "requests", "unit": "rph", "value": 60}],
        "expires_at": "2040-01-02T03:04:05.000Z",
    }
    made = Resource(bench, terraform.PROVIDER, "/providers", f"?workspace_id={workspace['id']}")
    assert made.create({**planned, **limits, "integration_id": integration})["object"] == "provider"
    made.applied({**planned, **limits, "status": "active", "ai_provider_name": "openai"})
    # The workspace comes in the body of a change.
    made.update({"name": "Team B", "workspace_id": workspace["id"]}, {**planned, **limits, "name": "Team B"})
    nothing = {"usage_limits": None, "rate_limits": None, "expires_at": None}
    kept = {"name": "Team B", "note": "first"}
    read = made.update({"workspace_id": workspace["id"], **nothing}, {"usage_limits": None, "expires_at": None, **kept})
    assert not read["rate_limits"], read
    # One limit is taken as an object or in a list, and read in a list.
    for value, listed in ((5, False), (6, True)):
        rate = {"type": "tokens", "unit": "rpd", "value": value}
        change = {"workspace_id": workspace["id"], "rate_limits": [rate] if listed else rate}
        made.update(change, {"rate_limits": [rate]})
    made.destroy()


@pytest.mark.parametrize("spelling", ["isDefault", "is_default"])
def test_config(bench, workspace, spelling):
    config = {"retry": {"attempts": 2}, "cache": {"mode": "simple"}}
    made = Resource(bench, terraform.CONFIG, "/configs", f"?workspace_id={workspace['id']}")
    first = made.create({"name": "Retry", "config": config, "workspace_id": workspace["id"], spelling: 1})
    assert first["success"] is True and first["data"]["version_id"] == first["version_id"], first
    read = made.applied({"name": "Retry", "workspace_id": workspace["id"], "is_default": 1, "status": "active"})
    assert isinstance(read["config"], str) and json.loads(read["config"]) == config
    config["retry"]["attempts"] = 3
    second = bench.done("PUT", f"/configs/{made.slug}", {"name": "Retry more", "config": config})
    assert second["version_id"] != first["version_id"]
    read = made.applied({"name": "Retry more", "is_default": 1})
    assert (json.loads(read["config"]), read["version_id"]) == (config, second["version_id"])
    plain = bench.done("POST", "/configs", {"name": "plain", "config": config, "workspace_id": workspace["id"]})
    assert bench.done("GET", f"/configs/{plain['slug']}")["is_default"] == 0
    made.destroy()


@pytest.mark.parametrize("mode", ["loadbalance", "load-balance"])
def test_config_of_the_guides_balances_in_both_spellings(bench, mode):
    targets = [{"provider": f"@{bench.integration()}", "override_params": {"model": "mock-model"}}]
    config = {"strategy": {"mode": mode}, "targets": targets}
    made = bench.done("POST", "/configs", {"name": "balanced", "config": config})
    assert json.loads(bench.done("GET", f"/configs/{made['slug']}")["config"]) == config
    answer = bench.ask(bench.key()[1], "whatever", headers={"x-portkey-config": made["slug"]})
    assert answer.status_code == 200, answer.text


def test_api_key(bench, workspace):
    order = {"name": "c", "config": {"retry": {"attempts": 1}}, "workspace_id": workspace["id"]}
    config = bench.done("POST", "/configs", order)
    planned = {
        "name": "Backend",
        "description": "first",
        "workspace_id": workspace["id"],
        "scopes": ["logs.view", "completions.write"],
        "defaults": {"metadata": {"service": "backend"}, "config_id": config["slug"], "allow_config_override": False},
        "usage_limits": {"type": "cost", "credit_limit": 99.5, "alert_threshold": 80, "periodic_reset": "monthly"},
        "rate_limits": [{"type": "requests", "unit": "rpm", "value": 100}],
        "alert_emails": ["a@example.com"],
        "expires_at": "2040-01-02T03:04:05.000Z",
        "rotation_policy": {"rotation_period": "monthly", "key_transition_period_ms": 3_600_000},
    }
    made = Resource(bench, terraform.API_KEY, "/api-keys", f"?workspace_id={workspace['id']}")
    first = made.create(planned, "/api-keys/workspace/service")
    assert first["object"] == "api-key"
    read = made.applied({**planned, "type": "workspace-service", "status": "active", "allow_config_override": 0})
    assert read["key"] != first["key"] and first["key"] not in json.dumps(read)
    assert read["rotation_policy"]["next_rotation_at"].endswith("-01T00:00:00.000Z")
    made.update({"description": "second"}, {**planned, "description": "second"})
    kept = {name: planned[name] for name in ("name", "scopes", "rate_limits")}
    cleared = {"alert_emails": None, "expires_at": None, "usage_limits": None, "rotation_policy": None}
    read = made.update(
        {**cleared, "defaults": {"config_id": None}},
        {**kept, "expires_at": None, "usage_limits": None, "rotation_policy": None, "defaults": {"config_id": None}},
    )
    assert not read["alert_emails"] and read["defaults"]["metadata"] == {"service": "backend"}, read
    assert read["defaults"]["allow_config_override"] is False, read
    rotated = bench.done("POST", f"/api-keys/{made.id}/rotate", {"key_transition_period_ms": 1_800_000})
    decode({"id": str, "key": str, "key_transition_expires_at": terraform.TIME}, rotated)
    assert rotated["id"] == made.id and rotated["key"] != first["key"]
    made.applied(kept)
    made.destroy()
    for secret in (first["key"], rotated["key"]):
        assert bench.send("GET", "/api-keys/self/details", key=secret).status_code == 401


def test_api_key_of_the_organisation(bench):
    # The provider leaves out the type of a budget; money is meant.
    usage = {"credit_limit": 1000, "periodic_reset_days": 30}
    planned = {"name": bench.name("tf"), "scopes": ["providers.list"], "usage_limits": usage}
    made = Resource(bench, terraform.API_KEY, "/api-keys")
    made.create(planned, "/api-keys/organisation/service")
    planned["usage_limits"] = {**usage, "type": "cost"}
    made.applied({**planned, "type": "organisation-service", "workspace_id": None})
    made.update({"scopes": ["providers.list", "configs.list"]}, {"scopes": ["providers.list", "configs.list"]})
    made.destroy()


@pytest.mark.parametrize("kind", ["usage-limits", "rate-limits"])
def test_policy(bench, workspace, kind):
    planned = {
        "name": "Each key",
        "workspace_id": workspace["id"],
        "conditions": [{"key": "workspace_id", "value": workspace["id"]}],
        "group_by": [{"key": "api_key"}],
    }
    if kind == "usage-limits":
        planned.update(type="cost", credit_limit=100.5, alert_threshold=80, periodic_reset="monthly")
        change = {"credit_limit": 200, "alert_threshold": 150.5}
        made = Resource(bench, terraform.USAGE_POLICY, "/policies/usage-limits", f"?workspace_id={workspace['id']}")
    else:
        planned.update(type="tokens", unit="rpm", value=1000)
        change = {"value": 2000, "unit": "rph"}
        made = Resource(bench, terraform.RATE_POLICY, "/policies/rate-limits", f"?workspace_id={workspace['id']}")
    made.create(planned)
    read = made.applied({**planned, "status": "active"})
    assert read["organisation_id"] == workspace["organisation_id"], read
    made.update({"name": "Every key"}, {**planned, "name": "Every key"})
    made.update(change, {**planned, **change, "name": "Every key"})
    # Policies are archived, not forgotten.
    bench.done("DELETE", f"{made.path}/{made.id}")
    assert made.read()["status"] == "archived"
    listed = bench.done("GET", f"{made.path}{made.query}&status=active")
    assert listed["total"] == 0, listed
    bench.refused(404, "AB08", "GET", f"{made.path}/nobody")


def test_guardrail(bench, workspace):
    checks = [{"id": "default.contains", "is_enabled": True, "parameters": {"words": ["secret"], "operator": "none"}}]
    feedback = {"feedback": {"value": -5, "weight": 1, "metadata": {}}}
    planned = {
        "name": "No secrets",
        "workspace_id": workspace["id"],
        "checks": checks,
        "actions": {"deny": True, "async": False, "on_fail": feedback},
    }
    made = Resource(bench, terraform.GUARDRAIL, "/guardrails", f"?workspace_id={workspace['id']}")
    first = made.create(planned)
    read = made.read(made.slug)
    same({**planned, "status": "active", "version_id": first["version_id"]}, read)
    made.applied({"name": "No secrets", "workspace_id": workspace["id"]})
    made.update({"name": "None"}, {"name": "None"})
    checks[0]["is_enabled"] = False
    bench.done("PUT", f"/guardrails/{made.slug}", {"checks": checks, "actions": {"deny": False}})
    read = made.read()
    same({"checks": checks, "actions": {"deny": False}, "name": "None"}, read)
    assert read["version_id"] != first["version_id"]
    made.destroy()


@pytest.mark.parametrize("on_fail", ["log", "block"])
def test_guardrail_with_the_actions_of_the_providers_examples(bench, workspace, on_fail):
    planned = {
        "name": "Words",
        "workspace_id": workspace["id"],
        "checks": [{"id": "default.wordCount", "parameters": {"minWords": 1, "maxWords": 1000}}],
        "actions": {"onFail": on_fail, "message": "Word count check failed"},
    }
    made = Resource(bench, terraform.GUARDRAIL, "/guardrails", f"?workspace_id={workspace['id']}")
    made.create(planned)
    same(planned, made.read(made.slug))


def test_secret_reference(bench, workspace):
    token = "hvs.of-the-tests-0123456789"
    address = {"vault_addr": "http://127.0.0.1:1", "vault_auth_type": "token"}
    planned = {
        "name": "Vendor key",
        "slug": bench.name("tf-vault"),
        "description": "first",
        "manager_type": "hashicorp_vault",
        "secret_path": "secret/data/openai",
        "secret_key": "api_key",
        "tags": {"env": "prod"},
    }
    made = Resource(bench, terraform.SECRET_REFERENCE, "/secret-references")
    made.create({**planned, "auth_config": {**address, "vault_token": token}})
    read = made.applied({**planned, "auth_config": address, "allow_all_workspaces": True})
    assert token not in json.dumps(read) and read["auth_config"]["masked_vault_token"], read
    made.update(
        {"secret_key": None, "auth_config": {"vault_addr": "http://127.0.0.1:2"}},
        {**planned, "secret_key": None, "auth_config": {**address, "vault_addr": "http://127.0.0.1:2"}},
    )
    assert made.read()["auth_config"]["masked_vault_token"] == read["auth_config"]["masked_vault_token"]
    made.update({"tags": {"env": "test"}}, {"tags": {"env": "test"}, "description": "first"})
    few = {"allow_all_workspaces": False, "allowed_workspaces": [workspace["id"]]}
    read = made.update(few, {"allow_all_workspaces": False})
    assert read["allowed_workspaces"] == [workspace["id"]], read
    made.update({"allow_all_workspaces": True}, {"allow_all_workspaces": True})
    integration = {"name": bench.name("mapped"), "ai_provider_id": "openai"}
    integration["secret_mappings"] = [{"target_field": "key", "secret_reference_id": made.slug}]
    slug = bench.done("POST", "/integrations", integration)["slug"]
    decode(terraform.INTEGRATION, bench.done("GET", f"/integrations/{slug}"))
    bench.refused(400, "AB01", "DELETE", f"/secret-references/{made.id}")
    bench.done("DELETE", f"/integrations/{slug}")
    listed = bench.done("GET", f"/secret-references?manager_type=hashicorp_vault&search={made.slug}&page_size=1")
    assert [row["slug"] for row in listed["data"]] == [made.slug]
    made.destroy()


@pytest.mark.parametrize("how", ["made", "changed"])
def test_a_secret_reference_with_allowed_workspaces_is_closed_to_others(bench, workspace, how):
    order = {"name": bench.name("few"), "manager_type": "hashicorp_vault", "secret_path": "secret/data/x"}
    order["auth_config"] = {"vault_addr": "http://127.0.0.1:1", "vault_auth_type": "token", "vault_token": "hvs.0123"}
    few = {"allowed_workspaces": [workspace["slug"]]}
    made = bench.done("POST", "/secret-references", {**order, **few} if how == "made" else order)
    if how == "changed":
        bench.done("PUT", f"/secret-references/{made['slug']}", few)
    read = bench.done("GET", f"/secret-references/{made['slug']}")
    same({"allow_all_workspaces": False, "allowed_workspaces": [workspace["id"]]}, read)


def test_members_invites_and_users(bench, workspace):
    invite = Resource(bench, terraform.INVITE, "/admin/users/invites")
    planned = {"email": f"{bench.name('eve')}@example.com", "role": "member"}
    made = invite.create({**planned, "workspaces": [{"id": workspace["id"], "role": "member"}]})
    invite.applied({**planned, "status": "pending"})
    token = made["invite_link"].rsplit("/", 1)[1]
    bench.done("POST", f"/invites/{token}/accept", {"first_name": "Eve", "last_name": "E"})
    [user] = bench.done("GET", f"/admin/users?pageSize=100&currentPage=0&email={planned['email']}")["data"]
    decode(terraform.USER, user)
    at = f"/admin/workspaces/{workspace['id']}/users"
    bench.done("DELETE", f"{at}/{user['id']}")
    bench.refused(404, "AB08", "GET", f"{at}/{user['id']}")
    bench.done("POST", at, {"users": [{"id": user["id"], "role": "manager"}]})
    read = bench.done("GET", f"{at}/{user['id']}")
    decode(terraform.MEMBER, read)
    same({"role": "manager", "email": planned["email"]}, read)
    bench.done("PUT", f"{at}/{user['id']}", {"role": "admin"})
    same({"role": "admin"}, bench.done("GET", f"{at}/{user['id']}"))
    bench.done("PUT", f"/admin/users/{user['id']}", {"role": "admin"})
    same({"role": "admin"}, bench.done("GET", f"/admin/users/{user['id']}"))
    bench.refused(400, "AB01", "PUT", f"/admin/users/{user['id']}", {"role": "admin"})
