#!/bin/sh
# Paint each picture of a folder in one style, with one process for each picture.
# usage: sh scripts/batch.sh PHOTOS STYLE OUTPUT [FLAG...]
#   PHOTOS   folder of pictures; hidden files are skipped
#   STYLE    a picture
#   OUTPUT   folder; photo.jpg is painted into OUTPUT/photo.jpg/
#   FLAG...  flags for every run, such as --max-long-edge 400 --resume
# A picture that cannot be painted does not stop the others; it is listed at the end (exit code 1). Ctrl-C stops all.
# Set the variable NSTYLE if the command is not `nstyle`.
set -eu

if [ $# -lt 3 ] || [ ! -d "$1" ]; then
    echo "usage: sh scripts/batch.sh PHOTOS STYLE OUTPUT [FLAG...]     (PHOTOS and OUTPUT are folders)" >&2
    exit 2
fi
photos=$1 style=$2 output=$3
shift 3

interrupted=0
trap 'interrupted=130' INT # nstyle also gets the signal; the shell runs this after nstyle has saved its picture
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
