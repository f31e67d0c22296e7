"""Contacts, presence and messages between two people."""

import re

from bots import Bot, account, befriend, text

DELAY = "{urn:xmpp:delay}delay"


async def test_subscribe_both_ways_and_see_presence(server):
    romeo = await account(server, "romeo")
    juliet = await account(server, "juliet", direct_tls=True)
    await befriend(romeo, juliet)
    roster = await romeo.ask("<query xmlns='jabber:iq:roster'/>")
    items = list(roster[0])
    assert [item.get("jid") for item in items] == [juliet.boundjid.bare], items
    assert items[0].get("subscription") == "both"
    juliet.send_presence(pshow="dnd", pstatus="balcony")
    seen = await romeo.expect("presence", sender=juliet.boundjid.full, has="{jabber:client}show")
    assert text(seen, "{jabber:client}status") == "balcony"
    await juliet.logout()
    await romeo.expect("presence", sender=juliet.boundjid.full, type="unavailable")
    again = await Bot(server, juliet.boundjid.user, direct_tls=True).login()
    await romeo.expect("presence", sender=again.boundjid.full)
    await again.expect("presence", sender=romeo.boundjid.full)
    await romeo.logout()
    await again.logout()


async def test_roster_groups_and_removal(server):
    romeo = await account(server, "romeo")
    juliet = await account(server, "juliet")
    await befriend(romeo, juliet)
    await romeo.ask(
        f"<query xmlns='jabber:iq:roster'><item jid='{juliet.boundjid.bare}' name='J &amp; co'>"
        "<group>Friends</group><group>Verona</group></item></query>",
        kind="set",
    )
    roster = await romeo.ask("<query xmlns='jabber:iq:roster'/>")
    item = roster[0][0]
    assert item.get("name") == "J & co" and item.get("subscription") == "both"
    groups = sorted(group.text for group in item)
    assert groups == ["Friends", "Verona"], groups
    await romeo.ask(
        f"<query xmlns='jabber:iq:roster'><item jid='{juliet.boundjid.bare}' "
        "subscription='remove'/></query>",
        kind="set",
    )
    assert len((await romeo.ask("<query xmlns='jabber:iq:roster'/>"))[0]) == 0
    await juliet.expect("presence", sender=romeo.boundjid.bare, type="unsubscribed")
    await juliet.expect("presence", sender=romeo.boundjid.full, type="unavailable")
    await romeo.logout()
    await juliet.logout()


async def test_chat_keeps_order_and_reaches_every_resource(server):
    romeo = await account(server, "romeo")
    juliet = await account(server, "juliet", resource="balcony")
    chamber = await Bot(server, juliet.boundjid.user, resource="chamber").login()
    for number in range(50):
        romeo.say(juliet.boundjid.bare, f"line {number} <&> ☂")
    for bot in (juliet, chamber):
        for number in range(50):
            message = await bot.expect("message", type="chat")
            assert text(message, "{jabber:client}body") == f"line {number} <&> ☂"
            assert message.get("from") == romeo.boundjid.full
    romeo.say(chamber.boundjid.full, "for you alone")
    await chamber.expect("message", body="for you alone")
    await juliet.nothing("message", body="for you alone")
    for bot in (romeo, juliet, chamber):
        await bot.logout()


async def test_offline_messages_come_back_with_their_time(server):
    romeo = await account(server, "romeo")
    juliet = await account(server, "juliet")
    await befriend(romeo, juliet)
    await juliet.logout()
    await romeo.expect("presence", sender=juliet.boundjid.full, type="unavailable")
    for number in range(5):
        romeo.say(juliet.boundjid.bare, f"while you slept {number}")
    await romeo.settle()
    again = await Bot(server, juliet.boundjid.user).login()
    for number in range(5):
        message = await again.expect("message")
        assert text(message, "{jabber:client}body") == f"while you slept {number}"
        delay = message.find(DELAY)
        assert delay is not None, "an offline message tells when it was sent"
        stamp = delay.get("stamp")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", stamp), stamp
        assert delay.get("from") in (None, server.domain, juliet.boundjid.bare), delay.get("from")
    await again.logout()
    once_more = await Bot(server, juliet.boundjid.user).login()
    await once_more.nothing("message")
    await once_more.logout()
    await romeo.logout()


async def test_blocking(server):
    romeo = await account(server, "romeo")
    paris = await account(server, "paris")
    await befriend(romeo, paris)
    item = f"<item jid='{paris.boundjid.bare}'/>"
    await romeo.ask(f"<block xmlns='urn:xmpp:blocking'>{item}</block>", kind="set")
    await paris.expect("presence", sender=romeo.boundjid.full, type="unavailable")
    blocked = await romeo.ask("<blocklist xmlns='urn:xmpp:blocking'/>")
    assert [one.get("jid") for one in blocked[0]] == [paris.boundjid.bare]
    paris.say(romeo.boundjid.bare, "let me in")
    error = await paris.expect("message", type="error")
    stanzas = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
    assert error.find(f"{{jabber:client}}error/{stanzas}service-unavailable") is not None
    await romeo.nothing("message")
    await romeo.ask(f"<unblock xmlns='urn:xmpp:blocking'>{item}</unblock>", kind="set")
    await paris.expect("presence", sender=romeo.boundjid.full)
    paris.say(romeo.boundjid.bare, "thank you")
    await romeo.expect("message", body="thank you")
    await romeo.logout()
    await paris.logout()


async def test_a_message_to_nobody_is_answered(server):
    romeo = await account(server, "romeo")
    romeo.say(f"nobody-at-all@{server.domain}", "hello?")
    error = await romeo.expect("message", type="error")
    stanzas = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
    assert error.find(f"{{jabber:client}}error/{stanzas}service-unavailable") is not None
    await romeo.logout()


async def test_a_second_login_with_the_same_resource(server):
    first = await account(server, "twice", resource="phone")
    second = await Bot(server, first.boundjid.user, resource="phone").login()
    # RFC 6120 § 7.7.2.2 leaves the choice: the old one goes, or the new one gets another name.
    if first.is_connected():
        assert first.boundjid.full != second.boundjid.full
        await first.logout()
    await second.logout()


