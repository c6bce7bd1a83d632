#!/bin/sh
# Paint each picture of a folder in one style, with one process for each picture.
# usage: sh scripts/batch.sh PHOTOS STYLE OUTPUT [FLAG...]
#   PHOTOS   folder of pictures; hidden files are skipped, and files that nstyle does not read
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

is_picture() { # whether the ending of this file name is one that nstyle reads
    case $1 in
    *.[Jj][Pp][Gg] | *.[Jj][Pp][Ee] | *.[Jj][Pp][Ee][Gg] | *.[Jj][Ff][Ii][Ff] | *.[Mm][Pp][Oo] | *.[Pp][Nn][Gg] | \
        *.[Tt][Ii][Ff] | *.[Tt][Ii][Ff][Ff] | *.[Ww][Ee][Bb][Pp] | *.[Gg][Ii][Ff] | *.[Bb][Mm][Pp] | *.[Dd][Ii][Bb] | \
        *.[Hh][Ee][Ii][CcFf] | *.[Hh][Ii][Ff] | *.[Aa][Vv][Ii][Ff] | *.[Jj][Pp][2Xx] | *.[Jj]2[Kk] | \
        *.[Pp][PpGgBbNn][Mm] | *.[Tt][Gg][Aa] | *.[Ii][Cc][Oo] | *.[Pp][Cc][Xx] | *.[Qq][Oo][Ii] | *.[Ss][Gg][Ii]) ;;
    *) return 1 ;;
    esac
}

interrupted=0
trap 'interrupted=130' INT # nstyle also gets the signal; the shell runs this after nstyle has saved its picture
trap 'interrupted=143' TERM
failed='' done=0 failures=0
newline='
'
for photo in "$photos"/*; do
    [ -f "$photo" ] || continue
    name=${photo##*/}
    is_picture "$name" || continue
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
