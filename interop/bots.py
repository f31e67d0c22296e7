"""A slixmpp client that a test drives step by step: it does nothing by itself, keeps what it
receives, and waits for what the test expects."""

import asyncio
import itertools
from xml.etree import ElementTree

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

PASSWORD = "correct horse 7 bättery"
SECONDS = 15

_numbers = itertools.count(1)


def fresh(name: str) -> str:
    """A user name that no other test uses."""
    return f"{name}{next(_numbers)}"


class Bot(slixmpp.ClientXMPP):
    """One resource of one account."""

    def __init__(
        self, server, user, resource="bot", *, password=PASSWORD, mechanism=None, direct_tls=False
    ):
        jid = f"{user}@{server.domain}/{resource}" if resource else f"{user}@{server.domain}"
        super().__init__(jid, password, sasl_mech=mechanism)
        self.home = server
        self.ca_certs = server.certificate
        self.enable_direct_tls = direct_tls
        self.enable_starttls = not direct_tls
        self.auto_authorize = None
        self.auto_subscribe = False
        self.received: list[ElementTree.Element] = []
        self._news = asyncio.Event()
        for kind in ("message", "presence"):
            matcher = MatchXPath("{jabber:client}" + kind)
            self.register_handler(Callback(f"keep {kind}", matcher, self._keep))
        self.roster_pushes: list[ElementTree.Element] = []
        self.add_event_handler("roster_update", self._keep_push)

    def _keep(self, stanza):
        self.received.append(stanza.xml)
        self._news.set()

    def _keep_push(self, iq):
        if iq["type"] == "set":
            self.received.append(iq.xml)
            self._news.set()

    async def login(self, *, presence=True):
        """Connects and logs in; with presence, becomes an interested and available resource."""
        outcome = self.loop.create_future()

        def settle(result):
            return lambda _event: outcome.done() or outcome.set_result(result)

        self.add_event_handler("session_start", settle("session"))
        self.add_event_handler("failed_all_auth", settle("refused"))
        self.add_event_handler("disconnected", settle("disconnected"))
        port = self.home.direct_tls_port if self.enable_direct_tls else self.home.starttls_port
        self.connect(self.home.address, port)
        result = await asyncio.wait_for(outcome, SECONDS)
        assert result == "session", f"{self.requested_jid} could not log in: {result}"
        if presence:
            await self.ask("<query xmlns='jabber:iq:roster'/>")
            self.send_presence()
            await self.expect("presence", sender=self.boundjid.full)
        return self

    async def logout(self):
        """Closes the stream and waits until the server has, too."""
        await self.disconnect(wait=SECONDS)

    async def ask(self, payload, *, kind="get", to=None):
        """Sends an IQ and gives the answer; raises IqError if it is an error."""
        iq = self.Iq()
        iq["type"] = kind
        if to:
            iq["to"] = to
        if isinstance(payload, str):
            payload = ElementTree.fromstring(payload)
        iq.append(payload)
        return (await iq.send(timeout=SECONDS)).xml

    async def refused(self, conditions, payload, *, kind="get", to=None):
        """Sends an IQ that must be answered with one of these errors."""
        try:
            await self.ask(payload, kind=kind, to=to)
        except IqError as error:
            assert error.condition in conditions, f"{error.condition}, not {conditions}"
            return
        except IqTimeout:
            raise AssertionError(f"no answer instead of {conditions}") from None
        raise AssertionError(f"a result instead of {conditions}")

    def say(self, to, body, **attributes):
        """Sends a chat message."""
        message = self.make_message(mto=to, mbody=body, mtype=attributes.get("type", "chat"))
        message.send()

    async def expect(self, kind, *, sender=None, type=None, body=None, has=None):
        """The first kept stanza that fits, waiting for it; it is kept no longer."""
        wanted = {"kind": kind, "sender": sender, "type": type, "body": body, "has": has}
        deadline = self.loop.time() + SECONDS
        while True:
            for stanza in self.received:
                if fits(stanza, **wanted):
                    self.received.remove(stanza)
                    return stanza
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), deadline - self.loop.time())
            except asyncio.TimeoutError:
                kept = [ElementTree.tostring(stanza, "unicode") for stanza in self.received]
                raise AssertionError(f"{self.boundjid} waits for {wanted}, has {kept}") from None

    async def nothing(self, kind, **wanted):
        """Makes sure that no such stanza has come: what was sent before is here once the server
        has answered, because streams keep their order."""
        await self.settle()
        for stanza in self.received:
            assert not fits(stanza, kind=kind, **wanted), ElementTree.tostring(stanza, "unicode")

    async def settle(self):
        """Waits until the server has handled what was sent before."""
        await self.ask("<ping xmlns='urn:xmpp:ping'/>", to=self.home.domain)


def fits(stanza, kind, sender=None, type=None, body=None, has=None) -> bool:
    """Whether a stanza is what a test waits for."""
    name = stanza.tag.split("}")[1]
    return (
        name == kind
        and (sender is None or stanza.get("from") == sender)
        and (type is None or stanza.get("type") == type)
        and (body is None or text(stanza, "{jabber:client}body") == body)
        and (has is None or stanza.find(has) is not None)
    )


def text(element, path) -> str | None:
    """The text of a descendant."""
    found = element.find(path)
    return None if found is None else found.text


async def account(server, name, **options):
    """A new account with one bot that is logged in."""
    user = fresh(name)
    server.add_account(user, PASSWORD)
    return await Bot(server, user, **options).login()


async def befriend(one, other):
    """Makes two bots contacts of each other, both ways, as RFC 6121 § 3.1 has it."""
    for asks, answers in ((one, other), (other, one)):
        asks.send_presence(pto=answers.boundjid.bare, ptype="subscribe")
        await answers.expect("presence", sender=asks.boundjid.bare, type="subscribe")
        answers.send_presence(pto=asks.boundjid.bare, ptype="subscribed")
        await asks.expect("presence", sender=answers.boundjid.bare, type="subscribed")
        await asks.expect("presence", sender=answers.boundjid.full)
