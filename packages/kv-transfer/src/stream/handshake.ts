import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { createByteReader, createByteWriter } from "../byte-codec.ts";
import { type TransferError, transferError, transferErrorCodes } from "../transfer-error.ts";
import type { RemoteAgent, TransportHost } from "../transport/transport.ts";
import { type FrameHeader, frameType } from "./frame.ts";

const protocolVersion = 3;
/** Before the handshake is done, a stranger can make us keep no more than this. */
export const handshakeHeadLimit = 4096;

export interface HandshakeOptions {
  readonly transport: string;
  readonly host: TransportHost;
  /** The peer this side dialled; absent on the accepting side. */
  readonly dialed: RemoteAgent | undefined;
  /** This side can hand the connection to native code; the dialling side asks for it. */
  readonly canGoNative: boolean;
  send(type: number, status: number, head: Uint8Array): void;
  /** Both sides have proved who they are. On the accepting side `welcome` is still to be sent. */
  onDone(done: HandshakeEnd): void;
  /** `isRefused`: the peer is to be told, as `head`. */
  onFailed(error: TransferError, isRefused: boolean): void;
}

export interface HandshakeEnd {
  readonly peer: { readonly name: string; readonly incarnation: string };
  readonly isNative: boolean;
  readonly welcome: Uint8Array | undefined;
}

/** Who is there: the dialled incarnation is checked, and both ends prove the shared secret where there is one. */
export function createHandshake(options: HandshakeOptions): {
  start(): void;
  take(header: FrameHeader, head: Uint8Array): void;
} {
  const { host, dialed, transport } = options;
  const nonce = randomBytes(16);
  let welcomeProof: Uint8Array = new Uint8Array(0);
  const proof = (role: string, ...parts: Uint8Array[]): Uint8Array => {
    if (host.secret === undefined) return new Uint8Array(0);
    const hmac = createHmac("sha256", host.secret).update(`stator-transfer-${role}`);
    for (const part of parts) hmac.update(part);
    return hmac.digest();
  };
  const isProof = (given: Uint8Array, expected: Uint8Array): boolean =>
    given.length === expected.length && timingSafeEqual(given, expected);
  const fail = (error: TransferError): void => options.onFailed(error, false);
  const onChallenge = (peer: RemoteAgent, head: Uint8Array): void => {
    const reader = createByteReader(head, "Handshake");
    const version = reader.u8();
    const theirs = reader.raw(16);
    const incarnation = reader.text(64);
    if (version !== protocolVersion)
      return fail(
        transferError(
          "TRANSFER_INCOMPATIBLE",
          `Peer ${peer.name} speaks stream protocol ${version}, this build ${protocolVersion}.`,
        ),
      );
    if (incarnation !== peer.incarnation)
      return fail(
        transferError(
          "TRANSFER_PEER_LOST",
          `Peer ${peer.name} was restarted since its metadata was made: fetch it again.`,
          { peer: peer.name },
        ),
      );
    welcomeProof = proof("accept", nonce, theirs);
    options.send(
      frameType.hello,
      0,
      createByteWriter()
        .text(host.name)
        .text(host.incarnation)
        .text(incarnation)
        .raw(nonce)
        .bytes(proof("dial", theirs, nonce))
        .u8(options.canGoNative ? 1 : 0)
        .finish(),
    );
  };
  const onWelcome = (peer: RemoteAgent, head: Uint8Array): void => {
    const reader = createByteReader(head, "Handshake");
    if (!isProof(reader.bytes(64), welcomeProof))
      return fail(
        transferError("TRANSFER_UNAUTHORIZED", `Peer ${peer.name} does not know the shared secret.`),
      );
    options.onDone({
      peer: { name: peer.name, incarnation: peer.incarnation },
      isNative: reader.u8() === 1 && options.canGoNative,
      welcome: undefined,
    });
  };
  const onHello = (head: Uint8Array): void => {
    const reader = createByteReader(head, "Handshake");
    const name = reader.text(1024);
    const incarnation = reader.text(64);
    const expected = reader.text(64);
    const theirs = reader.raw(16);
    const isKnown = isProof(reader.bytes(64), proof("dial", nonce, theirs));
    const isNative = reader.u8() === 1 && options.canGoNative;
    if (!isKnown)
      return options.onFailed(
        transferError(
          "TRANSFER_UNAUTHORIZED",
          `Agent ${host.name} refused ${name}: the shared secret is missing or wrong.`,
        ),
        true,
      );
    if (expected !== host.incarnation)
      return options.onFailed(
        transferError("TRANSFER_PEER_LOST", `Agent ${host.name} was restarted: fetch its metadata again.`),
        true,
      );
    const welcome = createByteWriter()
      .bytes(proof("accept", theirs, nonce))
      .u8(isNative ? 1 : 0)
      .finish();
    options.onDone({ peer: { name, incarnation }, isNative, welcome });
  };
  return {
    start() {
      if (dialed === undefined)
        options.send(
          frameType.challenge,
          0,
          createByteWriter().u8(protocolVersion).raw(nonce).text(host.incarnation).finish(),
        );
    },
    take(header, head) {
      if (header.type === frameType.refused) {
        const code = transferErrorCodes[header.status - 1] ?? "TRANSFER_TRANSPORT_FAILED";
        const reason = createByteReader(head, "Handshake").text(handshakeHeadLimit);
        return fail(transferError(code, reason, { peer: dialed?.name, transport }));
      }
      if (header.type === frameType.challenge && dialed !== undefined) return onChallenge(dialed, head);
      if (header.type === frameType.welcome && dialed !== undefined) return onWelcome(dialed, head);
      if (header.type === frameType.hello && dialed === undefined) return onHello(head);
      fail(transferError("TRANSFER_METADATA_INVALID", "The peer sent frames before the handshake was done."));
    },
  };
}
