# Prints what the open files of this container are: among them the lock on the DataNode's folder of the shared volume.
for link in /proc/[0-9]*/fd/*; do
  readlink "$link" || true
done
