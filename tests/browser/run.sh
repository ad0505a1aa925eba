#!/usr/bin/env bash
# The pages of sluice-report in a real browser: tests/browser/run.sh BUILD_DIRECTORY [SCREENSHOTS]. Trains small networks, opens their
# reports at three widths, and looks for errors of the script, charts, tables and text that stands out of the page. 77 without a browser.
set -euo pipefail
build=$(cd "${1:?the build directory}" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || { echo "no browser here"; exit 77; }
SLUICE_BIN=$build/bin SLUICE_TOOLS=$build/tests/apps SLUICE_PLUGINS=$build SLUICE_SOURCE=$here/../.. PYTHONPATH=$here/../apps \
  exec python3 -B "$here/report_pages.py" "$browser" "${2:-}"
