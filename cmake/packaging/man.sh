#!/bin/sh
# Makes a manual page of what a program says with --help all: man.sh PROGRAM VERSION PAGE.gz
# Of the text it knows the first line ("Usage: ..."), and that headings begin a line and end in a colon, or name a [section].
set -eu
program=$1 version=$2 page=$3
name=${program##*/}
text=$("$program" --help all)
printf '%s\n' "$text" | awk -v name="$name" -v version="$version" '
  function escaped(line) {
    gsub(/\\/, "\\e", line)
    gsub(/-/, "\\-", line)
    return line ~ /^[.\x27]/ ? "\\&" line : line
  }
  function heading(kind, title) {
    if (verbatim) print ".fi"
    print kind " \"" escaped(title) "\""
    verbatim = 0
  }
  function say(line) {
    if (!verbatim) print ".nf"
    verbatim = 1
    print escaped(line)
  }
  NR == 1 { usage = substr($0, 8); next }
  !body && /^ / { usage = usage "\n" substr($0, 8); next }  # other forms of the command line
  !body {
    body = 1
    first = $0
    sub(/[.;:] .*|[.;:]$/, "", first)
    printf ".TH %s 1 \"\" \"Sluice %s\" \"User Commands\"\n", toupper(name), version
    printf ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.nf\n%s\n.fi\n", escaped(name), escaped(tolower(substr(first, 1, 1)) substr(first, 2)), escaped(usage)
    print ".SH DESCRIPTION"
  }
  /^[A-Z].*:$/ { heading(".SH", toupper(substr($0, 1, length($0) - 1))); next }
  /^\[[a-zA-Z_.]+\]/ { heading(".SS", $0); next }
  { say($0) }
  END { if (verbatim) print ".fi" }' | gzip -9n >"$page"
