"""The official `anthropic` package against every vendor."""

import anthropic
import pytest

from conftest import KEYS

TOOLS = [
    {
        "name": name,
        "description": f"Tells the {name} of a city.",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
    for name in ("weather", "time")
]


@pytest.fixture
def client(world):
    return anthropic.Anthropic(base_url=world.url, api_key=KEYS["sdk"], max_retries=0, timeout=30)


def ask(text):
    return [{"role": "user", "content": text}]


def test_message(client, world, vendor):
    answer = client.messages.create(
        model=world.model(vendor), max_tokens=100, system="Be brief.", messages=ask("hello you")
    )
    assert answer.content[0].text == "echo: hello you"
    assert answer.stop_reason == "end_turn"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (4, 3)


def test_message_is_cut_at_max_tokens(client, world, vendor):
    answer = client.messages.create(model=world.model(vendor), max_tokens=3, messages=ask("[[chunks=50]]"))
    assert answer.content[0].text == " one two three"
    assert answer.stop_reason == "max_tokens"


def test_stream(client, world, vendor):
    with client.messages.stream(
        model=world.model(vendor), max_tokens=100, messages=ask("grüße 🌊 tide")
    ) as stream:
        text = "".join(stream.text_stream)
        answer = stream.get_final_message()
    assert text == "echo: grüße 🌊 tide"
    assert answer.content[0].text == text
    assert answer.stop_reason == "end_turn"
    assert answer.usage.output_tokens == 4


def test_raw_stream(client, world, vendor):
    events = client.messages.create(model=world.model(vendor), max_tokens=100, messages=ask("hi"), stream=True)
    kinds = [event.type for event in events if event.type != "ping"]
    assert kinds[0] == "message_start"
    assert kinds[1] == "content_block_start"
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_tool_round_trip(client, world, vendor):
    messages = ask("[[tools=2]] weather in Paris?")
    first = client.messages.create(model=world.model(vendor), max_tokens=100, messages=messages, tools=TOOLS)
    assert first.stop_reason == "tool_use"
    calls = [block for block in first.content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["weather", "time"]
    assert calls[0].input == {"city": "Paris", "days": 2}
    messages.append({"role": "assistant", "content": [block.model_dump() for block in first.content]})
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": said}
        for call, said in zip(calls, ("sunny", "noon"))
    ]
    messages.append({"role": "user", "content": results})
    second = client.messages.create(model=world.model(vendor), max_tokens=100, messages=messages, tools=TOOLS)
    assert second.content[0].text == "tool said: sunny | noon"


def test_tools_streamed(client, world, vendor):
    with client.messages.stream(
        model=world.model(vendor), max_tokens=100, messages=ask("[[tools=2]] weather?"), tools=TOOLS
    ) as stream:
        answer = stream.get_final_message()
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert [(call.name, call.input["city"]) for call in calls] == [("weather", "Paris"), ("time", "Paris")]


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "time"}])
def test_tool_choice(client, world, vendor, choice):
    answer = client.messages.create(
        model=world.model(vendor), max_tokens=100, messages=ask("now"), tools=TOOLS, tool_choice=choice
    )
    wanted = choice.get("name", "weather")
    assert [block.name for block in answer.content if block.type == "tool_use"] == [wanted]


def test_thinking_comes_back_with_its_signature(client, world):
    model = world.model("anthropic-prod")
    thinking = {"type": "enabled", "budget_tokens": 1024}
    messages = ask("[[reasoning]] why")
    with client.messages.stream(model=model, max_tokens=2048, thinking=thinking, messages=messages) as stream:
        streamed = stream.get_final_message()
    whole = client.messages.create(model=model, max_tokens=2048, thinking=thinking, messages=messages)
    for answer in (streamed, whole):
        assert answer.content[0].type == "thinking"
        assert answer.content[0].thinking == "Let me think."
        # The upstream refuses a conversation whose signature was changed.
        again = messages + [{"role": "assistant", "content": [block.model_dump() for block in answer.content]}]
        second = client.messages.create(model=model, max_tokens=2048, thinking=thinking, messages=again + ask("go on"))
        assert second.content[-1].text == "echo: go on"


def test_picture(client, world, vendor):
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
    parts = [
        {"type": "text", "text": "what is it"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": pixel}},
    ]
    answer = client.messages.create(
        model=world.model(vendor), max_tokens=100, messages=[{"role": "user", "content": parts}]
    )
    assert answer.content[0].text == "echo: what is it (1 images)"


def test_count_tokens(client, world):
    count = client.messages.count_tokens(model=world.model("anthropic-prod"), messages=ask("one two three"))
    assert count.input_tokens == 3


def test_count_tokens_for_a_vendor_that_cannot(client, gateway):
    count = client.messages.count_tokens(model=gateway.model("openai-prod"), messages=ask("one two three"))
    assert 3 <= count.input_tokens < 20


def test_errors(client, world, vendor):
    for status, kind in (
        (400, anthropic.BadRequestError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
    ):
        with pytest.raises(kind) as caught:
            client.messages.create(model=world.model(vendor), max_tokens=9, messages=ask(f"[[status={status}]]"))
        assert caught.value.body["type"] == "error"
        assert f"answers {status}" in caught.value.body["error"]["message"]


def test_error_in_the_middle_of_a_stream_is_raised(client, world, vendor):
    with pytest.raises(anthropic.APIStatusError):
        with client.messages.stream(
            model=world.model(vendor), max_tokens=100, messages=ask("[[chunks=9&error_after=2]]")
        ) as stream:
            stream.until_done()


def test_wrong_key_is_an_authentication_error(gateway):
    client = anthropic.Anthropic(base_url=gateway.url, api_key="tg-nobody", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        client.messages.create(model=gateway.model("anthropic-prod"), max_tokens=9, messages=ask("hi"))


def test_used_up_budget_is_a_412_in_words(gateway):
    client = anthropic.Anthropic(base_url=gateway.url, api_key=KEYS["poor"], max_retries=0)
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(model=gateway.model("anthropic-prod"), max_tokens=100, messages=ask("hi"))
    assert caught.value.status_code == 412
    assert "budget" in caught.value.body["error"]["message"].lower()
