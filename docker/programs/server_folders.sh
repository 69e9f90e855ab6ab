# Prints a line for each folder that a server keeps on a volume: owner's id|folder|HDFS cluster id|storage type
#   server_folders.sh VOLUMES
# VOLUMES is the folder that all volumes are mounted below. The last two fields are empty where the folder is not HDFS's.
for volume in "$1"/*; do
  for folder in "$volume" "$volume"/* "$volume"/*/*; do
    [ -d "$folder" ] || continue
    id=; kind=
    if [ -f "$folder/current/VERSION" ]; then
      id=$(sed -n 's/^clusterID=//p' "$folder/current/VERSION")
      kind=$(sed -n 's/^storageType=//p' "$folder/current/VERSION")
    fi
    echo "$(stat -c %u "$folder")|$folder|$id|$kind"
  done
done
