"""End-to-end encryption (XEP-0384) between clients that others wrote: slixmpp-omemo with itself in
both versions of the protocol, and with Profanity, which knows the older one."""

import asyncio
import logging
from xml.etree import ElementTree

import oldmemo.oldmemo
import twomemo.etree
import twomemo.twomemo
from bots import PASSWORD, SECONDS, Bot, befriend, fresh
from omemo.session_manager import MessageNotForUs
from omemo.storage import Just, Nothing, Storage
from profanity import befriend_at_terminal, connect, profanity
from slixmpp import JID
from slixmpp.plugins.base import register_plugin
from slixmpp_omemo import XEP_0384

OLD = oldmemo.oldmemo.NAMESPACE
NEW = twomemo.twomemo.NAMESPACE
ENCRYPTED = {OLD: f"{{{OLD}}}encrypted", NEW: f"{{{NEW}}}encrypted"}
CARBONS = "{urn:xmpp:carbons:2}"
FORWARD = "{urn:xmpp:forward:0}"

# It warns of every device that is new, and all are.
logging.getLogger("omemo").setLevel(logging.ERROR)


class Memory(Storage):
    """What a device knows, for as long as the test runs."""

    def __init__(self):
        super().__init__(disable_cache=True)
        self.kept = {}

    async def _load(self, key):
        return Just(self.kept[key]) if key in self.kept else Nothing()

    async def _store(self, key, value):
        self.kept[key] = value

    async def _delete(self, key):
        self.kept.pop(key, None)


class Omemo(XEP_0384):
    """The plugin with such a storage, trusting every device at first sight."""

    default_config = {"fallback_message": "unreadable", "memory": None}

    @property
    def storage(self):
        return self.memory

    @property
    def _btbv_enabled(self):
        return True

    async def _prompt_manual_trust(self, manually_trusted, identifier):
        raise AssertionError(f"asked to trust {manually_trusted}")


register_plugin(Omemo)


class Device(Bot):
    """A client with keys of its own."""

    def __init__(self, server, user, resource):
        super().__init__(server, user, resource)
        self.use_message_ids = True
        for plugin in ("xep_0115", "xep_0280"):
            self.register_plugin(plugin)
        self.register_plugin("xep_0384", {"memory": Memory()})
        self.ready = asyncio.Event()
        self.add_event_handler("omemo_initialized", lambda _event: self.ready.set())

    async def begin(self):
        """Logs in, publishes the keys, and says that it wants to know those of others."""
        await self.login(presence=False)
        await self.get_roster()
        await self["xep_0280"].enable()
        await asyncio.wait_for(self.ready.wait(), SECONDS)
        await self["xep_0115"].update_caps()
        self.send_presence()
        await self.expect("presence", sender=self.boundjid.full)
        # The answer to the server's question about the capabilities is on its way before this is.
        await self.settle()
        return self

    @property
    def keys(self):
        return self["xep_0384"].get_session_manager()

    async def number(self):
        """The id of this device."""
        return (await (await self.keys).get_own_device_information())[0].device_id

    async def knows(self, owner, version, *numbers):
        """Waits until it has heard of exactly these devices of somebody."""
        manager = await self.keys
        for _ in range(SECONDS * 10):
            devices = await manager.get_device_information(owner)
            known = {one.device_id for one in devices if (version, True) in one.active}
            if known == set(numbers):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{self.boundjid} knows {known} of {owner}, not {numbers}")

    async def write(self, to, text, version):
        """Sends an encrypted message in one version of the protocol to all devices of `to` and to
        the other devices of this account."""
        plugin = self["xep_0384"]
        if version == OLD:
            message = self.make_message(mto=to, mbody=text, mtype="chat")
            encrypted, errors = await plugin.encrypt_message(message, JID(to))
            assert encrypted is not None and not errors, errors
            encrypted.send()
            return
        # slixmpp has no stanza content encryption (XEP-0420), so the plugin does not encrypt in
        # the newer version; what it is built of does, and fetches the keys by the plugin.
        await plugin.refresh_device_lists({JID(to)})
        manager = await self.keys
        messages, errors = await manager.encrypt(
            frozenset({to}), {NEW: text.encode()}, backend_priority_order=[NEW]
        )
        assert not errors, errors
        for one in messages:
            assert one.namespace == NEW, one
            message = self.make_message(mto=to, mtype="chat")
            message.append(twomemo.etree.serialize_message(one))
            message.enable("store")
            message.send()

    async def reads(self, sender, text, version):
        """Waits for an encrypted message, also for the copy of one that another device of the same
        account has sent, and decrypts it."""
        while True:
            stanza = await self.expect("message", has=".//" + ENCRYPTED[version])
            copied = stanza.find(f"{CARBONS}sent/{FORWARD}forwarded/{{jabber:client}}message")
            message = stanza if copied is None else copied
            if message.get("from").split("/")[0] != sender:
                continue
            whole = ElementTree.tostring(message, "unicode")
            assert text not in whole, f"not encrypted: {whole}"
            try:
                found = await self.decrypt(message, sender, version)
            except MessageNotForUs:  # an answer to the keys of another device of the account
                continue
            if found is not None:  # a key exchange without content is no message
                assert found == text, found
                return

    async def decrypt(self, message, sender, version):
        if version == OLD:
            plain, _ = await self["xep_0384"].decrypt_message(self.Message(xml=message))
            return plain["body"] or None
        encrypted = twomemo.etree.parse_message(message.find(ENCRYPTED[NEW]), sender)
        plain, _, _ = await (await self.keys).decrypt(encrypted)
        return plain and plain.decode()


