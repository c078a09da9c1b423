// Certificates for tests, made by openssl: an authority, and who it vouches for at 127.0.0.1.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** PEM texts, as the options of `tcp({ tls })` take them. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
  /** The authority's own certificate. */
  readonly ca: string;
}

/** Whether there is an openssl to make certificates with. */
export const hasOpenssl: boolean = spawnSync("openssl", ["version"]).status === 0;

/** A new authority each time, and a certificate of it. */
export function makeCertificate(): Certificate {
  const folder = mkdtempSync(join(tmpdir(), "stator-tls-"));
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void => {
    const { status, stderr } = spawnSync("openssl", args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
  };
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  try {
    writeFileSync(at("names"), "subjectAltName=IP:127.0.0.1\n");
    openssl(
      ...["req", "-x509", ...newKey, "-days", "2", "-subj", "/CN=authority"],
      ...["-keyout", at("ca.key"), "-out", at("ca.pem")],
    );
    openssl(
      ...["req", "-new", ...newKey, "-subj", "/CN=agent"],
      ...["-keyout", at("own.key"), "-out", at("own.csr")],
    );
    openssl(
      ...["x509", "-req", "-days", "2", "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial"],
      ...["-in", at("own.csr"), "-out", at("own.pem"), "-extfile", at("names")],
    );
    const text = (name: string): string => readFileSync(at(name), "utf8");
    return { key: text("own.key"), cert: text("own.pem"), ca: text("ca.pem") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
