"""A slixmpp component as a bot of its own domain (XEP-0114)."""

import asyncio

import slixmpp

from bots import SECONDS, account, text
from servers import COMPONENT, COMPONENT_SECRET

DISCO = "http://jabber.org/protocol/disco"


class EchoBot(slixmpp.ComponentXMPP):
    """Says again what it is told, lets everybody see it and wants to see everybody."""

    def __init__(self, server, secret=COMPONENT_SECRET):
        super().__init__(COMPONENT, secret, server.address, server.component_port)
        self.auto_authorize = True
        self.auto_subscribe = True
        self.seen: list[tuple[str, str]] = []
        self.news = asyncio.Event()
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0199")
        self["xep_0030"].add_identity("client", "bot", "Echo", jid=self.boundjid)
        self.add_event_handler("message", self._echo)
        for kind in ("available", "unavailable"):
            self.add_event_handler(f"presence_{kind}", self._see)

    def _echo(self, message):
        if message["type"] in ("chat", "normal"):
            message.reply(message["body"]).send()

    def _see(self, presence):
        self.seen.append((presence["from"].full, presence["type"]))
        self.news.set()

    async def attach(self):
        """Connects; whether the handshake was accepted."""
        outcome = self.loop.create_future()

        def settle(result):
            return lambda _event: outcome.done() or outcome.set_result(result)

        self.add_event_handler("session_start", settle(True))
        self.add_event_handler("disconnected", settle(False))
        self.connect()
        return await asyncio.wait_for(outcome, SECONDS)

    async def sees(self, jid, kind):
        """Waits until it has been shown this presence."""
        async with asyncio.timeout(SECONDS):
            while (jid, kind) not in self.seen:
                self.news.clear()
                await self.news.wait()


async def test_messages(server):
    echo = EchoBot(server)
    assert await echo.attach()
    romeo = await account(server, "romeo")
    for address in (COMPONENT, f"bot@{COMPONENT}", f"bot@{COMPONENT}/x"):
        romeo.say(address, f"Hallo, {address} & <alle> ☃")
        answer = await romeo.expect("message", sender=address)
        assert text(answer, "{jabber:client}body") == f"Hallo, {address} & <alle> ☃"
    # What is said to somebody who is away comes later.
    await romeo.logout()
    echo.send_message(mto=romeo.boundjid.bare, mbody="later", mfrom=f"bot@{COMPONENT}")
    await echo["xep_0199"].ping(server.domain, ifrom=COMPONENT)
    back = await type(romeo)(server, romeo.boundjid.user).login()
    await back.expect("message", sender=f"bot@{COMPONENT}", body="later")
    await back.logout()
    await echo.disconnect()


async def test_presence(server):
    echo = EchoBot(server)
    assert await echo.attach()
    romeo = await account(server, "romeo")
    bot = f"bot@{COMPONENT}"
    romeo.send_presence(pto=bot, ptype="subscribe")
    await romeo.expect("presence", sender=bot, type="subscribed")
    await romeo.expect("presence", sender=bot, type="subscribe")
    romeo.send_presence(pto=bot, ptype="subscribed")
    await echo.sees(romeo.boundjid.full, "available")
    roster = await romeo.ask("<query xmlns='jabber:iq:roster'/>")
    items = roster.iter("{jabber:iq:roster}item")
    assert {one.get("jid"): one.get("subscription") for one in items} == {bot: "both"}
    await romeo.logout()
    await echo.sees(romeo.boundjid.full, "unavailable")
    await echo.disconnect()


async def test_discovery(server):
    romeo = await account(server, "romeo")
    items = await romeo.ask(f"<query xmlns='{DISCO}#items'/>", to=server.domain)
    assert COMPONENT in {one.get("jid") for one in items.iter(f"{{{DISCO}#items}}item")}
    echo = EchoBot(server)
    assert await echo.attach()
    info = await romeo.ask(f"<query xmlns='{DISCO}#info'/>", to=COMPONENT)
    found = {(one.get("category"), one.get("type")) for one in info.iter(f"{{{DISCO}#info}}identity")}
    assert ("client", "bot") in found, found
    domain = await echo["xep_0030"].get_info(server.domain, ifrom=COMPONENT)
    assert "urn:xmpp:ping" in domain["disco_info"]["features"]
    await echo.disconnect()
    await romeo.refused(
        ["remote-server-timeout"], f"<query xmlns='{DISCO}#info'/>", to=COMPONENT
    )
    await romeo.logout()


async def test_wrong_secret(server):
    assert not await EchoBot(server, "not-the-secret").attach()
