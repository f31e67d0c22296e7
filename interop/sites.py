"""Servers that are to talk to each other, each at an address of 127/8, with a name server and an
authority of their own."""

import contextlib
import json
import os
import re
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from bots import PASSWORD, Bot
from names import NameServer
from servers import stop

NAME_SERVER = "127.0.0.10"
# By domain: the program, its address, and what it demands of others. `d` and `f` have no certificate
# that others would trust, and trust nobody's.
WORLD = {
    "a.example": ("waxwing", "127.0.0.11", "certificate"),
    "b.example": ("waxwing", "127.0.0.12", "certificate"),
    "c.example": ("prosody", "127.0.0.13", "certificate"),
    "d.example": ("prosody", "127.0.0.14", "dialback"),
    "e.example": ("ejabberd", "127.0.0.15", "certificate"),
    "f.example": ("ejabberd", "127.0.0.16", "dialback"),
}
C2S, S2S, API = 15222, 15269, 15280


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
    environment: dict | None = None
    process: subprocess.Popen | None = None

    def start(self):
        with (self.folder / "log").open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                env={**os.environ, **(self.environment or {})},
            )
        self.wait_until_open()

    def wait_until_open(self):
        deadline = time.monotonic() + 60
        for port in (C2S, S2S, *([API] if self.program == "ejabberd" else [])):
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

    @property
    def rooms(self):
        """The label of its rooms."""
        return "groups" if self.program == "waxwing" else "conference"

    @property
    def server(self):
        """What `bots.Bot` and the tests of single servers need of a server."""
        return SimpleNamespace(
            domain=self.domain,
            address=self.address,
            starttls_port=C2S,
            certificate=self.trusted,
            add_account=lambda user, _password: self.register(user),
        )

    def bot(self, user):
        return Bot(self.server, user)


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
system_authorities = false
authorities = ["{folder}/authority.pem"]
name_servers = ["{names.address}:{names.port}"]
private_addresses = true
policies = {{ "d.example" = "dialback", "f.example" = "dialback" }}
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
  "vcard_legacy", "blocklist", "mam",
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
Component "conference.{domain}" "muc"
  modules_enabled = {{ "muc_mam" }}
  muc_log_by_default = true
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


def ejabberd(folder: Path, domain: str, address: str, names: NameServer, policy: str) -> Site:
    """With certificates it knows no dialback; with dialback it trusts nobody's certificate."""
    own = folder / domain
    (own / "mnesia").mkdir(parents=True)
    trusted = policy == "certificate"
    certificate, key = make_certificate(folder, domain, own, trusted=trusted)
    chain = own / "chain.pem"
    chain.write_text(certificate.read_text() + key.read_text())
    settings = own / "ejabberd.yml"
    settings.write_text(
        f"""
hosts: ["{domain}"]
loglevel: debug
certfiles: ["{chain}"]
ca_file: "{folder / 'authority.pem' if trusted else certificate}"
s2s_use_starttls: required
outgoing_s2s_families: [ipv4]
s2s_cafile: "{folder / 'authority.pem' if trusted else certificate}"
auth_method: internal
auth_password_format: scram
listen:
  - {{ port: {C2S}, ip: "{address}", module: ejabberd_c2s, starttls_required: true }}
  - {{ port: {S2S}, ip: "{address}", module: ejabberd_s2s_in }}
  - port: {API}
    ip: "{address}"
    module: ejabberd_http
    request_handlers: {{ /api: mod_http_api }}
api_permissions:
  "tests": {{ from: [mod_http_api], who: all, what: [register] }}
shaper_rules:
  max_user_sessions: 100
  max_user_offline_messages: 100000
modules:
  mod_roster: {{}}
  mod_disco: {{}}
  mod_caps: {{}}
  mod_vcard: {{}}
  mod_privacy: {{}}
  mod_blocking: {{}}
  mod_ping: {{}}
  mod_offline: {{}}
  mod_mam: {{}}
  mod_muc: {{ host: "conference.{domain}", default_room_options: {{ mam: true }} }}
  mod_pubsub: {{ plugins: [flat, pep] }}
  {"" if trusted else "mod_s2s_dialback: {}"}
"""
    )
    resolver = own / "inetrc"
    octets = names.address.replace(".", ",")
    resolver.write_text(
        f'{{resolv_conf, "/dev/null"}}.\n{{nameserver, {{{octets}}}, {names.port}}}.\n{{lookup, [dns]}}.\n'
    )

    def register(user):
        body = json.dumps({"user": user, "host": domain, "password": PASSWORD}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://{address}:{API}/api/register", body, headers)
        urllib.request.urlopen(request).close()

    # Debian's own script knows where its libraries are.
    script = Path("/usr/sbin/ejabberdctl").read_text()
    libraries = re.search(r"^ERL_LIBS='?([^'\n]*)", script, re.MULTILINE)
    environment = {
        "EJABBERD_CONFIG_PATH": str(settings),
        "EJABBERD_LOG_PATH": str(own / "ejabberd.log"),
        "ERL_INETRC": str(resolver),
        "ERL_CRASH_DUMP": str(own / "erl_crash.dump"),
        "HOME": str(own),
        **({"ERL_LIBS": libraries[1]} if libraries else {}),
    }
    # Erlang itself, so that the process is the server and no script around it.
    command = ["erl", "-noinput", "-mnesia", "dir", f'"{own}/mnesia"', "-s", "ejabberd"]
    authority = folder / "authority.pem" if trusted else certificate
    return Site(domain, "ejabberd", address, own, command, register, authority, environment)


PROGRAMS = {"prosody": prosody, "ejabberd": ejabberd}


@contextlib.contextmanager
def world(folder: Path, binary: str, domains):
    """The servers of these domains, started; stopped at the end."""
    make_authority(folder)
    names = NameServer(NAME_SERVER)
    # COMPAT(ejabberd, 23.01): it asks the system's resolver for hosts, which cannot be told of another
    # name server; so services name addresses instead.
    numbers = NameServer(NAME_SERVER)
    sites = {}
    for domain in domains:
        program, address, policy = WORLD[domain]
        names.add_host(f"xmpp.{domain}", address)
        if program == "waxwing":
            site = waxwing(folder, domain, address, names, binary)
        else:
            asked = numbers if program == "ejabberd" else names
            site = PROGRAMS[program](folder, domain, address, asked, policy)
        for name in (domain, f"{site.rooms}.{domain}"):
            names.add_service(f"_xmpp-server._tcp.{name}", S2S, f"xmpp.{domain}")
            numbers.add_service(f"_xmpp-server._tcp.{name}", S2S, address)
        sites[domain] = site
    try:
        for site in sites.values():
            site.start()
        yield sites
    finally:
        for site in sites.values():
            site.stop()
