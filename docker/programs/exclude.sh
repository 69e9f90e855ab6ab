# Puts DataNodes (ADDRESS:PORT) on the NameNode's list of those to be decommissioned, or takes them off it, and has the
# NameNode read the list:
#   exclude.sh add|remove FILE ADDRESS:PORT...
# Prints "changed" where the list was another one before. Run in the NameNode's container.
set -e
action=$1 file=$2
shift 2
[ -e "$file" ] || : >"$file"
case $action in
  add) printf '%s\n' "$@" | sort -u - "$file" >"$file.part" ;;
  # grep ends with 1 where no line is left
  remove) printf '%s\n' "$@" | { grep -vxFf - "$file" || [ $? = 1 ]; } >"$file.part" ;;
esac
if ! cmp -s "$file.part" "$file"; then
  echo changed
  : >"$file.unread"
fi
mv "$file.part" "$file"
# it stays where an earlier run ended before the NameNode had read the list
[ -e "$file.unread" ] || exit 0
hdfs dfsadmin -refreshNodes </dev/null
rm "$file.unread"
