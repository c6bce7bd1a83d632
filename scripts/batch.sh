#!/bin/sh
# Paints each picture of a folder in one style: the plain loop, a process a picture.
# usage: sh scripts/batch.sh PHOTOS STYLE OUTPUT [FLAG...]
#   PHOTOS   a folder; the pictures in it are painted, hidden ones are not
#   STYLE    a picture
#   OUTPUT   a folder: photo.jpg is painted into OUTPUT/photo.jpg/
#   FLAG...  for each run: --max-long-edge 400 --resume
# What cannot be painted is listed at the end (exit code 1) and does not stop the others; Ctrl-C does.
# NSTYLE names the command, if it is not `nstyle`.
set -eu

if [ $# -lt 3 ] || [ ! -d "$1" ]; then
    echo "usage: sh scripts/batch.sh PHOTOS STYLE OUTPUT [FLAG...]     (PHOTOS and OUTPUT are folders)" >&2
    exit 2
fi
photos=$1 style=$2 output=$3
shift 3

interrupted=0
trap 'interrupted=130' INT # the shell runs this once nstyle, which gets the signal too, has saved its picture
trap 'interrupted=143' TERM
failed='' done=0 failures=0
newline='
'
for photo in "$photos"/*; do
    [ -f "$photo" ] || continue
    name=${photo##*/}
    case $name in
    *.[Jj][Pp][Gg] | *.[Jj][Pp][Ee][Gg] | *.[Pp][Nn][Gg] | *.[Tt][Ii][Ff] | *.[Tt][Ii][Ff][Ff] | *.[Ww][Ee][Bb][Pp] | \
        *.[Hh][Ee][Ii][CcFf] | *.[Aa][Vv][Ii][Ff] | *.[Gg][Ii][Ff] | *.[Bb][Mm][Pp] | *.[Jj][Pp]2) ;;
    *) continue ;;
    esac
    code=0
    "${NSTYLE:-nstyle}" --content-image="$photo" --style-image="$style" --output-dir="$output/$name" "$@" || code=$?
    if [ "$interrupted" -ne 0 ] || [ "$code" -ge 128 ]; then
        [ "$interrupted" -ne 0 ] || interrupted=$code
        echo "batch.sh: interrupted at $name; $done painted before it" >&2
        exit "$interrupted"
    elif [ "$code" -eq 0 ]; then
        done=$((done + 1))
    else
        failures=$((failures + 1))
        failed="$failed$newline  $name"
    fi
done

if [ "$failures" -ne 0 ]; then
    printf 'batch.sh: %s painted, %s not:%s\n' "$done" "$failures" "$failed" >&2
    exit 1
elif [ "$done" -eq 0 ]; then
    printf 'batch.sh: no pictures in %s\n' "$photos" >&2
    exit 1
fi
