#!/bin/sh
# The whole way once, from landing files to feature tables, always from an empty demo folder.
# Needs the active environment: run it by `make demo`.
set -eu
cd "$(dirname "$0")/.."

run() {
    printf '\n$ %s\n' "$*"
    started=$(date +%s)
    "$@"
    echo "($(($(date +%s) - started)) s)"
}

rm -rf demo
run paceline generate --athletes 40 --days 730 --seed 7 --end "$(date -u +%Y-%m-%d)" --into demo/landing

# The data is nobody's, so that models may use what looks like that of Strava's API.
mkdir demo/conf
cp -R conf/contracts demo/conf
sed 's/^model_permission: null$/model_permission: generated data/' conf/paceline.yml >demo/conf/paceline.yml

run spark-submit jobs/feature_activity.py --conf demo/conf --landing demo/landing --warehouse demo/warehouse
run spark-submit jobs/feature_rolling.py --conf demo/conf --landing demo/landing --warehouse demo/warehouse
run paceline verify --warehouse demo/warehouse
run paceline status --warehouse demo/warehouse

cat <<'EOT'

Next:
  . .venv/bin/activate
  spark-submit jobs/feature_activity.py --conf demo/conf --landing demo/landing --warehouse demo/warehouse
                                            the same again: nothing changed, nothing is committed
  spark-submit jobs/feature_activity.py --help
  paceline --help
EOT
