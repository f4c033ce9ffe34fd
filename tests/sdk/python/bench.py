"""What the tests of the Admin API share: a gateway that trusts the scripted upstream's host, and orders to it."""

import itertools
import json

import httpx
import pytest
from portkey_ai import Portkey
from portkey_ai._vendor.openai import APIStatusError as RefusedByModel
from portkey_ai.api_resources.exceptions import APIStatusError as RefusedByAdmin

ADMIN_KEY = "tga-admin-key-of-the-bench-0123456"
VENDOR_KEY = "sk-vendor-of-the-bench-0123456789"

GOVERNED = """
listen = "127.0.0.1:0"
data = "DATA/data"
plugins = "DATA/plugins"
admin_key = "file:SECRETS/admin"

[security]
trusted_hosts = ["127.0.0.1"]
secret_dir = "SECRETS"
"""

# Portkey writes prices in cents per token: 3 and 15 dollars per million.
PRICES = {"type": "static", "pay_as_you_go": {"request_token": {"price": 0.0003}, "response_token": {"price": 0.0015}}}
MODEL = {"slug": "mock-model", "enabled": True, "is_custom": True, "pricing_config": PRICES}


def ask(text):
    """A conversation of one question."""
    return [{"role": "user", "content": text}]


def status_of(order):
    """The status with which the SDK says that an order was refused."""
    with pytest.raises((RefusedByAdmin, RefusedByModel)) as caught:
        order()
    return caught.value.status_code


def wire(answer):
    """What was sent, without what the SDK's model makes of it."""
    return json.loads(answer.model_dump_json())


class Bench:
    """The gateway, the upstream behind it, and the folder of both."""

    def __init__(self, url, mock_url, folder):
        self.url = url
        self.mock_url = mock_url
        self.folder = folder
        self._count = itertools.count(1)
        self.http = httpx.Client(base_url=f"{url}/v1", timeout=30)

    def name(self, kind):
        """A name that nothing else has."""
        return f"{kind}-{next(self._count)}"

    def client(self, key=ADMIN_KEY, **options):
        """The official client; it doesn't try again, so that a refusal is seen once."""
        return Portkey(base_url=f"{self.url}/v1", api_key=key, **options).with_options(max_retries=0)

    def send(self, method, path, body=None, key=ADMIN_KEY, **options):
        """Sends an order as it is and returns what was answered."""
        headers = {"x-portkey-api-key": key, **options.pop("headers", {})}
        if body is not None:
            options["json"] = body
        return self.http.request(method, path, headers=headers, **options)

    def done(self, method, path, body=None, **options):
        """Sends an order that must be obeyed and returns its body."""
        answer = self.send(method, path, body, **options)
        assert answer.status_code == 200, f"{method} {path} {body}: {answer.status_code} {answer.text}"
        return answer.json()

    def refused(self, status, code, method, path, body=None, **options):
        """Sends an order that must be refused in the form that every client of Portkey can read."""
        answer = self.send(method, path, body, **options)
        assert answer.status_code == status, f"{method} {path} {body}: {answer.status_code} {answer.text}"
        error = answer.json()
        message = error["message"]
        assert message and isinstance(message, str), error
        assert (error["success"], error["status_code"], error["errorCode"]) == (False, status, code), error
        assert set(error["error"]) >= {"message", "code", "type", "param"}, error
        assert (error["error"]["message"], error["error"]["code"]) == (message, code), error
        assert isinstance(error["error"]["type"], str), error
        assert error["data"] == {"message": message, "errorCode": code}, error
        return error

    def workspace(self, **more):
        """Makes a workspace."""
        return self.done("POST", "/admin/workspaces", {"name": self.name("Workspace"), **more})

    def integration(self, **more):
        """Makes an integration of OpenAI at the scripted upstream; its model has a price."""
        slug = more.pop("slug", None) or self.name("openai")
        order = {
            "name": slug,
            "slug": slug,
            "ai_provider_id": "openai",
            "key": VENDOR_KEY,
            "configurations": {"custom_host": f"{self.mock_url}/v1"},
            **more,
        }
        self.done("POST", "/integrations", order)
        self.done("PUT", f"/integrations/{slug}/models", {"allow_all_models": True, "models": [MODEL]})
        return slug

    def key(self, workspace="ws-default", scopes=("completions.write",), **more):
        """Makes a service key of a workspace and returns its id and its secret."""
        order = {"name": self.name("key"), "workspace_id": workspace, "scopes": list(scopes), **more}
        made = self.done("POST", "/api-keys/workspace/service", order)
        return made["id"], made["key"]

    def ask(self, key, model, headers=None, **more):
        """Asks a model as it is and returns what was answered."""
        body = {"model": model, "messages": [{"role": "user", "content": "hello you"}], "max_tokens": 10, **more}
        return self.send("POST", "/chat/completions", body, key=key, headers=headers or {})

    def requests(self):
        """What the upstream was asked, oldest first."""
        return httpx.get(f"{self.mock_url}/__mock/requests", timeout=30).json()["requests"]
