"""Budgets and rate limits of every level, set through the Admin API: whom they block, how, and until when."""

import pytest

from bench import VENDOR_KEY

# What each level sets, and what the refused are told.
BUDGETS = {
    "key": ("04", None),
    "workspace": ("04", "workspace_exhaust_error"),
    "integration": ("04", "integration_exhaust_error"),
    "provider": ("04", "virtual_key_exhaust_error"),
}
RATES = {
    "key": ("05", None),
    "workspace": ("05", "workspace_rate_limit_error"),
    "integration": (None, "integration_rate_limit_error"),
    "provider": (None, None),
}
# Keys of a policy's conditions, and values that a request of the team has.
CONDITIONS = {
    "model": lambda team: f"@{team.provider}/*",
    "virtual_key": lambda team: team.provider,
    "provider": lambda team: "openai",
    "api_key": lambda team: team.key,
    "workspace_id": lambda team: team.workspace["id"],
    "config": lambda team: team.config,
    "metadata._user": lambda team: ["ada", "bob"],
    "metadata.team": lambda team: "*",
}


class Team:
    """A workspace with a provider, a config and a key, which nothing else uses."""

    def __init__(self, bench):
        self.bench = bench
        self.workspace = bench.workspace()
        self.at = f"?workspace_id={self.workspace['id']}"
        self.integration = bench.integration()
        self.provider = bench.name("team")
        self.given(create_default_provider=True, default_provider_slug=self.provider)
        config = {"name": "c", "config": {"retry": {"attempts": 1}}, "workspace_id": self.workspace["id"]}
        self.config = bench.done("POST", "/configs", config)["slug"]
        defaults = {"config_id": self.config, "metadata": {"team": "shop"}}
        self.key, self.secret = bench.key(self.workspace["id"], defaults=defaults)

    def given(self, **entry):
        order = {"workspaces": [{"id": self.workspace["slug"], "enabled": True, **entry}]}
        self.bench.done("PUT", f"/integrations/{self.integration}/workspaces", order)

    def limit(self, level, **limits):
        """Sets limits of a level; one limit is an object where Portkey has it so."""
        if level in ("key", "provider") and limits.get("usage_limits"):
            limits["usage_limits"] = limits["usage_limits"][0]
        if level == "key":
            self.bench.done("PUT", f"/api-keys/{self.key}", limits)
        elif level == "workspace":
            self.bench.done("PUT", f"/admin/workspaces/{self.workspace['slug']}", limits)
        elif level == "integration":
            self.given(**limits)
        else:
            self.bench.done("PUT", f"/providers/{self.provider}{self.at}", limits)

    def ask(self, user="ada", **more):
        headers = {"x-portkey-metadata": f'{{"_user":"{user}"}}'}
        return self.bench.ask(self.secret, f"@{self.provider}/mock-model", headers=headers, **more)

    def served(self, **more):
        answer = self.ask(**more)
        assert answer.status_code == 200, answer.text
        return answer

    def blocked(self, status, code, kind, **more):
        answer = self.ask(**more)
        assert answer.status_code == status, answer.text
        body = answer.json()
        error = body["error"]
        assert error["message"] and error["param"] is None, body
        if code:
            assert error["code"] == code, body
        if kind:
            assert error["type"] == kind, body
        else:  # Refused while the key is looked at: Portkey's other form.
            assert (body["status"], body["message"]) == ("failure", error["message"]), body
        return answer


@pytest.fixture
def team(bench):
    return Team(bench)


@pytest.mark.parametrize("level", BUDGETS)
@pytest.mark.parametrize("kind", ["cost", "tokens"])
def test_a_budget_blocks_until_it_is_raised(team, level, kind):
    code, error = BUDGETS[level]
    small, large = (0.0000001, 10) if kind == "cost" else (1, 100_000)
    team.limit(level, usage_limits=[{"type": kind, "credit_limit": large}])
    team.served()
    team.limit(level, usage_limits=[{"type": kind, "credit_limit": small}])
    answer = team.blocked(412, code, error)
    assert "retry-after" not in answer.headers, "waiting doesn't help, so clients don't try again"
    team.limit(level, usage_limits=[{"type": kind, "credit_limit": large}])
    team.served()
    team.limit(level, usage_limits=[{"type": kind, "credit_limit": small}])
    team.blocked(412, code, error)
    team.limit(level, usage_limits=None)
    team.served()


