#!/bin/sh
# A backup now and every day; `backup.sh once` makes one. A dump appears under its name only when it
# is whole and can be read, and old ones go only after that. The encoded clips are kept as one file.
#
# Reads PGHOST, PGUSER, PGPASSWORD, PGDATABASE, BACKUP_DIR, FILES_DIR (may be absent) and
# BACKUP_KEEP_DAYS.
set -eu
umask 077

backup_once() {
  rm -f "$BACKUP_DIR"/.*.part
  stamp=$(date -u +%Y%m%dT%H%M%SZ)
  part="$BACKUP_DIR/.study-$stamp.part"
  pg_dump --format=custom --no-owner --no-privileges --file="$part" || return 1
  pg_restore --list "$part" >/dev/null || return 1
  mv "$part" "$BACKUP_DIR/study-$stamp.dump"
  backup_files || return 1
  find "$BACKUP_DIR" -name 'study-*.dump' -mtime "+${BACKUP_KEEP_DAYS:-14}" -exec rm -f {} +
  echo "$BACKUP_DIR/study-$stamp.dump"
}

backup_files() {
  [ -d "${FILES_DIR:-}" ] || return 0
  archive="$BACKUP_DIR/files.tar"
  if [ -f "$archive" ]; then # what is in .cache can be made again
    newer=$(find "$FILES_DIR" -name .cache -prune -o -type f -newer "$archive" -print | head -n 1)
    [ -n "$newer" ] || return 0
  fi
  # The start of reading, not its end: what is written meanwhile is newer than the archive.
  touch "$BACKUP_DIR/.started.part"
  tar -cf "$BACKUP_DIR/.files.part" --exclude=./.cache -C "$FILES_DIR" . || return 1
  touch -r "$BACKUP_DIR/.started.part" "$BACKUP_DIR/.files.part"
  mv "$BACKUP_DIR/.files.part" "$archive"
}

if [ "${1:-}" = once ]; then
  backup_once
  exit
fi
trap 'exit 0' TERM INT
while :; do
  if backup_once; then pause=86400; else
    echo "backup failed; trying again in an hour" >&2
    pause=3600
  fi
  sleep "$pause" &
  wait $!
done
