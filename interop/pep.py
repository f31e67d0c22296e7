"""Accounts as publish-subscribe services (XEP-0163), with slixmpp's own plugins."""

from xml.etree import ElementTree

from bots import PASSWORD, Bot, account, befriend, fresh
from slixmpp.exceptions import IqError

DEVICES = "eu.siacs.conversations.axolotl.devicelist"
BUNDLES = "eu.siacs.conversations.axolotl.bundles"
OMEMO = "eu.siacs.conversations.axolotl"
OTHER = "urn:waxwing:test"
EVENT = "{http://jabber.org/protocol/pubsub#event}event"
PLUGINS = ["xep_0030", "xep_0115", "xep_0060", "xep_0163", "xep_0084", "xep_0172", "xep_0118"]


async def client(server, user, interests=(), resource="bot"):
    """A logged-in bot whose capabilities say what it is interested in."""
    bot = Bot(server, user, resource)
    for plugin in PLUGINS:
        bot.register_plugin(plugin)
    for node in interests:
        bot["xep_0163"].add_interest(node)
    await bot.login(presence=False)
    await bot.ask("<query xmlns='jabber:iq:roster'/>")
    await bot["xep_0115"].update_caps()
    bot.send_presence()
    await bot.expect("presence", sender=bot.boundjid.full)
    # The answer to the server's question about the capabilities is on its way before this is.
    await bot.settle()
    return bot


async def user(server, name, interests=()):
    """A new account with such a bot."""
    name = fresh(name)
    server.add_account(name, PASSWORD)
    return await client(server, name, interests)


def devices(*ids):
    listed = ElementTree.Element(f"{{{OMEMO}}}list")
    for number in ids:
        ElementTree.SubElement(listed, f"{{{OMEMO}}}device", {"id": str(number)})
    return listed


def bundle(keys):
    whole = ElementTree.Element(f"{{{OMEMO}}}bundle")
    prekeys = ElementTree.SubElement(whole, f"{{{OMEMO}}}prekeys")
    for number in range(keys):
        key = ElementTree.SubElement(
            prekeys, f"{{{OMEMO}}}preKeyPublic", {"preKeyId": str(number)}
        )
        key.text = "B" * 44
    return whole


def options(bot, kind="submit", **wanted):
    """A form of publish-options."""
    form = bot["xep_0004"].make_form(ftype=kind)
    form.add_field(
        var="FORM_TYPE",
        ftype="hidden",
        value="http://jabber.org/protocol/pubsub#publish-options",
    )
    for name, value in wanted.items():
        form.add_field(var=f"pubsub#{name}", value=value)
    return form


async def publish(bot, node, payload, **wanted):
    pubsub = bot["xep_0060"]
    form = options(bot, **wanted) if wanted else None
    return await pubsub.publish(None, node, id="current", payload=payload, options=form)


def listed(element):
    """The ids of the devices in an event or an item."""
    return [one.get("id") for one in element.iter(f"{{{OMEMO}}}device")]


async def items(bot, owner, node):
    result = await bot["xep_0060"].get_items(owner, node)
    return result.xml


