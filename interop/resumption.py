"""Sessions that slixmpp comes back to after its connection broke (XEP-0198 § 5)."""

import asyncio

from archive import read
from bots import PASSWORD, SECONDS, Bot, account, fresh, text

BODY = "{jabber:client}body"
STANZA_ID = "{urn:xmpp:sid:0}stanza-id"


def told(bot, event):
    """Completes when the bot is told of an event."""
    future = bot.loop.create_future()
    bot.add_event_handler(event, lambda _event: future.done() or future.set_result(True))
    return asyncio.wait_for(future, SECONDS)


async def test_after_the_connection_was_cut(server):
    romeo = await account(server, "romeo")
    user = fresh("juliet")
    server.add_account(user, PASSWORD)
    juliet = Bot(server, user, resource="phone")
    juliet.register_plugin("xep_0198")
    enabled = told(juliet, "sm_enabled")
    await juliet.login()
    await enabled
    assert juliet["xep_0198"].sm_id, "the session can be resumed"
    romeo.say(juliet.boundjid.bare, "before")
    await juliet.expect("message", body="before")
    gone = told(juliet, "disconnected")
    juliet.abort()
    await gone
    lines = [f"meanwhile {number}" for number in range(10)]
    for line in lines:
        romeo.say(juliet.boundjid.bare, line)
    await romeo.settle()
    resumed = told(juliet, "session_resumed")
    juliet.connect(server.address, server.starttls_port)
    await resumed
    ids = []
    for line in lines:
        message = await juliet.expect("message", sender=romeo.boundjid.full)
        assert text(message, BODY) == line, "in order"
        ids.append(message.find(STANZA_ID).get("id"))
    assert len(set(ids)) == len(lines)
    romeo.say(juliet.boundjid.bare, "after")
    await juliet.expect("message", body="after")
    await juliet.nothing("message")
    await romeo.logout()
    await juliet.logout()


async def test_after_the_server_was_restarted(server):
    await after(server, server.stop)


async def test_after_the_server_was_killed(server):
    await after(server, server.kill)


async def after(server, end):
    """The server ends while a message waits for a session, and starts again."""
    if server.name != "waxwing":
        print("   its sessions end with it")
        return
    romeo = await account(server, "romeo")
    user = fresh("juliet")
    server.add_account(user, PASSWORD)
    juliet = Bot(server, user, resource="phone")
    for plugin in ("xep_0030", "xep_0059", "xep_0198", "xep_0313"):
        juliet.register_plugin(plugin)
    enabled = told(juliet, "sm_enabled")
    await juliet.login()
    await enabled
    gone = told(juliet, "disconnected")
    juliet.abort()
    await gone
    romeo.say(juliet.boundjid.bare, "waiting")
    # Answered when the message is on disk.
    await romeo.settle()
    lost = told(romeo, "disconnected")
    end()
    await lost
    server.start()
    resumed = told(juliet, "session_resumed")
    juliet.connect(server.address, server.starttls_port)
    await resumed
    message = await juliet.expect("message", body="waiting")
    own = message.find(STANZA_ID).get("id")
    romeo = await Bot(server, romeo.boundjid.user, resource="again").login()
    romeo.say(juliet.boundjid.bare, "after")
    await juliet.expect("message", body="after")
    await juliet.nothing("message")
    ids, lines = await read(juliet, 50)
    assert lines == ["waiting", "after"], lines
    assert ids[0] == own, "under the id under which it arrived"
    await romeo.logout()
    await juliet.logout()
    # A new session finds nothing that waits.
    tablet = await Bot(server, user, resource="tablet").login()
    await tablet.nothing("message")
    await tablet.logout()
