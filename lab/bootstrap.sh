#!/bin/sh
# Makes .venv: the one step before ansible-runner, which installs everything else (playbooks/host.yml).
# Where it is there and works, this does nothing.
set -eu
cd "$(dirname "$0")/.."

# A .venv that is older than what it is made from is made anew; so is one that was made in another
# folder (the checkout was moved), or by a Python that this box has no more.
is_made() {
    [ -e .venv/.ready ] && [ ! pyproject.toml -nt .venv/.ready ] && [ ! lab/bootstrap.sh -nt .venv/.ready ] &&
        .venv/bin/python -P -c 'import os, sys, lab; sys.exit(not os.path.samefile(lab.__file__, sys.argv[1]))' \
            lab/__init__.py 2>/dev/null
}
if is_made; then exit 0; fi

say() { printf '%s\n' "$*" >&2; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Debian's own interpreter first: it is the one for which python3-bpfcc is built.
python=
for candidate in /usr/bin/python3 "$(command -v python3 || true)"; do
    if [ -x "$candidate" ] && new_enough "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    say "l2tp-lab needs Python 3.11 or newer, and found none on this box. Install it: apt-get install python3 (Debian 12, Ubuntu 24.04 or later)."
    exit 4
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    install="apt-get install -y --no-install-recommends python$version-venv"
    say "installing python$version-venv (the virtual environment needs it)"
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif ! command -v sudo >/dev/null; then
        say "This needs root, and this box has no sudo. Run as root: $install"
        exit 4
    elif [ -t 0 ] || sudo -n true 2>/dev/null; then
        sudo=sudo
    else
        say "This needs root, and there is no terminal for sudo to ask on. Run: sudo $install"
        exit 4
    fi
    # A fresh box may have no package lists yet.
    $sudo $install >/dev/null 2>&1 || { $sudo apt-get update -q >/dev/null && $sudo $install >/dev/null; } || {
        say "apt-get could not install it. Check the network or apt's sources, then run as root: $install"
        exit 4
    }
fi

started=$(date +%s)
say "making .venv with $python $("$python" -c 'import platform; print(platform.python_version())')"
rm -rf .venv
"$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[host,test,dev]' || {
    rm -rf .venv
    say "pip could not install what pyproject.toml names (see above). Check the network or pip's configuration, then run make again."
    exit 4
}
touch .venv/.ready
say "made .venv in $(($(date +%s) - started)) s. For l2tp-lab on your PATH: export PATH=\"$PWD/.venv/bin:\$PATH\""
