#!/bin/sh
# Tests with one build of our kernels: with_isa.sh ISA SLUICE_INSPECT PROGRAM [ARGUMENT...]. 77 (skipped) where the processor
# chooses that build by itself: then it is what all tests run with.
set -eu
isa=$1
unset SLUICE_MAX_ISA
own=$("$2" --version | sed -nE 's/.*processor.*, (portable|avx2|avx512).*/\1/p')
if [ "$isa" = "$own" ]; then
  echo "skipped: $isa is what this processor runs all tests with"
  exit 77
fi
shift 2
SLUICE_MAX_ISA=$isa exec "$@"
