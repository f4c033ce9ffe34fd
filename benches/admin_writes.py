"""Do admin writes slow requests down? Both at once, on the real binary.

    python3 benches/admin_writes.py TIDEGATE MOCK_UPSTREAM [WRITES 10000] [WRITES A SECOND 167] [REQUESTS A SECOND 100]

Prints count, failures and latency of requests: quiet, beside the writes (policies, keys with budgets, workspaces, configs,
in turns), quiet again; each as long as the writes take. Needs nothing installed. An open loop: what is late stays late.
"""

import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ProcessPoolExecutor

PORT, MOCK, CLIENTS = 18791, 19791, 4
ADMIN, USER = "tg-admin-key-0123456789abcdef01", "tg-user-key-0123456789abcdef012"
SETTINGS = """listen = "127.0.0.1:{port}"
data = "{folder}/data"
admin_key = "{admin}"
[[provider]]
slug = "m"
vendor = "openai"
api_key = "sk-none"
base_url = "http://127.0.0.1:{mock}/v1"
trusted = true
prices = {{ "*" = {{ input = 3, output = 15 }} }}
[[key]]
name = "user"
key = "{user}"
budget = {{ usd = 1000000, period = "monthly" }}
limits = [{{ requests = 100000000, per = "minute" }}, {{ tokens = 1000000000, per = "minute" }}]
"""
PROMPT = "All quiet at the harbour, boat 7 came in late. " * 12
BODY = json.dumps({"model": "@m/mock", "max_tokens": 100, "messages": [{"role": "user", "content": PROMPT}]})
HEADERS = {"authorization": f"Bearer {USER}", "content-type": "application/json"}
BY_KEY = [{"key": "api_key"}]
CONFIG = {"strategy": {"mode": "single"}, "targets": [{"provider": "@m"}]}


def percentiles(times):
    times = sorted(times)
    return {f"p{100 * part:g} ms": round(times[int(len(times) * part)] * 1e3, 2) for part in (0.5, 0.99, 0.999)}


def requests(rate, seconds):
    times, failed, begin = [], [0], time.monotonic() + 0.2

    def client(number):
        connection, due = http.client.HTTPConnection("127.0.0.1", PORT), begin + number / rate
        while due - begin < seconds:
            time.sleep(max(0, due - time.monotonic()))
            try:
                connection.request("POST", "/v1/chat/completions", BODY, HEADERS)
                answer = connection.getresponse()
                answer.read()
                failed[0] += answer.status != 200
            except (OSError, http.client.HTTPException):
                failed[0] += 1
                connection.close()
            times.append(time.monotonic() - due)
            due += CLIENTS / rate

    clients = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    return {"requests": len(times), "failed": failed[0], **percentiles(times)}


def writes(count, rate):
    connection, times, failed, begin = http.client.HTTPConnection("127.0.0.1", PORT), [], 0, time.monotonic()
    headers = {"x-portkey-api-key": ADMIN, "content-type": "application/json"}
    for number in range(count):
        time.sleep(max(0, begin + number / rate - time.monotonic()))
        conditions = [{"key": "metadata.team", "value": f"t{number}"}]
        budget = {"type": "cost", "credit_limit": 3}
        path, body = [
            ("/policies/usage-limits", {"conditions": conditions, "group_by": BY_KEY, **budget}),
            ("/api-keys/workspace/service", {"scopes": ["completions.write"], "usage_limits": budget}),
            ("/admin/workspaces", {}),
            ("/configs", {"config": CONFIG}),
        ][number % 4]
        own = {} if "workspaces" in path else {"workspace_id": "ws-default"}
        sent = time.monotonic()
        connection.request("POST", f"/v1{path}", json.dumps({"name": f"n{number}", **own, **body}), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            failed += 1
            print(answer.status, text[:200], file=sys.stderr)
        times.append(time.monotonic() - sent)
    return {"writes": count, "failed": failed, **percentiles(times)}


def main():
    binary, mock = sys.argv[1:3]
    count, write_rate, rate = [float(it) for it in sys.argv[3:]] + [10_000, 167, 100][len(sys.argv) - 3 :]
    seconds = count / write_rate
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/tidegate.toml", "w") as file:
            file.write(SETTINGS.format(port=PORT, mock=MOCK, folder=folder, admin=ADMIN, user=USER))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        upstream = subprocess.Popen([mock, str(MOCK)], **quiet)
        gateway = subprocess.Popen([binary, "serve", "--config", f"{folder}/tidegate.toml"], **quiet)
        try:
            for _ in range(100):
                time.sleep(0.1)
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{PORT}/v1/health").read()
                    break
                except OSError:
                    continue
            requests(rate, 3)
            before = requests(rate, seconds)
            # A process of its own: a thread would make the clients wait for the interpreter.
            with ProcessPoolExecutor(1) as writer:
                written = writer.submit(writes, int(count), write_rate)
                beside = requests(rate, max(1, seconds - 2))
                report = written.result()
            after = requests(rate, seconds)
        finally:
            gateway.terminate()
            gateway.wait()
            upstream.kill()
    for name, figures in [("quiet", before), ("beside the writes", beside), ("quiet after", after), ("writes", report)]:
        print(f"{name:18}", json.dumps(figures))
    p99 = "p99 ms"
    print(f"p99 beside the writes: x {beside[p99] / before[p99]:.2f} and {beside[p99] / after[p99]:.2f} of the quiet ones")


main()
