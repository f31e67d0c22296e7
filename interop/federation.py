"""Servers that talk to each other: Waxwing with Waxwing, Prosody and ejabberd, on loopback, with a
name server and an authority of their own. `python interop/federation.py --binary PATH [NAME…]`, where a name
is a check or a domain of `sites.WORLD`."""

import argparse
import asyncio
import sys
import tempfile
import traceback
from pathlib import Path
from xml.etree import ElementTree

import pep
import rooms
from bots import befriend, fresh, text
from sites import WORLD, Site, world

STANZA_ID = "{urn:xmpp:sid:0}stanza-id"
# For how long another server is away; `--outage` makes it longer.
OUTAGE = 10.0


async def pair(here: Site, there: Site):
    """Two people who are online, one at each."""
    users = []
    for site in (here, there):
        user = fresh("user")
        site.register(user)
        users.append(await site.bot(user).login())
    return users


async def check_reach(here: Site, there: Site):
    """`waxwing check DOMAIN` finds the other server as it is."""
    binary, _, *rest = here.command
    words = [binary, "check", *rest, there.domain]
    process = await asyncio.create_subprocess_exec(*map(str, words), stdout=asyncio.subprocess.PIPE)
    said = (await process.communicate())[0].decode()
    trusted = WORLD[there.domain][2] == "certificate"
    assert (process.returncode == 0) == trusted, said
    if not trusted:
        assert "no authority that is trusted here" in said, said
        assert f'federation.policies = {{ "{there.domain}" = "dialback" }}' in said, said
    elif there.program != "ejabberd":
        assert "STARTTLS, certificate and dialback work" in said, said
    else:
        assert "dialback" in said, said


async def check_chat(here: Site, there: Site):
    """Messages both ways, and the answer to a request."""
    alice, bob = await pair(here, there)
    for n in range(20):
        alice.send_message(bob.boundjid.bare, f"to {n}", mtype="chat")
    for n in range(20):
        await bob.expect("message", body=f"to {n}")
    bob.send_message(alice.boundjid.full, "back", mtype="chat")
    await alice.expect("message", body="back")
    await alice.ask("<query xmlns='http://jabber.org/protocol/disco#info'/>", to=there.domain)
    for bot in (alice, bob):
        await bot.logout()


async def check_presence(here: Site, there: Site):
    """A subscription each way, what it shows, and its end."""
    alice, bob = await pair(here, there)
    await befriend(alice, bob)
    await bob.logout()
    await alice.expect("presence", type="unavailable", sender=bob.boundjid.full)
    # Who comes later asks who is there.
    bob = await there.bot(bob.boundjid.user).login()
    await bob.expect("presence", sender=alice.boundjid.full)
    bob.send_presence(pto=alice.boundjid.bare, ptype="unsubscribe")
    await alice.expect("presence", type="unsubscribe", sender=bob.boundjid.bare)
    await bob.expect("presence", type="unavailable", sender=alice.boundjid.full)
    for bot in (alice, bob):
        await bot.logout()


async def check_rooms(here: Site, there: Site):
    """A room of each, with a guest from the other."""
    for home, away in ((here, there), (there, here)):
        owner = await rooms.person(home.server, "owner")
        guest = await rooms.person(away.server, "guest")
        room = await rooms.make(home.server, owner, service=home.rooms, persistentroom=True)
        await rooms.enter(guest, room, "guest")
        await owner.expect("presence", sender=f"{room}/guest")
        for n in range(20):
            (owner, guest)[n % 2].send_message(room, f"line {n}", mtype="groupchat")
            # One after the other, or two streams would race.
            for bot in (owner, guest):
                stanza = await bot.expect("message", body=f"line {n}", type="groupchat")
                assert stanza.get("from") == f"{room}/{('owner', 'guest')[n % 2]}"
                bot.seen = [*getattr(bot, "seen", []), stanza.find(STANZA_ID).get("id")]
        assert owner.seen == guest.seen, "everybody sees the ids that the room has given"
        archive = guest.plugin["xep_0313"].iterate(room, rsm={"max": 7})
        read = [result["mam_result"]["id"] async for result in archive]
        assert [one for one in read if one in guest.seen] == guest.seen, (read, guest.seen)
        guest.send_message(f"{room}/owner", "psst", mtype="chat")
        await owner.expect("message", body="psst", sender=f"{room}/guest")
        await guest.logout()
        await owner.expect("presence", sender=f"{room}/guest", type="unavailable")
        await owner.logout()


