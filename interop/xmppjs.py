"""xmpp.js on Node, by TCP and by WebSocket: SASL2, Bind 2 and tokens (FAST), which slixmpp and Profanity do not have."""

import asyncio
import contextlib
import json
import os
import ssl
import urllib.request
import uuid
from pathlib import Path

from bots import PASSWORD, fresh

SECONDS = 20
PROGRAM = Path(__file__).with_name("xmppjs.mjs")


class Login:
    """One login of one client, and what it tells."""

    def __init__(self, process):
        self.process = process

    async def next(self) -> dict:
        line = await asyncio.wait_for(self.process.stdout.readline(), SECONDS)
        assert line, "xmpp.js has ended"
        return json.loads(line)

    async def until(self, what) -> tuple[dict, list[dict]]:
        """The next event of this kind, and those before it."""
        before = []
        while (event := await self.next())["what"] != what:
            assert event["what"] != "refused" or what == "disconnected", event
            before.append(event)
        return event, before

    async def online(self) -> tuple[dict, dict]:
        """The address and the mechanism used, and the token if there was one."""
        event, before = await self.until("online")
        assert event["accepted"], "not by SASL2"
        mechanisms = [one["mechanism"] for one in before if one["what"] == "authenticates"]
        tokens = [one["token"] for one in before if one["what"] == "token"]
        if not tokens:
            # It may come a moment after the binding, which is in the same element.
            with contextlib.suppress(asyncio.TimeoutError):
                line = await asyncio.wait_for(self.process.stdout.readline(), 1)
                late = json.loads(line)
                assert late["what"] == "token", late
                tokens.append(late["token"])
        return dict(event, mechanisms=mechanisms), (tokens or [None])[-1]

    def say(self, to, body):
        self.process.stdin.write(json.dumps({"to": to, "body": body}).encode() + b"\n")


@contextlib.asynccontextmanager
async def login(server, user, agent, **more):
    """A client that logs in once, and is stopped at the end."""
    order = {
        "service": f"xmpps://{server.domain}:{server.direct_tls_port}",
        "domain": server.domain,
        "username": user,
        "agent": agent,
        "device": "Kiva's laptop",
        "tag": "interop",
        **more,
    }
    process = await asyncio.create_subprocess_exec(
        "node",
        # Node before 22 has the browsers' WebSocket behind a switch.
        "--experimental-websocket",
        PROGRAM,
        json.dumps(order),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1024 * 1024,
        env=dict(os.environ, NODE_EXTRA_CA_CERTS=str(server.certificate)),
    )
    try:
        yield Login(process)
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), SECONDS)
        except asyncio.TimeoutError:
            process.kill()


async def test_tokens_from_the_first_login_to_the_sign_out(server):
    if server.name != "waxwing":
        print("   not against Prosody, which has SASL2 in community modules only")
        return
    user, agent = fresh("token"), str(uuid.uuid4())
    server.add_account(user, PASSWORD)
    async with login(server, user, agent, password=PASSWORD) as first:
        online, token = await first.online()
        assert online["mechanisms"] == ["SCRAM-SHA-1"], online
        assert online["acknowledgements"], "stream management was not enabled inline"
        address = online["address"]
        assert address.startswith(f"{user}@{server.domain}/interop/"), address
        assert token["mechanism"] == "HT-SHA-256-NONE", token
        # Acknowledged and delivered as any session's.
        first.say(address, "to myself")
        message, _ = await first.until("message")
        assert message["body"] == "to myself"
    # The token instead of the password; the server of the tests gives a new one each time.
    async with login(server, user, agent, token=token) as again:
        online, newer = await again.online()
        assert online["mechanisms"] == ["HT-SHA-256-NONE"], online
        assert online["address"] == address, "the same client has another resource"
        assert newer and newer["token"] != token["token"], "the token was not rotated"
    # The new one; that makes the old one void, and the client is told so.
    async with login(server, user, agent, token=newer) as third:
        online, newest = await third.online()
        assert online["mechanisms"] == ["HT-SHA-256-NONE"], online
        async with login(server, user, agent, token=token) as stale:
            _, before = await stale.until("token void")
            assert before[-1]["mechanism"] == "HT-SHA-256-NONE", before
        # Signed out by the admin: the session ends at once, and no token works any more.
        devices = server.admin("user", "devices", f"{user}@{server.domain}").splitlines()
        assert len(devices) == 2 and "xmpp.js, Kiva's laptop" in devices[1], devices
        id, connected, has_token = devices[1].split()[:3]
        assert (connected, has_token) == ("yes", "yes"), devices
        server.admin("user", "sign-out", f"{user}@{server.domain}", id)
        await third.until("disconnected")
    async with login(server, user, agent, token=newest) as refused:
        _, before = await refused.until("token void")
        assert before[-1]["mechanism"] == "HT-SHA-256-NONE", before
    # The password still does.
    async with login(server, user, agent, password=PASSWORD) as last:
        online, token = await last.online()
        assert online["mechanisms"] == ["SCRAM-SHA-1"] and token, online


async def test_the_same_over_websocket(server):
    if server.name != "waxwing":
        print("   not against Prosody, which has SASL2 in community modules only")
        return
    user, agent = fresh("websocket"), str(uuid.uuid4())
    server.add_account(user, PASSWORD)
    # Found as a web client finds it (XEP-0156).
    found = f"https://{server.domain}:{server.https_port}/.well-known/host-meta.json"
    trust = ssl.create_default_context(cafile=server.certificate)
    with urllib.request.urlopen(found, context=trust, timeout=SECONDS) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "*", answer.headers
        links = {link["rel"]: link["href"] for link in json.load(answer)["links"]}
    service = links["urn:xmpp:alt-connections:websocket"]
    assert service.startswith("wss://"), links
    async with login(server, user, agent, service=service, password=PASSWORD) as first:
        online, token = await first.online()
        assert online["acknowledgements"], "stream management was not enabled inline"
        address = online["address"]
        # Beside a client on TCP; each gets what the other says, larger than one short frame.
        async with login(server, user, str(uuid.uuid4()), password=PASSWORD) as other:
            elsewhere, _ = await other.online()
            for body in ("short", "x" * 200, "y" * 70_000):
                first.say(elsewhere["address"], body)
                message, _ = await other.until("message")
                assert message["body"] == body, message
                other.say(address, body)
                message, _ = await first.until("message")
                assert message["body"] == body, message
    async with login(server, user, agent, service=service, token=token) as again:
        online, newer = await again.online()
        assert online["mechanisms"] == ["HT-SHA-256-NONE"], online
        assert online["address"] == address, "the same client has another resource"
        assert newer and newer["token"] != token["token"], "the token was not rotated"


async def test_a_token_that_is_void_falls_back_to_the_password(server):
    if server.name != "waxwing":
        print("   not against Prosody, which has SASL2 in community modules only")
        return
    user, agent = fresh("fallback"), str(uuid.uuid4())
    server.add_account(user, PASSWORD)
    void = {
        "mechanism": "HT-SHA-256-NONE",
        "token": "secret-token:fast-none",
        "expiry": "2099-01-01T00:00:00Z",
    }
    async with login(server, user, agent, password=PASSWORD, token=void) as bot:
        online, token = await bot.online()
        assert online["mechanisms"] == ["HT-SHA-256-NONE", "SCRAM-SHA-1"], online
        assert token["token"] != void["token"]
