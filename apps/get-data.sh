#!/bin/bash
# sluice-get-data: fetches CIFAR-10 or CIFAR-100 (binary version), checks and unpacks it. An interrupted download is resumed by the next run.
set -uo pipefail
version=@PROJECT_VERSION@

usage() {
  cat <<'TEXT'
Usage: sluice-get-data cifar10|cifar100 DIR [options]
Fetches CIFAR-10 or CIFAR-100, the official binary
archive, into DIR, checks it and unpacks it there. Can be
run again: a finished data set is left alone, a download
that was interrupted goes on where it stopped. An archive
that already lies in DIR is used without a network.

Options:
  --url BASE       where the archive is; default:
                   https://www.cs.toronto.edu/~kriz
  -h, --help       print this text
  --version        print the version

Environment:
  SLUICE_DATA_URL  the same as --url, which goes first
  SLUICE_DATA_MD5  MD5 sum of the archive, for a mirror that
                   packs the files anew

Exit codes: 0 done, 2 wrong command line, 3 wrong data,
6 no network, program or permission
TEXT
}

die() {
  local code=$1
  shift
  echo "sluice-get-data: $*" >&2
  exit "$code"
}

# --- command line
name=''
dir=''
base=${SLUICE_DATA_URL:-https://www.cs.toronto.edu/~kriz}
while (($#)); do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --version) echo "sluice-get-data $version" && exit 0 ;;
    --url) (($# > 1)) || die 2 "--url: expected an address after it, got nothing; see --help"
           base=$2 && shift ;;
    --url=*) base=${1#--url=} ;;
    -*) die 2 "unknown option '$1', expected --url, --version or --help" ;;
    *) if [[ -z $name ]]; then name=$1
       elif [[ -z $dir ]]; then dir=$1
       else die 2 "expected a data set and a folder, got '$1' after them; see --help"; fi ;;
  esac
  shift
done
case $name in
  cifar10) title=CIFAR-10 archive=cifar-10-binary.tar.gz folder=cifar-10-batches-bin md5=c32a1d4ab5d03f1284b67883e8d87530
    files=(data_batch_{1,2,3,4,5}.bin test_batch.bin batches.meta.txt) kind='' ;;
  cifar100) title=CIFAR-100 archive=cifar-100-binary.tar.gz folder=cifar-100-binary md5=03b5dce01913d631647c71ecec9e9cb8
    files=(train.bin test.bin fine_label_names.txt coarse_label_names.txt) kind=" --data.kind=cifar100" ;;
  '') die 2 "expected cifar10 or cifar100 and a folder, got nothing; see --help" ;;
  *) die 2 "unknown data set '$name', expected cifar10 or cifar100" ;;
esac
[[ -n $dir ]] || die 2 "expected a folder for $title after '$name', got nothing; see --help"
md5=${SLUICE_DATA_MD5:-$md5}
url=${base%/}/$archive
part=$dir/$archive.part
unpacking=''

next_step() {
  echo "Train on it with: sluice-train configs/experiments/cifar10_resnet20_dense.ini$kind --data.dir=$dir"
}

# Prints the first file that is missing in a folder; fails where there is one.
missing_file() {
  local file
  for file in "${files[@]}"; do
    [[ -s $1/$file ]] || { echo "$file"; return 1; }
  done
}

sum_of() { md5sum <"$1" | cut -d' ' -f1; }

# Fetches into $part, going on behind what is there. Says why not in $reason; $restart is set where the server cannot go on.
fetch() {
  local code status show
  restart=''
  if command -v curl >/dev/null; then
    show=(--silent)
    [[ -t 2 ]] && show=(--progress-bar)
    status=$(curl --fail --location --retry 3 --connect-timeout 30 --speed-limit 1 --speed-time 60 --continue-at - \
      --write-out '%{http_code}' "${show[@]}" --output "$part" "$url")
    code=$?
    case $code in
      0) return 0 ;;
      6) reason="the host was not found" ;;
      7) reason="the connection was refused" ;;
      18 | 56) reason="the connection was lost; run this again to go on" ;;
      22) reason="the server answered $status" ;;
      23) reason="the disk is full or not writable" ;;
      28) reason="no answer in time; run this again to go on" ;;
      35 | 51 | 58 | 60 | 77) reason="no secure connection (are the CA certificates installed?)" ;;
      *) reason="curl ended with code $code" ;;
    esac
    if ((code == 33 || code == 36)) || [[ $status == 416 ]]; then restart=yes; fi
  else
    show=(--quiet)
    [[ -t 2 ]] && show=(--quiet --show-progress)
    wget --continue --tries=3 --timeout=60 "${show[@]}" --output-document="$part" "$url"
    code=$?
    case $code in
      0) return 0 ;;
      3) reason="the disk is full or not writable" ;;
      4) reason="no connection, or it was lost; run this again to go on" ;;
      5) reason="no secure connection (are the CA certificates installed?)" ;;
      8) reason="the server refused or has no such file" ;;
      *) reason="wget ended with code $code" ;;
    esac
  fi
  return 1
}

