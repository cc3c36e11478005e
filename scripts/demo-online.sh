#!/bin/sh
# The online store through a correction and a deletion, beside the store that Feast keeps by itself.
# Goes on from the demo folder, as often as you like: with new stores and new deliveries each time.
# Needs the active environment with Feast: run it by `make demo-online`.
set -eu
cd "$(dirname "$0")/.."
paceline=demo/online/paceline feast=demo/online/feast

step() { printf '\n# %s\n' "$*"; }
run() {
    printf '$ %s\n' "$*"
    started=$(date +%s)
    "$@"
    echo "($(($(date +%s) - started)) s)"
}

if [ ! -d demo/warehouse/feature_store/athlete_rolling_features/_delta_log ]; then
    step 'The demo has not been run yet, and comes first.'
    scripts/demo.sh
fi

# Copies, so that neither feature_repo nor what is registered there is touched.
rm -rf demo/online
mkdir -p "$paceline"
cp feature_repo/*.py feature_repo/*.yaml "$paceline"

step 'Register the views that the contracts make, and fill the store.'
run paceline online apply --repo "$paceline" --warehouse demo/warehouse
cp -R "$paceline" "$feast"
run paceline online sync --repo "$paceline" --warehouse demo/warehouse

step "Let Feast fill a store of its own, read both, and deliver a deletion and a late correction."
run python scripts/demo_online.py before

step 'The pipeline repairs the rows that depend on them, and no others.'
for job in feature_activity feature_rolling; do
    run spark-submit "jobs/$job.py" --conf demo/conf --landing demo/landing --warehouse demo/warehouse
done

step 'The sync finds in the change feed of gold whom they are about, and verify compares everybody.'
run paceline online sync --repo "$paceline" --warehouse demo/warehouse
run paceline online verify --repo "$paceline" --warehouse demo/warehouse

step "Feast's own store reads only rows with a newer event_timestamp; a corrected row keeps its own."
run python scripts/demo_online.py after
