#!/bin/sh
# Prints the apt command that installs the first of the named packages this release offers.
# Where apt knows none of them (no package lists yet), the first one is named.
package=$1
for candidate; do
    if apt-cache show "$candidate" >/dev/null 2>&1; then
        package=$candidate
        break
    fi
done
[ "$(id -u)" -eq 0 ] && sudo= || sudo='sudo '
echo "${sudo}apt-get update && ${sudo}apt-get install -y $package"
