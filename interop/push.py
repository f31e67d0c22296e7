"""A slixmpp component as the app server of a client (XEP-0357)."""

import asyncio
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import slixmpp
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from bots import SECONDS, Bot, account
from servers import COMPONENT, COMPONENT_SECRET

PUSH = "urn:xmpp:push:0"
PUBSUB = "http://jabber.org/protocol/pubsub"
OPTIONS = f"{PUBSUB}#publish-options"


class AppServer(slixmpp.ComponentXMPP):
    """Takes what is published, or refuses it."""

    def __init__(self, server):
        super().__init__(COMPONENT, COMPONENT_SECRET, server.address, server.component_port)
        self.published = asyncio.Queue()
        self.refusal = None
        content = "{jabber:component:accept}iq/{%s}pubsub" % PUBSUB
        self.register_handler(Callback("publish", MatchXPath(content), self._take))

    def _take(self, iq):
        if iq["type"] != "set":
            return
        self.published.put_nowait(iq.xml)
        if self.refusal:
            answer = iq.reply()
            answer.error()
            answer["error"]["condition"] = self.refusal
            answer["error"]["type"] = "cancel"
            answer.send()
        else:
            iq.reply(clear=True).send()

    async def attach(self):
        ready = self.loop.create_future()
        self.add_event_handler("session_start", lambda _event: ready.done() or ready.set_result(True))
        self.connect()
        await asyncio.wait_for(ready, SECONDS)
        return self

    async def next(self):
        """The next thing published."""
        return await asyncio.wait_for(self.published.get(), SECONDS)

    async def settle(self):
        """Waits until the server has handled what was sent before."""
        ping = self.make_iq_get(ito=self.boundjid.host.split(".", 1)[1], ifrom=COMPONENT)
        ping.append(ElementTree.fromstring("<ping xmlns='urn:xmpp:ping'/>"))
        await ping.send(timeout=SECONDS)


def enable(node, secret=None):
    form = ""
    if secret:
        form = (
            f"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{OPTIONS}"
            f"</value></field><field var='secret'><value>{escape(secret)}</value></field></x>"
        )
    return f"<enable xmlns='{PUSH}' jid='{COMPONENT}' node='{node}'>{form}</enable>"


async def test_a_device_that_is_away_is_woken(server):
    if server.name != "waxwing":
        print("   not against Prosody, which has push notifications in a community module only")
        return
    app = await AppServer(server).attach()
    romeo = await account(server, "romeo")
    juliet = await account(server, "juliet")
    info = await romeo.ask(
        "<query xmlns='http://jabber.org/protocol/disco#info'/>", to=romeo.boundjid.bare
    )
    assert PUSH in {one.get("var") for one in info.iter() if one.tag.endswith("}feature")}
    await romeo.ask(enable("node-of-romeo", "s3cret & more"), kind="set")
    juliet.say(romeo.boundjid.bare, "here")
    await romeo.expect("message", body="here")
    await romeo.logout()
    juliet.say(romeo.boundjid.bare, "away")
    publish = await app.next()
    node = publish.find(f"{{{PUBSUB}}}pubsub/{{{PUBSUB}}}publish")
    assert node.get("node") == "node-of-romeo"
    assert node.find(f"{{{PUBSUB}}}item/{{{PUSH}}}notification") is not None
    assert "juliet" not in ElementTree.tostring(publish, "unicode")
    assert "away" not in ElementTree.tostring(publish, "unicode")
    values = publish.iter("{jabber:x:data}value")
    assert "s3cret & more" in {value.text for value in values}
    juliet.say(romeo.boundjid.bare, "again")
    await juliet.settle()
    await app.settle()
    assert app.published.empty(), "one push for each absence"

    back = await Bot(server, romeo.boundjid.user).login()
    await back.expect("message", body="again")
    await back.ask(f"<disable xmlns='{PUSH}' jid='{COMPONENT}'/>", kind="set")
    await back.logout()
    juliet.say(romeo.boundjid.bare, "quiet")
    await juliet.settle()
    await app.settle()
    assert app.published.empty(), "not registered any more"
    await juliet.logout()
    await app.disconnect()


async def test_a_refusal_does_not_end_it(server):
    if server.name != "waxwing":
        print("   not against Prosody, which has push notifications in a community module only")
        return
    app = await AppServer(server).attach()
    app.refusal = "item-not-found"
    romeo = await account(server, "romeo")
    juliet = await account(server, "juliet")
    await romeo.ask(enable("node"), kind="set")
    await romeo.logout()
    juliet.say(romeo.boundjid.bare, "one")
    await app.next()
    # A call does not wait for the end of the back-off.
    app.refusal = None
    call = juliet.make_message(mto=romeo.boundjid.bare, mtype="chat")
    call.append(ElementTree.fromstring("<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>"))
    call.send()
    await app.next()
    await juliet.logout()
    await app.disconnect()
