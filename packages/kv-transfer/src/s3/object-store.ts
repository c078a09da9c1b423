import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { transferError } from "../transfer-error.ts";

/** Most keys of one deletion. */
const mostKeys = 1000;

export interface ObjectStoreOptions {
  readonly client: S3Client;
  readonly bucket: string;
}

/** The few operations of S3 that KV needs. */
export interface ObjectStore {
  /** The object, or its bytes from `first` on for `length`; `undefined` where there is none. */
  get(
    key: string,
    options?: { readonly first?: number; readonly length?: number; readonly signal?: AbortSignal },
  ): Promise<{ readonly bytes: Uint8Array; readonly version: string | undefined } | undefined>;
  has(key: string, signal?: AbortSignal): Promise<boolean>;
  put(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** Only where the object is still that version, or still absent. False where somebody was faster. */
  replace(
    key: string,
    bytes: Uint8Array,
    version: string | undefined,
    signal?: AbortSignal,
  ): Promise<boolean>;
  delete(keys: readonly string[]): Promise<void>;
}

export function createObjectStore({ client, bucket }: ObjectStoreOptions): ObjectStore {
  const abortable = (signal: AbortSignal | undefined) =>
    signal === undefined ? {} : { abortSignal: signal };
  const failed = (error: unknown, key: string, signal: AbortSignal | undefined): Error => {
    if (signal?.aborted === true)
      return transferError("TRANSFER_CANCELLED", "The transfer was cancelled.", undefined, error);
    const { name, message } = error as Error;
    const status = statusOf(error);
    return transferError(
      "TRANSFER_TRANSPORT_FAILED",
      `S3, object ${key} of bucket ${bucket}: ${name}${message === name ? "" : `, ${message}`}${status === 403 ? " (check the client's credentials and the bucket's policy)" : ""}.`,
      { bucket, key, ...(status === undefined ? {} : { status }) },
      error,
    );
  };
  return {
    async get(key, { first, length, signal } = {}) {
      const range =
        first === undefined || length === undefined ? {} : { Range: `bytes=${first}-${first + length - 1}` };
      try {
        const answer = await client.send(
          new GetObjectCommand({ Bucket: bucket, Key: key, ...range }),
          abortable(signal),
        );
        const bytes = await answer.Body?.transformToByteArray();
        return { bytes: bytes ?? new Uint8Array(0), version: answer.ETag };
      } catch (error) {
        if (statusOf(error) === 404 && (error as Error).name !== "NoSuchBucket") return undefined;
        throw failed(error, key, signal);
      }
    },
    async has(key, signal) {
      try {
        await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }), abortable(signal));
        return true;
      } catch (error) {
        if (statusOf(error) === 404) return false;
        throw failed(error, key, signal);
      }
    },
    async put(key, bytes, signal) {
      try {
        await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes }), abortable(signal));
      } catch (error) {
        throw failed(error, key, signal);
      }
    },
    async replace(key, bytes, version, signal) {
      const condition = version === undefined ? { IfNoneMatch: "*" } : { IfMatch: version };
      try {
        await client.send(
          new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes, ...condition }),
          abortable(signal),
        );
        return true;
      } catch (error) {
        // 412: another version is there by now. 409: another conditional write is under way.
        const status = statusOf(error);
        if (status === 412 || status === 409) return false;
        throw failed(error, key, signal);
      }
    },
    async delete(keys) {
      for (let from = 0; from < keys.length; from += mostKeys) {
        const some = keys.slice(from, from + mostKeys);
        try {
          await client.send(
            new DeleteObjectsCommand({
              Bucket: bucket,
              Delete: { Objects: some.map((Key) => ({ Key })), Quiet: true },
            }),
          );
        } catch (error) {
          throw failed(error, some[0] as string, undefined);
        }
      }
    },
  };
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}