async def test_keys_of_encryption(server):
    """Two devices of one account, a contact, and a stranger who has never been seen."""
    romeo = await user(server, "romeo", [DEVICES])
    juliet = await user(server, "juliet", [DEVICES])
    stranger = await account(server, "stranger")
    stranger.register_plugin("xep_0060")
    await befriend(romeo, juliet)
    open_to_all = {"access_model": "open", "persist_items": "true"}
    await publish(juliet, f"{BUNDLES}:1", bundle(100), **open_to_all)
    await publish(juliet, DEVICES, devices(1), **open_to_all)
    for bot in (romeo, juliet):
        event = await bot.expect("message", sender=juliet.boundjid.bare, has=EVENT)
        assert event.get("type") == "headline" and listed(event) == ["1"]

    phone = await client(server, juliet.boundjid.user, [DEVICES], "phone")
    event = await phone.expect("message", sender=juliet.boundjid.bare, has=EVENT)
    assert listed(event) == ["1"], "the newest list comes with presence"
    await publish(phone, DEVICES, devices(1, 2), **open_to_all)
    for bot in (romeo, juliet, phone):
        event = await bot.expect("message", sender=juliet.boundjid.bare, has=EVENT)
        assert listed(event) == ["1", "2"]

    found = await items(stranger, juliet.boundjid.bare, DEVICES)
    assert listed(found) == ["1", "2"]
    found = await items(stranger, juliet.boundjid.bare, f"{BUNDLES}:1")
    assert len(list(found.iter(f"{{{OMEMO}}}preKeyPublic"))) == 100
    if server.admin:
        report = server.admin("omemo", "report", juliet.boundjid.bare)
        assert "device 2  is listed and has no keys" in report, report
        assert "1 accounts with keys, 2 devices, 1 of them" in report, report
    for bot in (romeo, juliet, phone, stranger):
        await bot.logout()


async def test_other_options(server):
    """What clients do when a node is not as they want it; and when they begin anew."""
    bot = await user(server, "juliet")
    pubsub = bot["xep_0060"]
    await publish(bot, OTHER, devices(1))
    try:
        await publish(bot, OTHER, devices(1), access_model="open")
        raise AssertionError("published on a node that is not open")
    except IqError as error:
        assert error.condition == "conflict", error.condition
        assert "precondition-not-met" in ElementTree.tostring(error.iq.xml, "unicode")
    config = (await pubsub.get_node_config(None, OTHER))["pubsub_owner"]["configure"]["form"]
    assert config.get_values()["pubsub#access_model"] == "presence"
    form = bot["xep_0004"].make_form(ftype="submit")
    form.add_field(
        var="FORM_TYPE",
        ftype="hidden",
        value="http://jabber.org/protocol/pubsub#node_config",
    )
    form.add_field(var="pubsub#access_model", value="open")
    await pubsub.set_node_config(None, OTHER, form)
    await publish(bot, OTHER, devices(1), access_model="open")
    await pubsub.delete_node(None, OTHER)
    await publish(bot, OTHER, devices(1), access_model="whitelist")
    await bot.logout()


async def test_avatar_nickname_and_tune(server):
    """Profiles pass without anybody knowing what they are."""
    nick = "http://jabber.org/protocol/nick"
    avatar = "urn:xmpp:avatar:metadata"
    tune = "http://jabber.org/protocol/tune"
    romeo = await user(server, "romeo", [nick, avatar, tune])
    juliet = await user(server, "juliet")
    await befriend(romeo, juliet)
    image = b"\x89PNG" + bytes(range(256)) * 200
    published = await juliet["xep_0084"].publish_avatar(image)
    image_id = juliet["xep_0084"].generate_id(image)
    assert published
    await juliet["xep_0084"].publish_avatar_metadata(
        [{"id": image_id, "type": "image/png", "bytes": str(len(image))}]
    )
    event = await romeo.expect("message", sender=juliet.boundjid.bare, has=EVENT)
    assert event.find(f".//{{{avatar}}}info").get("id") == image_id
    data = await romeo["xep_0084"].retrieve_avatar(juliet.boundjid.bare, image_id)
    found = data["pubsub"]["items"]["item"]["avatar_data"]["value"]
    assert found == image
    await juliet["xep_0172"].publish_nick("Capulet")
    event = await romeo.expect("message", sender=juliet.boundjid.bare, has=EVENT)
    assert event.find(f".//{{{nick}}}nick").text == "Capulet"
    await juliet["xep_0118"].publish_tune(artist="Finzi", title="Introduction")
    event = await romeo.expect("message", sender=juliet.boundjid.bare, has=EVENT)
    assert event.find(f".//{{{tune}}}artist").text == "Finzi"
    await romeo.nothing("message", sender=juliet.boundjid.bare)
    for bot in (romeo, juliet):
        await bot.logout()
