"""The publish-subscribe service (XEP-0060) with slixmpp's own plugin: from the making of a node to its end."""

from xml.etree import ElementTree

from bots import account
from slixmpp.exceptions import IqError

EVENT = "{http://jabber.org/protocol/pubsub#event}event"
FORM = "{jabber:x:data}x"
NODE = "musings"


async def client(server, name):
    bot = await account(server, name)
    bot.register_plugin("xep_0060")
    return bot


def entry(title):
    whole = ElementTree.Element("{http://www.w3.org/2005/Atom}entry")
    ElementTree.SubElement(whole, "{http://www.w3.org/2005/Atom}title").text = title
    return whole


def options(bot, form_type, **wanted):
    form = bot["xep_0004"].make_form(ftype="submit")
    form.add_field(var="FORM_TYPE", ftype="hidden", value=form_type)
    for name, value in wanted.items():
        form.add_field(var=name.replace("__", "#"), value=value)
    return form


async def refused(waits, condition):
    try:
        await waits
    except IqError as error:
        assert error.condition == condition, error.condition
        return
    raise AssertionError(f"this should be refused: {condition}")


async def test_node_from_beginning_to_end(server):
    """Create, subscribe, publish, be told, and delete."""
    if not server.admin:
        return  # Prosody's service lets only admins make nodes.
    service = f"pubsub.{server.domain}"
    owner, reader = await client(server, "owner"), await client(server, "reader")
    node = f"{NODE}-{owner.boundjid.user}"
    await owner["xep_0060"].create_node(service, node)
    await refused(reader["xep_0060"].create_node(service, node), "conflict")
    await reader["xep_0060"].subscribe(service, node)
    await owner["xep_0060"].publish(service, node, id="one", payload=entry("One"))
    told = await reader.expect("message", sender=service, has=EVENT)
    assert "One" in ElementTree.tostring(told, "unicode")
    found = await reader["xep_0060"].get_items(service, node)
    assert [item["id"] for item in found["pubsub"]["items"]] == ["one"]
    await refused(
        reader["xep_0060"].publish(service, node, payload=entry("Two")), "forbidden"
    )
    await owner["xep_0060"].delete_node(service, node)
    told = await reader.expect("message", sender=service, has=EVENT)
    assert "delete" in ElementTree.tostring(told, "unicode")
    await refused(reader["xep_0060"].get_items(service, node), "item-not-found")
    for bot in (owner, reader):
        await bot.logout()


async def test_approval(server):
    """Who subscribes to a node whose owner decides waits for that."""
    if not server.admin:
        return  # Prosody's service lets only admins make nodes.
    service = f"pubsub.{server.domain}"
    owner, reader = await client(server, "owner"), await client(server, "reader")
    node = f"{NODE}-{owner.boundjid.user}"
    config = "http://jabber.org/protocol/pubsub#node_config"
    form = options(owner, config, pubsub__access_model="authorize")
    await owner["xep_0060"].create_node(service, node, config=form)
    answer = await reader["xep_0060"].subscribe(service, node)
    assert answer["pubsub"]["subscription"]["subscription"] == "pending"
    asked = await owner.expect("message", sender=service, has=FORM)
    assert reader.boundjid.bare in ElementTree.tostring(asked, "unicode")
    await refused(reader["xep_0060"].get_items(service, node), "not-authorized")
    approval = owner.make_message(service)
    approval.append(
        options(
            owner,
            "http://jabber.org/protocol/pubsub#subscribe_authorization",
            pubsub__node=node,
            pubsub__subscriber_jid=reader.boundjid.bare,
            pubsub__allow="1",
        )
    )
    approval.send()
    told = await reader.expect("message", sender=service, has=EVENT)
    assert "subscribed" in ElementTree.tostring(told, "unicode")
    await owner["xep_0060"].publish(service, node, id="one", payload=entry("One"))
    told = await reader.expect("message", sender=service, has=EVENT)
    assert "One" in ElementTree.tostring(told, "unicode")
    for bot in (owner, reader):
        await bot.logout()
