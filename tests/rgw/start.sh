#!/usr/bin/env bash
# A Ceph cluster of one monitor and one storage daemon in memory, with an S3 gateway before it, all
# on 127.0.0.1 and in one folder. It lasts until its standard input ends, and leaves nothing running.
#
# start.sh FOLDER MONITOR_PORT S3_PORT ACCESS_KEY SECRET_KEY; prints "ready" once S3 answers.
#
# Debian: apt-get install --no-install-recommends ceph-mon ceph-osd ceph-mgr radosgw
set -euo pipefail

for tool in ceph ceph-mon ceph-osd monmaptool radosgw radosgw-admin; do
  command -v "$tool" >/dev/null || {
    echo "error: $tool is missing; Debian has it in ceph-mon, ceph-osd, ceph-mgr and radosgw" >&2
    exit 1
  }
done

folder=$1 monitor=127.0.0.1:$2 s3=127.0.0.1:$3 access_key=$4 secret_key=$5
mkdir -p "$folder"/{monitor,storage,gateway,log}
cluster=$(cat /proc/sys/kernel/random/uuid)
storage=$(cat /proc/sys/kernel/random/uuid)
export CEPH_CONF=$folder/ceph.conf
cat >"$CEPH_CONF" <<END
[global]
fsid = $cluster
mon_initial_members = one
mon_host = v1:$monitor
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr2 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
run_dir = $folder
admin_socket = $folder/\$name.socket
pid_file = $folder/\$name.pid
log_file = $folder/log/\$name
keyring = $folder/keyring
# One copy of everything, in as few pieces as possible.
mon_allow_pool_size_one = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
# This script says where the storage is; asking the monitor for it too early ends the daemon.
osd_class_update_on_start = false
osd_crush_update_on_start = false
mon_max_pg_per_osd = 1000
[mon]
mon_data = $folder/monitor
mon_data_avail_crit = 1
[osd]
osd_data = $folder/storage
osd_objectstore = memstore
memstore_device_bytes = 2147483648
[client.gateway]
rgw_data = $folder/gateway
rgw_frontends = beast endpoint=$s3
# Buckets are web sites too, at BUCKET.s3web.localhost.
rgw_enable_apis = s3, s3website, admin
rgw_enable_static_website = true
rgw_dns_name = s3.localhost
rgw_dns_s3website_name = s3web.localhost
END

# Daemons stay in the foreground, so that they are this script's own to end.
daemons=()
end() {
  exec 2>/dev/null
  # What they hold is to be lost anyway.
  kill -KILL "${daemons[@]}" 2>/dev/null || true
  wait || true
}
trap end EXIT
daemon() {
  "$@" >>"$folder/log/output" 2>&1 </dev/null &
  daemons=("$!" "${daemons[@]}")
}

monmaptool --create --addv one "v1:$monitor" --fsid "$cluster" "$folder/monmap" >/dev/null
ceph-mon --mkfs --id one --monmap "$folder/monmap" >>"$folder/log/output" 2>&1
daemon ceph-mon --foreground --id one
# The identifier must be the one that the storage daemon is made with, or it never comes up.
number=$(ceph osd new "$storage" 2>>"$folder/log/output")
ceph-osd --mkfs --id "$number" --osd-uuid "$storage" >>"$folder/log/output" 2>&1
ceph osd crush add "osd.$number" 1.0 host=here root=default >>"$folder/log/output" 2>&1
daemon ceph-osd --foreground --id "$number"
daemon radosgw --foreground --name client.gateway
until curl --silent --output /dev/null "http://$s3/"; do
  for process in "${daemons[@]}"; do
    kill -0 "$process" 2>/dev/null || {
      echo "error: a daemon of Ceph ended at once:" >&2
      tail "$folder/log/output" >&2
      exit 1
    }
  done
  sleep 0.2
done
radosgw-admin user create --uid tests --display-name tests \
  --access-key "$access_key" --secret-key "$secret_key" >>"$folder/log/output" 2>&1
echo ready
cat >/dev/null
