"""Runs other people's clients against a server on loopback: `cargo xtask interop`.

Each test is a function in one of the modules below; a test that raises has failed.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
import traceback
from pathlib import Path

import account
import archive
import calls
import component
import encryption
import login
import messaging
import pep
import profanity
import pubsub
import push
import resumption
import rooms
import rooms_aioxmpp
import rooms_encrypted
import services
import upload
import xmppjs
from servers import start

MODULES = [
    login, messaging, archive, resumption, services, rooms, rooms_aioxmpp, rooms_encrypted, pep, pubsub,
    encryption, component, push, account, profanity, upload, calls, xmppjs,
]


def tests():
    """All tests by name, `module.function`, in order of definition."""
    for module in MODULES:
        for name, value in vars(module).items():
            if name.startswith("test_"):
                yield f"{module.__name__}.{name.removeprefix('test_')}", value


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--against", choices=["waxwing", "prosody"], required=True)
    parser.add_argument("--binary", help="path of the waxwing binary")
    parser.add_argument("names", nargs="*", help="parts of the names of the tests to run")
    arguments = parser.parse_args()
    chosen = [
        (name, test)
        for name, test in tests()
        if not arguments.names or any(part in name for part in arguments.names)
    ]
    if not chosen:
        print("no test has such a name; there are:", *(name for name, _ in tests()), sep="\n  ")
        return 2
    failed = []
    with tempfile.TemporaryDirectory(prefix="waxwing-interop-") as folder:
        with start(arguments.against, Path(folder), arguments.binary) as server:
            for name, test in chosen:
                begin = time.monotonic()
                print(f"-- {name}", flush=True)
                try:
                    asyncio.run(asyncio.wait_for(test(server), 120))
                except Exception:
                    traceback.print_exc(limit=-3, file=sys.stdout)
                    failed.append(name)
                print(f"   {time.monotonic() - begin:.1f} s", flush=True)
            if failed:
                with contextlib.suppress(OSError):
                    log = server.log.read_text(errors="replace").splitlines()
                    print("last lines of the server's log:", *(line[:400] for line in log[-60:]), sep="\n  ")
    for name in failed:
        print(f"FAILED {name}")
    print(f"interop: {len(chosen) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
