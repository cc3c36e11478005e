#!/bin/sh
# Prints the home of a Java 17 or 21 that Spark starts on, or one line that says how to install it,
# and fails. JAVA_HOME comes first, then PATH, then the folders where apt, brew and macOS put
# theirs; these are looked for below PACELINE_SYSTEM_ROOT, which only tests set.
cd "$(dirname "$0")" || exit
root=${PACELINE_SYSTEM_ROOT:-}

found=
for java in "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java)" \
    "$root"/usr/lib/jvm/*/bin/java \
    "$root"/Library/Java/JavaVirtualMachines/*/Contents/Home/bin/java \
    "$root"/opt/homebrew/opt/openjdk@*/bin/java \
    "$root"/usr/local/opt/openjdk@*/bin/java; do
    [ -x "$java" ] || continue
    settings=$("$java" -XshowSettings:properties -version 2>&1)
    version=$(echo "$settings" | sed -n 's/.* version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p')
    case $version in
    17 | 21)
        # Cut-down runtimes leave this module out, and Spark does not start without it.
        if "$java" --add-modules jdk.incubator.vector -version >/dev/null 2>&1; then
            echo "$settings" | sed -n 's/^ *java\.home = //p'
            exit 0
        fi
        found=${found:-Java $version without the module jdk.incubator.vector}
        ;;
    [0-9]*) found=${found:-Java $version} ;;
    esac
done

apt=$(./apt-command.sh openjdk-17-jre-headless openjdk-21-jre-headless)
echo "paceline needs Java 17 or 21, found ${found:-none}." \
    "Install it: $apt (Debian, Ubuntu) or brew install --cask temurin@17 (macOS)" >&2
exit 1
