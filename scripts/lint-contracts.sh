#!/bin/sh
# Checks the contracts with datacontract-cli: each against the Open Data Contract Standard, and all
# for breaking changes since the last release, which is the highest tag v* up to this commit that
# holds contracts. A breaking change passes with a higher major version of its contract.
# Needs the active environment, no network: run it by `make lint`.
set -eu
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
mkdir "$scratch/released"

# Without the suffix, git takes v1.0.0-rc1 for higher than v1.0.0.
tags=$(git -c versionsort.suffix=- tag --merged HEAD --list 'v[0-9]*' --sort=-v:refname \
    2>"$scratch/why") || tags=
release=
for tag in $tags; do
    for file in $(git ls-tree --name-only "$tag" conf/contracts/); do
        git show "$tag:./$file" >"$scratch/released/${file##*/}"
        release=$tag
    done
    [ -z "$release" ] || break
done

# One process for all files: the import takes longer than the check of a file.
python -I - "$scratch/released" "$release" <<'EOT'
import logging
import sys
from pathlib import Path

from datacontract.data_contract import DataContract
from datacontract.lint.resolve import resolve_data_contract, resolve_data_contract_dict
from datacontract.model.breaking import BreakingChangeLevel
from datacontract.model.exceptions import DataContractException
from open_data_contract_standard.model import OpenDataContractStandard


def mistakes(path):
    try:
        # Stopping at the first error would be another validator, which lets a misspelt field of a
        # column pass.
        resolve_data_contract(str(path), all_errors=True)
    except DataContractException as error:
        for each in getattr(error, "errors", [error]):
            place = getattr(each.original_exception, "json_path", "$")
            yield f"{path}: {place}: {' '.join(each.reason.split())}"


def parsed(path):
    return OpenDataContractStandard(**resolve_data_contract_dict(str(path)))


def major(contract):
    number = contract.version.split(".")[0]
    return int(number) if number.isdecimal() else 0


def is_breaking(entry):
    # To the tool a requirement that goes is harmless, and so it is to writers. Readers of a table
    # meet NULLs from then on. What it only warns of, such as another key, breaks readers too.
    may_be_null = entry.rule_id == "required-changed" and entry.old_value == "True"
    return may_be_null or entry.level != BreakingChangeLevel.INFO


def breaks(path, released, release):
    old = parsed(released)
    if not path.exists():
        if old.status not in ("deprecated", "retired"):
            yield (
                f"{path}: gone since {release}, where its status is {old.status}: bring it back, or"
                " release it with status deprecated first"
            )
        return
    new = parsed(path)
    if major(new) > major(old):
        return
    reported = ()
    for entry in DataContract(data_contract=old).breaking(DataContract(data_contract=new)).entries:
        if is_breaking(entry) and not entry.path.startswith(reported):
            reported += (f"{entry.path}.",)
            yield (
                f"{path}: {entry.message}, a breaking change since {release}: undo it, or raise"
                f" version {old.version} to {major(old) + 1}.0.0"
            )


logging.disable()
folder, release = sys.argv[1:]
paths = sorted(Path("conf/contracts").glob("*.odcs.yaml"))
found = [line for path in paths for line in mistakes(path)]
if not paths:
    found = ["conf/contracts: no *.odcs.yaml in it: bring the contracts back"]
if not found:
    for released in sorted(Path(folder).glob("*.odcs.yaml")):
        path = Path("conf/contracts") / released.name
        if not path.exists() or path.read_bytes() != released.read_bytes():
            found += breaks(path, released, release)
for line in dict.fromkeys(found):
    print(line)
if found:
    sys.exit(1)
print(f"{len(paths)} contracts follow the Open Data Contract Standard")
EOT

if [ -n "$release" ]; then
    echo "Breaking changes of contracts since $release: none without a higher major version"
else
    why=$(head -n 1 "$scratch/why")
    echo "Breaking changes of contracts: skipped, ${why:-no tag v* up to here holds contracts}"
fi
