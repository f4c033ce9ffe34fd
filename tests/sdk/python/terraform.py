"""How the Terraform provider of Portkey reads answers: strictly typed, and without a difference to what was planned."""

import datetime
import re

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TIME = "time"
ANY = "any"
# A limit of workspaces and integrations is a whole number to it; one of keys, providers and policies any number.
RATE = {"type": str, "unit": str, "value": int}
WHOLE_USAGE = {"type": str, "credit_limit": int, "alert_threshold": int, "periodic_reset": str}
USAGE = {
    "type": str,
    "credit_limit": float,
    "alert_threshold": float,
    "periodic_reset": str,
    "periodic_reset_days": int,
    "next_usage_reset_at": str,
}
CHANGED = {"created_at": TIME, "last_updated_at": TIME}

WORKSPACE = {
    "id": str,
    "slug": str,
    "name": str,
    "icon": str,
    "description": str,
    "defaults": {"metadata": {str: str}},
    "usage_limits": [WHOLE_USAGE],
    "rate_limits": [RATE],
    **CHANGED,
}
INTEGRATION = {
    "id": str,
    "slug": str,
    "name": str,
    "ai_provider_id": str,
    "description": str,
    "status": str,
    "masked_key": str,
    "configurations": {str: ANY},
    "type": str,
    "workspace_id": str,
    "secret_mappings": [{"target_field": str, "secret_reference_id": str, "secret_key": str}],
    **CHANGED,
}
ACCESS = {
    "total": int,
    "workspaces": [{"id": str, "enabled": bool, "usage_limits": [WHOLE_USAGE], "rate_limits": [RATE]}],
}
PRICE = {"price": float}
MODELS = {
    "allow_all_models": bool,
    "models": [
        {
            "slug": str,
            "enabled": bool,
            "is_custom": bool,
            "is_finetune": bool,
            "base_model_slug": str,
            "pricing_config": {"type": str, "pay_as_you_go": {"request_token": PRICE, "response_token": PRICE}},
        }
    ],
}
PROVIDER = {
    "id": str,
    "slug": str,
    "name": str,
    "ai_provider_name": str,
    "integration_id": str,
    "workspace_id": str,
    "status": str,
    "note": str,
    "rate_limits": [RATE],
    "usage_limits": USAGE,
    "created_at": TIME,
    "expires_at": TIME,
}
CONFIG = {
    "id": str,
    "slug": str,
    "name": str,
    "workspace_id": str,
    "organisation_id": str,
    "is_default": int,
    "status": str,
    "format": str,
    "type": str,
    "version_id": str,
    **CHANGED,
}
API_KEY = {
    "id": str,
    "key": str,
    "name": str,
    "description": str,
    "type": str,
    "organisation_id": str,
    "workspace_id": str,
    "user_id": str,
    "status": str,
    "creation_mode": str,
    "rate_limits": [RATE],
    "usage_limits": USAGE,
    "scopes": [str],
    "defaults": {"metadata": {str: str}, "config_id": str, "allow_config_override": bool},
    "alert_emails": [str],
    "allow_config_override": int,
    "expires_at": TIME,
    "last_reset_at": TIME,
    "rotation_policy": {"rotation_period": str, "next_rotation_at": str, "key_transition_period_ms": int},
    **CHANGED,
}
POLICY = {
    "id": str,
    "name": str,
    "conditions": [{"key": str, "value": str}],
    "group_by": [{"key": str}],
    "type": str,
    "status": str,
    "workspace_id": str,
    "organisation_id": str,
    **CHANGED,
}
USAGE_POLICY = {**POLICY, "credit_limit": float, "alert_threshold": float, "periodic_reset": str}
RATE_POLICY = {**POLICY, "unit": str, "value": float}
GUARDRAIL = {
    "id": str,
    "slug": str,
    "name": str,
    "organisation_id": str,
    "workspace_id": str,
    "checks": [{"id": str, "is_enabled": bool, "parameters": {str: ANY}}],
    "actions": {str: ANY},
    "status": str,
    "version_id": str,
    **CHANGED,
}
SECRET_REFERENCE = {
    "id": str,
    "slug": str,
    "name": str,
    "description": str,
    "manager_type": str,
    "secret_path": str,
    "secret_key": str,
    "allow_all_workspaces": bool,
    "allowed_workspaces": [str],
    "tags": {str: str},
    "status": str,
    "auth_config": {str: ANY},
    "object": str,
    **CHANGED,
}
MEMBER = {"id": str, "role": str, "email": str, "first_name": str, "last_name": str, "created_at": TIME}
INVITE = {
    "id": str,
    "email": str,
    "role": str,
    "status": str,
    "workspaces": [{"id": str, "role": str}],
    "created_at": TIME,
    "expires_at": TIME,
}
USER = {"id": str, "email": str, "role": str, "created_at": TIME}


