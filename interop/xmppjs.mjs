// One login of xmpp.js: `xmppjs.py` starts it with what to do as JSON in its one argument.
//
// It writes a line of JSON for each thing that happens, and ends when its standard input does.
// NODE_MODULES names the folder where @xmpp/client is installed.

import { createInterface } from "node:readline";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const modules = join(process.env.NODE_MODULES, "@xmpp/client/index.js");
const { client, xml } = await import(pathToFileURL(modules));
const order = JSON.parse(process.argv[2]);

function tell(what, more = {}) {
  process.stdout.write(`${JSON.stringify({ what, ...more })}\n`);
}

const xmpp = client({
  service: order.service,
  domain: order.domain,
  resource: order.tag,
  userAgent: xml("user-agent", { id: order.agent }, [
    xml("software", {}, "xmpp.js"),
    xml("device", {}, order.device),
  ]),
  async credentials(authenticate, mechanisms, fast) {
    tell("offered", { mechanisms, fast: fast?.mechanisms });
    await authenticate(
      { username: order.username, password: order.password, token: order.token },
      mechanisms[0],
      xml("user-agent", { id: order.agent }, [
        xml("software", {}, "xmpp.js"),
        xml("device", {}, order.device),
      ]),
    );
  },
});
// A refusal comes after some seconds when others were refused before.
xmpp.timeout = 20_000;
// Whoever loses the connection has lost it: a test logs in again by itself.
xmpp.reconnect.stop();
xmpp.fast.saveToken = async (token) => tell("token", { token });
xmpp.fast.deleteToken = async () => {
  if (!order.token) return;
  tell("token void");
  // It would go on with the password, which it may not have.
  if (!order.password) process.exit(0);
};

// What came with <success/>.
let accepted = false;
let acknowledgements = false;
xmpp.on("element", (element) => {
  if (!element.is("success", "urn:xmpp:sasl:2")) return;
  accepted = true;
  const bound = element.getChild("bound", "urn:xmpp:bind:0");
  acknowledgements = Boolean(bound?.getChild("enabled", "urn:xmpp:sm:3"));
});
xmpp.on("send", (element) => {
  if (element.is("authenticate", "urn:xmpp:sasl:2")) {
    tell("authenticates", { mechanism: element.attrs.mechanism });
  }
});
xmpp.on("online", (address) => {
  tell("online", {
    accepted,
    address: address.toString(),
    acknowledgements,
  });
});
xmpp.on("error", (error) => tell("error", { condition: error.condition ?? String(error) }));
xmpp.on("disconnect", () => tell("disconnected"));
xmpp.on("stanza", (stanza) => {
  if (stanza.is("message")) tell("message", { body: stanza.getChildText("body") });
});

createInterface({ input: process.stdin }).on("close", async () => {
  await xmpp.stop().catch(() => {});
  process.exit(0);
}).on("line", (line) => {
  const { to, body } = JSON.parse(line);
  xmpp.send(xml("message", { type: "chat", to }, xml("body", {}, body)));
});
await xmpp.start().catch((error) => tell("refused", { condition: error.condition ?? String(error) }));
