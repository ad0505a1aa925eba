#!/bin/bash
# Tests sluice-get-data against file_server.py: get_data_test.sh SOURCE_FOLDER SLUICE_GET_DATA. Needs python3, curl and wget.
set -uo pipefail

source_folder=$1
get_data=$2
work=$(mktemp -d)
failures=0
server=''
trap '[[ -n $server ]] && kill "$server"; rm -rf "$work"' EXIT
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy SLUICE_DATA_URL SLUICE_DATA_MD5

for program in python3 curl wget; do
  command -v "$program" >/dev/null || { echo "skipped: no $program"; exit 77; }
done

# --- a small archive with the official one's names, incompressible so that half of it is half
mkdir -p "$work/served/cifar-10-batches-bin" "$work/logs"
for file in data_batch_{1,2,3,4,5}.bin test_batch.bin batches.meta.txt; do
  head -c 20000 /dev/urandom >"$work/served/cifar-10-batches-bin/$file"
done
archive=$work/served/cifar-10-binary.tar.gz
tar -C "$work/served" -czf "$archive" cifar-10-batches-bin
size=$(stat -c %s "$archive")
sum=$(md5sum <"$archive" | cut -d' ' -f1)
python3 "$source_folder/tests/apps/file_server.py" "$work/served" "$work/port" "$work/log" &
server=$!
for _ in $(seq 200); do [[ -s $work/port ]] && break; sleep 0.05; done
url=http://127.0.0.1:$(cat "$work/port")
export SLUICE_DATA_MD5=$sum

