"""What the server itself answers: discovery, version, time, vCards, private storage."""

import re

from bots import account, befriend, text

DISCO = "http://jabber.org/protocol/disco#info"


def features(answer) -> set[str]:
    return {one.get("var") for one in answer.iter(f"{{{DISCO}}}feature")}


def identities(answer) -> set[tuple]:
    found = answer.iter(f"{{{DISCO}}}identity")
    return {(one.get("category"), one.get("type")) for one in found}


async def test_discovery(server):
    bot = await account(server, "disco")
    domain = await bot.ask(f"<query xmlns='{DISCO}'/>", to=server.domain)
    assert ("server", "im") in identities(domain)
    wanted = {DISCO, "urn:xmpp:ping", "urn:xmpp:blocking", "vcard-temp", "jabber:iq:version"}
    assert wanted <= features(domain), wanted - features(domain)
    own = await bot.ask(f"<query xmlns='{DISCO}'/>", to=bot.boundjid.bare)
    assert ("account", "registered") in identities(own)
    items = await bot.ask(
        "<query xmlns='http://jabber.org/protocol/disco#items'/>", to=server.domain
    )
    assert items[0].tag.endswith("query")
    await bot.refused(
        ["service-unavailable"], f"<query xmlns='{DISCO}'/>", to=f"nobody-at-all@{server.domain}"
    )
    await bot.logout()


async def test_ping_version_time(server):
    bot = await account(server, "ping")
    await bot.ask("<ping xmlns='urn:xmpp:ping'/>", to=server.domain)
    await bot.ask("<ping xmlns='urn:xmpp:ping'/>")
    version = await bot.ask("<query xmlns='jabber:iq:version'/>", to=server.domain)
    assert text(version, ".//{jabber:iq:version}name")
    time = await bot.ask("<time xmlns='urn:xmpp:time'/>", to=server.domain)
    utc = text(time, ".//{urn:xmpp:time}utc")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", utc), utc
    assert re.fullmatch(r"Z|[+-]\d\d:\d\d", text(time, ".//{urn:xmpp:time}tzo"))
    await bot.refused(["service-unavailable"], "<nonsense xmlns='urn:example:none'/>")
    await bot.logout()


async def test_last_activity(server):
    romeo = await account(server, "romeo")
    juliet = await account(server, "juliet")
    stranger = await account(server, "stranger")
    await befriend(romeo, juliet)
    uptime = await romeo.ask("<query xmlns='jabber:iq:last'/>", to=server.domain)
    assert int(uptime[0].get("seconds")) >= 0
    await juliet.logout()
    await romeo.expect("presence", sender=juliet.boundjid.full, type="unavailable")
    last = await romeo.ask("<query xmlns='jabber:iq:last'/>", to=juliet.boundjid.bare)
    # Waxwing keeps the hour only: the minute somebody left is nobody's business.
    assert 0 <= int(last[0].get("seconds")) < 3660, last[0].attrib
    # XEP-0012 § 4 says forbidden; the other does not tell whether the account exists.
    await stranger.refused(
        ("forbidden", "service-unavailable"),
        "<query xmlns='jabber:iq:last'/>",
        to=juliet.boundjid.bare,
    )
    await romeo.logout()
    await stranger.logout()


async def test_vcard(server):
    romeo = await account(server, "romeo")
    juliet = await account(server, "juliet")
    card = "<vCard xmlns='vcard-temp'><FN>Romeo &amp; co</FN><NICKNAME>☂</NICKNAME></vCard>"
    await romeo.ask(card, kind="set")
    for bot, to in ((romeo, None), (juliet, romeo.boundjid.bare)):
        answer = await bot.ask("<vCard xmlns='vcard-temp'/>", to=to)
        assert text(answer, ".//{vcard-temp}FN") == "Romeo & co"
        assert text(answer, ".//{vcard-temp}NICKNAME") == "☂"
    await romeo.logout()
    await juliet.logout()


async def test_private_storage(server):
    bot = await account(server, "private")
    query = "<query xmlns='jabber:iq:private'>{}</query>"
    empty = await bot.ask(query.format("<storage xmlns='storage:bookmarks'/>"))
    assert len(empty[0]) == 1 and len(empty[0][0]) == 0
    kept = "<storage xmlns='storage:bookmarks'><url name='a &lt; b' url='x:y'/></storage>"
    await bot.ask(query.format(kept), kind="set")
    answer = await bot.ask(query.format("<storage xmlns='storage:bookmarks'/>"))
    assert answer[0][0][0].get("name") == "a < b"
    other = await bot.ask(query.format("<other xmlns='urn:example:other'/>"))
    assert len(other[0][0]) == 0
    await bot.logout()
