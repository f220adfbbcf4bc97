#!/bin/sh
# Writes a configuration of Exim into a directory.   exim.sh DIRECTORY server|client [OPTION...]
# A server takes TLS and throws away what it gets; a client sends everything to the host in $TARGET, by the options of its
# transport, and verifies recipients there when it is asked by SMTP on stdin.
set -eu
home=$1 role=$2
shift 2
mkdir -p "$home"
chmod 777 "$home"
cat >"$home/exim.conf" <<COMMON
spool_directory = $home/spool
log_file_path = $home/%slog
primary_hostname = exim.example.net
keep_environment =
never_users =
smtp_accept_max = 200
smtp_enforce_sync = false
helo_allow_chars = _
host_lookup =
rfc1413_hosts =
COMMON
case $role in
  server)
    cat >>"$home/exim.conf" <<SERVER
tls_advertise_hosts = *
tls_certificate = $CERTIFICATES/small.pem
tls_privatekey = $CERTIFICATES/small.key
acl_smtp_rcpt = rcpt
acl_smtp_data = data
acl_smtp_vrfy = accept
chunking_advertise_hosts = *
begin acl
rcpt:
  deny local_parts = nobody
  accept
data:
  accept logwrite = taken \$message_size from \$sender_host_address
         control = freeze/no_tell
begin routers
all:
  driver = accept
  transport = null
begin transports
null:
  driver = appendfile
  file = /dev/null
  user = root
SERVER
    ;;
  client)
    cat >>"$home/exim.conf" <<CLIENT
acl_smtp_rcpt = rcpt
chunking_advertise_hosts =
begin acl
rcpt:
  require verify = recipient/callout=20s,no_cache
  accept
begin routers
all:
  driver = manualroute
  route_list = * $(echo "$TARGET" | sed 's/:/::/g') byname
  host_find_failed = defer
  self = send
  transport = out
begin transports
out:
  driver = smtp
$(printf '  %s\n' "$@")
begin retry
* * F,1h,1h
CLIENT
    ;;
esac
