"""Making, changing and removing an account from a client (XEP-0077)."""

import asyncio
from xml.etree import ElementTree

from bots import PASSWORD, Bot, account, befriend, fresh

REGISTER = "jabber:iq:register"


async def register(server, user):
    """Makes an account in-band, the way slixmpp does it, and logs in."""
    bot = Bot(server, user)
    bot.register_plugin("xep_0030")
    bot.register_plugin("xep_0004")
    bot.register_plugin("xep_0066")
    bot.register_plugin("xep_0077")
    bot["xep_0077"].force_registration = True
    failures = []

    async def fill_in(_form):
        iq = bot.Iq()
        iq["type"] = "set"
        iq["register"]["username"] = user
        iq["register"]["password"] = PASSWORD
        try:
            await iq.send(timeout=15)
        except Exception as error:
            failures.append(error)
            bot.abort()

    bot.add_event_handler("register", fill_in)
    try:
        await bot.login()
    except AssertionError:
        raise (failures or [AssertionError("could not register")])[0] from None
    return bot


async def test_register_in_band(server):
    bot = await register(server, fresh("new"))
    await bot.logout()


async def test_change_the_password(server):
    bot = await account(server, "change")
    user = bot.boundjid.user
    await bot.ask(
        f"<query xmlns='{REGISTER}'><username>{user}</username>"
        "<password>a new one</password></query>",
        kind="set",
        to=server.domain,
    )
    await bot.logout()
    await (await Bot(server, user, password="a new one").login()).logout()
    await cannot_log_in(server, user)


async def test_remove_the_account(server):
    bot = await account(server, "gone")
    friend = await account(server, "friend")
    await befriend(bot, friend)
    closed = asyncio.ensure_future(bot.wait_until("disconnected", 15))
    iq = bot.Iq()
    iq["type"] = "set"
    iq.append(ElementTree.fromstring(f"<query xmlns='{REGISTER}'><remove/></query>"))
    iq.send(callback=lambda _answer: None)
    await closed
    await friend.expect("presence", sender=bot.boundjid.full, type="unavailable")
    await cannot_log_in(server, bot.boundjid.user)
    friend.say(bot.boundjid.bare, "are you there?")
    await friend.expect("message", type="error")
    await friend.logout()


async def cannot_log_in(server, user):
    """Makes sure that a login is refused. One try only: each is answered later than the one before."""
    bot = Bot(server, user, mechanism="SCRAM-SHA-1")
    refusal = bot.loop.create_future()
    bot.add_event_handler("failed_auth", refusal.set_result)
    bot.connect(server.address, server.starttls_port)
    stanza = await asyncio.wait_for(refusal, 10)
    assert stanza["condition"] == "not-authorized", stanza
    bot.abort()
