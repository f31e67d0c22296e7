"""The relay for calls (STUN and TURN), as coturn's client sees it."""

import asyncio
import re
from xml.etree import ElementTree

from bots import account

EXTDISCO = "urn:xmpp:extdisco:2"


async def services(bot):
    """What the server says of its relay, by kind."""
    answer = await bot.ask(ElementTree.Element(f"{{{EXTDISCO}}}services"), to=bot.home.domain)
    return {service.get("type"): service for service in answer.iter(f"{{{EXTDISCO}}}service")}


async def run(*command):
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode(errors="replace")


def client(server, service, password, *options):
    """Clients that call each other through the relay."""
    return run(
        "turnutils_uclient", "-y", "-c", *options, "-u", service.get("username"), "-w", password,
        "-p", service.get("port"), server.address,
    )


async def test_stun(server):
    """A client hears where it comes from."""
    if server.name != "waxwing":
        return
    bot = await account(server, "seer")
    stun = (await services(bot))["stun"]
    code, output = await run("turnutils_stunclient", "-p", stun.get("port"), server.address)
    assert code == 0 and "reflexive addr: 127.0.0.1" in output, output
    await bot.logout()


async def test_turn(server):
    """Data goes through the relay both ways, by channels and by indications, and none is lost."""
    if server.name != "waxwing":
        return
    bot = await account(server, "caller")
    turn = (await services(bot))["turn"]
    for options in [["-n", "50", "-m", "2"], ["-n", "50", "-m", "2", "-s"]]:
        code, output = await client(server, turn, turn.get("password"), *options)
        lost = re.search(r"Total lost packets (\d+)", output)
        assert code == 0 and lost and lost.group(1) == "0", f"{options}: {output}"
    await bot.logout()


async def test_wrong_password(server):
    """Nobody relays with a password that is not the server's."""
    if server.name != "waxwing":
        return
    bot = await account(server, "stranger")
    turn = (await services(bot))["turn"]
    _, output = await client(server, turn, "wrong", "-n", "1")
    assert "error 401" in output or "Cannot complete Allocation" in output, output
    await bot.logout()
