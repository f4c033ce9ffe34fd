"""The Admin API through the official `portkey-ai` package: what it makes is used at once."""

import asyncio
import json

from portkey_ai import AsyncPortkey

from bench import ADMIN_KEY, MODEL, PRICES, VENDOR_KEY, ask, status_of, wire


# --- Keys -------------------------------------------------------------------------------------------------------


def test_the_guides_call_makes_a_key_of_the_organisation(bench):
    portkey = bench.client()
    workspace = bench.workspace()
    made = portkey.api_keys.create(
        name="engineering",
        type="organisation",
        workspace_id=workspace["id"],
        defaults={"metadata": {"environment": "development", "department": "engineering"}},
        scopes=["logs.view", "configs.read"],
    )
    assert made.id and made.key and made.object == "api-key"
    read = portkey.api_keys.retrieve(id=made.id)
    assert (read.type, read.name, read.status) == ("organisation-service", "engineering", "active")
    # It acts on all workspaces, and still says which one it was made with, as do lists.
    assert read.workspace_id == workspace["id"]
    listed = [row["workspace_id"] for row in portkey.api_keys.list(page_size=100).data if row["id"] == made.id]
    assert listed == [workspace["id"]]
    unknown = dict(name="x", type="organisation", workspace_id="nowhere", scopes=["logs.view"])
    assert status_of(lambda: portkey.api_keys.create(**unknown)) == 404
    assert read.scopes == ["logs.view", "configs.read"]
    assert read.defaults["metadata"] == {"environment": "development", "department": "engineering"}
    assert read.key != made.key and "*****" in read.key
    # It may what its scopes say, nothing more, and no key of an organisation may ask models.
    config = portkey.configs.create(name="c", config={"retry": {"attempts": 1}}, workspace_id=workspace["id"])
    own = bench.client(made.key)
    assert own.configs.retrieve(slug=config.slug).id == config.id
    assert status_of(lambda: own.configs.delete(slug=config.slug)) == 403
    assert status_of(lambda: own.api_keys.list()) == 403
    refused = bench.ask(made.key, f"@{bench.integration()}/mock-model")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "033"), refused.text
    portkey.api_keys.update(id=made.id, name="platform", scopes=["configs.read", "configs.delete"])
    assert portkey.api_keys.retrieve(id=made.id).name == "platform"
    own.configs.delete(slug=config.slug)
    assert made.id in [row["id"] for row in portkey.api_keys.list(page_size=100).data]
    portkey.api_keys.delete(id=made.id)
    assert status_of(lambda: portkey.api_keys.retrieve(id=made.id)) == 404
    assert bench.send("GET", "/api-keys/self/details", key=made.key).status_code == 401


