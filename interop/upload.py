"""Files by HTTP (XEP-0363): slixmpp uploads, anybody downloads; what was confirmed outlives a crash."""

import asyncio
import functools
import hashlib
import os
import ssl
from xml.etree import ElementTree

import aiohttp
from slixmpp.exceptions import IqError
from slixmpp.plugins.xep_0363 import http_upload

from bots import account

UPLOAD = "urn:xmpp:http:upload:0"


def trusting(server, **options):
    """A session of HTTP that knows the server's certificate."""
    context = ssl.create_default_context(cafile=server.certificate)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), **options)


async def uploader(server, name):
    bot = await account(server, name)
    bot.register_plugin("xep_0363")
    return bot


async def slot(bot, name, size, kind="application/octet-stream"):
    """Where to put a file, what to show there, and where to get it."""
    request = ElementTree.Element(
        f"{{{UPLOAD}}}request", {"filename": name, "size": str(size), "content-type": kind}
    )
    answer = await bot.ask(request, to=f"upload.{bot.home.domain}")
    put = answer.find(f".//{{{UPLOAD}}}put")
    headers = {header.get("name"): header.text for header in put}
    return put.get("url"), headers, answer.find(f".//{{{UPLOAD}}}get").get("url")


async def test_slixmpp_uploads(server):
    """slixmpp finds the service, uploads, and the file can be had whole and in parts."""
    if server.name != "waxwing":
        return
    bot = await uploader(server, "uploader")
    content = os.urandom(3_000_000)
    path = server.folder / "très cool.png"
    path.write_bytes(content)
    async with trusting(server) as http:
        http_upload.ClientSession = functools.partial(trusting, server)
        url = await bot["xep_0363"].upload_file(path, content_type="image/png", timeout=15)
        assert url.endswith("/tr%C3%A8s%20cool.png"), url
        async with http.get(url) as answer:
            assert answer.status == 200 and await answer.read() == content
            assert answer.headers["Content-Type"] == "image/png", answer.headers
        async with http.get(url, headers={"Range": "bytes=1000000-"}) as answer:
            assert answer.status == 206 and await answer.read() == content[1_000_000:]
    await bot.logout()


async def test_an_account_takes_its_files_along(server):
    """What an account has uploaded is gone from the disk soon after the account."""
    if server.name != "waxwing":
        return
    bot = await uploader(server, "leaver")
    content = os.urandom(1000)
    put, headers, get = await slot(bot, "x", len(content))
    async with trusting(server) as http:
        async with http.put(put, data=content, headers=headers) as answer:
            assert answer.status == 201, answer.status
        file = stored(server, content)
        assert file.exists()
        await bot.ask("<query xmlns='jabber:iq:register'><remove/></query>", kind="set")
        async with http.get(get) as answer:
            assert answer.status == 404, answer.status
    for _ in range(600):
        if not file.exists():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{file} stays")


async def test_crash(server):
    """The server dies in the middle of uploads: what it confirmed is there, the rest leaves nothing."""
    if server.name != "waxwing":
        return
    bot = await uploader(server, "survivor")
    confirmed = {}
    began = asyncio.Event()

    async def upload(http, number):
        while True:
            content = os.urandom(400_000 + number)
            put, headers, get = await slot(bot, "x", len(content))
            async with http.put(put, data=content, headers=headers) as answer:
                assert answer.status == 201, answer.status
                confirmed[get] = content
            if len(confirmed) > 20:
                began.set()

    async with trusting(server) as http:
        uploads = [asyncio.create_task(upload(http, number)) for number in range(6)]
        await asyncio.wait_for(began.wait(), 60)
        server.kill()
        for ended in await asyncio.gather(*uploads, return_exceptions=True):
            assert not isinstance(ended, AssertionError), ended
    bot.abort()
    server.start()
    async with trusting(server) as http:
        for url, content in confirmed.items():
            async with http.get(url) as answer:
                assert answer.status == 200 and await answer.read() == content, url
    folder = server.folder / "data" / "uploads"
    assert not list((folder / "incoming").iterdir())
    print(f"   {len(confirmed)} files confirmed before the crash, all there")


def stored(server, content):
    name = hashlib.sha256(content).hexdigest()
    return server.folder / "data" / "uploads" / "files" / name[:2] / name


async def test_too_large(server):
    """slixmpp is told how large a file may be."""
    if server.name != "waxwing":
        return
    bot = await uploader(server, "greedy")
    try:
        await slot(bot, "x", 200 << 20)
    except IqError as error:
        assert error.condition == "not-acceptable", error.condition
        largest = error.iq.xml.find(f".//{{{UPLOAD}}}max-file-size")
        assert largest.text == str((100 << 20) + 16), largest.text
    else:
        raise AssertionError("a slot for 200 MiB")
    await bot.logout()
