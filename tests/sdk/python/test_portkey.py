"""The official `portkey-ai` package: the key in its own header, slugs, providers, configs, metadata."""

import json

import pytest
from portkey_ai import Portkey

from conftest import KEYS

pytestmark = pytest.mark.usefixtures("gateway")


def ask(text):
    return [{"role": "user", "content": text}]


def client_of(world, **options):
    return Portkey(base_url=f"{world.url}/v1", api_key=KEYS["sdk"], **options)


def test_chat_by_slug(world, vendor):
    answer = client_of(world).chat.completions.create(model=world.model(vendor), messages=ask("hello you"))
    assert answer.choices[0].message.content == "echo: hello you"
    assert answer.usage.completion_tokens == 3


def test_chat_by_provider(world, vendor):
    client = client_of(world, provider=f"@{vendor}")
    answer = client.chat.completions.create(model="mock", messages=ask("hello you"))
    assert answer.choices[0].message.content == "echo: hello you"


def test_chat_by_config(world, vendor):
    config = {"provider": f"@{vendor}", "override_params": {"model": "mock"}}
    client = client_of(world, config=json.dumps(config))
    answer = client.chat.completions.create(model="whatever", messages=ask("hello you"))
    assert answer.choices[0].message.content == "echo: hello you"


def test_config_by_id_and_metadata(world):
    client = client_of(world, config="pc-demo", metadata={"_user": "ada", "env": "test"}, trace_id="from-portkey-ai")
    answer = client.chat.completions.create(model=world.model("openai-prod"), messages=ask("hi"))
    assert answer.choices[0].message.content == "echo: hi"
    assert answer.get_headers()["trace-id"] == "from-portkey-ai"


def test_stream(world, vendor):
    stream = client_of(world).chat.completions.create(
        model=world.model(vendor), messages=ask("grüße 🌊 tide"), stream=True
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert text == "echo: grüße 🌊 tide"


def test_tools(world, vendor):
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": "weather", "parameters": parameters}}]
    answer = client_of(world).chat.completions.create(
        model=world.model(vendor), messages=ask("[[tool]] weather?"), tools=tools
    )
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments)["city"] == "Paris"


def test_embeddings(world):
    answer = client_of(world).embeddings.create(
        model=world.model("openai-prod", "text-embedding-3-small"), input="one", encoding_format="float"
    )
    assert len(answer.data[0].embedding) == 8


def test_images(world):
    answer = client_of(world).images.generate(model=world.model("openai-prod", "dall-e-3"), prompt="a pier")
    assert answer.data[0].b64_json


def test_models(world):
    ids = [model.id for model in client_of(world).models.list().data]
    assert world.model("openai-prod") in ids


def test_errors(world):
    for options, model, status in (
        ({"api_key": "tg-nobody"}, world.model("openai-prod"), 401),
        ({}, world.model("openai-prod", "missing-model"), 404),
        ({"api_key": KEYS["poor"]}, world.model("openai-prod"), 412),
        ({}, "@nobody/mock", 400),
    ):
        client = Portkey(**{"base_url": f"{world.url}/v1", "api_key": KEYS["sdk"], **options})
        with pytest.raises(Exception) as caught:
            client.chat.completions.create(model=model, messages=ask("hi"))
        assert getattr(caught.value, "status_code", None) == status, repr(caught.value)
