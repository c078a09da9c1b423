// The s3 transport on a server of a test's choice: what the second process of a test imports.
import { S3Client } from "@aws-sdk/client-s3";
import { s3 } from "@stator/kv-transfer/s3";

// The SDK tells each process of Node versions that it will leave behind one day.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";

/** @param {string} endpoint */
export function s3ClientFor(endpoint) {
  return new S3Client({
    endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });
}

/** Small chunks, so that small regions have several. @param {{ endpoint: string, bucket: string }} options */
export function s3UnderTest({ endpoint, bucket }) {
  return s3({ client: s3ClientFor(endpoint), bucket, prefix: "kv/", chunkBytes: 1024 * 1024 });
}
