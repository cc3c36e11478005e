#!/bin/sh
# Runs a command, and says in the end how long it took: timed.sh <what> <command> ...
set -eu
what=$1
shift
started=$(date +%s)
"$@"
echo "$what: $(($(date +%s) - started)) s"
