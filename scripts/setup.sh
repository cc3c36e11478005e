#!/bin/sh
# Everything a clone needs, in .venv: the packages of uv.lock, the Delta jars, the Spark settings.
# Quick when all is there; finishes what an interrupted run left half done. Outside the clone only
# the cache is written, which later clones reuse. Its arguments are extras of pyproject.toml to
# install, too; an extra that is there stays.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd -P)
cache=${PACELINE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/paceline}
stamp=.venv/.set-up
extras=$(cat .venv/.extras 2>/dev/null || true)
for extra; do
    case " $extras " in *" $extra "*) ;; *) extras="${extras:+$extras }$extra" ;; esac
done
settings='spark-defaults.conf log4j2.properties'

step() { printf '  %-9s %s\n' "$1" "$2"; }
pyspark() { echo .venv/lib/python3.*/site-packages/pyspark; }

# What the environment was made from; another answer than last time means there is work to do.
origin() {
    echo "$root"
    cat uv.lock pyproject.toml conf/spark/* scripts/*.sh | cksum
    echo "extras: $extras"
}

is_complete() {
    [ "$(cat "$stamp" 2>/dev/null)" = "$(origin)" ] && [ -x .venv/bin/python ] || return 1
    for file in $settings; do [ -f "$(pyspark)/conf/$file" ] || return 1; done
    while read -r _ jar; do
        [ -f "$(pyspark)/jars/$jar" ] || return 1
    done <conf/spark/delta-jars.sha256
}

# Without a stamp of this very place the environment is unfinished, moved or foreign: start anew,
# which costs seconds, because the packages are in the cache.
create_environment() {
    [ "$(head -n 1 "$stamp" 2>/dev/null)" = "$root" ] && [ -x .venv/bin/python ] && kept=yes
    rm -f "$stamp"
    [ -n "${kept:-}" ] || "$python" -m venv --clear .venv
}

install_packages() {
    export UV_CACHE_DIR="$cache/uv" PIP_CACHE_DIR="$cache/pip" UV_PROJECT_ENVIRONMENT=.venv
    unset VIRTUAL_ENV UV_PYTHON
    uv=uv
    if ! uv --version >/dev/null 2>&1; then
        uv=.venv/bin/uv
        # The version of the lock file, which `uv sync` then leaves in place.
        version=$(sed -n '/^name = "uv"$/{n;s/^version = "\(.*\)"$/\1/p;}' uv.lock)
        [ -x "$uv" ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check \
            "uv==$version"
    fi
    # shellcheck disable=SC2046 # two words for each extra
    "$uv" sync --frozen --quiet --no-python-downloads \
        $(for extra in $extras; do printf -- '--extra %s ' "$extra"; done)
    echo "$extras" >.venv/.extras
}

# pyspark reads its conf folder by itself, so plain spark-submit and plain Python have Delta.
link_settings() {
    mkdir -p "$(pyspark)/conf"
    for file in $settings; do ln -sf "$root/conf/spark/$file" "$(pyspark)/conf/$file"; done
}

# An active environment uses the Java that was checked, and its own Spark even where the shell
# points to another one.
extend_activation() {
    printf "%s\n" "export JAVA_HOME='$java_home'" \
        'unset SPARK_HOME SPARK_CONF_DIR PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON PYTHONPATH' \
        >.venv/bin/activate-spark
    # shellcheck disable=SC2016 # expanded on activation
    line='. "$VIRTUAL_ENV/bin/activate-spark"'
    grep -qxF "$line" .venv/bin/activate || echo "$line" >>.venv/bin/activate
}

java_home=$(scripts/find-java.sh) || missing=yes
if [ -z "${missing:-}" ] && is_complete; then
    extend_activation
    echo 'Set-up is complete: . .venv/bin/activate'
    exit
fi
python=$(scripts/find-python.sh) || missing=yes
[ -z "${missing:-}" ] || exit 1

started=$(date +%s)
mkdir -p "$cache"
cache=$(cd "$cache" && pwd -P)
echo "Setting up .venv (cache: $cache)"
step Python "$python"
create_environment
step Java "$java_home"
step packages 'from uv.lock; the first time this downloads about 700 MB'
install_packages
step Delta 'seven jars, checked against conf/spark/delta-jars.sha256'
scripts/delta-jars.sh "$java_home/bin/java" "$cache" "$root/$(pyspark)"
step settings 'conf/spark'
link_settings
extend_activation
origin >"$stamp"
echo "Done in $(($(date +%s) - started)) s. To use it: . .venv/bin/activate"
