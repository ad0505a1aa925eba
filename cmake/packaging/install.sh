#!/bin/sh
# Installs the packages that make.sh made, with what they need: install.sh FOLDER
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q install -y --no-install-recommends "${1:?the folder of the packages}"/*.deb
rm -rf /var/lib/apt/lists/*