@pytest.mark.parametrize("level", RATES)
def test_a_rate_limit_blocks_and_says_how_long(team, level):
    code, error = RATES[level]
    team.limit(level, rate_limits=[{"type": "requests", "unit": "rpd", "value": 2}])
    team.served()
    team.served()
    answer = team.blocked(429, code, error)
    assert 0 < int(answer.headers["retry-after"]) <= 86_400
    team.limit(level, rate_limits=None)
    team.served()


def test_a_rate_limit_of_a_provider_is_told_by_its_type(team):
    team.limit("provider", rate_limits=[{"type": "requests", "unit": "rpd", "value": 1}])
    team.served()
    team.blocked(429, None, "virtual_key_rate_limit_error")


@pytest.mark.parametrize("level", RATES)
def test_a_rate_limit_of_nothing_closes(team, level):
    team.limit(level, rate_limits=[{"type": "requests", "unit": "rpm", "value": 0}])
    assert team.ask().status_code == 429
    team.limit(level, rate_limits=None)
    team.served()


@pytest.mark.parametrize("level", ["key", "provider"])
def test_what_is_spent_is_shown_as_exhausted(bench, team, level):
    at = f"/api-keys/{team.key}" if level == "key" else f"/providers/{team.provider}{team.at}"
    team.limit(level, usage_limits=[{"type": "requests", "credit_limit": 1}])
    assert bench.done("GET", at)["status"] == "active"
    team.served()
    assert bench.done("GET", at)["status"] == "exhausted"
    team.limit(level, usage_limits=[{"type": "requests", "credit_limit": 2}])
    assert bench.done("GET", at)["status"] == "active"
    team.served()
    team.limit(level, reset_usage=True)
    assert bench.done("GET", at)["status"] == "active"
    team.served()


def test_all_token_windows_of_a_key_count(team):
    windows = [{"type": "tokens", "unit": "rpm", "value": 100_000}, {"type": "tokens", "unit": "rpd", "value": 100}]
    for order in (windows, windows[::-1]):
        team.limit("key", rate_limits=None)
        team.limit("key", rate_limits=order)
        served = 0
        while (answer := team.ask()).status_code == 200:
            served += 1
            assert served < 100, "the smaller window never closes"
        assert served > 0 and answer.status_code == 429, answer.text
        assert "100 tokens per day" in answer.json()["error"]["message"], answer.text


def test_a_refused_request_takes_nothing_from_other_levels(team):
    team.limit("workspace", rate_limits=[{"type": "requests", "unit": "rpd", "value": 2}])
    team.limit("provider", usage_limits=[{"type": "tokens", "credit_limit": 1}])
    for _ in range(4):
        team.blocked(412, "04", "virtual_key_exhaust_error")
    team.limit("provider", usage_limits=None)
    team.served()
    team.served()
    team.blocked(429, "05", "workspace_rate_limit_error")


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_usage_policy_blocks_whom_its_condition_names_until_it_is_raised(bench, team, condition):
    order = {
        "name": "one each",
        "conditions": [{"key": condition, "value": CONDITIONS[condition](team)}],
        "group_by": [{"key": "metadata._user"}],
        "type": "requests",
        "credit_limit": 1,
        "workspace_id": team.workspace["id"],
    }
    policy = bench.done("POST", "/policies/usage-limits", order)["id"]
    at = f"/policies/usage-limits/{policy}"
    team.served()
    refused = team.blocked(412, "06", "usage_limits_policy_exhaust_error").json()
    assert policy in refused["error"]["message"] and "metadata._user:ada" in refused["error"]["message"], refused
    team.served(user="bob")
    assert bench.done("GET", f"{at}?include_usage=true")["value_key_usage_map"] == {
        "metadata._user:ada": 1,
        "metadata._user:bob": 1,
    }
    buckets = bench.done("GET", f"{at}/entities?search=_user:ada&status=exhausted")
    assert [row["value_key"] for row in buckets["data"]] == ["metadata._user:ada"]
    bench.done("PUT", f"{at}/entities/{buckets['data'][0]['id']}/reset")
    team.served()
    team.blocked(412, "06", "usage_limits_policy_exhaust_error", user="bob")
    bench.done("PUT", at, {"credit_limit": 2})
    team.served(user="bob")
    team.blocked(412, "06", "usage_limits_policy_exhaust_error", user="bob")
    bench.done("PUT", at, {"reset_usage_for_value": "metadata._user:bob"})
    team.served(user="bob")
    bench.done("DELETE", at)
    for _ in range(3):
        team.served(user="bob")


