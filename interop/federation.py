"""Servers that talk to each other: Waxwing and Waxwing, Waxwing and Prosody, on loopback, with a name
server and an authority of their own. `python interop/federation.py --binary PATH`."""

import argparse
import asyncio
import contextlib
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from bots import PASSWORD, Bot, fresh
from names import NameServer
from servers import stop

NAME_SERVER = "127.0.0.10"
# By domain: the program, its address, and what it demands of others. `d` has no certificate to show.
WORLD = {
    "a.example": ("waxwing", "127.0.0.11", "certificate"),
    "b.example": ("waxwing", "127.0.0.12", "certificate"),
    "c.example": ("prosody", "127.0.0.13", "certificate"),
    "d.example": ("prosody", "127.0.0.14", "dialback"),
}
C2S, S2S = 15222, 15269


@dataclass
class Site:
    """A server: where it is and how it is started."""

    domain: str
    program: str
    address: str
    folder: Path
    command: list
    register: object
    trusted: Path  # what clients take for an authority
    process: subprocess.Popen | None = None

    def start(self):
        with (self.folder / "log").open("ab") as output:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.folder
            )
        self.wait_until_open()

    def wait_until_open(self):
        deadline = time.monotonic() + 30
        for port in (C2S, S2S):
            while True:
                with contextlib.suppress(OSError):
                    socket.create_connection((self.address, port), 1).close()
                    break
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"{self.domain} does not answer")
                time.sleep(0.05)

    def stop(self):
        if self.process:
            stop(self.process)
            self.process = None

    def bot(self, user):
        """What `bots.Bot` needs of a server."""
        return Bot(
            SimpleNamespace(
                domain=self.domain,
                address=self.address,
                starttls_port=C2S,
                certificate=self.trusted,
            ),
            user,
        )


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def make_authority(folder: Path):
    openssl(
        *["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"],
        *["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=Tests"],
        *["-keyout", folder / "authority.key", "-out", folder / "authority.pem"],
    )


