"use strict";

const { handle } = require("./forward.js");

const isInference = (event) => event.rawPath.endsWith("/infer");

/** How many items the first input has; of a request in the binary form. */
const itemsOf = (event) => {
  const length = Number(event.headers["inference-header-content-length"]);
  return JSON.parse(Buffer.from(event.body, "base64").subarray(0, length).toString("utf8")).inputs[0].shape[0];
};

exports.throws = async () => {
  throw new TypeError("the handler threw");
};

exports.picky = async (event) => {
  if (isInference(event) && itemsOf(event) > 1) {
    throw new RangeError("only one at a time");
  }
  return handle(event);
};

exports.hangs = async (event) => (isInference(event) ? new Promise(() => {}) : handle(event));

exports.large = async (event) => (isInference(event) ? { statusCode: 200, headers: {}, body: "x".repeat(9 << 20), isBase64Encoded: false } : handle(event));
