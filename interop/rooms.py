"""Rooms (XEP-0045) as slixmpp uses them: made, configured, entered, talked in, looked after, read."""

import slixmpp
from slixmpp.exceptions import PresenceError

from bots import PASSWORD, SECONDS, Bot, fresh, text

BODY = "{jabber:client}body"
SUBJECT = "{jabber:client}subject"
STANZA_ID = "{urn:xmpp:sid:0}stanza-id"
OCCUPANT_ID = "{urn:xmpp:occupant-id:0}occupant-id"


async def person(server, name, resource="bot"):
    """A bot that knows rooms, with an account of its own."""
    user = fresh(name)
    server.add_account(user, PASSWORD)
    return await device(server, user, resource)


async def device(server, user, resource):
    bot = Bot(server, user, resource=resource)
    for plugin in ("xep_0030", "xep_0045", "xep_0059", "xep_0313", "xep_0410"):
        bot.register_plugin(plugin)
    return await bot.login()


async def enter(bot, room, nick, **options):
    """Enters, waiting for what the room says until its subject: own presence, subject, who is here,
    what was said."""
    return await bot["xep_0045"].join_muc_wait(room, nick, timeout=SECONDS, **options)


async def make(server, owner, *, service="groups", **options):
    """A room of an owner's, who is in it as `owner`."""
    room = slixmpp.JID(f"{fresh('room')}@{service}.{server.domain}")
    presence, *_ = await enter(owner, room, "owner")
    assert 201 in presence["muc"]["status_codes"], "the room is new"
    form = await owner["xep_0045"].get_room_config(room)
    fields = form.get_fields()
    for option, value in options.items():
        var = f"muc#roomconfig_{option}"
        assert var in fields, var
        form["values"] = {**form["values"], var: value}
    form["type"] = "submit"
    await owner["xep_0045"].set_room_config(room, form)
    return room


async def test_a_room_is_made_and_talked_in(server):
    romeo = await person(server, "romeo")
    juliet = await person(server, "juliet")
    room = await make(server, romeo, persistentroom=True, roomname="Orchard", publicroom=True)
    found = await juliet["xep_0030"].get_items(f"groups.{server.domain}")
    assert (str(room), None, "Orchard") in found["disco_items"]["items"], found
    _, _, occupants, _ = await enter(juliet, room, "juliet")
    assert {one["from"].resource for one in occupants} == {"owner", "juliet"}, occupants
    await romeo.expect("presence", sender=f"{room}/juliet")
    for number in range(20):
        juliet.send_message(room, f"line {number} ☂", mtype="groupchat")
    seen = []
    for bot in (romeo, juliet):
        messages = [
            await bot.expect("message", sender=f"{room}/juliet", body=f"line {number} ☂")
            for number in range(20)
        ]
        seen.append(
            [(one.find(STANZA_ID).get("id"), one.find(OCCUPANT_ID).get("id")) for one in messages]
        )
    assert seen[0] == seen[1], "everybody sees the same ids"
    ids = [stanza_id for stanza_id, _ in seen[0]]
    assert len(set(ids)) == 20 and len({one for _, one in seen[0]}) == 1
    # The archive of the room has them under the same ids, in the same order.
    read = [
        result["mam_result"]["id"]
        async for result in juliet["xep_0313"].iterate(room, rsm={"max": 7})
    ]
    assert read == ids, (read, ids)
    for bot in (romeo, juliet):
        await bot.logout()


async def test_newcomers_are_told_of_the_past(server):
    romeo = await person(server, "romeo")
    room = await make(server, romeo)
    for number in range(5):
        romeo.send_message(room, f"line {number}", mtype="groupchat")
        await romeo.expect("message", body=f"line {number}")
    romeo["xep_0045"].set_subject(room, "Balconies")
    await romeo.expect("message", has=SUBJECT, sender=f"{room}/owner")
    juliet = await person(server, "juliet")
    _, subject, _, history = await enter(juliet, room, "juliet", maxstanzas=3)
    assert [one["body"] for one in history] == ["line 2", "line 3", "line 4"]
    assert subject["subject"] == "Balconies", subject
    for bot in (romeo, juliet):
        await bot.logout()


async def test_two_devices_are_one_occupant(server):
    romeo = await person(server, "romeo")
    room = await make(server, romeo)
    phone = await person(server, "juliet", "phone")
    desktop = await device(server, phone.boundjid.user, "desktop")
    await enter(phone, room, "juliet")
    await enter(desktop, room, "juliet")
    romeo.send_message(room, "Juliet?", mtype="groupchat")
    romeo.send_message(f"{room}/juliet", "psst", mtype="chat")
    for bot in (phone, desktop):
        await bot.expect("message", body="Juliet?")
        await bot.expect("message", body="psst", sender=f"{room}/owner")
    desktop["xep_0045"].leave_muc(room, "juliet")
    await desktop.expect("presence", sender=f"{room}/juliet", type="unavailable")
    await romeo.settle()
    romeo.send_message(room, "Still?", mtype="groupchat")
    await phone.expect("message", body="Still?")
    await desktop.nothing("message", body="Still?")
    for bot in (romeo, phone, desktop):
        await bot.logout()


async def test_who_may_come_in(server):
    romeo = await person(server, "romeo")
    juliet = await person(server, "juliet")
    room = await make(server, romeo, membersonly=True, whois="anyone")
    await refused(juliet, room, "juliet", "registration-required")
    await romeo["xep_0045"].set_affiliation(room, "member", jid=juliet.boundjid.bare)
    await enter(juliet, room, "juliet")
    members = await juliet["xep_0045"].get_affiliation_list(room, "member")
    assert [str(jid) for jid in members] == [juliet.boundjid.bare], members
    await refused(await device(server, romeo.boundjid.user, "other"), room, "Juliet", "conflict")
    await romeo["xep_0045"].set_role(room, "juliet", "none", reason="for a while")
    kicked = await juliet.expect("presence", sender=f"{room}/juliet", type="unavailable")
    codes = [one.get("code") for one in kicked.iter("{http://jabber.org/protocol/muc#user}status")]
    assert "307" in codes, codes
    await romeo["xep_0045"].set_affiliation(room, "outcast", jid=juliet.boundjid.bare)
    await refused(juliet, room, "juliet", "forbidden")
    await romeo["xep_0045"].destroy(room, "over")
    await refused(juliet, room, "juliet", "gone")
    for bot in (romeo, juliet):
        await bot.logout()


async def refused(bot, room, nick, condition):
    """Does not get in, for this reason."""
    try:
        await enter(bot, room, nick)
    except PresenceError as error:
        assert error.condition == condition, error.condition
        return
    raise AssertionError(f"{nick} is in {room}")
