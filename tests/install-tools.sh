#!/bin/sh
# Installs what the tests need beside Python packages, when it is missing and we may.
set -eu
missing=""
[ -d /usr/lib/postgresql ] || command -v initdb >/dev/null || missing="$missing postgresql"
command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] || missing="$missing mosquitto"
command -v chromium >/dev/null || missing="$missing chromium"
command -v go >/dev/null || missing="$missing golang-go"
[ -d /usr/share/gocode/src/golang.org/x/mod/sumdb ] || missing="$missing golang-golang-x-mod-dev"
command -v strace >/dev/null || missing="$missing strace"
command -v mbpoll >/dev/null || missing="$missing mbpoll"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing:$missing. Install them, or run as root on Debian." >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