@pytest.mark.parametrize("condition", [*CONDITIONS, "endpoint_type"])
def test_a_rate_policy_blocks_whom_its_condition_names(bench, team, condition):
    value = "chat/completions" if condition == "endpoint_type" else CONDITIONS[condition](team)
    order = {
        "conditions": [{"key": condition, "value": value}],
        "group_by": [{"key": "api_key"}],
        "type": "requests",
        "unit": "rph",
        "value": 1,
        "workspace_id": team.workspace["id"],
    }
    policy = bench.done("POST", "/policies/rate-limits", order)["id"]
    team.served()
    answer = team.blocked(429, None, "rate_limits_policy_exhaust_error")
    assert 0 < int(answer.headers["retry-after"]) <= 3600
    bench.done("PUT", f"/policies/rate-limits/{policy}", {"value": 3})
    team.served()
    bench.done("DELETE", f"/policies/rate-limits/{policy}")
    for _ in range(3):
        team.served()


def test_policies_leave_alone_who_is_excluded_or_has_no_value(bench, team):
    def policy(conditions, group_by):
        order = {"type": "requests", "credit_limit": 1, "workspace_id": team.workspace["id"]}
        order.update(conditions=conditions, group_by=group_by)
        bench.done("POST", "/policies/usage-limits", order)

    policy([{"key": "model", "value": "*", "excludes": [f"@{team.provider}/mock-model"]}], [])
    policy([{"key": "metadata.nothing", "value": "*"}], [])
    policy([{"key": "metadata._user", "value": "bob"}, {"key": "virtual_key", "value": team.provider}], [])
    policy([{"key": "api_key", "value": team.key}], [{"key": "metadata.nothing"}])
    for _ in range(3):
        team.served()
    team.served(user="bob")
    team.blocked(412, "06", "usage_limits_policy_exhaust_error", user="bob")


def test_time_that_is_over_is_401(bench, team):
    over = "2020-01-01T00:00:00.000Z"
    for level, kind in (("key", None), ("provider", "virtual_key_expired_error")):
        team.limit(level, expires_at=over)
        team.blocked(401, "01", kind)
        at = f"/api-keys/{team.key}" if level == "key" else f"/providers/{team.provider}{team.at}"
        assert bench.done("GET", at)["status"] == "expired"
        team.limit(level, expires_at=None)
        team.served()


def test_who_may_not_ask_models_is_told_nothing_of_providers(bench, team):
    _, reader = bench.key(team.workspace["id"], scopes=["configs.read"])
    refused = bench.ask(reader, "@nobody/mock-model")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "033"), refused.text
    assert team.provider not in refused.text


def test_the_vendors_key_is_told_to_nobody(bench, team):
    for path in (
        f"/integrations/{team.integration}",
        f"/providers{team.at}",
        f"/virtual-keys{team.at}",
        f"/integrations/{team.integration}/workspaces",
        "/audit-logs?page_size=100",
    ):
        assert VENDOR_KEY not in str(bench.done("GET", path)), path
