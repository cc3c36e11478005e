#!/bin/sh
# Prints the path of a Python 3.11 or 3.12 that can make environments, or one line that says how to
# install it, and fails.
cd "$(dirname "$0")" || exit

# The interpreter itself answers: a name on PATH may be a shim without that version behind it, and
# inside an active environment the base is wanted, because .venv cannot be made from itself.
probe='
import importlib.util, sys
venv = "venv" if importlib.util.find_spec("ensurepip") else "no-venv"
print("%d.%d" % sys.version_info[:2], venv, getattr(sys, "_base_executable", sys.executable))'

found=
for name in python3.12 python3.11 python3 python; do
    answer=$("$name" -I -c "$probe" 2>/dev/null) || continue
    read -r version venv program <<END
$answer
END
    case "$version $venv" in
    '3.11 venv' | '3.12 venv')
        echo "$program"
        exit 0
        ;;
    '3.11 no-venv' | '3.12 no-venv')
        # Debian and Ubuntu package the module on its own.
        found="Python $version without its venv module"
        wanted=python$version-venv
        break
        ;;
    [0-9]*) found=${found:-Python $version} ;;
    esac
done

apt=$(./apt-command.sh ${wanted:+"$wanted"} python3.12-venv python3.11-venv)
echo "paceline needs Python 3.11 or 3.12, found ${found:-none}." \
    "Install it: $apt (Debian, Ubuntu) or brew install python@3.12 (macOS)" >&2
exit 1
