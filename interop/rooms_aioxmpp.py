"""Rooms (XEP-0045) as aioxmpp uses them: a bot of another family enters one, sees who is there, talks,
is told of what happens, and looks after it.

aioxmpp imports pytz without asking for it, so `requirements.txt` does. It works with Python 3.11."""

import asyncio

import aioxmpp
import aioxmpp.connector
import aioxmpp.muc
from bots import PASSWORD, SECONDS, fresh
from rooms import enter, make, person

GROUPCHAT = aioxmpp.MessageType.GROUPCHAT


def client(server, user):
    """A client of an account, for this server alone."""
    made = aioxmpp.PresenceManagedClient(
        aioxmpp.JID.fromstr(f"{user}@{server.domain}/aioxmpp"),
        aioxmpp.make_security_layer(PASSWORD, no_verify=True),
        override_peer=[
            (server.address, server.starttls_port, aioxmpp.connector.STARTTLSConnector())
        ],
    )
    made.summon(aioxmpp.MUCClient)
    return made


class Events:
    """What a room tells its occupant, to be waited for."""

    def __init__(self, room):
        self.queue = asyncio.Queue()
        for name in ("message", "join", "leave", "topic_changed", "muc_affiliation_changed"):
            getattr(room, f"on_{name}").connect(self.keeper(name))

    def keeper(self, name):
        def keep(*details, **more):
            self.queue.put_nowait((name, details, more))

        self.kept = [*getattr(self, "kept", []), keep]  # signals hold their receivers weakly
        return keep

    async def next(self, name):
        """The next event of this name; others before it are passed over."""
        while True:
            found, details, more = await asyncio.wait_for(self.queue.get(), SECONDS)
            if found == name:
                return details, more


async def test_a_bot_of_another_family(server):
    romeo = await person(server, "romeo")
    room = await make(server, romeo, persistentroom=True, whois="anyone", changesubject=True)
    romeo.send_message(room, "before she came", mtype="groupchat")
    await romeo.expect("message", body="before she came")
    user = fresh("juliet")
    server.add_account(user, PASSWORD)
    juliet = client(server, user)
    async with juliet.connected():
        rooms = juliet.summon(aioxmpp.MUCClient)
        here, entered = rooms.join(aioxmpp.JID.fromstr(str(room)), "juliet")
        events = Events(here)
        await asyncio.wait_for(entered, SECONDS)
        assert {one.nick for one in here.members} == {"juliet", "owner"}, here.members
        assert here.me.nick == "juliet" and here.me.affiliation == "none", here.me
        owner = next(one for one in here.members if one.nick == "owner")
        assert owner.direct_jid.bare() == aioxmpp.JID.fromstr(romeo.boundjid.bare), owner
        (message, *_), _ = await events.next("message")
        assert message.body.any() == "before she came"
        await romeo.expect("presence", sender=f"{room}/juliet")

        # Both ways; her own words come back to her as hers.
        said = aioxmpp.Message(type_=GROUPCHAT)
        said.body[None] = "wherefore <art> & thou? ☂"
        here.send_message(said)
        await romeo.expect("message", sender=f"{room}/juliet", body="wherefore <art> & thou? ☂")
        (message, speaker, *_), _ = await events.next("message")
        assert message.body.any() == "wherefore <art> & thou? ☂" and speaker is here.me
        romeo.send_message(room, "here", mtype="groupchat")
        (message, speaker, *_), _ = await events.next("message")
        assert message.body.any() == "here" and speaker is owner

        # What changes is told, in her terms.
        await asyncio.wait_for(here.set_topic({None: "Balconies"}), SECONDS)
        (_, topic, *_), _ = await events.next("topic_changed")
        assert topic.any() == "Balconies"
        await romeo["xep_0045"].set_affiliation(room, "admin", jid=str(juliet.local_jid.bare()))
        (_, changed, *_), _ = await events.next("muc_affiliation_changed")
        assert changed is here.me and here.me.affiliation == "admin"
        nurse = await person(server, "nurse")
        await enter(nurse, room, "nurse")
        (joined, *_), _ = await events.next("join")
        assert joined.nick == "nurse"
        await asyncio.wait_for(here.kick(joined, "no business here"), SECONDS)
        await nurse.expect("presence", sender=f"{room}/nurse", type="unavailable")
        (left, *_), more = await events.next("leave")
        assert left is joined and more["muc_leave_mode"] == aioxmpp.muc.LeaveMode.KICKED, more
        await asyncio.wait_for(here.leave(), SECONDS)
        await romeo.expect("presence", sender=f"{room}/juliet", type="unavailable")
    for bot in (romeo, nurse):
        await bot.logout()