def test_a_key_with_a_default_config_and_metadata_streams(bench):
    portkey = bench.client()
    workspace = portkey.admin.workspaces.create(name=bench.name("Shop"))
    slug = bench.integration()
    config = portkey.configs.create(
        name="short", config={"override_params": {"max_tokens": 7}}, workspace_id=workspace.id
    )
    provider = portkey.providers.create(name=bench.name("team"), integration_id=slug, workspace_id=workspace.id)
    made = portkey.api_keys.create(
        name="app",
        type="workspace",
        sub_type="service",
        workspace_id=workspace.id,
        scopes=["completions.write"],
        defaults={"config_id": config.slug, "metadata": {"team": "shop"}},
    )
    portkey.post(
        "/policies/usage-limits",
        name="of the shop",
        conditions=[{"key": "metadata.team", "value": "shop"}],
        group_by=[{"key": "metadata.team"}],
        type="requests",
        credit_limit=1,
        workspace_id=workspace.id,
    )
    app = bench.client(made.key)
    model = f"@{provider.slug}/mock-model"
    stream = app.chat.completions.create(model=model, messages=ask("grüße 🌊"), stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == "echo: grüße 🌊"
    sent = bench.requests()[-1]
    assert sent["body"]["max_tokens"] == 7, "the key's default config counts"
    assert ["authorization", f"Bearer {VENDOR_KEY}"] in sent["headers"]
    # The key's metadata is that of its requests: the policy on it counted the first one.
    assert status_of(lambda: app.chat.completions.create(model=model, messages=ask("hi"))) == 412
    read = portkey.api_keys.retrieve(id=made.id)
    assert (read.type, read.workspace_id) == ("workspace-service", workspace.id)
    assert (read.defaults["config_id"], read.defaults["metadata"]) == (config.slug, {"team": "shop"})
    assert [row["id"] for row in portkey.api_keys.list(workspace_id=workspace.id).data] == [made.id]


def test_a_key_that_allows_no_other_config_refuses_one_with_400(bench):
    slug = bench.integration()
    config = bench.client().configs.create(name="c", config={"retry": {"attempts": 1}})
    _, secret = bench.key(defaults={"config_id": config.slug, "allow_config_override": False})
    ask_with = lambda **more: bench.client(secret, **more).chat.completions.create(
        model=f"@{slug}/mock-model", messages=ask("hi")
    )
    assert ask_with().choices[0].message.content == "echo: hi"
    assert status_of(lambda: ask_with(config={"retry": {"attempts": 2}})) == 400


def test_a_keys_budget_blocks_until_it_is_raised_reset_or_taken_away(bench):
    portkey, slug = bench.client(), bench.integration()
    made = portkey.api_keys.create(
        name="poor",
        type="workspace",
        sub_type="service",
        workspace_id="ws-default",
        scopes=["completions.write"],
        usage_limits={"type": "tokens", "credit_limit": 100},
    )
    app = bench.client(made.key)
    one = lambda: app.chat.completions.create(model=f"@{slug}/mock-model", messages=ask("hello you"), max_tokens=10)
    used = one().usage.total_tokens
    assert bench.done("GET", f"/api-keys/{made.id}")["current_usage"] == used
    portkey.api_keys.update(id=made.id, usage_limits={"type": "tokens", "credit_limit": used})
    assert status_of(one) == 412
    portkey.api_keys.update(id=made.id, usage_limits={"type": "tokens", "credit_limit": 1000})
    one()
    portkey.api_keys.update(id=made.id, usage_limits={"type": "tokens", "credit_limit": 2 * used})
    assert status_of(one) == 412
    portkey.api_keys.update(id=made.id, reset_usage=True)
    read = bench.done("GET", f"/api-keys/{made.id}")
    assert (read["current_usage"], read["status"]) == (0, "active")
    assert read["last_reset_at"] is not None
    portkey.api_keys.update(id=made.id, usage_limits=None)
    assert portkey.api_keys.retrieve(id=made.id).usage_limits is None
    one()


def test_rotation_leaves_the_old_secret_its_time(bench):
    portkey, slug = bench.client(), bench.integration()
    key, old = bench.key()
    assert status_of(lambda: portkey.post(f"/api-keys/{key}/rotate", key_transition_period_ms=1_799_999)) == 400
    rotated = wire(portkey.post(f"/api-keys/{key}/rotate", key_transition_period_ms=1_800_000))
    assert rotated["id"] == key and rotated["key"] != old and rotated["key_transition_expires_at"].endswith("Z")
    for secret in (old, rotated["key"]):
        bench.client(secret).chat.completions.create(model=f"@{slug}/mock-model", messages=ask("hi"))
    assert status_of(lambda: portkey.post(f"/api-keys/{key}/rotate", key_transition_period_ms=1_800_000)) == 409


# --- Integrations, providers, virtual keys ----------------------------------------------------------------------


def test_an_integration_serves_where_it_is_given_with_the_models_it_has(bench):
    portkey, workspace, slug = bench.client(), bench.workspace(), bench.name("vendor")
    made = portkey.integrations.create(
        name="Vendor",
        ai_provider_id="openai",
        slug=slug,
        key=VENDOR_KEY,
        configurations={"custom_host": f"{bench.mock_url}/v1"},
    )
    assert made.slug == slug
    for identity in (made.id, slug):
        read = portkey.integrations.retrieve(slug=identity)
        assert (read.id, read.ai_provider_id, read.type, read.status) == (made.id, "openai", "organisation", "active")
        assert read.configurations["custom_host"] == f"{bench.mock_url}/v1"
        assert VENDOR_KEY not in read.model_dump_json() and "*****" in read.masked_key
    assert slug in [row.slug for row in portkey.integrations.list(type="organisation").data]
    assert slug not in [row.slug for row in portkey.integrations.list(type="workspace").data]
    extra = {"slug": "extra-model", "enabled": True, "is_custom": True, "pricing_config": PRICES}
    portkey.integrations.models.update(slug=slug, allow_all_models=False, models=[MODEL, extra])
    listed = portkey.integrations.models.list(slug=slug)
    custom = {row.slug: row.pricing_config for row in listed.models if row.is_custom and row.enabled}
    assert (custom, listed.allow_all_models) == ({"mock-model": PRICES, "extra-model": PRICES}, False)
    portkey.integrations.models.delete(slug=slug, slugs="extra-model")
    assert "extra-model" not in [row.slug for row in portkey.integrations.models.list(slug=slug).models]
    # A workspace that it is not given to has no provider of it.
    provide = lambda: portkey.providers.create(name=slug, integration_id=slug, workspace_id=workspace["id"])
    portkey.integrations.workspaces.update(
        slug=slug,
        global_workspace_access={"enabled": False},
        override_existing_workspaces_access=True,
        workspaces=[{"id": workspace["id"], "enabled": False}],
    )
    _, secret = bench.key(workspace["id"])
    assert status_of(provide) == 409
    portkey.integrations.workspaces.update(slug=slug, workspaces=[{"id": workspace["slug"], "enabled": True}])
    listed = portkey.integrations.workspaces.list(slug=slug)
    assert (workspace["slug"], True) in [(row.id, row.enabled) for row in listed.workspaces]
    provider = provide().slug
    assert bench.ask(secret, f"@{provider}/mock-model").status_code == 200
    refused = bench.ask(secret, f"@{provider}/extra-model")
    assert (refused.status_code, refused.json()["error"]["type"]) == (412, "model_not_allowed_error"), refused.text
    portkey.integrations.update(slug=slug, name="Renamed")
    read = portkey.integrations.retrieve(slug=slug)
    assert (read.name, read.configurations["custom_host"]) == ("Renamed", f"{bench.mock_url}/v1")
    assert status_of(lambda: portkey.integrations.delete(slug=slug)) == 409
    portkey.providers.delete(slug=provider, workspace_id=workspace["id"])
    portkey.integrations.delete(slug=slug)
    assert status_of(lambda: portkey.integrations.retrieve(slug=slug)) == 404


def test_a_provider_has_a_budget_of_its_own(bench):
    portkey, workspace, slug = bench.client(), bench.workspace(), bench.integration()
    made = portkey.providers.create(
        name=bench.name("Team"),
        integration_id=slug,
        workspace_id=workspace["id"],
        note="of the team",
        usage_limits={"type": "tokens", "credit_limit": 100},
    )
    read = portkey.providers.retrieve(slug=made.slug, workspace_id=workspace["id"])
    assert (read.id, read.note, read.status, read.object) == (made.id, "of the team", "active", "provider")
    assert read.usage_limits["credit_limit"] == 100
    assert [row.slug for row in portkey.providers.list(workspace_id=workspace["id"]).data] == [made.slug]
    _, secret = bench.key(workspace["id"])
    app = bench.client(secret)
    model = f"@{made.slug}/mock-model"
    one = lambda: app.chat.completions.create(model=model, messages=ask("hello you"), max_tokens=10)
    used = one().usage.total_tokens
    change = lambda **more: portkey.providers.update(slug=made.slug, workspace_id=workspace["id"], **more)
    assert change(usage_limits={"type": "tokens", "credit_limit": used}).slug == made.slug
    assert status_of(one) == 412
    change(usage_limits={"type": "tokens", "credit_limit": 100})
    one()
    change(usage_limits={"type": "tokens", "credit_limit": 2 * used}, reset_usage=True)
    change(usage_limits=None, note="changed")
    read = portkey.providers.retrieve(slug=made.slug, workspace_id=workspace["id"])
    assert (read.usage_limits, read.note) == (None, "changed")
    one()
    portkey.providers.delete(slug=made.slug, workspace_id=workspace["id"])
    assert status_of(lambda: portkey.providers.retrieve(slug=made.slug, workspace_id=workspace["id"])) == 404
    assert status_of(one) == 400


def test_a_virtual_key_is_credential_and_provider_in_one(bench):
    portkey, workspace = bench.client(), bench.workspace()
    made = portkey.virtual_keys.create(
        name=bench.name("Legacy"),
        provider="openai",
        key=VENDOR_KEY,
        note="old",
        workspace_id=workspace["id"],
        usage_limits={"credit_limit": 10, "type": "cost"},
    )
    assert (made.object, bool(made.id and made.slug)) == ("virtual-key", True)
    read = wire(portkey.virtual_keys.retrieve(slug=made.slug))
    assert (read["ai_provider_name"], read["key"], read["note"]) == ("openai", "", "old")
    assert VENDOR_KEY not in json.dumps(read) and "*****" in read["masked_api_key"]
    assert read["usage_limits"]["credit_limit"] == 10
    assert [row["slug"] for row in portkey.virtual_keys.list(workspace_id=workspace["id"]).data] == [made.slug]
    portkey.virtual_keys.update(slug=made.slug, note="new", key="sk-another-vendor-key-0123456789")
    read = wire(portkey.virtual_keys.retrieve(slug=made.slug))
    assert (read["note"], read["masked_api_key"][-3:]) == ("new", "789")
    # Its host is that of the vendor; the integration behind it may be pointed elsewhere.
    bench.done(
        "PUT", f"/integrations/{read['integration_id']}", {"configurations": {"custom_host": f"{bench.mock_url}/v1"}}
    )
    bench.done("PUT", f"/integrations/{read['integration_id']}/models", {"models": [MODEL]})
    _, secret = bench.key(workspace["id"])
    app = bench.client(secret, virtual_key=made.slug)
    assert app.chat.completions.create(model="mock-model", messages=ask("hi")).choices[0].message.content == "echo: hi"
    assert ["authorization", "Bearer sk-another-vendor-key-0123456789"] in bench.requests()[-1]["headers"]
    portkey.virtual_keys.delete(slug=made.slug)
    assert status_of(lambda: portkey.virtual_keys.retrieve(slug=made.slug)) == 404


def test_the_client_that_waits_for_nothing_does_the_same(bench):
    async def life():
        portkey = AsyncPortkey(base_url=f"{bench.url}/v1", api_key=ADMIN_KEY)
        made = await portkey.configs.create(name="async", config={"retry": {"attempts": 1}})
        listed = [row["slug"] for row in (await portkey.configs.list()).data]
        await portkey.configs.delete(slug=made.slug)
        return made.slug in listed, made.slug in [row["slug"] for row in (await portkey.configs.list()).data]

    assert asyncio.run(life()) == (True, False)


# --- Configs and guardrails -------------------------------------------------------------------------------------


def test_configs_are_kept_in_versions_and_act_at_once(bench):
    portkey, workspace, slug = bench.client(), bench.workspace(), bench.integration()
    provider = portkey.providers.create(name=bench.name("p"), integration_id=slug, workspace_id=workspace["id"]).slug
    written = {"provider": f"@{provider}", "override_params": {"model": "mock-model", "max_tokens": 5}}
    made = portkey.configs.create(name="Short", config=written, workspace_id=workspace["id"], is_default=1)
    assert made.slug.startswith("pc-short-") and made.id and made.version_id
    for identity in (made.id, made.slug):
        read = portkey.configs.retrieve(slug=identity)
        assert (read.name, read.format, read.type, read.is_default) == ("Short", "json", "ORG_CONFIG", 1)
        assert json.loads(read.config) == written and read.version_id == made.version_id
    [row] = portkey.configs.list(workspace_id=workspace["id"]).data
    assert (row["slug"], row["object"], row["status"]) == (made.slug, "config", "active")
    _, secret = bench.key(workspace["id"])
    app = bench.client(secret, config=made.slug)
    one = lambda: app.chat.completions.create(model="whatever", messages=ask("hi"))
    one()
    assert bench.requests()[-1]["body"]["max_tokens"] == 5
    written["override_params"]["max_tokens"] = 6
    changed = portkey.configs.update(slug=made.slug, config=written)
    assert changed.version_id not in (None, made.version_id)
    one()
    assert bench.requests()[-1]["body"]["max_tokens"] == 6
    versions = bench.done("GET", f"/configs/{made.slug}/versions")
    assert {row["version_id"] for row in versions["data"]} == {made.version_id, changed.version_id}
    portkey.configs.update(slug=made.slug, name="Renamed")
    assert json.loads(portkey.configs.retrieve(slug=made.slug).config) == written
    portkey.configs.delete(slug=made.slug)
    assert status_of(lambda: portkey.configs.retrieve(slug=made.slug)) == 404
    assert status_of(one) == 400


def test_a_guardrail_judges_requests_whose_config_names_it(bench):
    portkey, slug = bench.client(), bench.integration()
    check = {"id": "default.contains", "parameters": {"words": ["hello"], "operator": "none"}}
    made = portkey.guardrails.create(name="No hello", checks=[check], actions={"deny": True})
    assert made.slug.startswith("pg-") and made.id and made.version_id
    for identity in (made.id, made.slug):
        read = portkey.guardrails.retrieve(guardrail_id=identity)
        assert (read.id, read.name, read.actions["deny"]) == (made.id, "No hello", True)
        assert read.checks[0]["id"] == "default.contains"
        assert read.checks[0]["parameters"] == {"words": ["hello"], "operator": "none"}
    assert made.id in [row.id for row in portkey.guardrails.list().data]
    _, secret = bench.key()
    judged = lambda text: bench.client(secret, config={"input_guardrails": [made.slug]}).chat.completions.create(
        model=f"@{slug}/mock-model", messages=ask(text)
    )
    assert judged("good day").choices[0].message.content == "echo: good day"
    assert status_of(lambda: judged("hello there")) == 446
    changed = portkey.guardrails.update(guardrail_id=made.slug, name="Nothing", actions={"deny": False})
    assert changed.version_id != made.version_id
    assert judged("hello there").choices[0].message.content == "echo: hello there"
    portkey.guardrails.delete(guardrail_id=made.id)
    assert status_of(lambda: portkey.guardrails.retrieve(guardrail_id=made.slug)) == 404


# --- What the package has no class for --------------------------------------------------------------------------


def test_orders_without_a_class_are_sent_by_path(bench):
    portkey, workspace = bench.client(), bench.workspace()
    fields = {"conditions": [{"key": "model", "value": "*"}], "group_by": [{"key": "api_key"}]}
    usage = portkey.post(
        "/policies/usage-limits", type="cost", credit_limit=2.5, workspace_id=workspace["id"], **fields
    )
    rate = portkey.post(
        "/policies/rate-limits", type="requests", unit="rpm", value=5, workspace_id=workspace["id"], **fields
    )
    assert bench.done("GET", f"/policies/usage-limits/{usage.id}")["credit_limit"] == 2.5
    assert bench.done("GET", f"/policies/rate-limits/{rate.id}")["value"] == 5
    secret = portkey.post(
        "/secret-references",
        name=bench.name("vendor"),
        manager_type="hashicorp_vault",
        auth_config={"vault_addr": "http://127.0.0.1:1", "vault_auth_type": "token", "vault_token": "hvs.0123456789"},
        secret_path="secret/data/vendor",
    )
    read = bench.done("GET", f"/secret-references/{secret.slug}")
    assert "masked_vault_token" in read["auth_config"] and "hvs.0123456789" not in json.dumps(read)
    audit = bench.done(
        "GET",
        "/audit-logs?start_time=2020-01-01T00:00:00Z&end_time=2100-01-01T00:00:00Z&page_size=100&method=POST"
        f"&workspace_id={workspace['id']}&organisation_id={workspace['organisation_id']}",
    )
    assert audit["object"] == "analytics-graph" and audit["total"] == len(audit["records"]) == 3
    for row in audit["records"]:
        assert (row["method"], row["action"], row["user_type"]) == ("POST", "create", "api_key"), row
        assert row["response_status_code"] == 200 and row["client_ip"] == "127.0.0.1", row
    assert ADMIN_KEY not in json.dumps(audit) and "hvs.0123456789" not in json.dumps(bench.done("GET", "/audit-logs"))
