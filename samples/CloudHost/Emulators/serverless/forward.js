"use strict";

// An event of payload format 2.0 as a call over HTTP, and the response as an answer of that format.
exports.handle = async (event) => {
  const { method, path } = event.requestContext.http;
  const headers = { ...event.headers };
  delete headers.host;
  const body = event.body === undefined ? undefined : Buffer.from(event.body, event.isBase64Encoded ? "base64" : "utf8");
  const response = await fetch(process.env.UPSTREAM_URL + path, { method, headers, body });
  const bytes = Buffer.from(await response.arrayBuffer());
  return {
    statusCode: response.status,
    headers: Object.fromEntries(response.headers),
    body: bytes.toString("base64"),
    isBase64Encoded: true,
  };
};
