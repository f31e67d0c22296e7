"""Profanity, a terminal client, driven as a person would: keys in, screen out."""

import asyncio
import contextlib
import os
import subprocess

from bots import PASSWORD, account, fresh

SECONDS = 30


class Terminal:
    """A program in a terminal of its own, with a home of its own."""

    def __init__(self, folder, program):
        folder.mkdir()
        names = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "TMUX_TMPDIR")
        self.environment = dict(os.environ, LANG="C.UTF-8", TERM="screen")
        self.environment.update(dict.fromkeys(names, str(folder)))
        self.environment.pop("TMUX", None)
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "150", "-y", "50", program)

    def tmux(self, *arguments) -> str:
        command = ["tmux", "-L", "interop", *arguments]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def type(self, line):
        """Types a line and presses Enter."""
        self.tmux("send-keys", "-l", line)
        self.tmux("send-keys", "Enter")

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    async def shows(self, *texts):
        """Waits until all these are on the screen, then clears it, so that they count once."""
        for _ in range(SECONDS * 10):
            screen = self.screen()
            if all(text in screen for text in texts):
                self.type("/clear")
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"no {texts} on this screen:\n{self.screen()}")

    def close(self):
        with contextlib.suppress(AssertionError):
            self.tmux("kill-server")


@contextlib.asynccontextmanager
async def profanity(server, user):
    """Profanity, started but not connected."""
    terminal = Terminal(server.folder / f"home-{user}", "profanity")
    try:
        await terminal.shows("Type '/help' to show complete help.")
        yield terminal
    finally:
        terminal.close()


async def connect(terminal, server, user, port, tls):
    terminal.type(
        f"/connect {user}@{server.domain} server {server.address} port {port} tls {tls}"
    )
    await asyncio.sleep(0.5)  # it asks for the password in the input line, which has no text
    terminal.type(PASSWORD)
    if tls == "legacy":  # it has no way to trust a certificate beforehand here, and asks
        for _ in range(SECONDS * 10):
            if "/tls allow" in terminal.screen():
                terminal.type("/tls allow")
                break
            await asyncio.sleep(0.1)
    await terminal.shows("logged in successfully")


async def befriend_at_terminal(terminal, jid, romeo):
    """`jid`, who sits at the terminal, and a bot become contacts of each other."""
    bare = romeo.boundjid.bare
    terminal.type(f"/roster add {bare} Romeo")
    await terminal.shows("Roster item added")
    terminal.type(f"/sub request {bare}")
    await romeo.expect("presence", sender=jid, type="subscribe")
    romeo.send_presence(pto=jid, ptype="subscribed")
    romeo.send_presence(pto=jid, ptype="subscribe")
    await terminal.shows("Received authorization request")
    terminal.type(f"/sub allow {bare}")
    await romeo.expect("presence", sender=jid, type="subscribed")


async def test_contact_chat_offline(server):
    user = fresh("juliet")
    server.add_account(user, PASSWORD)
    jid = f"{user}@{server.domain}"
    romeo = await account(server, "romeo")
    bare = romeo.boundjid.bare
    async with profanity(server, user) as juliet:
        await connect(juliet, server, user, server.starttls_port, "trust")

        await befriend_at_terminal(juliet, jid, romeo)
        online = await romeo.expect("presence", has="{http://jabber.org/protocol/caps}c")
        assert online.get("from").startswith(f"{jid}/"), online.get("from")

        juliet.type(f"/msg {bare} wherefore <art> & thou?")
        await romeo.expect("message", body="wherefore <art> & thou?")
        romeo.say(jid, "here ☂ I am")
        await juliet.shows("here ☂ I am")

        juliet.type("/disconnect")
        await romeo.expect("presence", sender=online.get("from"), type="unavailable")
        for number in range(3):
            romeo.say(jid, f"while you slept {number}")
        await romeo.settle()
        juliet.type("/win 1")
        await connect(juliet, server, user, server.direct_tls_port, "legacy")
        juliet.type(f"/msg {bare}")
        await juliet.shows(*(f"while you slept {number}" for number in range(3)))
        juliet.type("/quit")
    await romeo.logout()
