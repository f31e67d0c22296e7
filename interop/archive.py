"""Archives (XEP-0313) as slixmpp reads them, and their ids (XEP-0359)."""

import datetime

from bots import PASSWORD, Bot, account, fresh, text

BODY = "{jabber:client}body"
STANZA_ID = "{urn:xmpp:sid:0}stanza-id"
COUNT = 30


async def reader(server, user, resource):
    """A bot that can read archives."""
    bot = Bot(server, user, resource=resource)
    for plugin in ("xep_0030", "xep_0059", "xep_0313"):
        bot.register_plugin(plugin)
    await bot.login()
    return bot


async def conversation(server):
    """Two people that said COUNT lines to one another; juliet's bot, the lines and her ids of them."""
    romeo = await account(server, "romeo")
    user = fresh("juliet")
    server.add_account(user, PASSWORD)
    juliet = await reader(server, user, "balcony")
    for number in range(COUNT):
        romeo.say(juliet.boundjid.full, f"line {number} <&> ☂")
    lines, ids = [], []
    for number in range(COUNT):
        message = await juliet.expect("message", sender=romeo.boundjid.full)
        lines.append(text(message, BODY))
        own = [one for one in message.findall(STANZA_ID) if one.get("by") == juliet.boundjid.bare]
        assert len(own) == 1, "one id of the own archive"
        ids.append(own[0].get("id"))
    assert lines == [f"line {number} <&> ☂" for number in range(COUNT)], lines
    assert len(set(ids)) == COUNT, ids
    return romeo, juliet, lines, ids


async def read(bot, size, **query):
    """All results of a query, in pages of a size: ids and bodies."""
    ids, bodies = [], []
    async for result in bot["xep_0313"].iterate(rsm={"max": size}, **query):
        wrapper = result["mam_result"]
        ids.append(wrapper["id"])
        forwarded = wrapper["forwarded"]
        assert forwarded["delay"]["stamp"] is not None
        bodies.append(forwarded["stanza"]["body"])
    return ids, bodies


async def test_pages_of_every_size_are_the_archive(server):
    romeo, juliet, lines, ids = await conversation(server)
    for size in (1, 7, 100):
        assert await read(juliet, size) == (ids, lines), size
        backwards = await read(juliet, size, reverse=True)
        assert backwards == (ids[::-1], lines[::-1]), size
    # Another device, and the other side, find the same lines.
    chamber = await reader(server, juliet.boundjid.user, "chamber")
    assert await read(chamber, 7) == (ids, lines)
    orchard = await reader(server, romeo.boundjid.user, "orchard")
    his_ids, his_lines = await read(orchard, 7)
    assert his_lines == lines
    assert not set(his_ids) & set(ids)
    for bot in (romeo, juliet, chamber, orchard):
        await bot.logout()


async def test_filters(server):
    romeo, juliet, lines, ids = await conversation(server)
    nurse = await account(server, "nurse")
    nurse.say(juliet.boundjid.bare, "Madam!")
    await juliet.expect("message", body="Madam!")
    assert (await read(juliet, 50, with_jid=nurse.boundjid.bare))[1] == ["Madam!"]
    assert await read(juliet, 50, with_jid=romeo.boundjid.bare) == (ids, lines)
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.timezone.utc)
    assert (await read(juliet, 50, start=now - day, end=now + day))[1] == [*lines, "Madam!"]
    assert await read(juliet, 50, start=now + day) == ([], [])
    for bot in (romeo, juliet, nurse):
        await bot.logout()


async def test_what_comes_later_follows_a_known_id(server):
    romeo, juliet, _, ids = await conversation(server)
    await juliet.logout()
    romeo.say(juliet.boundjid.bare, "while you were away")
    await romeo.settle()
    again = await reader(server, juliet.boundjid.user, "balcony")
    waited = await again.expect("message", body="while you were away")
    answer = await again["xep_0313"].retrieve(rsm={"max": 10, "after": ids[-1]})
    results = answer["mam"]["results"]
    assert [one["mam_result"]["forwarded"]["stanza"]["body"] for one in results] == [
        "while you were away"
    ]
    offline = [one.get("id") for one in waited.findall(STANZA_ID)]
    assert offline in ([], [results[0]["mam_result"]["id"]]), offline
    await again.refused(
        ["item-not-found"],
        "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>"
        "<after>no-such-id</after></set></query>",
        kind="set",
    )
    await again.logout()
    await romeo.logout()


async def test_metadata_and_preferences(server):
    romeo, juliet, _, ids = await conversation(server)
    metadata = await juliet["xep_0313"].get_archive_metadata()
    assert metadata["mam_metadata"]["start"]["id"] == ids[0]
    assert metadata["mam_metadata"]["end"]["id"] == ids[-1]
    never = f"<never><jid>{romeo.boundjid.bare}</jid></never>"
    await juliet.ask(
        f"<prefs xmlns='urn:xmpp:mam:2' default='always'><always/>{never}</prefs>", kind="set"
    )
    romeo.say(juliet.boundjid.full, "off the record")
    await juliet.expect("message", body="off the record")
    assert (await read(juliet, 50))[0] == ids
    await romeo.logout()
    await juliet.logout()