def make_certificate(folder: Path, domain: str, own: Path, *, trusted=True):
    """A certificate for the domain and what is below it; by the authority, or by nobody."""
    key, certificate = own / f"{domain}.key", own / f"{domain}.crt"
    names = own / "names"
    names.write_text(f"subjectAltName=DNS:{domain},DNS:*.{domain}\n")
    openssl(
        *["req", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
        *["-subj", f"/CN={domain}", "-keyout", key, "-out", own / "request"],
    )
    signer = ["-CA", folder / "authority.pem", "-CAkey", folder / "authority.key", "-CAcreateserial"]
    openssl(
        *["x509", "-req", "-days", "2", "-in", own / "request", "-out", certificate],
        *["-extfile", names, *(signer if trusted else ["-signkey", key])],
    )
    return certificate, key


def waxwing(folder: Path, domain: str, address: str, names: NameServer, binary: str) -> Site:
    own = folder / domain
    certificates = own / "data" / "certificates"
    certificates.mkdir(parents=True)
    make_certificate(folder, domain, certificates)
    settings = own / "waxwing.toml"
    settings.write_text(
        f"""
domains = ["{domain}"]
data = "{own}/data"
[listen]
starttls = ["{address}:{C2S}"]
direct_tls = []
metrics = []
servers = ["{address}:{S2S}"]
servers_direct_tls = []
[log]
level = "info,waxwing_engine=debug"
[federation]
enabled = true
system_authorities = false
authorities = ["{folder}/authority.pem"]
name_servers = ["{names.address}:{names.port}"]
private_addresses = true
policies = {{ "d.example" = "dialback" }}
"""
    )

    def register(user):
        subprocess.run(
            [binary, "user", "add", "--config", settings, "--password-stdin", f"{user}@{domain}"],
            input=f"{PASSWORD}\n",
            text=True,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    command = [binary, "run", "--config", settings]
    return Site(domain, "waxwing", address, own, command, register, folder / "authority.pem")


def prosody(folder: Path, domain: str, address: str, names: NameServer, policy: str) -> Site:
    own = folder / domain
    own.mkdir()
    trusted = policy == "certificate"
    certificate, key = make_certificate(folder, domain, own, trusted=trusted)
    (own / "data").mkdir()
    settings = own / "prosody.cfg.lua"
    settings.write_text(
        f"""
run_as_root = true
daemonize = false
pidfile = "{own}/prosody.pid"
data_path = "{own}/data"
interfaces = {{ "{address}" }}
c2s_ports = {{ {C2S} }}
s2s_ports = {{ {S2S} }}
c2s_direct_tls_ports = {{ }}
s2s_direct_tls_ports = {{ }}
legacy_ssl_ports = {{ }}
unbound = {{
  resolvconf = false, forward = {{ "{names.address}@{names.port}" }},
  options = {{ ["do-not-query-localhost:"] = "no" }},
}}
modules_enabled = {{
  "roster", "saslauth", "tls", "dialback", "disco", "ping", "offline", "carbons", "pep", "smacks",
}}
modules_disabled = {{ "posix" }}
c2s_require_encryption = true
s2s_require_encryption = true
s2s_secure_auth = {"true" if trusted else "false"}
authentication = "internal_hashed"
storage = "internal"
certificates = "{own}"
ssl = {{
  certificate = "{certificate}", key = "{key}",
  cafile = "{folder}/authority.pem", capath = "/nowhere",
}}
log = {{ debug = "*console" }}
VirtualHost "{domain}"
"""
    )

    def register(user):
        subprocess.run(
            ["prosodyctl", "--config", str(settings), "register", user, domain, PASSWORD],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    command = ["prosody", "--config", str(settings)]
    authority = folder / "authority.pem" if trusted else certificate
    return Site(domain, "prosody", address, own, command, register, authority)


@contextlib.contextmanager
def world(folder: Path, binary: str):
    """Everything, started; stopped at the end."""
    make_authority(folder)
    names = NameServer(NAME_SERVER)
    sites = {}
    for domain, (program, address, policy) in WORLD.items():
        names.add_host(f"xmpp.{domain}", address)
        names.add_service(f"_xmpp-server._tcp.{domain}", S2S, f"xmpp.{domain}")
        if program == "waxwing":
            sites[domain] = waxwing(folder, domain, address, names, binary)
        else:
            sites[domain] = prosody(folder, domain, address, names, policy)
    try:
        for site in sites.values():
            site.start()
        yield sites
    finally:
        for site in sites.values():
            site.stop()


async def pair(here: Site, there: Site):
    """Two people who are online, one at each."""
    users = []
    for site in (here, there):
        user = fresh("user")
        site.register(user)
        users.append(await site.bot(user).login())
    return users


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
    """A subscription each way, and what it shows."""
    alice, bob = await pair(here, there)
    for one, other in ((alice, bob), (bob, alice)):
        one.send_presence(pto=other.boundjid.bare, ptype="subscribe")
        await other.expect("presence", type="subscribe", sender=one.boundjid.bare)
        other.send_presence(pto=one.boundjid.bare, ptype="subscribed")
        await one.expect("presence", sender=other.boundjid.full)
    await bob.logout()
    await alice.expect("presence", type="unavailable", sender=bob.boundjid.full)
    await alice.logout()


async def check_outage(here: Site, there: Site):
    """The other server is away for a while: nothing is lost, and the order is kept."""
    alice, bob = await pair(here, there)
    target = bob.boundjid.bare
    alice.send_message(target, "before", mtype="chat")
    await bob.expect("message", body="before")
    await bob.logout()
    there.stop()
    for n in range(50):
        alice.send_message(target, f"while away {n}", mtype="chat")
        await asyncio.sleep(0.05)
    there.start()
    alice.send_message(target, "after", mtype="chat")
    again = await there.bot(target.split("@")[0]).login()
    for n in range(50):
        await again.expect("message", body=f"while away {n}")
    await again.expect("message", body="after")
    bodies = [stanza.findtext("{jabber:client}body") for stanza in again.received]
    assert not [body for body in bodies if body and "while" in body], bodies
    for bot in (alice, again):
        await bot.logout()


CHECKS = [
    (check, here, there)
    for here, there in [
        ("a.example", "b.example"),
        ("a.example", "c.example"),
        ("a.example", "d.example"),
    ]
    for check in (check_chat, check_presence, check_outage)
]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True, help="path of the waxwing binary")
    parser.add_argument("--keep", type=Path, help="a folder for logs that stay")
    arguments = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory(prefix="waxwing-federation-") as temporary:
        folder = arguments.keep or Path(temporary)
        with world(folder, str(Path(arguments.binary).resolve())) as sites:
            for check, here, there in CHECKS:
                name = f"{check.__name__} {here} {there}"
                print(f"-- {name}", flush=True)
                try:
                    asyncio.run(asyncio.wait_for(check(sites[here], sites[there]), 120))
                except Exception:
                    traceback.print_exc(limit=-3, file=sys.stdout)
                    failed.append(name)
                for site in sites.values():
                    if site.process is None:
                        site.start()
    for name in failed:
        print(f"FAILED {name}")
    print(f"federation: {len(CHECKS) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
