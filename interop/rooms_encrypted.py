"""A private group of three with end-to-end encryption (XEP-0384 in XEP-0045): two bots of slixmpp-omemo
and Profanity, of which one comes in later and one is offline while the others write.

Only who is a member is written for, so everything here hangs on the room: it tells clients that it is
for members and that everybody sees who is who, lets members read the lists of members, admins and owners,
and keeps what was said for those who come."""

import asyncio
from xml.etree import ElementTree

from bots import PASSWORD, SECONDS, fresh
from encryption import ENCRYPTED, OLD, Device
from profanity import connect, profanity
from rooms import enter, make
from slixmpp import JID


class Member(Device):
    """A bot with keys that knows rooms."""

    def __init__(self, server, user, resource="bot"):
        super().__init__(server, user, resource)
        self.register_plugin("xep_0045")

    async def tell(self, room, text, members):
        """Encrypts for all members, and for its own other devices."""
        message = self.make_message(mto=room, mbody=text, mtype="groupchat")
        to = {JID(member) for member in members if member != self.boundjid.bare}
        encrypted, errors = await self["xep_0384"].encrypt_message(message, to)
        assert encrypted is not None and not errors, errors
        encrypted.send()

    async def hears(self, occupant, *texts):
        """These, encrypted, from an occupant, in this order."""
        for text in texts:
            message = await self.expect("message", sender=occupant, has=ENCRYPTED[OLD])
            whole = ElementTree.tostring(message, "unicode")
            assert text not in whole, f"not encrypted: {whole}"
            plain, _ = await self["xep_0384"].decrypt_message(self.Message(xml=message))
            assert plain["body"] == text, plain["body"]


async def member(server, name):
    """A new account with one device that has published its keys."""
    user = fresh(name)
    server.add_account(user, PASSWORD)
    return await Member(server, user).begin()


async def test_group_of_three(server):
    romeo, benvolio = await member(server, "romeo"), await member(server, "benvolio")
    user = fresh("juliet")
    server.add_account(user, PASSWORD)
    jid = f"{user}@{server.domain}"
    members = [romeo.boundjid.bare, benvolio.boundjid.bare, jid]
    room = await make(
        server, romeo, membersonly=True, whois="anyone", persistentroom=True, publicroom=False
    )
    for one in members[1:]:
        await romeo["xep_0045"].set_affiliation(room, "member", jid=one)
    async with profanity(server, user) as juliet:
        await connect(juliet, server, user, server.starttls_port, "trust")
        juliet.type("/omemo gen")
        await juliet.shows("materials generated")
        juliet.type("/omemo trustmode blind")
        await juliet.shows("blind")
        await come_in(juliet, romeo, room)
        await encrypts(juliet)
        await romeo.tell(room, "one of three", members)
        await juliet.shows("one of three")
        juliet.type("two of three")
        await romeo.hears(f"{room}/juliet", "two of three")

        # One who comes in later reads what was said before, because it was written for members.
        await enter(benvolio, room, "benvolio", maxstanzas=10)
        await benvolio.hears(f"{room}/owner", "one of three")
        await benvolio.hears(f"{room}/juliet", "two of three")
        await benvolio.tell(room, "three of three", members)
        await juliet.shows("three of three")
        await romeo.hears(f"{room}/benvolio", "three of three")

        # One who was offline while the others wrote reads it when it is back.
        juliet.type("/disconnect")
        await romeo.expect("presence", sender=f"{room}/juliet", type="unavailable")
        await romeo.tell(room, "she has gone", members)
        await benvolio.hears(f"{room}/owner", "she has gone")
        await benvolio.tell(room, "she will be back", members)
        await romeo.hears(f"{room}/benvolio", "she will be back")
        juliet.type("/win 1")
        await connect(juliet, server, user, server.starttls_port, "trust")
        await come_in(juliet, romeo, room, "she has gone", "she will be back")
        await encrypts(juliet)
        await benvolio.tell(room, "so here she is", members)
        await juliet.shows("so here she is")
        await romeo.hears(f"{room}/benvolio", "so here she is")
        juliet.type("here I am")
        for bot in (romeo, benvolio):
            await bot.hears(f"{room}/juliet", "here I am")
        juliet.type("/quit")
    for bot in (romeo, benvolio):
        await bot.logout()


async def come_in(juliet, romeo, room, *history):
    """Whoever sits at the terminal enters, and sees what was said there."""
    juliet.type(f"/join {room} nick juliet")
    await romeo.expect("presence", sender=f"{room}/juliet")
    await juliet.shows(*(history or ("juliet",)))


async def encrypts(juliet):
    """Switches encryption on; Profanity must know this of the room before it agrees to that. It begins
    sessions with all members then, and has them when it has read something."""
    for _ in range(SECONDS * 2):
        juliet.type("/info")
        await asyncio.sleep(0.5)
        if "muc_nonanonymous" in juliet.screen():
            break
    juliet.type("/omemo start")
    await juliet.shows("[OMEMO]")
