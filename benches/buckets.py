"""What do a policy's buckets cost? One for each of many values of a metadata key, through the real binary.

    python3 benches/buckets.py TIDEGATE MOCK_UPSTREAM {none,rate,usage,both} VALUES [SECONDS AT REST]

Prints resident memory (all of it, and what is not mapped files) and CPU time a request: with 100 values, while VALUES
new ones come, with the same 100 again, and with values spread over all. Needs Linux (`/proc`) and nothing installed.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ADMIN, USER = "tg-admin-key-0123456789abcdef01", "tg-user-key-0123456789abcdef012"
CONNECTIONS = 16
SETTINGS = """listen = "127.0.0.1:{port}"
data = "{folder}/data"
[[provider]]
slug = "m"
vendor = "openai"
api_key = "sk-none"
base_url = "http://127.0.0.1:{mock}/v1"
trusted = true
prices = {{ mock = {{ input = 1.0, output = 2.0 }} }}
[[key]]
name = "admin"
key = "{admin}"
scopes = ["admin"]
[[key]]
name = "user"
key = "{user}"
"""
BODY = json.dumps({"model": "@m/mock", "messages": [{"role": "user", "content": "hi"}]}).encode()
POLICY = {"conditions": [{"key": "api_key", "value": "*"}], "group_by": [{"key": "metadata.user"}], "type": "requests"}


def request(value):
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {USER}\r\nx-portkey-metadata: {json.dumps({'user': value})}\r\n"
        f"content-length: {len(BODY)}\r\n\r\n"
    )
    return head.encode() + BODY


class Gateway:
    def __init__(self, binary, mock, folder):
        self.port, mock_port = 18000 + os.getpid() % 1000, 19000 + os.getpid() % 1000
        self.mock = subprocess.Popen([mock, str(mock_port)], stdout=subprocess.DEVNULL)
        settings = SETTINGS.format(port=self.port, mock=mock_port, folder=folder, admin=ADMIN, user=USER)
        with open(f"{folder}/tidegate.toml", "w") as file:
            file.write(settings)
        command = [binary, "serve", "--config", f"{folder}/tidegate.toml"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/ready")
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        sys.exit("the gateway does not start")

    def make(self, path, body):
        headers = {"authorization": f"Bearer {ADMIN}", "content-type": "application/json"}
        url = f"http://127.0.0.1:{self.port}/v1/policies/{path}"
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)).read()

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["VmRSS"].split()[0]), int(lines["RssAnon"].split()[0])

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def connection(self, values, statuses):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for value in values:
            writer.write(request(value))
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            statuses[head[9:12]] = statuses.get(head[9:12], 0) + 1
            lengths = [line for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
            if lengths:
                await reader.readexactly(int(lengths[0].split(b":")[1]))
            while not lengths:
                size = int((await reader.readuntil(b"\r\n")).strip(), 16)
                await reader.readexactly(size + 2)
                if size == 0:
                    break
        writer.close()

    def run(self, name, values, count):
        statuses, before, began = {}, self.cpu_s(), time.time()

        async def all_connections():
            shared = iter(values)
            await asyncio.gather(*[self.connection(shared, statuses) for _ in range(CONNECTIONS)])

        asyncio.run(all_connections())
        assert list(statuses) == [b"200"], statuses
        time.sleep(1)
        resident, anonymous = self.memory_kib()
        cpu_us = (self.cpu_s() - before) / count * 1e6
        rate = count / (time.time() - began - 1)
        print(f"{name:24} {resident:9} KiB {anonymous:9} KiB {cpu_us:7.0f} us {rate:7.0f}/s", flush=True)
        return anonymous


def main():
    binary, mock, kind, count = *sys.argv[1:4], int(sys.argv[4])
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(binary, mock, folder)
        try:
            if kind in ("rate", "both"):
                gateway.make("rate-limits", {**POLICY, "name": "rate", "unit": "rph", "value": 1000})
            if kind in ("usage", "both"):
                gateway.make("usage-limits", {**POLICY, "name": "usage", "credit_limit": 1000})
            few = lambda number: (f"w{at % 100}" for at in range(number))
            print(f"{kind:24} {'resident':>13} {'not mapped':>13} {'CPU':>10} {'rate':>9}")
            gateway.run("warm up", few(3000), 3000)
            before = gateway.run("100 values", few(5000), 5000)
            after = gateway.run(f"{count} new values", (f"u{at}" for at in range(count)), count)
            gateway.run("100 values", few(5000), 5000)
            gateway.run("spread", (f"u{random.randrange(count)}" for _ in range(5000)), 5000)
            print(f"bytes a value: {(after - before) * 1024 // count}")
            for _ in range(0, int(sys.argv[5]) if len(sys.argv) > 5 else 0, 10):
                time.sleep(10)
                print("at rest: {} KiB, {} KiB".format(*gateway.memory_kib()), flush=True)
        finally:
            gateway.process.kill()
            gateway.mock.kill()
            gateway.process.wait()


main()
