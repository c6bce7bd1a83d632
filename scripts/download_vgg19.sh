#!/bin/sh
# Download the full-precision VGG-19 weights and the two sample pictures of the MXNet
# neural-style example. --help tells more.
set -eu
me=${0##*/}
base=${NSTYLE_DOWNLOAD_URL:-https://github.com/dmlc/web-data/raw/master}

usage() {
    cat <<END
usage: $me [-h|--help]

Downloads these files into the script's repository and verifies their git blob IDs:
  models/vgg19.params       the MXNet example's VGG-19 weights in full precision
  input/IMG_4343.jpg        its sample content picture
  input/starry_night.jpg    its sample style picture
Skips files that are already there and verified. Continues an interrupted download
(NAME.part). Needs curl or wget.

environment:
  NSTYLE_DOWNLOAD_URL  base URL that contains mxnet/neural-style/...
                       (default: https://github.com/dmlc/web-data/raw/master)
END
}

fail() {
    printf '%s: %s\n' "$me" "$1" >&2
    exit "${2:-1}"
}

# Check that FILE ($1) exists and has the git blob ID $2, the SHA-1 of "blob SIZE\0" and the content.
verified() {
    [ -f "$1" ] || return 1
    size=$(($(wc -c <"$1"))) # arithmetic removes the spaces that some versions of wc print
    found=$({ printf 'blob %d\0' "$size" && cat "$1"; } | $sha1)
    [ "${found%% *}" = "$2" ]
}

# Try once to download URL ($1) to FILE ($2), continuing a partial FILE.
# Sets $got to the tool's exit status and $http to the last HTTP status (000 or empty: no answer).
fetch() {
    got=0
    if [ "${tool##*/}" = curl ]; then
        [ -t 2 ] && progress=--progress-bar || progress=-s
        http=$(curl -f -L "$progress" -C - --connect-timeout 20 --speed-time 60 --speed-limit 1 \
            -w '%{http_code}' -o "$2" "$1") || got=$?
    else
        http=$(wget -S -c -t 1 -T 20 -O "$2" "$1" 2>&1) || got=$?
        http=$(printf '%s\n' "$http" | sed -n 's|^ *HTTP/[0-9.]* \([0-9][0-9]*\).*|\1|p' | tail -n 1)
    fi
    [ -s "$2" ] || rm -f "$2" # wget creates the file even if it receives nothing
}

# get PATH FILE ID: download PATH to FILE and verify that its blob ID is ID, or exit. Only a verified file replaces FILE.
get() {
    url=${base%/}/$1 part=$2.part wrong=no
    way_out="nstyle works without this file; or download $url by hand to $2 and run this script again to verify it"
    verified "$2" "$3" && echo "$2: already here, verified" && return
    [ ! -d "$2" ] || fail "$2 is a folder, so the file cannot be saved there; move the folder away"
    [ "$tool" ] || fail "needs curl or wget; $way_out"
    mkdir -p "${2%/*}"
    for attempt in 1 2 3 4; do
        echo "$2: downloading, attempt $attempt"
        fetch "$url" "$part"
        if verified "$part" "$3"; then
            mv -f "$part" "$2"
            echo "$2: done, verified"
            return
        fi
        why="the download of $url is incomplete (HTTP status ${http:-000}, $tool's exit status $got)"
        case $http/$got in
        */0 | 416/*) # the file is complete, but not the right one
            rm -f "$part"
            why="$url is not the expected file"
            [ "$wrong" = no ] && wrong=yes || break ;;
        2??/33) rm -f "$part" ;; # curl: the server does not support ranges
        2??/23 | 2??/3) fail "cannot write $part; check the free space and the permissions" ;; # of curl and of wget
        [23]??/* | 408/* | 429/* | 5??/*) sleep 1 ;; # cut off, or a temporary error
        /* | 000/*) why="no server answers ($tool's exit status $got)" && break ;;
        *) break ;;
        esac
    done
    fail "$why; $way_out"
}

case $#/${1-} in
0/) ;;
1/-h | 1/--help) usage && exit ;;
*) fail "unknown argument '${1-}' (try --help)" 2 ;;
esac
sha1=$(command -v sha1sum || command -v shasum) || fail 'needs sha1sum or shasum to verify the files'
tool=$(command -v curl || command -v wget) || tool=

trap 'echo "interrupted; run this script again to continue" >&2; exit 130' INT
CDPATH='' cd -- "$(dirname -- "$0")/.."

get mxnet/neural-style/model/vgg19.params models/vgg19.params 9dfbe2ed44e0e8914f9551888bf763e14c09c778
get mxnet/neural-style/input/IMG_4343.jpg input/IMG_4343.jpg eeb9f8c4c55c3c2095397ff82417ad23f2201834
get mxnet/neural-style/input/starry_night.jpg input/starry_night.jpg d4db3c8e88f1bc85c7ca9c7f669da82ae51a402b
echo 'To use the weights: nstyle --weights vgg19.params'
