#!/bin/sh
# All of it on this machine; arguments go to stator up, such as --port 0 or --model FILE.gguf.
set -eu
cd "$(dirname "$0")"
exec stator up layout.yaml "$@"
