// A login service on 127.0.0.1: node provider.mjs PORT REDIRECT. Any name is somebody: "name@host" has this verified
// address, "unverified:name@host" an unverified one, anything else none.
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [port, redirect] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "km0",
      client_secret: "a secret: 100% + more",
      redirect_uris: [redirect],
      response_types: ["code"],
      grant_types: ["authorization_code"],
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  pkce: { required: () => true },
  cookies: { keys: ["of the tests"] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      ...(id.includes("@") && {
        email: id.replace("unverified:", ""),
        email_verified: !id.startsWith("unverified:"),
      }),
    }),
  }),
});
createServer(provider.callback()).listen(Number(port), "127.0.0.1");