async def check_nodes(here: Site, there: Site):
    """Keys, avatar and vCard of each, read from the other."""
    for home, away in ((here, there), (there, here)):
        owner = await pep.user(home.server, "owner")
        friend = await pep.user(away.server, "friend")
        stranger = await pep.user(away.server, "stranger")
        await befriend(owner, friend)
        jid = owner.boundjid.bare
        open_to_all = {"access_model": "open", "persist_items": "true"}
        await pep.publish(owner, f"{pep.BUNDLES}:1", pep.bundle(20), **open_to_all)
        await pep.publish(owner, pep.DEVICES, pep.devices(1, 2), **open_to_all)
        assert pep.listed(await pep.items(stranger, jid, pep.DEVICES)) == ["1", "2"]
        found = await pep.items(stranger, jid, f"{pep.BUNDLES}:1")
        assert len(list(found.iter(f"{{{pep.OMEMO}}}preKeyPublic"))) == 20
        await check_avatar(owner, friend, stranger)
        card = "<vCard xmlns='vcard-temp'><FN>Juliet ☂</FN></vCard>"
        await owner.ask(card, kind="set")
        card = await stranger.ask("<vCard xmlns='vcard-temp'/>", to=jid)
        assert text(card, ".//{vcard-temp}FN") == "Juliet ☂"
        for bot in (owner, friend, stranger):
            await bot.logout()


async def check_avatar(owner, friend, stranger):
    """Contacts see it, others do not."""
    image = b"\x89PNG" + bytes(range(256)) * 100
    avatar = owner.plugin["xep_0084"]
    image_id = avatar.generate_id(image)
    await avatar.publish_avatar(image)
    await avatar.publish_avatar_metadata(
        [{"id": image_id, "type": "image/png", "bytes": str(len(image))}]
    )
    data = await friend.plugin["xep_0084"].retrieve_avatar(owner.boundjid.bare, image_id)
    assert data["pubsub"]["items"]["item"]["avatar_data"]["value"] == image
    query = (
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:data'/></pubsub>"
    )
    await stranger.refused(
        ["not-authorized", "item-not-found", "forbidden", "service-unavailable"],
        query,
        to=owner.boundjid.bare,
    )


async def check_told(here: Site, there: Site):
    """Contacts are told what their clients want, beginning with the newest; others nothing."""
    for home, away in ((here, there), (there, here)):
        if home.program == "ejabberd":
            continue  # It does not tell contacts of other servers what was there before them.
        owner = await pep.user(home.server, "owner")
        await pep.publish(owner, pep.OTHER, ElementTree.Element("{urn:test}one"))
        eager = await pep.user(away.server, "eager", [pep.OTHER])
        other = await pep.user(away.server, "other")
        for friend in (eager, other):
            await befriend(owner, friend)
        jid = owner.boundjid.bare
        told = await eager.expect("message", sender=jid, has=pep.EVENT)
        assert told.find(".//{urn:test}one") is not None
        await pep.publish(owner, pep.OTHER, ElementTree.Element("{urn:test}two"))
        told = await eager.expect("message", sender=jid, has=pep.EVENT)
        assert told.find(".//{urn:test}two") is not None
        await eager.logout()
        await owner.expect("presence", sender=eager.boundjid.full, type="unavailable")
        again = await pep.client(away.server, eager.boundjid.user, [pep.OTHER], "again")
        told = await again.expect("message", sender=jid, has=pep.EVENT)
        assert told.find(".//{urn:test}two") is not None
        await other.nothing("message", has=pep.EVENT)
        for bot in (owner, other, again):
            await bot.logout()