def decode(kind, value, at="answer"):
    """Fails where a typed client would; null and absent are nothing to it, unknown members are skipped."""
    if value is None or kind is ANY:
        return
    if kind is TIME:
        assert isinstance(value, str) and MOMENT.fullmatch(value), f"{at}: {value!r} is no time"
        datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ")
    elif isinstance(kind, list):
        assert isinstance(value, list), f"{at}: {value!r} is no list"
        for index, item in enumerate(value):
            decode(kind[0], item, f"{at}[{index}]")
    elif isinstance(kind, dict):
        assert isinstance(value, dict), f"{at}: {value!r} is no object"
        for name, item in value.items():
            decode(kind.get(name, kind.get(str, ANY)), item, f"{at}.{name}")
    elif kind is float:
        assert isinstance(value, (int, float)) and not isinstance(value, bool), f"{at}: {value!r} is no number"
    else:
        # 10.0 is no whole number to Go, and true is none either.
        assert type(value) is kind, f"{at}: {value!r} is no {kind.__name__}"


def same(planned, read, at="planned"):
    """Fails where a plan after the apply would show a difference."""
    if isinstance(planned, dict) and isinstance(read, dict):
        for name, value in planned.items():
            same(value, read.get(name), f"{at}.{name}")
    elif isinstance(planned, list) and isinstance(read, list) and len(planned) == len(read):
        for index, value in enumerate(planned):
            same(value, read[index], f"{at}[{index}]")
    else:
        assert planned == read, f"{at}: {planned!r} was planned, {read!r} is read"


class Resource:
    """One resource of a plan: the requests that its apply, refresh and destroy make."""

    def __init__(self, bench, kind, path, query=""):
        self.bench, self.kind, self.path, self.query = bench, kind, path, query
        self.id = self.slug = None

    def create(self, order, path=None):
        made = self.bench.done("POST", path or self.path, order)
        assert isinstance(made["id"], str), made
        self.id, self.slug = made["id"], made.get("slug", made["id"])
        return made

    def read(self, identity=None):
        answer = self.bench.done("GET", f"{self.path}/{identity or self.id}{self.query}")
        decode(self.kind, answer)
        for name, kind in self.kind.items():
            assert kind is not TIME or name in ("expires_at", "last_reset_at") or answer.get(name), f"{name}: {answer}"
        return answer

    def applied(self, planned):
        """Reads by id and by slug, and finds it in the list, as planned each time."""
        for identity in (self.id, self.slug):
            read = self.read(identity)
            assert read["id"] == self.id, read
            same(planned, read)
        listed = self.bench.done("GET", self.path + self.query)
        decode([self.kind], listed["data"])
        assert isinstance(listed["total"], int), listed
        assert self.id in [row["id"] for row in listed["data"]], listed
        return read

    def update(self, change, planned):
        """Changes it and reads it right after."""
        self.bench.done("PUT", f"{self.path}/{self.id}", change)
        return self.applied(planned)

    def destroy(self, body=None):
        at = f"{self.path}/{self.id}{self.query}"
        self.bench.done("DELETE", at, body)
        status = self.bench.send("GET", at).status_code
        assert status in (403, 404), f"GET {at}: {status}"
        self.bench.refused(status, {403: "AB03", 404: "AB08"}[status], "GET", at)
