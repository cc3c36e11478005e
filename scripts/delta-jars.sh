#!/bin/sh
# Puts the Delta jars that pyspark does not bring into its jars folder.
# Usage: delta-jars.sh JAVA CACHE PYSPARK (absolute paths)
# The Ivy that pyspark ships fetches them once; CACHE/jars keeps them for later clones. Jars laid
# there by hand serve as well: what counts is the SHA-256 in conf/spark/delta-jars.sha256.
set -eu
cd "$(dirname "$0")/../conf/spark"
conf=$(pwd -P)
java=$1
cache=$2
pyspark=$3

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# Names the jars of a folder that are absent or differ from the recorded sums, and fails if any do.
differing() {
    if command -v sha256sum >/dev/null; then sum=sha256sum; else sum='shasum -a 256'; fi
    report=$(cd "$1" && LC_ALL=C $sum -c "$conf/delta-jars.sha256" 2>/dev/null) && return
    echo "$report" | grep -v ': OK$'
    return 1
}

# Into a folder of its own and then renamed, so that an interrupted or parallel set-up never leaves
# half a jar in the cache.
fetch() {
    staging=$(mktemp -d "$cache/fetch.XXXXXX")
    trap 'rm -rf "$staging"' EXIT
    trap 'exit 130' INT TERM
    mkdir "$staging/jars"
    # The pattern is relative because Ivy gives brackets in a path a meaning.
    log=$(cd "$staging" && "$java" -Divy.default.ivy.user.dir="$staging" \
        -jar "$pyspark"/jars/ivy-*.jar -cache "$staging/ivy" -ivy "$conf/delta-jars.ivy.xml" \
        -retrieve 'jars/[artifact]-[revision].[ext]' -types jar 2>&1) ||
        fail "The Delta jars could not be fetched: is there a network? Without one, put the jars" \
            "listed in conf/spark/delta-jars.sha256 into $cache/jars. Ivy's last words:" \
            "$(echo "$log" | tail -n 5)"
    wrong=$(differing "$staging/jars") ||
        fail "Fetched Delta jars are not the ones recorded in conf/spark/delta-jars.sha256;" \
            "nothing was installed:" "$wrong"
    mv -f "$staging"/jars/*.jar "$cache/jars/"
}

mkdir -p "$cache/jars"
differing "$cache/jars" >/dev/null || fetch

# Jars of another Delta version, from before an upgrade, must not stay on the class path.
for old in "$pyspark"/jars/delta-*.jar "$pyspark"/jars/unitycatalog-*.jar; do
    grep -qF "  ${old##*/}" delta-jars.sha256 || rm -f "$old"
done
while read -r _ jar; do
    # A link costs no space; the cache may be on another disk, though.
    ln -f "$cache/jars/$jar" "$pyspark/jars/$jar" 2>/dev/null ||
        cp "$cache/jars/$jar" "$pyspark/jars/$jar"
done <delta-jars.sha256