async def check_blocking(here: Site, there: Site):
    """Whoever is blocked at one server is refused at the other, and sees nobody."""
    alice, bob = await pair(here, there)
    await befriend(alice, bob)
    block = f"<block xmlns='urn:xmpp:blocking'><item jid='{bob.boundjid.bare}'/></block>"
    await alice.ask(block, kind="set")
    await bob.expect("presence", type="unavailable", sender=alice.boundjid.full)
    bob.send_message(alice.boundjid.bare, "are you there", mtype="chat")
    await bob.expect("message", type="error", sender=alice.boundjid.bare)
    await bob.refused(["service-unavailable"], "<ping xmlns='urn:xmpp:ping'/>", to=alice.boundjid.full)
    await alice.nothing("message", sender=bob.boundjid.full)
    await alice.ask(block.replace("block", "unblock", 1).replace("/block>", "/unblock>"), kind="set")
    await bob.expect("presence", sender=alice.boundjid.full)
    bob.send_message(alice.boundjid.bare, "again", mtype="chat")
    await alice.expect("message", body="again")
    for bot in (alice, bob):
        await bot.logout()


async def check_outage(here: Site, there: Site):
    """The other server is away for a while under load: nothing is lost, and the order is kept."""
    alice, bob = await pair(here, there)
    target = bob.boundjid.bare
    alice.send_message(target, "before", mtype="chat")
    await bob.expect("message", body="before")
    await bob.logout()
    there.stop()
    count = int(OUTAGE / 0.05)
    for n in range(count):
        alice.send_message(target, f"while away {n}", mtype="chat")
        await asyncio.sleep(0.05)
    there.start()
    alice.send_message(target, "after", mtype="chat")
    again = await there.bot(target.split("@")[0]).login()
    deadline = again.loop.time() + 30 + OUTAGE
    while not any(rooms.text(one, rooms.BODY) == "after" for one in again.received):
        assert again.loop.time() < deadline, "what waits does not come"
        await asyncio.sleep(0.1)
    bodies = [rooms.text(one, rooms.BODY) for one in again.received]
    bodies = [body for body in bodies if body]
    assert bodies == [*(f"while away {n}" for n in range(count)), "after"], bodies
    for bot in (alice, again):
        await bot.logout()


CHECKS = [
    check_reach,
    check_chat,
    check_presence,
    check_rooms,
    check_nodes,
    check_told,
    check_blocking,
    check_outage,
]


def main() -> int:
    global OUTAGE
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True, help="path of the waxwing binary")
    parser.add_argument("--keep", type=Path, help="a folder for logs that stay")
    parser.add_argument("--outage", type=float, default=OUTAGE, help="seconds without the other")
    parser.add_argument("names", nargs="*", help="checks, and domains to check with; all if none")
    arguments = parser.parse_args()
    OUTAGE = arguments.outage
    here, *others = WORLD
    others = [domain for domain in others if domain in arguments.names] or others
    checks = [check for check in CHECKS if check.__name__ in arguments.names] or CHECKS
    failed = []
    with tempfile.TemporaryDirectory(prefix="waxwing-federation-") as temporary:
        folder = arguments.keep or Path(temporary)
        with world(folder, str(Path(arguments.binary).resolve()), [here, *others]) as sites:
            for there in others:
                for check in checks:
                    name = f"{check.__name__} {here} {there}"
                    print(f"-- {name}", flush=True)
                    try:
                        played = check(sites[here], sites[there])
                        asyncio.run(asyncio.wait_for(played, 120 + 2 * OUTAGE))
                    except Exception:
                        traceback.print_exc(limit=-3, file=sys.stdout)
                        failed.append(name)
                    for site in sites.values():
                        if site.process is None:
                            site.start()
    count = len(checks) * len(others)
    for name in failed:
        print(f"FAILED {name}")
    print(f"federation: {count - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
