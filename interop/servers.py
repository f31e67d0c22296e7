"""The servers under test: started on loopback in a folder of their own, always stopped."""

import contextlib
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

DOMAIN = "localhost"
COMPONENT = "echo.localhost"
COMPONENT_SECRET = "components-secret"


@dataclass
class Server:
    """A running server."""

    name: str
    folder: Path
    starttls_port: int
    direct_tls_port: int
    component_port: int
    https_port: int
    certificate: Path
    log: Path
    process: subprocess.Popen
    add_account: object  # function (user, password)
    admin: object  # function (*words): what `waxwing` prints; of Waxwing only
    launch: object  # function (): a process that runs the server

    domain: str = DOMAIN
    address: str = "127.0.0.1"

    def wait(self):
        """Waits until its ports answer."""
        ports = [self.starttls_port, self.direct_tls_port, self.component_port]
        wait_until_open(self.process, ports, self.log)

    def stop(self):
        """Stops it as an admin does."""
        stop(self.process)
        if self.name == "waxwing" and self.process.returncode != 0:
            raise AssertionError(f"the server ended with {self.process.returncode}, not 0")

    def kill(self):
        """It dies in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()

    def start(self):
        """Starts it again with the data it had."""
        self.process = self.launch()
        self.wait()


@contextlib.contextmanager
def start(name: str, folder: Path, binary: str | None):
    """Starts the server, waits until its ports answer, and stops it at the end."""
    certificate, key = self_signed(folder)
    ports = free_ports(6)
    make = {"waxwing": waxwing, "prosody": prosody}[name]
    command, add_account, admin, environment = make(folder, certificate, key, ports, binary)
    log = folder / "server.log"

    def launch():
        with log.open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=folder,
                env=environment,
            )

    server = Server(
        name, folder, ports[0], ports[1], ports[3], ports[4], certificate, log, launch(), add_account,
        admin, launch,
    )
    try:
        server.wait()
        yield server
    finally:
        stop(server.process)
    server.stop()


def waxwing(folder, certificate, key, ports, binary):
    """Our server, with the settings of an ordinary small installation."""
    data = folder / "data"
    certificates = data / "certificates"
    certificates.mkdir(parents=True)
    shutil.copy(certificate, certificates / f"{DOMAIN}.crt")
    shutil.copy(key, certificates / f"{DOMAIN}.key")
    settings = folder / "waxwing.toml"
    settings.write_text(
        f"""
domains = ["{DOMAIN}"]
data = "{data}"
[listen]
starttls = ["127.0.0.1:{ports[0]}"]
direct_tls = ["127.0.0.1:{ports[1]}"]
metrics = ["127.0.0.1:{ports[2]}"]
components = ["127.0.0.1:{ports[3]}"]
https = ["127.0.0.1:{ports[4]}"]
turn = ["127.0.0.1:{ports[5]}"]
[turn]
addresses = ["127.0.0.1"]
private_peers = true
[component."{COMPONENT}"]
secret = "{COMPONENT_SECRET}"
[registration]
open = true
per_address_hour_max = 100
[clients]
token_rotated_after_hours = 0
[federation]
enabled = false
"""
    )

    def admin(*words):
        command = [binary, *words, "--config", settings]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout

    def add_account(user, password):
        subprocess.run(
            [binary, "user", "add", "--config", settings, "--password-stdin", f"{user}@{DOMAIN}"],
            input=f"{password}\n",
            text=True,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    return [binary, "run", "--config", settings], add_account, admin, None


def prosody(folder, certificate, key, ports, _binary):
    """Prosody, the oracle: what these tests believe a server does, it does too."""
    settings = folder / "prosody.cfg.lua"
    settings.write_text(
        f"""
run_as_root = true
daemonize = false
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/prosody-data"
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {ports[0]} }}
c2s_direct_tls_ports = {{ {ports[1]} }}
legacy_ssl_ports = {{ }}
component_ports = {{ {ports[3]} }}
modules_enabled = {{
  "roster", "saslauth", "tls", "disco", "ping", "version", "time", "uptime", "lastactivity",
  "private", "vcard_legacy", "pep", "blocklist", "register", "register_ibr", "offline", "carbons", "mam",
}}
modules_disabled = {{ "s2s", "posix" }}
allow_registration = true
c2s_require_encryption = true
authentication = "internal_hashed"
storage = "internal"
certificates = "{folder}"
ssl = {{ certificate = "{certificate}", key = "{key}" }}
log = {{ debug = "*console" }}
VirtualHost "{DOMAIN}"
Component "{COMPONENT}"
  component_secret = "{COMPONENT_SECRET}"
"""
    )
    (folder / "prosody-data").mkdir()

    def add_account(user, password):
        subprocess.run(
            ["prosodyctl", "--config", str(settings), "register", user, DOMAIN, password],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    return ["prosody", "--config", str(settings)], add_account, None, None


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for the domain that is its own authority, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"]
        + ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", f"/CN={DOMAIN}"]
        + ["-addext", f"subjectAltName=DNS:{DOMAIN}", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    return certificate, key


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses now; all are held until all are known."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_until_open(process, ports, log, seconds=30):
    """Waits until the server accepts connections, or says why it does not."""
    deadline = time.monotonic() + seconds
    for port in ports:
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server does not answer:\n{log.read_text()}")
            time.sleep(0.05)


def stop(process):
    """Asks the server to stop, and insists after ten seconds."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


