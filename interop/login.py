"""Logging in: every mechanism that slixmpp has, over STARTTLS and over direct TLS.

Channel binding is not among them: Python's ssl module has no `tls-exporter`, so slixmpp cannot use
a -PLUS mechanism over TLS 1.3. The scenarios over TLS test those.
"""

import asyncio

from bots import PASSWORD, Bot, account, fresh

MECHANISMS = {
    "waxwing": ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"],
    "prosody": ["SCRAM-SHA-1", "PLAIN"],  # it keeps one verifier only
}


async def test_every_mechanism(server):
    user = fresh("every")
    server.add_account(user, PASSWORD)
    for direct_tls in (False, True):
        for mechanism in MECHANISMS[server.name]:
            bot = Bot(server, user, mechanism=mechanism, direct_tls=direct_tls)
            await bot.login()
            assert bot["feature_mechanisms"].mech.name == mechanism
            await bot.logout()


async def test_strongest_by_default(server):
    bot = await account(server, "strong")
    assert bot["feature_mechanisms"].mech.name.startswith("SCRAM-SHA-")
    await bot.logout()


async def test_wrong_password_and_unknown_user_look_alike(server):
    user = fresh("wrong")
    server.add_account(user, PASSWORD)
    seen = []
    for name in (user, fresh("nobody")):
        for mechanism in ("SCRAM-SHA-1", "PLAIN"):
            bot = Bot(server, name, password="wrong", mechanism=mechanism)
            refusal = bot.loop.create_future()
            bot.add_event_handler("failed_auth", refusal.set_result)
            bot.connect(server.address, server.starttls_port)
            stanza = await asyncio.wait_for(refusal, 10)
            seen.append(stanza["condition"])
            bot.abort()
    assert seen == ["not-authorized"] * 4, seen


async def test_server_makes_a_resource(server):
    user = fresh("made")
    server.add_account(user, PASSWORD)
    one = await Bot(server, user, resource="").login()
    other = await Bot(server, user, resource="").login()
    assert one.boundjid.resource and other.boundjid.resource
    assert one.boundjid.resource != other.boundjid.resource
    await one.logout()
    await other.logout()
