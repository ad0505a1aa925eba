#!/bin/sh
# Tests with one build of our kernels: with_isa.sh ISA SLUICE_INSPECT PROGRAM [ARGUMENT...]. 77 (skipped) where that is
# no less than what the processor has: then it is what all tests run with.
set -eu
isa=$1
unset SLUICE_MAX_ISA
own=$("$2" --version | sed -nE 's/.*processor.*, ((portable|avx2|avx512).*)/\1/p')
case "$isa of $own" in
  "portable of avx"* | "avx2 of avx512"* | "avx512 of avx512, "*) ;;
  *)
    echo "skipped: all tests run with $own"
    exit 77
    ;;
esac
shift 2
SLUICE_MAX_ISA=$isa exec "$@"
