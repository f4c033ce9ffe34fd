"""The official `openai` package against every vendor."""

import base64
import json
import struct

import openai
import pytest

from conftest import KEYS, VENDORS

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Tells the {name} of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city"],
            },
        },
    }
    for name in ("weather", "time")
]


def client_of(world, key="sdk", **options):
    options = {"max_retries": 0, "timeout": 30, **options}
    return openai.OpenAI(base_url=f"{world.url}/v1", api_key=KEYS[key], **options)


@pytest.fixture
def client(world):
    return client_of(world)


def ask(text):
    return [{"role": "user", "content": text}]


def test_chat(client, world, vendor):
    answer = client.chat.completions.create(model=world.model(vendor), messages=ask("hello you"))
    assert answer.choices[0].message.content == "echo: hello you"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 3)


def test_chat_with_history(client, world, vendor):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": [{"type": "text", "text": "second"}]},
    ]
    answer = client.chat.completions.create(model=world.model(vendor), messages=messages, max_tokens=100, stop=["END"])
    assert answer.choices[0].message.content == "echo: second"
    assert answer.usage.prompt_tokens == 5


def test_chat_is_cut_at_max_tokens(client, world, vendor):
    answer = client.chat.completions.create(
        model=world.model(vendor), messages=ask("[[chunks=50]]"), max_completion_tokens=3
    )
    assert answer.choices[0].message.content == " one two three"
    assert answer.choices[0].finish_reason == "length"


def test_picture(client, world, vendor):
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
    parts = [
        {"type": "text", "text": "what is it"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{pixel}"}},
    ]
    answer = client.chat.completions.create(
        model=world.model(vendor), messages=[{"role": "user", "content": parts}]
    )
    assert answer.choices[0].message.content == "echo: what is it (1 images)"


def test_stream(client, world, vendor):
    stream = client.chat.completions.create(
        model=world.model(vendor),
        messages=ask("grüße 🌊 tide"),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "echo: grüße 🌊 tide"
    assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == [4]
    assert chunks[-1].usage


def test_stream_helper(client, world, vendor):
    with client.chat.completions.stream(model=world.model(vendor), messages=ask("hi")) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_completion()
    assert {"content.delta", "content.done", "chunk"} <= kinds
    assert answer.choices[0].message.content == "echo: hi"


def test_tool_round_trip(client, world, vendor):
    messages = ask("[[tools=2]] weather in Paris?")
    first = client.chat.completions.create(model=world.model(vendor), messages=messages, tools=TOOLS)
    assert first.choices[0].finish_reason == "tool_calls"
    message = first.choices[0].message
    assert [call.function.name for call in message.tool_calls] == ["weather", "time"]
    assert len({call.id for call in message.tool_calls}) == 2
    assert json.loads(message.tool_calls[0].function.arguments) == {"city": "Paris", "days": 2}
    messages.append(message.model_dump(exclude_none=True))
    for call, said in zip(message.tool_calls, ("sunny", "noon")):
        messages.append({"role": "tool", "tool_call_id": call.id, "content": said})
    second = client.chat.completions.create(model=world.model(vendor), messages=messages, tools=TOOLS)
    assert second.choices[0].message.content == "tool said: sunny | noon"
    assert second.choices[0].finish_reason == "stop"


def test_tools_streamed(client, world, vendor):
    with client.chat.completions.stream(
        model=world.model(vendor), messages=ask("[[tools=2]] weather?"), tools=TOOLS
    ) as stream:
        for _ in stream:
            pass
        message = stream.get_final_completion().choices[0].message
    assert [call.function.name for call in message.tool_calls] == ["weather", "time"]
    assert [json.loads(call.function.arguments)["city"] for call in message.tool_calls] == ["Paris", "Paris"]


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "time"}}])
def test_tool_choice(client, world, vendor, choice):
    answer = client.chat.completions.create(
        model=world.model(vendor), messages=ask("now"), tools=TOOLS, tool_choice=choice
    )
    wanted = "weather" if choice == "required" else "time"
    assert [call.function.name for call in answer.choices[0].message.tool_calls] == [wanted]