async def device(server, user, resource="bot"):
    """A device of an account."""
    return await Device(server, user, resource).begin()


async def person(server, name):
    """A new account with one device."""
    user = fresh(name)
    server.add_account(user, PASSWORD)
    return await device(server, user)


async def talk(one, other, version):
    """Two devices that have never met write to each other, and again."""
    for round_number in range(2):
        for writes, reads in ((one, other), (other, one)):
            text = f"{round_number} from {writes.boundjid.user} in {version}"
            await writes.write(reads.boundjid.bare, text, version)
            await reads.reads(writes.boundjid.bare, text, version)


async def test_contacts(server):
    """Contacts hear of each other's devices; one that is added later reads what is new, from the
    contact and from the account's own other device."""
    romeo, juliet = await person(server, "romeo"), await person(server, "juliet")
    await befriend(romeo, juliet)
    numbers = [await juliet.number()]
    for version in (OLD, NEW):
        await romeo.knows(juliet.boundjid.bare, version, *numbers)
        await talk(romeo, juliet, version)
    phone = await device(server, juliet.boundjid.user, "phone")
    numbers.append(await phone.number())
    for version in (OLD, NEW):
        for reader in (romeo, juliet, phone):
            await reader.knows(juliet.boundjid.bare, version, *numbers)
        await romeo.write(juliet.boundjid.bare, "to both", version)
        for reader in (juliet, phone):
            await reader.reads(romeo.boundjid.bare, "to both", version)
        await phone.write(romeo.boundjid.bare, "from the phone", version)
        for reader in (romeo, juliet):
            await reader.reads(juliet.boundjid.bare, "from the phone", version)
    await juliet.logout()
    await romeo.write(juliet.boundjid.bare, "to one that is away", OLD)
    await phone.reads(romeo.boundjid.bare, "to one that is away", OLD)
    for bot in (romeo, phone):
        await bot.logout()


async def test_strangers(server):
    """Who is no contact can begin, and hears of devices that are added."""
    for version in (OLD, NEW):
        stranger, juliet = await person(server, "stranger"), await person(server, "juliet")
        await talk(stranger, juliet, version)
        phone = await device(server, juliet.boundjid.user, "phone")
        numbers = [await juliet.number(), await phone.number()]
        await stranger.knows(juliet.boundjid.bare, version, *numbers)
        await stranger.write(juliet.boundjid.bare, "to both", version)
        for reader in (juliet, phone):
            await reader.reads(stranger.boundjid.bare, "to both", version)
        for bot in (stranger, juliet, phone):
            await bot.logout()


async def test_profanity(server):
    """Profanity and slixmpp-omemo, contacts; and a phone of each that comes later.

    Prosody 0.12 fails here: it gives errors no numbers, which Profanity wants to see before it
    publishes its first list of devices."""
    romeo = await person(server, "romeo")
    bare = romeo.boundjid.bare
    user = fresh("juliet")
    server.add_account(user, PASSWORD)
    jid = f"{user}@{server.domain}"
    async with profanity(server, user) as juliet:
        await connect(juliet, server, user, server.starttls_port, "trust")
        juliet.type("/omemo gen")
        await juliet.shows("materials generated")
        juliet.type("/omemo trustmode blind")
        await juliet.shows("blind")
        await befriend_at_terminal(juliet, jid, romeo)
        juliet.type(f"/msg {bare}")
        juliet.type(f"/omemo start {bare}")
        await juliet.shows("[OMEMO]")
        juliet.type("is it encrypted?")
        await romeo.reads(jid, "is it encrypted?", OLD)
        await romeo.write(jid, "yes, it is", OLD)
        await juliet.shows("yes, it is")
        phones = [await device(server, bot, "phone") for bot in (romeo.boundjid.user, user)]
        numbers = [await romeo.number(), await phones[0].number()]
        await romeo.knows(bare, OLD, *numbers)
        # Profanity begins no sessions with devices that it hears of later; it takes theirs.
        await phones[0].write(jid, "from the phone, too", OLD)
        await juliet.shows("from the phone, too")
        for reader in (romeo, phones[1]):
            await reader.reads(bare, "from the phone, too", OLD)
        juliet.type("to all of you")
        for reader in (romeo, phones[0]):
            await reader.reads(jid, "to all of you", OLD)
        juliet.type("/quit")
    for bot in (romeo, *phones):
        await bot.logout()
