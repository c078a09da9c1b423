import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createResponseParser, type ResponseHeaders } from "./response-parser.ts";

interface Read {
  status: number;
  headers: ResponseHeaders;
  body: string;
  isComplete: boolean;
  isReusable: boolean;
  error?: string;
}

/** Reads an answer that comes in pieces of these sizes, in one buffer that is used again and again. */
function read(answer: string, cuts: readonly number[] = [], closes = false): Read {
  const result: Read = { status: 0, headers: new Map(), body: "", isComplete: false, isReusable: false };
  const parser = createResponseParser({
    onHead(status, headers) {
      result.status = status;
      result.headers = headers;
    },
    onBody: (bytes, start, end) => (result.body += bytes.toString("utf8", start, end)),
    onEnd: () => (result.isComplete = true),
  });
  const bytes = Buffer.from(answer);
  const shared = Buffer.alloc(bytes.length + 8, "?");
  try {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const length = Math.min(cuts[i] ?? bytes.length, bytes.length - at);
      shared.fill("?");
      bytes.copy(shared, 3, at, at + length);
      parser.push(shared, 3, 3 + length);
      at += length;
    }
    if (closes) parser.end();
  } catch (error) {
    result.error = (error as Error).message;
  }
  result.isReusable = parser.isReusable;
  return result;
}
const head = (fields: string, status = "200 OK"): string => `HTTP/1.1 ${status}\r\n${fields}\r\n`;
const chunked = (...pieces: readonly string[]): string =>
  head("transfer-encoding: chunked\r\n") +
  pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join("") +
  "0\r\n\r\n";

describe("an answer", () => {
  test.each([
    ["of a length", `${head("Content-Length: 5\r\nX-Two: a\r\nx-two: b\r\n")}hello`, "hello", true],
    ["in chunks", chunked("hel", "lo wor", "ld"), "hello world", true],
    [
      "in chunks with extensions and a trailer",
      `${head("transfer-encoding: gzip, chunked\r\n")}3;a=b\r\nabc\r\n0\r\nx: y\r\n\r\n`,
      "abc",
      true,
    ],
    ["with bare line feeds", "HTTP/1.1 200 OK\ncontent-length: 2\n\nhi", "hi", true],
    [
      "after interim ones",
      `HTTP/1.1 100 Continue\r\n\r\n${head("link: x\r\n", "103 Early Hints")}${head("content-length: 2\r\n")}ok`,
      "ok",
      true,
    ],
    ["without a body", head("", "204 No Content"), "", true],
    ["that asks to be closed", `${head("connection: close\r\ncontent-length: 2\r\n")}hi`, "hi", false],
    ["of HTTP/1.0", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", "hi", false],
    [
      "of HTTP/1.0 that stays open",
      "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi",
      "hi",
      true,
    ],
    ["with more behind it than was asked for", `${head("content-length: 2\r\n")}hi there`, "hi", false],
  ])("%s is read, however it is cut", (_name, answer, body, isReusable) => {
    const whole = read(answer);
    expect(whole).toMatchObject({ body, isComplete: true, isReusable });
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 7 })), (cuts) => {
        expect(read(answer, cuts)).toEqual(whole);
      }),
      { numRuns: 60 },
    );
    expect(
      read(
        answer,
        Array.from(answer, () => 1),
      ),
    ).toEqual(whole);
  });

  test("that ends with its connection is complete then, and only then", () => {
    const answer = `${head("content-type: text/event-stream\r\n")}data: 1\n\n`;
    expect(read(answer)).toMatchObject({ isComplete: false, body: "data: 1\n\n" });
    expect(read(answer, [], true)).toMatchObject({ isComplete: true, isReusable: false });
    expect(read(`${head("content-length: 9\r\n")}cut`, [], true).isComplete).toBe(false);
  });

  test("joins fields that come twice, and keeps names in lower case", () => {
    const { headers } = read(`${head("X-A: 1\r\nx-a: 2\r\nKeep-Alive: timeout=5\r\ncontent-length: 0\r\n")}`);
    expect(headers.get("x-a")).toBe("1, 2");
    expect(headers.get("keep-alive")).toBe("timeout=5");
  });

  test.each([
    ["SSH-2.0-OpenSSH\r\n\r\n", /not as HTTP/],
    [head("content-length: 5, 6\r\n"), /content-length/],
    [head("content-length: -1\r\n"), /content-length/],
    [`${head("transfer-encoding: chunked\r\n")}xyz\r\n`, /no number/],
    [`${head("transfer-encoding: chunked\r\n")}\r\n`, /no number|without a size/],
    [`${head("transfer-encoding: chunked\r\n")}2\r\nabc\r\n`, /longer than it says/],
    [`${head("transfer-encoding: chunked\r\n")}fffffffffffff\r\n`, /more bytes than there are/],
    [`${head("transfer-encoding: chunked\r\n")}1;${"x".repeat(5_000)}`, /line of more than/],
    [`HTTP/1.1 200 OK\r\nx: ${"y".repeat(70_000)}`, /head of more than/],
  ])("that is none is refused: %#", (answer, error) => {
    expect(read(answer).error).toMatch(error);
  });
});
