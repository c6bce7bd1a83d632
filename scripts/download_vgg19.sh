#!/bin/sh
# Fetches the full-precision VGG-19 weights and the two sample pictures of the MXNet
# neural-style example. Run it with --help for the details.
set -eu

me=${0##*/}
base=${NSTYLE_DOWNLOAD_URL:-https://github.com/dmlc/web-data/raw/master}
base=${base%/}
host=${base#*://}
host=${host%%/*}
host=${host##*@} # without a user name and password

usage() {
    cat <<END
usage: $me [-h|--help]

Downloads, and checks against their git blob ids,
  models/vgg19.params       the MXNet example's VGG-19 weights in full precision
  input/IMG_4343.jpg        its sample content picture
  input/starry_night.jpg    its sample style picture
into the repository that this script belongs to. Files that are already there and right
are skipped; an interrupted download (NAME.part) is continued. Needs curl or wget.

environment:
  NSTYLE_DOWNLOAD_URL  fetch from this address, where mxnet/neural-style/... lies, and not
                       from https://github.com/dmlc/web-data/raw/master
END
}

fail() {
    printf '%s: %s\n' "$me" "$1" >&2
    exit "${2:-1}"
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Is FILE ($1) there, with the git blob id ID ($2)? The id is the SHA-1 of the bytes
# "blob SIZE\0" and the content.
verified() {
    [ -f "$1" ] || return 1
    size=$(($(wc -c <"$1"))) # the arithmetic drops the blanks that some wc's write
    found=$({ printf 'blob %d\0' "$size" && cat "$1"; } | $sha1 | sed 's/.*= *//; s/ .*//')
    [ "$found" = "$2" ]
}

# One attempt to bring URL ($1) into FILE ($2), going on from what FILE holds already.
# Sets $http to the server's last answer (000 or empty: none) and $status to the tool's
# exit status, which it returns: 0 if the file is whole.
fetch() {
    status=0
    if [ "$tool" = curl ]; then
        progress=-s
        [ ! -t 2 ] || progress=--progress-bar
        http=$(curl -f -L "$progress" -C - --connect-timeout 20 --speed-time 60 --speed-limit 1 \
            -w '%{http_code}' -o "$2" "$1") || status=$?
    else
        # -S shows the headers of each answer; only the last status is kept.
        http=$(wget -S -c -t 1 -T 20 -O "$2" "$1" 2>&1) || status=$?
        http=$(printf '%s\n' "$http" | sed -n 's|^ *HTTP/[0-9.]* \([0-9][0-9]*\).*|\1|p' | tail -n 1)
    fi
    [ -s "$2" ] || rm -f "$2" # wget makes its file even if there is nothing to put in it
    if [ "$http" = 416 ]; then # nothing follows: what is there is a whole file, right or wrong
        status=0
        [ -s "$2" ] || status=22
    fi
    return "$status"
}

# get PATH FILE ID: makes FILE the blob ID, or ends the script. FILE is only ever replaced
# by a whole and verified file.
get() {
    url=$base/$1
    part=$2.part
    way_out="nstyle works without this file (embedded weights, any pictures); to get it, download"
    way_out="$way_out $url by hand to $2 on another machine and run this script again to verify it"

    [ ! -d "$2" ] || fail "$2 is a folder, where the file is to go; move it away"
    if verified "$2" "$3"; then
        echo "$2: already here, verified"
        return
    fi
    [ ! -e "$2" ] || echo "$2: not the expected file, to be replaced"
    has "$tool" || fail "needs curl or wget; $way_out"
    mkdir -p "${2%/*}"

    wrong=0  # whole files that did not verify
    failed=0 # attempts that brought no whole file
    while ! verified "$part" "$3"; do
        if [ -s "$part" ]; then
            echo "$2: continuing the download from $host"
        else
            echo "$2: downloading from $host"
        fi
        if fetch "$url" "$part"; then
            ! verified "$part" "$3" || break
            rm -f "$part"
            wrong=$((wrong + 1))
            [ "$wrong" -lt 2 ] || fail "what $host sends as $url is not the expected file; $way_out"
            echo "$2: wrong content, starting again"
            continue
        fi
        failed=$((failed + 1))
        again=no
        case $http/$status in
        2??/33) again=yes && rm -f "$part" ;; # curl finds that the server knows no ranges
        2??/23 | 2??/3) fail "cannot write $part" ;; # curl's and wget's statuses for that
        [23]??/* | 408/* | 429/* | 5??/*) again=yes && sleep 1 ;; # broken off, or it may pass
        esac
        [ "$again" = no ] || [ "$failed" -gt 3 ] || continue
        case $http in
        '' | 000) fail "cannot reach $host ($tool exit status $status); $way_out" ;;
        2??) fail "the connection to $host broke off, run this script again to continue; $way_out" ;;
        *) fail "$host answers with HTTP status $http; $way_out" ;;
        esac
    done
    mv -f "$part" "$2"
    echo "$2: done, verified"
}

for arg; do
    case $arg in
    -h | --help) usage && exit ;;
    *) fail "unknown argument '$arg' (try --help)" 2 ;;
    esac
done

if has sha1sum; then sha1=sha1sum
elif has shasum; then sha1='shasum -a 1'
elif has openssl; then sha1='openssl dgst -sha1'
else fail 'needs sha1sum, shasum or openssl to verify the files'
fi
tool=curl
has curl || tool=wget

trap 'echo "interrupted; run this script again to continue" >&2; exit 130' INT
CDPATH='' cd -- "$(dirname -- "$0")/.."

get mxnet/neural-style/model/vgg19.params models/vgg19.params 9dfbe2ed44e0e8914f9551888bf763e14c09c778
get mxnet/neural-style/input/IMG_4343.jpg input/IMG_4343.jpg eeb9f8c4c55c3c2095397ff82417ad23f2201834
get mxnet/neural-style/input/starry_night.jpg input/starry_night.jpg d4db3c8e88f1bc85c7ca9c7f669da82ae51a402b
echo 'To use the weights: nstyle --weights vgg19.params'