# begin NAME: an empty folder $dir, an empty request log, a well-behaved server.
begin() {
  name=$1
  dir=$work/data-$RANDOM-${name//[^a-z]/}
  mkdir "$dir"
  : >"$work/log"
  echo "${2:-ranges}" >"$work/served/mode"
}

complain() {
  echo "FAILED: $name: $*"
  sed 's/^/    /' "$work/out" "$work/err"
  failures=$((failures + 1))
}

# run CODE ARGUMENT...: runs the script and checks how it ends.
run() {
  local expected=$1
  shift
  "$get_data" "$@" >"$work/out" 2>"$work/err" </dev/null
  local code=$?
  ((code == expected)) || complain "expected exit code $expected, got $code"
}
expect_error() { [[ $(cat "$work/err") == "sluice-get-data: $1" ]] || complain "expected the error 'sluice-get-data: $1'"; }
expect_out() { grep -qxF "$1" "$work/out" || complain "expected the line '$1'"; }
expect_requests() { [[ $(cat "$work/log") == "$1" ]] || complain "expected the requests '$1', got '$(cat "$work/log")'"; }
expect_complete() {
  diff -r "$work/served/cifar-10-batches-bin" "$dir/cifar-10-batches-bin" >/dev/null || complain "the files differ"
  [[ $(ls -A "$dir") == cifar-10-batches-bin ]] || complain "left behind: $(ls -A "$dir")"
}
expect_empty() { [[ -z $(ls -A "$dir" 2>/dev/null) ]] || complain "left behind: $(ls -A "$dir")"; }

# with_programs NAME...: a PATH with the usual programs and these, for what happens where curl or wget is not installed.
with_programs() {
  rm -rf "${work:?}/bin" && mkdir "$work/bin"
  local program
  for program in bash cat cut dirname flock gzip md5sum mkdir mktemp mv rm stat tar "$@"; do
    ln -s "$(command -v "$program")" "$work/bin/$program"
  done
}

begin "fetches, unpacks, says what to do next"
run 0 cifar10 "$dir" --url "$url"
expect_complete
expect_requests "/cifar-10-binary.tar.gz whole"
expect_out "CIFAR-10 is in $dir/cifar-10-batches-bin."
expect_out "Train on it with: sluice-train configs/experiments/cifar10_resnet20_dense.ini --data.dir=$dir"

name="can be run twice"
run 0 cifar10 "$dir" --url "$url"
expect_complete
expect_requests "/cifar-10-binary.tar.gz whole"
expect_out "CIFAR-10 is already in $dir/cifar-10-batches-bin."

begin "makes the folder, takes the address from the environment"
rmdir "$dir"
SLUICE_DATA_URL=$url/ run 0 cifar10 "$dir"
expect_complete

begin "goes on after a lost connection" break
run 6 cifar10 "$dir" "--url=$url"
expect_error "$url/cifar-10-binary.tar.gz: cannot be fetched: the connection was lost; run this again to go on; a mirror can be given with --url"
[[ $(stat -c %s "$dir/cifar-10-binary.tar.gz.part") == $((size / 2)) ]] || complain "half of the file is not there"
echo ranges >"$work/served/mode"
run 0 cifar10 "$dir" --url "$url"
expect_complete
expect_requests "/cifar-10-binary.tar.gz whole
/cifar-10-binary.tar.gz bytes=$((size / 2))-"

for fetcher in curl wget; do
  with_programs "$fetcher"
  begin "goes on in the middle, with $fetcher"
  head -c 1000 "$archive" >"$dir/cifar-10-binary.tar.gz.part"
  PATH=$work/bin run 0 cifar10 "$dir" --url "$url"
  expect_complete
  expect_requests "/cifar-10-binary.tar.gz bytes=1000-"

  begin "starts again where the server cannot go on, with $fetcher" whole
  head -c 1000 "$archive" >"$dir/cifar-10-binary.tar.gz.part"
  PATH=$work/bin run 0 cifar10 "$dir" --url "$url"
  expect_complete

  begin "starts again where the first part is of something else, with $fetcher"
  head -c 1000 /dev/zero >"$dir/cifar-10-binary.tar.gz.part"
  PATH=$work/bin run 0 cifar10 "$dir" --url "$url"
  expect_complete
  expect_out "What was fetched before does not fit; starting again"

  begin "starts again where the first part is too long, with $fetcher"
  head -c $((size + 10)) /dev/zero >"$dir/cifar-10-binary.tar.gz.part"
  PATH=$work/bin run 0 cifar10 "$dir" --url "$url"
  expect_complete

  begin "keeps nothing of a wrong archive, with $fetcher"
  SLUICE_DATA_MD5=0123 PATH=$work/bin run 3 cifar10 "$dir" --url "$url"
  expect_error "$url/cifar-10-binary.tar.gz: expected the MD5 sum 0123, got $sum; removed it, try again or another mirror with --url"
  expect_empty

  begin "nobody answers, with $fetcher"
  PATH=$work/bin run 6 cifar10 "$dir" --url http://127.0.0.1:1
  [[ $fetcher == curl ]] && expect_error "http://127.0.0.1:1/cifar-10-binary.tar.gz: cannot be fetched: the connection was refused; a mirror can be given with --url"
  [[ $fetcher == wget ]] && expect_error "http://127.0.0.1:1/cifar-10-binary.tar.gz: cannot be fetched: no connection, or it was lost; run this again to go on; a mirror can be given with --url"
  expect_empty

  begin "no such file, with $fetcher"
  head -c 1000 "$archive" >"$dir/cifar-10-binary.tar.gz.part"
  PATH=$work/bin run 6 cifar10 "$dir" --url "$url/elsewhere"
  [[ $fetcher == curl ]] && expect_error "$url/elsewhere/cifar-10-binary.tar.gz: cannot be fetched: the server answered 404; a mirror can be given with --url"
  [[ $fetcher == wget ]] && expect_error "$url/elsewhere/cifar-10-binary.tar.gz: cannot be fetched: the server refused or has no such file; a mirror can be given with --url"
  [[ $(stat -c %s "$dir/cifar-10-binary.tar.gz.part") == 1000 ]] || complain "what was fetched before is gone"
done

begin "a finished download that was not unpacked needs no network"
cp "$archive" "$dir/cifar-10-binary.tar.gz.part"
run 0 cifar10 "$dir" --url "$url"
expect_complete
expect_requests ""

begin "an archive brought by hand is used and kept"
cp "$archive" "$dir"
mkdir "$dir/.cifar-10-batches-bin.unpacking.0123456789"  # of a run that was killed
with_programs
PATH=$work/bin run 0 cifar10 "$dir"
rm "$dir/cifar-10-binary.tar.gz" || complain "the archive is gone"
expect_complete

begin "a link in the place of the download is not followed"
echo precious >"$work/victim"
ln -s "$work/victim" "$dir/cifar-10-binary.tar.gz.part"
run 6 cifar10 "$dir" --url "$url"
expect_error "$dir/cifar-10-binary.tar.gz.part: is no regular file, which the download would be written to; remove it"
[[ $(cat "$work/victim") == precious ]] || complain "the file behind the link was written to"

begin "an archive brought by hand that is wrong"
cp "$archive" "$dir"
SLUICE_DATA_MD5=0123 run 3 cifar10 "$dir"
expect_error "$dir/cifar-10-binary.tar.gz: expected the MD5 sum 0123, got $sum; remove it and run this again"

begin "neither curl nor wget"
PATH=$work/bin run 6 cifar10 "$dir" --url "$url"
expect_error "found neither curl nor wget; install one of them, or put cifar-10-binary.tar.gz into $dir"
expect_empty

begin "another archive under the name"
mkdir "$work/served/other" && tar -C "$work" -czf "$work/served/other/cifar-10-binary.tar.gz" logs
SLUICE_DATA_MD5=$(md5sum <"$work/served/other/cifar-10-binary.tar.gz" | cut -d' ' -f1) run 3 cifar10 "$dir" --url "$url/other"
expect_error "$dir/cifar-10-binary.tar.gz.part: expected cifar-10-batches-bin/data_batch_1.bin in the archive, found none; try another mirror with --url"
expect_empty

begin "a folder that lacks a file"
cp -r "$work/served/cifar-10-batches-bin" "$dir" && rm "$dir/cifar-10-batches-bin/test_batch.bin"
run 3 cifar10 "$dir" --url "$url"
expect_error "$dir/cifar-10-batches-bin: test_batch.bin is missing or empty; remove the folder and run this again"

begin "a folder that cannot be"
: >"$dir/file"
run 6 cifar10 "$dir/file/below" --url "$url"
expect_error "$dir/file/below: cannot be written to; choose another folder"

begin "two at a time"
flock "$dir" "$get_data" cifar10 "$dir" --url "$url" >"$work/out" 2>"$work/err" && complain "expected a failure"
expect_error "$dir: another sluice-get-data is at work there; wait for it"

begin "CIFAR-100"
mkdir "$work/served/cifar-100-binary"
for file in train.bin test.bin fine_label_names.txt coarse_label_names.txt; do echo "$file" >"$work/served/cifar-100-binary/$file"; done
tar -C "$work/served" -czf "$work/served/cifar-100-binary.tar.gz" cifar-100-binary
SLUICE_DATA_MD5=$(md5sum <"$work/served/cifar-100-binary.tar.gz" | cut -d' ' -f1) run 0 cifar100 "$dir" --url "$url"
expect_out "CIFAR-100 is in $dir/cifar-100-binary."
expect_out "Train on it with: sluice-train configs/experiments/cifar10_resnet20_dense.ini --data.kind=cifar100 --data.dir=$dir"
[[ $(cat "$dir/cifar-100-binary/train.bin") == train.bin ]] || complain "the files differ"

name="wrong command lines"
run 2
expect_error "expected cifar10 or cifar100 and a folder, got nothing; see --help"
run 2 mnist "$dir"
expect_error "unknown data set 'mnist', expected cifar10 or cifar100"
run 2 cifar10
expect_error "expected a folder for CIFAR-10 after 'cifar10', got nothing; see --help"
run 2 cifar10 "$dir" more
expect_error "expected a data set and a folder, got 'more' after them; see --help"
run 2 cifar10 "$dir" --mirror
expect_error "unknown option '--mirror', expected --url, --version or --help"
run 2 cifar10 "$dir" --url
expect_error "--url: expected an address after it, got nothing; see --help"
run 0 --help
expect_out "Usage: sluice-get-data cifar10|cifar100 DIR [options]"
[[ $(awk 'length > 60' "$work/out") == "" ]] || complain "--help: lines of more than 60 columns"

((failures == 0)) && echo "all passed"
exit $((failures > 0))
