import { create, createFileRegistry } from "@bufbuild/protobuf";
import type { GenService } from "@bufbuild/protobuf/codegenv2";
import {
  FileDescriptorProtoSchema,
  MethodOptions_IdempotencyLevel,
  StringValueSchema,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";

const text = ".google.protobuf.StringValue";
const file = create(FileDescriptorProtoSchema, {
  name: "greeter.proto",
  package: "test",
  syntax: "proto3",
  dependency: ["google/protobuf/wrappers.proto"],
  service: [
    {
      name: "Greeter",
      method: [
        {
          name: "Greet",
          inputType: text,
          outputType: text,
          options: { idempotencyLevel: MethodOptions_IdempotencyLevel.IDEMPOTENT },
        },
        { name: "Count", inputType: text, outputType: text, serverStreaming: true },
      ],
    },
  ],
});

/** A service as a user would have generated it: `Greet` once, `Count` a stream. */
export const Greeter = createFileRegistry(file, (path) =>
  path === "google/protobuf/wrappers.proto" ? file_google_protobuf_wrappers.proto : undefined,
).getService("test.Greeter") as GenService<{
  greet: { methodKind: "unary"; input: typeof StringValueSchema; output: typeof StringValueSchema };
  count: {
    methodKind: "server_streaming";
    input: typeof StringValueSchema;
    output: typeof StringValueSchema;
  };
}>;
