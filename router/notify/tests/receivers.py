"""Receivers of notifications: an HTTP server that checks signatures, and an SMTP server.

The first line printed is {"port": …}; then comes a line of JSON for each request or mail. Ends when stdin does.
"""

import argparse
import asyncio
import base64
import collections
import hashlib
import hmac
import http.server
import json
import logging
import os
import ssl
import sys
import threading
import time
import warnings


LINES = threading.Lock()


def say(**fields):
    # One write a line: print writes the line and its end apart, and threads come between.
    with LINES:
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()


def certificates(folder):
    """Makes an authority, whose certificate the client must trust, and a server of it."""
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(os.path.join(folder, "authority.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


# --- HTTP -------------------------------------------------------------------------------------------------------


def verified(secret, headers, body):
    """The receiver's half of the Standard Webhooks specification."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    stamp = headers.get("webhook-timestamp", "")
    if not stamp.isdigit() or abs(time.time() - int(stamp)) > 300:
        return False
    signed = f"{headers.get('webhook-id')}.{stamp}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = [one[3:] for one in headers.get("webhook-signature", "").split() if one.startswith("v1,")]
    return any(hmac.compare_digest(one, expected) for one in given)


def serve_http(options):
    asked = collections.Counter()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            asked[self.path] += 1
            count = asked[self.path]
            status, extra = 200, {}
            if self.path == "/flaky" and count <= 2:
                status = 500
            elif self.path == "/later" and count == 1:
                status, extra = 429, {"retry-after": "1"}
            elif self.path == "/redirect":
                status, extra = 307, {"location": "/elsewhere"}
            elif self.path == "/gone":
                status = 410
            good = verified(options.secret, self.headers, body) if options.secret else None
            if good is False:
                status = 401
            headers = {name.lower(): value for name, value in self.headers.items()}
            say(path=self.path, status=status, verified=good, headers=headers, body=body.decode(), at=time.time())
            if self.path == "/hang":
                time.sleep(60)
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if options.certificates:
        server.socket = certificates(options.certificates).wrap_socket(server.socket, server_side=True)
    say(port=server.server_address[1])
    server.serve_forever()


# --- SMTP -------------------------------------------------------------------------------------------------------


async def serve_smtp(options):
    from aiosmtpd.smtp import SMTP, AuthResult

    asked = collections.Counter()

    class Mailboxes:
        async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
            asked[address] += 1
            if address.startswith("unknown"):
                return "550 5.1.1 no such user"
            if address.startswith("grey") and asked[address] == 1:
                return "451 4.7.1 come again"
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, server, session, envelope):
            say(
                sender=envelope.mail_from,
                receivers=envelope.rcpt_tos,
                content=envelope.content.decode("utf-8"),
                encrypted=session.ssl is not None,
                user=session.auth_data,
            )
            return "250 accepted"

    def authenticate(server, session, envelope, mechanism, login):
        user, password = login.login.decode(), login.password.decode()
        if (user, password) == (options.user, options.password):
            return AuthResult(success=True, auth_data=user)
        say(refused=user)
        # A server that repeats what it was told.
        return AuthResult(success=False, handled=False, message=f"535 5.7.8 {password} is wrong")

    context = certificates(options.certificates) if options.certificates else None
    implicit = options.tls == "implicit"

    def protocol():
        return SMTP(
            Mailboxes(),
            hostname="localhost",
            tls_context=context if options.tls == "starttls" else None,
            require_starttls=options.tls == "starttls",
            auth_required=options.user is not None,
            auth_require_tls=options.tls == "starttls",
            authenticator=authenticate if options.user is not None else None,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=context if implicit else None)
    say(port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["http", "smtp"])
    parser.add_argument("--secret", help="what webhooks must be signed with")
    parser.add_argument("--certificates", help="speak TLS; folder in which the authority is written")
    parser.add_argument("--tls", choices=["starttls", "implicit"])
    parser.add_argument("--user")
    parser.add_argument("--password")
    options = parser.parse_args()
    # Refused clients are what is tested, and no news.
    logging.disable()
    warnings.simplefilter("ignore")

    def end_with_the_test():
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=end_with_the_test, daemon=True).start()
    if options.kind == "http":
        serve_http(options)
    else:
        asyncio.run(serve_smtp(options))


main()
