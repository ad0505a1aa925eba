#!/usr/bin/env bash
# Draws docs/pictures/report.png, a part of what sluice-report shows, in Chromium: docs/pictures/report.sh RUN-OR-CHECKPOINT [OPTION...]
# The README's is of configs/pretrained/cifar10_resnet8_wide_cg.h5. Four curves, the layers and the first two images are kept of the
# page, whose whole length would be no picture; nothing else is changed.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${1:?a run directory or a checkpoint}"
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || { echo "report.sh: no Chromium here" >&2; exit 6; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$root/build/release/bin/sluice-report" "$@" -o "$folder/page.html"
curves='[aria-label="Loss"], [aria-label="Accuracy"], [aria-label="Gate density"], [aria-label^="Multiply-adds"]'
rest="figure:not(:has(svg:is($curves))), section:first-of-type, section:nth-of-type(n+5)"
sed "s|</head>|<style>$rest { display: none }</style></head>|" "$folder/page.html" >"$folder/shown.html"
"$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$folder/profile" --window-size=1200,1572 \
  --virtual-time-budget=5000 --screenshot="$root/docs/pictures/report.png" "file://$folder/shown.html" 2>/dev/null