download() {
  command -v curl >/dev/null || command -v wget >/dev/null || die 6 "found neither curl nor wget; install one of them, or put $archive into $dir"
  local resumed=''
  if [[ -s $part ]]; then
    [[ $(sum_of "$part") == "$md5" ]] && return
    resumed=yes
    echo "Going on with $url at byte $(stat -c %s "$part")"
  else
    echo "Fetching $url"
  fi
  if ! fetch; then
    if [[ -n $resumed && -n $restart ]]; then
      resumed=''
      rm -f "$part"
      echo "The server cannot go on in the middle; starting again"
      fetch || stop_download
    else
      stop_download
    fi
  fi
  local sum
  sum=$(sum_of "$part")
  if [[ $sum != "$md5" && -n $resumed ]]; then
    rm -f "$part"
    echo "What was fetched before does not fit; starting again"
    fetch || stop_download
    sum=$(sum_of "$part")
  fi
  [[ $sum == "$md5" ]] && return
  rm -f "$part"
  die 3 "$url: expected the MD5 sum $md5, got $sum; removed it, try again or another mirror with --url"
}

stop_download() {
  [[ -s $part ]] || rm -f "$part"
  die 6 "$url: cannot be fetched: $reason; a mirror can be given with --url"
}

unpack() {
  local from=$1 lacking
  if ! { unpacking=$(mktemp -d "$dir/.$folder.unpacking.XXXXXXXXXX") && tar --extract --gzip --no-same-owner --file "$from" --directory "$unpacking"; } 2>/dev/null; then
    die 6 "$dir: cannot unpack $from; is the disk full?"
  fi
  if ! lacking=$(missing_file "$unpacking/$folder"); then
    [[ $from == "$part" ]] && rm -f "$part"
    die 3 "$from: expected $folder/$lacking in the archive, found none; try another mirror with --url"
  fi
  mv -T "$unpacking/$folder" "$dir/$folder" || die 6 "$dir: cannot be written to"
}

if lacking=$(missing_file "$dir/$folder"); then
  echo "$title is already in $dir/$folder."
  next_step
  exit 0
fi
[[ ! -e $dir/$folder ]] || die 3 "$dir/$folder: $lacking is missing or empty; remove the folder and run this again"
command -v md5sum >/dev/null || die 6 "found no md5sum, which checks the archive; install coreutils"
mkdir -p "$dir" 2>/dev/null
[[ -d $dir && -w $dir ]] || die 6 "$dir: cannot be written to; choose another folder"
if command -v flock >/dev/null; then
  exec 9<"$dir"
  flock --nonblock 9 || die 6 "$dir: another sluice-get-data is at work there; wait for it"
  rm -rf "$dir/.$folder.unpacking."??????????  # of runs that were killed
fi
trap '[[ -z $unpacking ]] || rm -rf "$unpacking"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

[[ ! -L $part && ( -f $part || ! -e $part ) ]] || die 6 "$part: is no regular file, which the download would be written to; remove it"

if [[ -s $dir/$archive ]]; then
  sum=$(sum_of "$dir/$archive")
  [[ $sum == "$md5" ]] || die 3 "$dir/$archive: expected the MD5 sum $md5, got $sum; remove it and run this again"
  unpack "$dir/$archive"
else
  download
  unpack "$part"
  rm -f "$part"
fi
echo "$title is in $dir/$folder."
next_step