def test_json_schema(client, world, vendor):
    schema = {
        "type": "object",
        "properties": {"echo": {"type": "string"}},
        "required": ["echo"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model=world.model(vendor),
        messages=ask("in JSON"),
        response_format={"type": "json_schema", "json_schema": {"name": "echo", "schema": schema, "strict": True}},
    )
    assert json.loads(answer.choices[0].message.content) == {"echo": "in JSON"}


def test_responses(client, world, vendor):
    answer = client.responses.create(model=world.model(vendor), input="hello you")
    assert answer.output_text == "echo: hello you"
    assert answer.usage.output_tokens == 3


def test_responses_streamed(client, world, vendor):
    events = list(client.responses.create(model=world.model(vendor), input="hello you", stream=True))
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "echo: hello you"
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "echo: hello you"


@pytest.mark.parametrize("slug", ["openai-prod", "google-prod"])
def test_embeddings(client, world, slug):
    model = world.model(slug, "text-embedding-3-small")
    # The package asks for base64 on its own and decodes it.
    answer = client.embeddings.create(model=model, input=["one", "two"])
    plain = client.embeddings.create(model=model, input=["one", "two"], encoding_format="float")
    assert [len(item.embedding) for item in answer.data] == [8, 8]
    assert answer.data[1].embedding == pytest.approx(plain.data[1].embedding, abs=1e-6)
    coded = client.embeddings.create(model=model, input="one", encoding_format="base64")
    numbers = struct.unpack("<8f", base64.b64decode(coded.data[0].embedding))
    assert numbers == pytest.approx(plain.data[0].embedding, abs=1e-6)


def test_images(client, world):
    answer = client.images.generate(model=world.model("openai-prod", "dall-e-3"), prompt="a pier", n=2)
    assert len(answer.data) == 2
    assert base64.b64decode(answer.data[0].b64_json).startswith(b"\x89PNG")


def test_image_edits(client, world):
    answer = client.images.edit(
        model=world.model("openai-prod", "gpt-image-1"),
        image=("a.png", b"\x89PNG" + bytes(100), "image/png"),
        prompt="make it red",
    )
    assert answer.data[0].revised_prompt == "make it red"


def test_audio(client, world):
    speech = client.audio.speech.create(
        model=world.model("openai-prod", "tts-1"), voice="alloy", input="Hello there"
    )
    assert speech.read().startswith(b"RIFF")
    heard = client.audio.transcriptions.create(
        model=world.model("openai-prod", "whisper-1"), file=("a.wav", b"RIFF" + bytes(996))
    )
    assert heard.text == "heard 1000 bytes"
    heard = client.audio.translations.create(
        model=world.model("openai-prod", "whisper-1"), file=("a.wav", b"RIFF" + bytes(996))
    )
    assert heard.text == "heard 1000 bytes"


def test_completions(client, world):
    model = world.model("openai-prod")
    assert client.completions.create(model=model, prompt="hi").choices[0].text == "echo: hi"
    chunks = client.completions.create(model=model, prompt="hi", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == "echo: hi"


def test_models(client, world):
    ids = [model.id for model in client.models.list()]
    vendors = VENDORS if world.has_gateway else VENDORS[:1]
    for vendor in vendors:
        assert world.model(vendor) in ids
        assert client.models.retrieve(world.model(vendor)).id == world.model(vendor)
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(world.model("openai-prod", "nothing-of-the-kind"))


def test_unknown_model_is_not_found(client, world, vendor):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model=world.model(vendor, "missing-model"), messages=ask("hi"))
    assert "missing-model" in str(caught.value)


def test_rate_limit_of_upstream(client, world, vendor):
    for stream in (False, True):
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(
                model=world.model(vendor), messages=ask("[[status=429&retry_after=3]]"), stream=stream
            )
        assert caught.value.response.headers["retry-after"] == "3"
        assert "answers 429" in str(caught.value)


def test_error_in_the_middle_of_a_stream_is_raised(client, world, vendor):
    stream = client.chat.completions.create(
        model=world.model(vendor), messages=ask("[[chunks=9&error_after=2]]"), stream=True
    )
    text = ""
    with pytest.raises(openai.APIError):
        for chunk in stream:
            text += chunk.choices[0].delta.content or ""
    assert text == " one two"


def test_wrong_key_is_an_authentication_error(gateway):
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="tg-nobody", max_retries=0)
    for call in (
        lambda: client.chat.completions.create(model=gateway.model("openai-prod"), messages=ask("hi")),
        client.models.list,
    ):
        with pytest.raises(openai.AuthenticationError):
            call()


def test_used_up_budget_is_a_412_in_words(gateway):
    client = client_of(gateway, "poor", max_retries=2)
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=gateway.model("openai-prod"), messages=ask("hi"))
    assert caught.value.status_code == 412
    assert "budget" in caught.value.message.lower()


def test_own_rate_limit_is_a_429_with_retry_after(gateway):
    client = client_of(gateway, "slow")
    client.chat.completions.create(model=gateway.model("openai-prod"), messages=ask("hi"))
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model=gateway.model("openai-prod"), messages=ask("hi"))
    assert int(caught.value.response.headers["retry-after"]) >= 1


def test_bad_request_names_the_field(gateway):
    with pytest.raises(openai.BadRequestError) as caught:
        client_of(gateway).chat.completions.create(model=gateway.model("openai-prod"), messages="hi")
    assert "messages" in str(caught.value)


async def gather(world):
    import asyncio

    async with openai.AsyncOpenAI(base_url=f"{world.url}/v1", api_key=KEYS["sdk"]) as client:
        calls = [
            client.chat.completions.create(model=world.model("openai-prod"), messages=ask(f"number {n}"))
            for n in range(20)
        ]
        return [answer.choices[0].message.content for answer in await asyncio.gather(*calls)]


def test_answers_in_parallel_are_not_mixed_up(world):
    import asyncio

    assert asyncio.run(gather(world)) == [f"echo: number {n}" for n in range(20)]
